//! Asks a backend every few seconds whether it answers.
//!
//! Any HTTP answer means up, also an error: whether it serves is seen in the traffic. `HEAD /` costs every known server
//! least, and Ollama's own client asks the same. Only changes are logged.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::dial::DialError;
use super::fetch::{Budget, FetchError, fetch};
use super::monitor::{Monitor, stopped};
use super::report::Report;
use super::status::{Failure, State};

/// Bytes of an answer to `HEAD`: none, whatever it says.
const BODY: usize = 1024;

/// Probes until `shutdown` is true or its sender is gone. The first probe is sent at once.
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
    let budget = Budget { time: monitor.pace.probe_limit, body: BODY };
    let began = Instant::now();
    let answer = fetch(&monitor.dialer, &monitor.host(), (Method::HEAD, "/"), budget).await;
    let now = Instant::now();
    let took = now.duration_since(began);
    let found = match answer {
        // Nothing was learned of the backend.
        Err(FetchError::Dial(DialError::Exhausted(_))) => return,
        Ok(_) | Err(FetchError::TooLarge) => Ok(()),
        Err(error) => Err(failure(&error)),
    };
    let was_up = monitor.status.snapshot().state.up();
    let changed = monitor.status.record(now, found, took);
    report.probed(&monitor.backend.name, found.is_ok(), took);
    if found == Err(Failure::Refused) {
        report.refuses(&monitor.backend.name);
    }
    if found.is_ok() && was_up != Some(true) {
        monitor.came_up.notify_one();
    }
    if changed {
        log(monitor);
    }
}

fn failure(error: &FetchError) -> Failure {
    match error {
        FetchError::Dial(DialError::Refused) => Failure::Refused,
        FetchError::Dial(DialError::Timeout) => Failure::ConnectTimeout,
        FetchError::Dial(DialError::Dns(_)) => Failure::Dns,
        FetchError::Dial(DialError::Tls(fault)) => Failure::Tls(*fault),
        FetchError::Dial(DialError::Exhausted(_) | DialError::Other(_)) => Failure::Unreachable,
        FetchError::Timeout => Failure::NoAnswer,
        FetchError::Protocol | FetchError::TooLarge => Failure::Protocol,
    }
}

fn log(monitor: &Monitor) {
    let (name, address) = (&*monitor.backend.name, &monitor.backend.address);
    match monitor.status.snapshot().state {
        State::Unknown => {}
        State::Up => tracing::info!(backend = name, %address, "the backend answers"),
        State::Down(failure) => {
            tracing::warn!(backend = name, %address, reason = failure.as_str(), "the backend does not answer");
        }
    }
}
