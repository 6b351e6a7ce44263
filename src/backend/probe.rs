//! Checks every few seconds whether a backend answers.
//!
//! Any HTTP response means up, also an error: failing requests show in the traffic. `HEAD /` is the cheapest request
//! for every known server, and the one that Ollama's own client sends. Only changes are logged.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::dial::DialError;
use super::fetch::{FetchError, FetchLimits, fetch};
use super::monitor::{Monitor, stopped};
use super::report::Report;
use super::status::{ProbeFailure, ProbeState};

/// The size limit of the body in bytes. A response to `HEAD` has none.
const MAX_BODY: usize = 1024;

/// Probes until `shutdown` is true or its sender was dropped. The first probe is sent at once.
pub async fn run(monitor: Arc<Monitor>, report: Arc<dyn Report>, mut shutdown: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(monitor.pace.probe_every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = async { every.tick().await; probe(&monitor, &*report).await } => {}
        }
    }
}

async fn probe(monitor: &Monitor, report: &dyn Report) {
    let limits = FetchLimits { time: monitor.pace.probe_limit, body: MAX_BODY };
    let began = Instant::now();
    let answer = fetch(&monitor.dialer, &monitor.host(), (Method::HEAD, "/"), limits).await;
    let now = Instant::now();
    let took = now.duration_since(began);
    let found = match answer {
        // The failure is local, so the backend's state is unknown.
        Err(FetchError::Dial(DialError::Exhausted(_))) => return,
        Ok(_) | Err(FetchError::TooLarge) => Ok(()),
        Err(error) => Err(failure(&error)),
    };
    let was_up = monitor.status.snapshot().state.is_up();
    let changed = monitor.status.record(now, found, took);
    report.probed(&monitor.backend.name, found.is_ok(), took);
    if found == Err(ProbeFailure::Refused) {
        report.connection_refused(&monitor.backend.name);
    }
    if found.is_ok() && was_up != Some(true) {
        monitor.came_up.notify_one();
    }
    // Not for a backend that is up at the first probe: the survey, which follows, logs more about it.
    if changed && (was_up.is_some() || found.is_err()) {
        log_change(monitor);
    }
}

/// The reason for which a probe with this error fails.
#[must_use]
pub fn failure(error: &FetchError) -> ProbeFailure {
    match error {
        FetchError::Dial(DialError::Refused) => ProbeFailure::Refused,
        FetchError::Dial(DialError::Timeout) => ProbeFailure::ConnectTimeout,
        FetchError::Dial(DialError::Dns(_)) => ProbeFailure::Dns,
        FetchError::Dial(DialError::Tls(fault)) => ProbeFailure::Tls(*fault),
        FetchError::Dial(DialError::Exhausted(_) | DialError::Other(_)) => ProbeFailure::Unreachable,
        FetchError::Timeout => ProbeFailure::NoAnswer,
        FetchError::Protocol | FetchError::TooLarge => ProbeFailure::Protocol,
    }
}

fn log_change(monitor: &Monitor) {
    let (name, address) = (&*monitor.backend.name, &monitor.backend.address);
    match monitor.status.snapshot().state {
        ProbeState::Unknown => {}
        ProbeState::Up => tracing::info!(backend = name, %address, "the backend answers"),
        ProbeState::Down(failure) => {
            tracing::warn!(backend = name, %address, reason = failure.as_str(), "the backend does not answer");
        }
    }
}
