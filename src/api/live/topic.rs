//! What can be listened to, and the text that is pushed of it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::api) enum Topic {
    Stats,
    Metrics,
    Alerts,
    Models,
    Workers,
    Jobs,
    Logs,
    Exchanges,
    InFlight,
    /// The only one of `/ws`, which has no name there.
    Summary,
}

impl Topic {
    /// Those that have a name.
    pub(in crate::api) const NAMED: [Self; 9] = [
        Self::Stats,
        Self::Metrics,
        Self::Alerts,
        Self::Models,
        Self::Workers,
        Self::Jobs,
        Self::Logs,
        Self::Exchanges,
        Self::InFlight,
    ];

    /// What a listener gets that asks for nothing.
    pub(in crate::api) const DEFAULT: [Self; 3] = [Self::Stats, Self::Metrics, Self::Alerts];

    pub(in crate::api) const fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Metrics => "metrics",
            Self::Alerts => "alerts",
            Self::Models => "models",
            Self::Workers => "workers",
            Self::Jobs => "jobs",
            Self::Logs => "logs",
            Self::Exchanges => "exchanges",
            Self::InFlight => "in_flight",
            Self::Summary => "summary",
        }
    }

    /// Whether each entry is pushed, and not the newest state.
    pub(in crate::api) const fn is_list(self) -> bool {
        matches!(self, Self::Logs | Self::Exchanges)
    }

    /// How often a figure is read.
    pub(super) const fn period(self) -> Duration {
        match self {
            Self::Summary | Self::Alerts | Self::Models => Duration::from_secs(5),
            Self::InFlight => Duration::from_secs(1),
            _ => Duration::from_secs(2),
        }
    }
}

/// A text that is pushed, shared by all that get it.
pub(in crate::api) type Push = Arc<str>;

/// A push with its topic.
pub(super) fn push(topic: Topic, timestamp: &str, data: &impl Serialize) -> Push {
    json!({ "topic": topic.as_str(), "timestamp": timestamp, "data": data }).to_string().into()
}

/// That entries of a list are not pushed to a listener.
pub(super) fn lagged(topic: Topic, missed: u64) -> Push {
    json!({ "type": "lagged", "topic": topic.as_str(), "missed": missed }).to_string().into()
}
