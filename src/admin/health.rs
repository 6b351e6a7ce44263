//! The JSON of `/health`.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::parts::Parts;
use crate::backend::monitor::Monitor;
use crate::backend::status::ProbeState;
use crate::history::query::kept::Kept;
use crate::history::readers::Readers;
use crate::history::state::{Activity, Copying, HistoryHealth};

#[derive(Serialize)]
struct Health<'a> {
    /// `starting`, `serving` or `draining`.
    status: &'static str,
    version: &'a str,
    /// `null` where the build knew none.
    revision: Option<&'a str>,
    uptime_seconds: u64,
    in_flight: usize,
    /// Seconds since metrics were scraped; `null` before the first scrape.
    last_scrape_seconds: Option<f64>,
    backends: Vec<BackendHealth<'a>>,
    history: HistoryStatus,
}

#[derive(Serialize)]
struct HistoryStatus {
    /// `off`, `opening`, `writing` or `paused`.
    status: &'static str,
    /// Why it is paused; `null` where it is not.
    reason: Option<&'static str>,
    /// Exchanges that it lost since the start.
    lost: u64,
    /// Seconds since the epoch; `null` where nothing is kept.
    oldest: Option<f64>,
    /// Of all files.
    bytes: u64,
    /// What the files have; `null` where there are none, or they could not be read in time.
    kept: Option<KeptFiles>,
    /// The copy in PostgreSQL; `null` where none is configured.
    replica: Option<ReplicaStatus>,
}

#[derive(Serialize)]
struct ReplicaStatus {
    /// `connecting`, `following`, `elsewhere` (another process of this directory copies) or `failing`.
    status: &'static str,
    /// When it last had everything that was in the files, in seconds since the epoch; until then, since when it is tried.
    synced: Option<f64>,
}

/// Times are seconds since the epoch, and `null` where nothing of the kind is kept.
#[derive(Serialize)]
struct KeptFiles {
    /// Days that have a file of exchanges.
    days: usize,
    oldest: Option<f64>,
    newest: Option<f64>,
    /// The beginning of the first minute that has sums.
    minutes_from: Option<f64>,
    /// The beginning of the first hour that has sums.
    hours_from: Option<f64>,
}

#[derive(Serialize)]
struct BackendHealth<'a> {
    name: &'a str,
    address: String,
    /// `ollama`, `llama.cpp`, …; `unknown` until it is recognised.
    runtime: &'static str,
    /// `null` where the backend does not report one.
    version: Option<Box<str>>,
    /// `null` before the first probe.
    up: Option<bool>,
    /// Seconds since `up` changed.
    since_seconds: u64,
    /// Why it is down; `null` where it is not.
    reason: Option<&'static str>,
    /// `null` before the first probe.
    probe_seconds: Option<f64>,
}

/// How long what is kept may be waited for: readers may be busy, and the rest is known at once.
const KEPT: Duration = Duration::from_millis(500);

/// What the files of the history have; `None` where that is not known in time.
pub(super) async fn kept(readers: Option<&Readers>) -> Option<Kept> {
    let asked = readers?.ask(|reading| reading.kept());
    tokio::time::timeout(KEPT, asked).await.ok()?.ok()?.ok().filter(|kept| !kept.is_empty())
}

/// The body of `/health`. The status code is 200 whatever it says: it is the process's health, not the backends'.
pub(super) fn json(parts: &Parts, last_scrape: Option<Instant>, kept: Option<&Kept>, now: Instant) -> Vec<u8> {
    let monitors = parts.backends.all();
    let health = Health {
        status: parts.readiness.state().as_str(),
        version: parts.version,
        revision: parts.revision,
        uptime_seconds: now.saturating_duration_since(parts.started).as_secs(),
        in_flight: parts.in_flight.count(),
        last_scrape_seconds: last_scrape.map(|at| now.saturating_duration_since(at).as_secs_f64()),
        backends: monitors.iter().map(|monitor| backend(monitor, now)).collect(),
        history: history(&parts.history.health(), kept),
    };
    serde_json::to_vec(&health).expect("strings, numbers and lists only")
}

fn backend(monitor: &Monitor, now: Instant) -> BackendHealth<'_> {
    let (status, inventory) = (monitor.status.snapshot(), monitor.inventory());
    BackendHealth {
        name: &monitor.backend.name,
        address: monitor.backend.address.to_string(),
        runtime: inventory.runtime.as_str(),
        version: inventory.version.clone(),
        up: status.state.is_up(),
        since_seconds: now.saturating_duration_since(status.since).as_secs(),
        reason: match status.state {
            ProbeState::Down(failure) => Some(failure.as_str()),
            ProbeState::Unknown | ProbeState::Up => None,
        },
        probe_seconds: status.probe.map(|took| took.as_secs_f64()),
    }
}

fn history(health: &HistoryHealth, kept: Option<&Kept>) -> HistoryStatus {
    let seconds = |millis: Option<i64>| millis.map(|millis| millis as f64 / 1e3);
    HistoryStatus {
        status: health.activity.as_str(),
        reason: match &health.activity {
            Activity::Paused(pause, _) => Some(pause.as_str()),
            Activity::Off | Activity::Opening | Activity::Writing => None,
        },
        lost: health.lost(),
        oldest: seconds(health.oldest),
        bytes: health.bytes,
        replica: (health.copying != Copying::Off)
            .then(|| ReplicaStatus { status: health.copying.as_str(), synced: seconds(health.copied) }),
        kept: kept.map(|kept| KeptFiles {
            days: kept.days,
            oldest: seconds(kept.oldest),
            newest: seconds(kept.newest),
            minutes_from: seconds(kept.minutes_from),
            hours_from: seconds(kept.hours_from),
        }),
    }
}
