//! Lists of what is kept beside exchanges: events, the audit, jobs, lines of the log; and of errors, which are failed
//! exchanges together with grave events.

use std::sync::Arc;

use super::Range;
use crate::exchange::trace::TraceId;

/// Most entries of a list that are returned at once.
pub const MAX_LIST: usize = 10_000;

/// Asks for entries, the newest first.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// When they were; of jobs, when they began; of alerts, what their time from beginning to end has in common with it.
    pub range: Range,
    /// Which: those that agree with everything that is set. What a list does not have is not compared.
    pub filter: ListFilter,
    /// How many to leave out at the beginning.
    pub offset: usize,
    /// How many, at most [`MAX_LIST`].
    pub limit: usize,
}

/// Which entries are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// The words for how grave they are, of which one must fit.
    pub levels: Option<Vec<&'static str>>,
    /// The kind of event, the action, the kind of job, or the type of error.
    pub what: Option<Box<str>>,
    /// Who did it.
    pub who: Option<Box<str>>,
    /// On this backend.
    pub backend: Option<Box<str>>,
    /// To this model, or about whatever the entry is about.
    pub resource: Option<Box<str>>,
    /// From this part of the program.
    pub component: Option<Box<str>>,
    /// With this result of an action, or in this state of a job.
    pub state: Option<Box<str>>,
    /// The states of a job of which one must fit.
    pub states: Option<Vec<&'static str>>,
}

/// Entries, the newest first.
#[derive(Clone, Debug)]
pub struct List<T> {
    /// At most as many as were asked for.
    pub entries: Vec<T>,
    /// How many there are that fit.
    pub total: u64,
}

/// Alerts of a severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertTally {
    /// `info`, `warning` or `critical`.
    pub severity: Box<str>,
    /// How many.
    pub count: u64,
    /// How many of them are over.
    pub ended: u64,
    /// How long those lasted together, in milliseconds.
    pub millis: i64,
}

/// An event or an audit entry. `None`: unknown, or not applicable to its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEvent {
    /// Ascends in the order of writing.
    pub id: i64,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// How grave it is.
    pub severity: Box<str>,
    /// The part of the program that it comes from.
    pub component: Box<str>,
    /// The kind of event, or the action.
    pub what: Box<str>,
    /// Who did it.
    pub who: Option<Box<str>>,
    /// The backend.
    pub backend: Option<Box<str>>,
    /// The model, or whatever it is about.
    pub subject: Option<Box<str>>,
    /// The trace of its exchange.
    pub trace: Option<TraceId>,
    /// How an action ended.
    pub result: Option<Box<str>>,
    /// Further facts, as a JSON object.
    pub detail: Option<Box<str>>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLine {
    /// Ascends in the order of writing.
    pub id: i64,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// `trace` to `error`.
    pub level: &'static str,
    /// The part of the program that logged it.
    pub component: Box<str>,
    /// Its sentence.
    pub message: Box<str>,
    /// Its fields, as a JSON object; `None` where it has none.
    pub fields: Option<Box<str>>,
}

/// An error. `None`: unknown, or not applicable to its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedError {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// `low` to `critical`.
    pub severity: &'static str,
    /// What went wrong: the error of an exchange, or the kind of an event.
    pub what: Box<str>,
    /// Whose doing it is: `upstream`, `downstream` or `internal`, or the part of the program that an event comes from.
    pub component: Box<str>,
    /// A sentence.
    pub message: Box<str>,
    /// The backend.
    pub backend: Option<Arc<str>>,
    /// The model, or whatever an event is about.
    pub resource: Option<Arc<str>>,
    /// Who asked.
    pub who: Option<Arc<str>>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// The trace of the exchange.
    pub trace: Option<TraceId>,
}
