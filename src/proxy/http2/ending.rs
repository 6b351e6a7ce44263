//! What ends a connection apart from its client's frames, and how its socket is closed.

use std::task::{Context, Poll};

use tokio::time::Instant;

use super::connection_end::ConnectionEnd;
use super::connection_state::ConnectionState;
use super::socket::Socket;
use crate::exchange::outcome::Malformed;
use crate::proxy::closing::{self, FAREWELL, GRACE};
use crate::proxy::timer::Timer;
use crate::proxy::worker::Worker;
use crate::tls::watch::Watcher;

/// What may end a connection apart from its client's frames: time limits, the drain, the need of its place, a client
/// that left.
pub(super) struct EndReasons {
    /// When a client above the connection limit is dismissed. It is not served, so it has nothing to lose.
    refused_by: Option<Instant>,
    refusal_timer: Timer,
    /// While the process drains: until when the client may close.
    leaves_by: Option<Instant>,
    grace: Timer,
    /// How long unread bytes may keep the place after it is needed.
    giving_way: Timer,
    watcher: Option<Watcher>,
}

impl EndReasons {
    pub(super) fn new(refused_by: Option<Instant>, watcher: Option<Watcher>) -> Self {
        Self {
            refused_by,
            refusal_timer: Timer::default(),
            leaves_by: None,
            grace: Timer::default(),
            giving_way: Timer::default(),
            watcher,
        }
    }

    /// Whether the drain has just started.
    pub(super) fn begin_drain(&mut self, worker: &Worker) -> bool {
        let begins = self.leaves_by.is_none() && worker.is_draining();
        if begins {
            self.leaves_by = Some(Instant::now() + GRACE);
        }
        begins
    }

    /// Ready once one of the reasons applies. To be called after the library has been polled.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        shared: &ConnectionState,
        socket: &Socket,
    ) -> Poll<ConnectionEnd> {
        if let Poll::Ready(ended) = socket.poll_late(cx) {
            return Poll::Ready(ended);
        }
        let dismissed = self.refusal_timer.poll_until(cx, self.refused_by).is_ready()
            || self.poll_drained(cx, shared).is_ready()
            || self.poll_gives_way(cx, shared, socket).is_ready();
        if dismissed {
            return Poll::Ready(ConnectionEnd::Dismissed);
        }
        if let Some(watcher) = &mut self.watcher
            && watcher.poll_left(cx).is_ready()
        {
            if !shared.is_idle() {
                return Poll::Ready(ConnectionEnd::Left);
            }
            // Between exchanges the library notices the end itself.
            self.watcher = None;
        }
        Poll::Pending
    }

    /// While the process drains: ready when an idle client has had its time to close.
    fn poll_drained(&mut self, cx: &mut Context<'_>, shared: &ConnectionState) -> Poll<()> {
        if self.leaves_by.is_some() {
            shared.drain.set(Some(cx.waker().clone()));
        }
        let late = self.grace.poll_until(cx, self.leaves_by).is_ready();
        if late && shared.is_idle() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when an idle connection can close because its place is needed. Unread bytes in the system may be a
    /// request, so they are waited for and served; but a client that does not read keeps the library from reading.
    fn poll_gives_way(&mut self, cx: &mut Context<'_>, shared: &ConnectionState, socket: &Socket) -> Poll<()> {
        if !shared.seat.is_leaving() {
            self.giving_way.disarm();
            return Poll::Pending;
        }
        if socket.has_unread() { self.giving_way.poll(cx, Some(FAREWELL), false) } else { Poll::Ready(()) }
    }
}

/// Closes the socket so that a client that may still be sending can read what it was sent.
pub(super) async fn finish(worker: &Worker, shared: &ConnectionState, socket: Socket, ended: ConnectionEnd) {
    let Some((mut stream, goaway)) = socket.into_stream(ended) else { return };
    let fault = match ended {
        ConnectionEnd::Left | ConnectionEnd::Slow => return,
        ConnectionEnd::Done | ConnectionEnd::Broken | ConnectionEnd::Dismissed => None,
        ConnectionEnd::Late => Some(Malformed::Timeout),
        ConnectionEnd::Flood => Some(Malformed::Flood),
    };
    if let Some(fault) = fault {
        worker.sink.refused(fault);
    }
    if !closing::send_last(&mut stream, &goaway).await {
        return;
    }
    // The end of an answer may still be in the system, which would drop it on anything that the client sends meanwhile,
    // such as a WINDOW_UPDATE.
    closing::linger(worker, &shared.seat, stream).await;
}
