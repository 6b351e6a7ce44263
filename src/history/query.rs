//! The questions that the history answers, and the answers.
//!
//! Pure: types, and what follows from them without a file. Times are milliseconds since the epoch; an exchange belongs
//! to the instant of its end.

pub mod askers;
pub mod cover;
pub mod errors;
pub mod failures;
pub mod kept;
pub mod lists;
pub mod series;
pub mod totals;

use std::sync::Arc;

use super::conversation::ConversationId;
use super::id::RowId;
use super::machine::{Fact, Means};
use super::names::NameKind;
use super::row::Row;
use super::tops::TopBy;
use crate::exchange::outcome::{ErrorType, Outcome};
use crate::exchange::vocabulary::Operation;

/// From an instant up to, and without, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first millisecond.
    pub from: i64,
    /// The first millisecond after it.
    pub to: i64,
}

/// Selects exchanges: those that match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// On this backend.
    pub backend: Option<Arc<str>>,
    /// On this model.
    pub model: Option<Arc<str>>,
    /// Of this tenant.
    pub tenant: Option<Arc<str>>,
    /// Of this product. Sums know it of exchanges without a tenant.
    pub client: Option<Arc<str>>,
    /// Of this conversation.
    pub conversation: Option<ConversationId>,
    /// On this endpoint, as its template.
    pub endpoint: Option<Arc<str>>,
    /// Of this kind.
    pub operation: Option<Operation>,
    /// Generations and embeddings alone.
    pub inference: bool,
    /// That ended with this outcome.
    pub outcome: Option<Outcome>,
    /// That did not complete.
    pub failed: bool,
    /// With this error.
    pub error: Option<ErrorType>,
    /// To which the client got this status.
    pub status: Option<u16>,
    /// That took at least this long, in microseconds.
    pub min_duration_us: Option<u64>,
}

impl Filter {
    /// Whether the sums by minute and hour can answer this filter. They are grouped by tenant, and exchanges without a
    /// tenant by client: a filter by client gets exact sums only if no exchange has a tenant.
    #[must_use]
    pub fn is_summed(&self) -> bool {
        let is_of_ends = self.error.is_some() || self.status.is_some();
        self.conversation.is_none() && self.endpoint.is_none() && self.min_duration_us.is_none() && !is_of_ends
    }

    /// Whether it lets only those pass that did not complete.
    pub(super) fn is_of_failures(&self) -> bool {
        self.failed || self.error.is_some() || self.outcome.is_some_and(|outcome| outcome != Outcome::Completed)
    }

    /// Whether exchanges of this kind are meant.
    pub(super) fn has_operation(&self, operation: Operation) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation) && (!self.inference || operation.infers())
    }

    /// The names that are asked for, with the columns of exchanges.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'static str, NameKind, &Arc<str>)> {
        let all = [
            ("backend", NameKind::Backend, &self.backend),
            ("model", NameKind::Model, &self.model),
            ("tenant", NameKind::Tenant, &self.tenant),
            ("client", NameKind::Client, &self.client),
            ("endpoint", NameKind::Endpoint, &self.endpoint),
        ];
        all.into_iter().filter_map(|(column, kind, name)| Some((column, kind, name.as_ref()?)))
    }

    /// The names by which the sums are divided, with their columns.
    pub(super) fn summed_names(&self) -> [(&'static str, NameKind, &Option<Arc<str>>); 4] {
        [
            ("backend", NameKind::Backend, &self.backend),
            ("model", NameKind::Model, &self.model),
            ("tenant", NameKind::Tenant, &self.tenant),
            ("tenant", NameKind::Client, &self.client),
        ]
    }
}

/// Most exchanges on a page.
pub const MAX_PAGE: usize = 100;

/// How many exchanges are read at once where they are not counted.
pub const MAX_NEWEST: usize = 2_000;

/// Asks for exchanges, the newest first.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// When they ended.
    pub range: Range,
    /// The exchanges to return.
    pub filter: Filter,
    /// How many exchanges to skip at the beginning.
    pub offset: usize,
    /// How many to return: at most [`MAX_PAGE`], or [`MAX_NEWEST`] where they are not counted.
    pub limit: usize,
}

/// Exchanges, the newest first, without how many there are in all.
#[derive(Clone, Debug)]
pub struct Newest {
    /// At most as many as requested.
    pub exchanges: Vec<Exchange>,
    /// Whether there are more rows after these.
    pub has_more: bool,
}

/// Exchanges, the newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// At most as many as requested.
    pub exchanges: Vec<Exchange>,
    /// How many there are in all, of the time whose rows are kept, including those whose rows were left out by thinning.
    pub total: Result<u64, NoTotal>,
    /// Whether there are more rows after these.
    pub has_more: bool,
}

/// Why the number of exchanges is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTotal {
    /// The sums do not have it; counting would read every row.
    NotSummed,
}

impl NoTotal {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSummed => "not_summed",
        }
    }
}

/// Asks for the longest, largest or dearest exchanges.
#[derive(Clone, Debug)]
pub struct TopQuery {
    /// When they ended.
    pub range: Range,
    /// Which. Without a filter, whole hours are answered from lists, else rows are read.
    pub filter: Filter,
    /// The value that is compared.
    pub by: TopBy,
    /// How many to return, at most [`MAX_PAGE`].
    pub limit: usize,
}

/// A machine in one interval.
#[derive(Clone, Debug)]
pub struct MachinePoint {
    /// The beginning of the interval, in seconds since the epoch.
    pub at: i64,
    /// The machine's name.
    pub node: Arc<str>,
    /// The means of its readings.
    pub means: Means<{ Fact::ALL.len() }>,
}

/// An exchange with its names.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When it ended, and the process that wrote it.
    pub id: RowId,
    /// For how many exchanges it counts.
    pub weight: u16,
    /// Its facts. The numbers of names have no meaning here.
    pub row: Row,
    /// The backend; `None` where none was chosen.
    pub backend: Option<Arc<str>>,
    /// The model; `None` where no backend has confirmed its name.
    pub model: Option<Arc<str>>,
    /// The tenant.
    pub tenant: Option<Arc<str>>,
    /// The client's product.
    pub client: Option<Arc<str>>,
    /// The template of the endpoint.
    pub endpoint: Option<Arc<str>>,
}

/// Where the answer to a question came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This machine's files, as configured, or because only they have it.
    #[default]
    Files,
    /// PostgreSQL: the exchanges of all replicas, some seconds behind.
    Postgres,
    /// This machine's files alone, because PostgreSQL is configured and does not answer.
    Fallback,
}

impl Source {
    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Postgres => "postgres",
            Self::Fallback => "fallback",
        }
    }
}

/// How long a question may take.
pub const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
