//! What the socket, the streams and the task of one connection tell each other.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::budget::Budget;
use super::frames::{Frame, kind};
use crate::proxy::slot::Seat;

/// Why the HTTP library resets streams of a client that breaks the protocol (RFC 9113, 7): an error of the protocol, of
/// flow control, a stream that is closed, a frame's size, compression.
const BROKEN: [u32; 5] = [1, 3, 5, 6, 9];

/// Why a connection is ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A head was not whole in time.
    Late,
    /// The client sends more frames that carry nothing than it may.
    Flood,
}

/// One connection.
pub(super) struct Shared {
    /// What the heads of its streams may take.
    pub(super) heads: Rc<Budget>,
    /// Streams that are not over.
    pub(super) streams: Cell<u64>,
    /// The client does not read.
    pub(super) too_slow: Cell<bool>,
    /// Bytes that the system has taken for the client.
    pub(super) written: Cell<u64>,
    /// The connection's task, to be told of the end of its last stream while the process drains.
    pub(super) drain: Cell<Option<Waker>>,
    pub(super) seat: Seat,
    /// Why the connection is to end.
    pub(super) fault: Cell<Option<Fault>>,
    /// A stream was reset, as one is that is answered early: its client may not know yet, and still be sending.
    pub(super) interrupts: Cell<bool>,
    /// Streams that the HTTP library has reset because their client broke the protocol.
    reset: Cell<u64>,
    /// Exchanges that say so themselves.
    blamed: Cell<u64>,
}

impl Shared {
    pub(super) fn of(seat: Seat, heads: Budget) -> Self {
        Self {
            heads: Rc::new(heads),
            streams: Cell::default(),
            too_slow: Cell::default(),
            written: Cell::default(),
            drain: Cell::default(),
            seat,
            fault: Cell::default(),
            interrupts: Cell::default(),
            reset: Cell::default(),
            blamed: Cell::default(),
        }
    }

    /// A stream begins.
    pub(super) fn begin(&self) {
        self.streams.set(self.streams.get() + 1);
        self.seat.begin();
    }

    /// A stream is over. `blamed`: its exchange says that the client broke the protocol.
    pub(super) fn end(&self, blamed: bool) {
        self.blamed.update(|before| before + u64::from(blamed));
        self.streams.set(self.streams.get() - 1);
        if self.streams.get() == 0 {
            self.seat.rest(Instant::now());
        }
        if let Some(waker) = self.drain.take() {
            waker.wake();
        }
    }

    /// The client was sent a frame.
    pub(super) fn note_sent(&self, frame: Frame) {
        if frame.kind != kind::RST_STREAM {
            return;
        }
        self.interrupts.set(true);
        if frame.code.is_some_and(|code| BROKEN.contains(&code)) {
            self.reset.update(|before| before + 1);
        }
    }

    /// How many streams the HTTP library has refused since this was asked last that were no exchanges. It is known
    /// between exchanges only.
    pub(super) fn take_refused(&self) -> u64 {
        if self.streams.get() > 0 {
            return 0;
        }
        self.reset.take().saturating_sub(self.blamed.take())
    }
}
