//! Ends single exchanges on request.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The number of an exchange that is to end. It is reported if it is in progress on this worker.
pub(super) type StopMessage = (u64, UnboundedSender<()>);

/// Reaches the workers, also while they drain: their channel for clients is closed then, this one ends with them.
#[derive(Clone)]
pub struct Stops(Arc<[UnboundedSender<StopMessage>]>);

impl Stops {
    pub(super) fn of(workers: Vec<UnboundedSender<StopMessage>>) -> Self {
        Self(workers.into())
    }

    /// Ends the exchange with this number: its client gets an error where its answer has not begun, and a cut answer
    /// otherwise; its backend's connection is closed. Returns whether it was in progress. It is not any more while its last
    /// bytes wait for a client of HTTP/2 to take them.
    pub async fn stop(&self, exchange: u64) -> bool {
        let (found, mut finds) = unbounded_channel();
        for worker in &*self.0 {
            // One that has ended has no exchanges.
            drop(worker.send((exchange, found.clone())));
        }
        drop(found);
        finds.recv().await.is_some()
    }
}
