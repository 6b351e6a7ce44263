//! Serves clients until a signal, then drains.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::components::Components;
use super::signals::Signals;
use crate::history::journal::event::{Event, EventKind};
use crate::proxy::{Life, Proxy};

/// Serves until a signal, then lets exchanges in flight finish within `limit`, which is read when the signal arrives. A
/// second signal returns at once, with its exit code.
pub(super) async fn serve_then_drain(
    proxy: Proxy,
    clients: TcpListener,
    life: &watch::Sender<Life>,
    components: &Components,
    signals: &mut Signals,
    limit: impl Fn() -> Duration,
) -> io::Result<ExitCode> {
    let in_flight = &components.in_flight;
    let mut serving = std::pin::pin!(proxy.serve(clients));
    let signal = tokio::select! {
        ended = &mut serving => return ended.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => signal,
    };
    let limit = limit();
    // Before it is said: whoever reads it may ask at once, and another thread answers.
    components.readiness.set_draining();
    tracing::info!(signal = signal.name(), ?limit, "draining: no new connections, exchanges in flight go on");
    let journal = components.history.journal();
    journal.event(Event::new(EventKind::Draining).about(signal.name()).with("in_flight", count(in_flight.count())));
    life.send_replace(Life::Draining);
    let mut cut = 0;
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = tokio::time::sleep(limit) => {
            cut = in_flight.count();
            tracing::warn!(exchanges = cut, "the time to drain is over: ending what is still in flight");
            life.send_replace(Life::Killed);
            serving.await
        }
        again = signals.next() => {
            tracing::warn!(signal = again.name(), exchanges = in_flight.count(), "a second signal: ending at once");
            return Ok(again.exit_code());
        }
    };
    tracing::info!(cut, "drained");
    journal.event(Event::new(EventKind::Drained).with("cut", count(cut)));
    ended.map(|()| ExitCode::SUCCESS)
}

fn count(exchanges: usize) -> i64 {
    i64::try_from(exchanges).unwrap_or(i64::MAX)
}
