//! How a client's connection is passed to the thread that serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::settings::ClientLimits;
use super::slot::Seat;

/// The phase that the process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// Serving.
    Running,
    /// No new connections; exchanges in flight are finished.
    Draining,
    /// The time to drain is over.
    Killed,
}

/// Asks whether every counted connection and stream has a place, or can be given one by closing others.
pub(super) type RoomRequests = mpsc::UnboundedSender<oneshot::Sender<bool>>;

/// What the accepting thread sends to a worker.
pub(super) enum WorkerMessage {
    /// Clients to serve.
    Clients(Vec<Accepted>),
    /// The number of a connection that has to check its slot.
    Wake(u64),
}

/// A client's socket on its way to the thread that serves it.
pub(super) struct Accepted {
    pub(super) stream: std::net::TcpStream,
    /// Counts the connection until it is dropped.
    pub(super) ticket: Ticket,
    pub(super) admission: Admission,
}

/// The terms on which a connection was admitted.
pub(super) struct Admission {
    pub(super) seat: Seat,
    /// Above the connection limit: it is answered that there are too many, and closed.
    pub(super) over_limit: bool,
    /// When it was accepted.
    pub(super) at: Instant,
}

/// The deadlines of a connection's first head. Both count from accept: a client that sends nothing has no more time than
/// one that sends slowly. None is no limit.
pub(super) struct FirstHeadDeadlines {
    /// Of its first byte.
    pub(super) begun_by: Option<Instant>,
    /// Of its last.
    pub(super) whole_by: Option<Instant>,
}

/// After this time a connection above the limit gets its answer without a whole request.
const OVER_LIMIT: Duration = Duration::from_secs(1);

impl Admission {
    /// When the first head must have begun, and when it must be complete.
    pub(super) fn first_head_deadlines(&self, limits: &ClientLimits) -> FirstHeadDeadlines {
        let whole_by = self.first_head_deadline(limits.head);
        let idle_until = limits.keep_alive_idle.and_then(|limit| self.at.checked_add(limit));
        FirstHeadDeadlines { begun_by: whole_by.into_iter().chain(idle_until).min(), whole_by }
    }

    /// When the first head must be complete, given the time limit of a head. None is no limit.
    pub(super) fn first_head_deadline(&self, limit: Option<Duration>) -> Option<Instant> {
        let limit = if self.over_limit { Some(limit.unwrap_or(OVER_LIMIT).min(OVER_LIMIT)) } else { limit };
        limit.and_then(|limit| self.at.checked_add(limit))
    }
}

/// Holds one place among the connections.
pub(super) struct Ticket(Arc<AtomicU64>);

impl Ticket {
    /// Takes a place, and returns how many are taken now.
    pub(super) fn take(count: &Arc<AtomicU64>) -> (Self, u64) {
        let taken = count.fetch_add(1, Ordering::Relaxed) + 1;
        (Self(count.clone()), taken)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
