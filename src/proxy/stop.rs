//! Ends single exchanges on request.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender, unbounded_channel};

use super::admission::WorkerMessage;

/// Reaches the workers, and keeps none of them alive.
#[derive(Clone)]
pub struct Stops(Arc<[WeakUnboundedSender<WorkerMessage>]>);

impl Stops {
    pub(super) fn of(workers: &[UnboundedSender<WorkerMessage>]) -> Self {
        Self(workers.iter().map(UnboundedSender::downgrade).collect())
    }

    /// Ends the exchange with this number: its client gets an error where its answer has not begun, and a cut answer
    /// otherwise; its backend's connection is closed. Returns whether it was in progress. It is not any more while its last
    /// bytes wait for a client of HTTP/2 to take them.
    pub async fn stop(&self, exchange: u64) -> bool {
        let (found, mut finds) = unbounded_channel();
        for worker in self.0.iter().filter_map(WeakUnboundedSender::upgrade) {
            // One that has ended has no exchanges.
            drop(worker.send(WorkerMessage::Stop(exchange, found.clone())));
        }
        drop(found);
        finds.recv().await.is_some()
    }
}
