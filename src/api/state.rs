//! What the endpoints show, passed in by the program.

use std::sync::Arc;
use std::time::Instant;

use crate::access::Gate;
use crate::clock::Clock;
use crate::history::in_flight::InFlight;
use crate::history::readers::Readers;
use crate::history::recent::Recent;
use crate::history::timestamp::Timestamp;
use crate::host::HostSnapshot;

/// Copies the current facts of the machine, without waiting.
pub type ReadHost = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// What is shown.
pub struct Parts {
    /// Decides who is answered.
    pub gate: Arc<Gate>,
    /// Started with the program.
    pub clock: Clock,
    /// Reads the machine; `None` where that is switched off.
    pub host: Option<ReadHost>,
    /// Exchanges that have begun and not ended.
    pub in_flight: InFlight,
    /// Exchanges that have ended.
    pub recent: Recent,
    /// Answer questions to the history; `None` where nothing is kept.
    pub readers: Option<Readers>,
}

impl Parts {
    /// The machine now; `None` where it is not read.
    pub(super) fn machine(&self, now: Instant) -> Option<HostSnapshot> {
        self.host.as_ref().map(|read| read(now))
    }

    /// An instant in milliseconds since the epoch.
    pub(super) fn millis(&self, at: Instant) -> i64 {
        let since = self.clock.wall(at).duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// An instant as text.
    pub(super) fn text(&self, at: Instant) -> String {
        Timestamp(self.millis(at)).to_string()
    }
}
