//! The thread of all that watches: the second listener, the alerts, and questions to other machines. The kernel prefers
//! the threads that carry requests to it, so that many who watch do not delay a chunk.

use std::io;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

use crate::priority;

/// Of the thread, and of those that it creates for what blocks.
const NAME: &str = "observers";

/// Runs tasks until it is dropped.
pub(super) struct Observers {
    runtime: Handle,
    _running: oneshot::Sender<()>,
}

impl Observers {
    /// # Errors
    /// When the system gives no thread or no poller.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name(NAME).build()?;
        let handle = runtime.handle().clone();
        let (running, dropped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(NAME.into()).spawn(move || {
            priority::step_back();
            let _dropped = runtime.block_on(dropped);
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _running: running })
    }

    /// What is spawned while the guard lives runs there.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}
