//! Which backend serves an exchange, and why that one.

use std::sync::Arc;
use std::time::Duration;

/// The choice of a backend for one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The configured name of the backend.
    pub backend: Arc<str>,
    /// Why this one.
    pub reason: PlacementReason,
    /// Counts the backends that were asked in turn, this one included: 1 for the first.
    pub attempt: u32,
    /// How long the exchange waited for a place on a backend. Zero where there is no queue.
    pub queued: Duration,
}

/// Why a backend was chosen, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlacementReason {
    /// It is the only one.
    Only,
}

impl PlacementReason {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
        }
    }
}
