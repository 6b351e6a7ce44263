//! Jobs: the pulls, pushes and creates of models, which take minutes and say how far they are.

use std::sync::Arc;

use crate::exchange::outcome::Outcome;
use crate::exchange::record::Record;
use crate::exchange::trace::TraceId;
use crate::exchange::vocabulary::Operation;

/// The kind of work that a client started on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Fetch a model.
    Pull,
    /// Publish a model.
    Push,
    /// Make a model.
    Create,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Create];

    /// Of an operation; `None` where it is no job.
    #[must_use]
    pub const fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::Pull => Some(Self::Pull),
            Operation::Push => Some(Self::Push),
            Operation::Create => Some(Self::Create),
            Operation::TextCompletion | Operation::Chat | Operation::Embeddings | Operation::Other => None,
        }
    }

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Create => "create",
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It goes on.
    Running,
    /// The backend said that it succeeded.
    Completed,
    /// It failed.
    Failed,
    /// The client left, which ends a transfer.
    Cancelled,
    /// The program was killed while it ran: how it ended is unknown.
    Lost,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Lost];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    pub(super) fn at_the_end_of(record: &Record) -> Self {
        match record.outcome {
            Outcome::Completed => Self::Completed,
            Outcome::ClientCancelled => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// A job. Times are milliseconds since the epoch; `None` is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The same while it runs and afterwards.
    pub id: i64,
    /// What it is.
    pub kind: Box<str>,
    /// How far it is.
    pub state: Box<str>,
    /// The backend that does it.
    pub backend: Option<Arc<str>>,
    /// The model, once the backend has confirmed its name.
    pub model: Option<Arc<str>>,
    /// Who asked for it: a tenant or the product of a client.
    pub who: Option<Arc<str>>,
    /// The trace of its exchange.
    pub trace: TraceId,
    /// When it began.
    pub started: i64,
    /// When it ended; `None` while it runs, and where it was lost.
    pub ended: Option<i64>,
    /// Bytes of the model that are in place, those of before included.
    pub bytes_done: Option<u64>,
    /// Bytes of the layers that were named so far.
    pub bytes_total: Option<u64>,
    /// Bytes that this job has moved.
    pub bytes_moved: Option<u64>,
    /// Bytes a second: lately, or on average once it is over.
    pub rate: Option<u64>,
    /// What the backend does, in its own words.
    pub step: Option<Box<str>>,
    /// The status that the client got; `None` while it runs.
    pub status: Option<u16>,
    /// Why it failed; `None` where it did not.
    pub error: Option<Box<str>>,
}

/// The jobs of one kind in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTally {
    /// What they are.
    pub kind: Box<str>,
    /// How far they are.
    pub state: Box<str>,
    /// How many there are.
    pub count: u64,
    /// Those of which the end is known.
    pub ended: u64,
    /// How long these took together, in milliseconds.
    pub millis: u64,
}

impl Job {
    /// The part that is done, from 0 to 1; `None` while the size is unknown.
    #[must_use]
    pub fn progress(&self) -> Option<f64> {
        let (done, total) = self.bytes_done.zip(self.bytes_total.filter(|total| *total > 0))?;
        Some((done as f64 / total as f64).min(1.0))
    }
}
