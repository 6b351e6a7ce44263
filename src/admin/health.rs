//! The JSON of `/health`.

use std::time::Instant;

use serde::Serialize;

use super::parts::Parts;
use crate::backend::monitor::Monitor;
use crate::backend::status::ProbeState;
use crate::history::state::{Activity, HistoryHealth};

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

/// The body of `/health`. The status code is 200 whatever it says: it is the process's health, not the backends'.
pub(super) fn json(parts: &Parts, last_scrape: Option<Instant>, now: Instant) -> Vec<u8> {
    let health = Health {
        status: parts.readiness.state().as_str(),
        version: parts.version,
        revision: parts.revision,
        uptime_seconds: now.saturating_duration_since(parts.started).as_secs(),
        in_flight: parts.in_flight.count(),
        last_scrape_seconds: last_scrape.map(|at| now.saturating_duration_since(at).as_secs_f64()),
        backends: parts.backends.iter().map(|monitor| backend(monitor, now)).collect(),
        history: history(&parts.history.health()),
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

fn history(health: &HistoryHealth) -> HistoryStatus {
    HistoryStatus {
        status: health.activity.as_str(),
        reason: match &health.activity {
            Activity::Paused(pause, _) => Some(pause.as_str()),
            Activity::Off | Activity::Opening | Activity::Writing => None,
        },
        lost: health.lost(),
        oldest: health.oldest.map(|millis| millis as f64 / 1e3),
        bytes: health.bytes,
    }
}
