//! What the endpoints show, passed in by the program.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::watch;

use super::machines::Machines;
use super::peers::Peers;
use super::settings::ReadSettings;
use crate::access::Gate;
use crate::alert::board::Board;
use crate::backend::monitor::{Monitor, Monitors};
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::history::in_flight::InFlight;
use crate::history::journal::Journal;
use crate::history::machine::RecentMachine;
use crate::history::readers::Readers;
use crate::history::recent::Recent;
use crate::history::state::HistoryState;
use crate::history::timestamp::Timestamp;
use crate::host::HostSnapshot;

/// Copies the current facts of the machine, without waiting.
pub type ReadHost = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// Ends the exchange in flight with this number. Returns whether it was in flight.
pub type StopExchange = Arc<dyn Fn(u64) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// The body of what Prometheus answers to a GET of a path with a query; the error is for people.
pub type AskPrometheus =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>> + Send + Sync>;

/// As [`AskPrometheus`], of one question.
pub type AskReplicas = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>> + Send + Sync>;

/// What is shown.
pub struct Parts {
    /// Started with the program.
    pub clock: Clock,
    /// The address that clients are served on.
    pub clients: SocketAddr,
    /// Decides who is answered.
    pub gate: Arc<Gate>,
    /// Reads the settings in force.
    pub settings: ReadSettings,
    /// Reads the machine; `None` where that is switched off.
    pub host: Option<ReadHost>,
    /// The backends to choose from.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// One monitor per configured backend.
    pub backends: Monitors,
    /// Exchanges that have begun and not ended.
    pub in_flight: InFlight,
    /// Ends one of them.
    pub stop_exchange: StopExchange,
    /// Exchanges that have ended.
    pub recent: Recent,
    /// How the history is doing.
    pub history: Arc<HistoryState>,
    /// Answer questions to the history; `None` where nothing is kept.
    pub readers: Option<Readers>,
    /// The machine in the last hour, as far as the history reads it.
    pub recent_machine: RecentMachine,
    /// Becomes true when the program is to end.
    pub stop: watch::Receiver<bool>,
    /// What is known of alerts.
    pub alerts: Board,
    /// Asks Prometheus; `None` where none is configured.
    pub prometheus: Option<AskPrometheus>,
    /// What other programs of this kind have said.
    pub peers: Peers,
    /// What Prometheus says of other machines.
    pub machines: Machines,
    /// Asks it for the replicas of this program; `None` where none is configured.
    pub replicas: Option<AskReplicas>,
    /// Whether Alertmanager is asked for silences.
    pub knows_silences: bool,
    /// The name of this machine.
    pub node: Arc<str>,
    /// The product name of its processor; `None` where it is not known.
    pub processor: Option<Arc<str>>,
    /// Takes reports of what askers change, and knows the jobs that run.
    pub journal: Journal,
}

impl Parts {
    /// The backends of now.
    pub(super) fn monitors(&self) -> Arc<[Arc<Monitor>]> {
        self.backends.all()
    }

    /// Whether this backend gets no further exchanges, because somebody wants it so.
    pub(super) fn drains(&self, backend: &str) -> bool {
        self.fleet.borrow().member(backend).is_some_and(|member| member.share.drains)
    }

    /// The machine now; `None` where it is not read.
    pub(super) fn machine(&self, now: Instant) -> Option<HostSnapshot> {
        self.host.as_ref().map(|read| read(now))
    }

    /// An instant as text.
    pub(super) fn text(&self, at: Instant) -> String {
        wall(self.clock.wall(at))
    }

    /// An instant in milliseconds since the epoch.
    pub(super) fn millis(&self, at: Instant) -> i64 {
        millis(self.clock.wall(at))
    }
}

/// A time as text.
pub(super) fn wall(at: SystemTime) -> String {
    Timestamp(millis(at)).to_string()
}

fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
