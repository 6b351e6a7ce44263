//! Which backend serves an exchange, and why.

use std::sync::Arc;
use std::time::Duration;

/// The choice of a backend for one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The configured name of the backend.
    pub backend: Arc<str>,
    /// Why this backend was chosen.
    pub reason: PlacementReason,
    /// The number of backends tried, this one included: 1 for the first.
    pub attempt: u32,
    /// How long the exchange waited for a slot on a backend. Zero where there is no queue.
    pub queued: Duration,
    /// How long its body was held until it named a model. `None` where the choice did not depend on one.
    pub held: Option<Duration>,
}

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlacementReason {
    /// It is the only one.
    Only,
    /// The request is for no particular model, or for one that no backend lists.
    Home,
    /// The request names it in a header field.
    Header,
    /// It has the earlier answer that the request names.
    ResponseId,
    /// The request is for every backend; this is the first of them.
    All,
    /// It was its turn.
    RoundRobin,
    /// It was the less busy of two.
    LeastBusy,
    /// It has the model in memory.
    Resident,
    /// It is loading the model.
    Join,
    /// No backend has the model in memory.
    Cold,
    /// It can load the model before those that have it would begin.
    Spill,
    /// It failed before, and this exchange finds out whether it works again.
    Trial,
    /// Too few backends work to disregard those that failed.
    Panic,
}

impl PlacementReason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Only,
        Self::Home,
        Self::Header,
        Self::ResponseId,
        Self::All,
        Self::RoundRobin,
        Self::LeastBusy,
        Self::Resident,
        Self::Join,
        Self::Cold,
        Self::Spill,
        Self::Trial,
        Self::Panic,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Home => "home",
            Self::Header => "header",
            Self::ResponseId => "response_id",
            Self::All => "all",
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Resident => "resident",
            Self::Join => "join",
            Self::Cold => "cold",
            Self::Spill => "spill",
            Self::Trial => "trial",
            Self::Panic => "panic",
        }
    }
}
