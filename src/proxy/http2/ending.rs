//! What makes a connection end besides what its client sends, and how its socket is closed.

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

/// What may end a connection besides what its client sends: time limits, the drain, the need of its place, a client that
/// has left.
pub(super) struct EndReasons {
    /// When a client above the limit of connections is sent away. Nothing is served to it, so that it has nothing to lose.
    told_by: Option<Instant>,
    telling: Timer,
    /// While the process drains: when the client should have taken its leave.
    leaves_by: Option<Instant>,
    grace: Timer,
    /// The place is needed, and bytes lie unread.
    giving_way: Timer,
    watcher: Option<Watcher>,
}

impl EndReasons {
    pub(super) fn new(told_by: Option<Instant>, watcher: Option<Watcher>) -> Self {
        Self {
            told_by,
            telling: Timer::default(),
            leaves_by: None,
            grace: Timer::default(),
            giving_way: Timer::default(),
            watcher,
        }
    }

    /// Whether the drain begins now.
    pub(super) fn begin_drain(&mut self, worker: &Worker) -> bool {
        let begins = self.leaves_by.is_none() && worker.is_draining();
        if begins {
            self.leaves_by = Some(Instant::now() + GRACE);
        }
        begins
    }

    /// Ready once one of them is there. To be asked when the library has done what it can.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        shared: &ConnectionState,
        socket: &Socket,
    ) -> Poll<ConnectionEnd> {
        if let Poll::Ready(ended) = socket.poll_late(cx) {
            return Poll::Ready(ended);
        }
        let dismissed = self.telling.poll_until(cx, self.told_by).is_ready()
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
            // Between exchanges the library sees the end by itself.
            self.watcher = None;
        }
        Poll::Pending
    }

    /// A client that has had its time and has nothing in flight is not waited for.
    fn poll_drained(&mut self, cx: &mut Context<'_>, shared: &ConnectionState) -> Poll<()> {
        if self.leaves_by.is_some() {
            shared.drain.set(Some(cx.waker().clone()));
        }
        let late = self.grace.poll_until(cx, self.leaves_by).is_ready();
        if late && shared.is_idle() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What lies in the system unread may be a request: it is waited for, and served. But a client that does not read
    /// what it is sent keeps the library from reading it.
    fn poll_gives_way(&mut self, cx: &mut Context<'_>, shared: &ConnectionState, socket: &Socket) -> Poll<()> {
        if !shared.seat.is_leaving() {
            self.giving_way.disarm();
            return Poll::Pending;
        }
        if socket.has_unread() { self.giving_way.poll(cx, Some(FAREWELL), false) } else { Poll::Ready(()) }
    }
}

/// Closes the socket, so that a client that may still be sending can read what it was sent.
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
    if !closing::say(&mut stream, &goaway).await {
        return;
    }
    // The end of an answer may lie in the system, and what the client sends meanwhile, room for it for example, would
    // make the system drop it.
    closing::linger(worker, &shared.seat, stream).await;
}
