//! The thread of all that watches: the second listener, the alerts, and questions to other machines. The kernel prefers
//! the threads that carry requests to it, so that many who watch do not delay a chunk.

use std::io;
use std::sync::mpsc;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

use crate::priority;

/// Of the thread, and of those that it creates for what blocks.
const NAME: &str = "observers";

/// Runs tasks from its beginning until it is dropped.
pub(super) struct Observers {
    runtime: Handle,
    begin: mpsc::Sender<()>,
    _running: oneshot::Sender<()>,
}

impl Observers {
    /// # Errors
    /// When the system gives no thread or no poller.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name(NAME).build()?;
        let handle = runtime.handle().clone();
        let (begin, begun) = mpsc::channel();
        let (running, dropped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(NAME.into()).spawn(move || {
            priority::step_back();
            if begun.recv().is_ok() {
                let _dropped = runtime.block_on(dropped);
            }
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, begin, _running: running })
    }

    /// Begins with what was spawned so far.
    pub(super) fn begin(&self) {
        let _failed = self.begin.send(());
    }

    /// What is spawned while the guard lives runs there.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}
