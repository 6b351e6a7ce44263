//! What the socket, the streams and the task of one connection tell each other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::budget::Budget;
use super::ending::Ended;
use super::frames::{Frame, kind};
use crate::proxy::slot::Seat;

/// Why the HTTP library resets streams of a client that breaks the protocol (RFC 9113, 7): an error of the protocol, of
/// flow control, a stream that is closed, a frame's size, compression.
const BROKEN: [u32; 5] = [1, 3, 5, 6, 9];

/// One connection.
pub(super) struct Shared {
    /// What the heads of its streams may take.
    pub(super) heads: Rc<Budget>,
    pub(super) seat: Seat,
    /// Streams whose tasks run.
    streams: Cell<u64>,
    /// Streams whose answers have not passed the socket to their ends. The HTTP library holds back what it was handed
    /// for as long as the client makes no room for it.
    unsent: RefCell<Vec<u32>>,
    /// The end of an answer has passed, and TLS may hold it back until it is flushed.
    unflushed: Cell<bool>,
    /// There was an exchange since the connection was idle the last time.
    busy: Cell<bool>,
    /// The connection's task, to be told of the end of a stream while the process drains.
    pub(super) drain: Cell<Option<Waker>>,
    /// How the connection is to end, once that is known.
    pub(super) ended: Cell<Option<Ended>>,
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
            seat,
            streams: Cell::default(),
            unsent: RefCell::default(),
            unflushed: Cell::default(),
            busy: Cell::default(),
            drain: Cell::default(),
            ended: Cell::default(),
            interrupts: Cell::default(),
            reset: Cell::default(),
            blamed: Cell::default(),
        }
    }

    /// A stream's task begins.
    pub(super) fn begin(&self) {
        self.streams.update(|before| before + 1);
        self.busy.set(true);
        self.seat.begin();
    }

    /// A stream's task is over. `blamed`: its exchange says that the client broke the protocol.
    pub(super) fn end(&self, blamed: bool) {
        self.blamed.update(|before| before + u64::from(blamed));
        self.streams.update(|before| before - 1);
        self.settle();
        if let Some(waker) = self.drain.take() {
            waker.wake();
        }
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.get() > 0
    }

    /// Whether nothing is in flight: every answer has left to its end, or its stream was reset.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_streams() && self.unsent.borrow().is_empty() && !self.unflushed.get()
    }

    fn settle(&self) {
        if self.is_idle() && self.busy.replace(false) {
            self.seat.rest(Instant::now());
        }
    }

    /// The client has opened a stream.
    pub(super) fn note_opened(&self, stream: u32) {
        self.unsent.borrow_mut().push(stream);
    }

    /// The client has reset a stream: nothing more is sent on it.
    pub(super) fn note_cancelled(&self, stream: u32) {
        self.forget(stream);
        self.settle();
    }

    /// The client was sent a frame; what is held back of it is flushed later.
    pub(super) fn note_sent(&self, frame: Frame) {
        if frame.ends_stream() && self.forget(frame.stream) {
            self.unflushed.set(true);
        }
        if frame.kind != kind::RST_STREAM {
            return;
        }
        self.forget(frame.stream);
        self.interrupts.set(true);
        if frame.word.is_some_and(|code| BROKEN.contains(&code)) {
            self.reset.update(|before| before + 1);
        }
    }

    /// All that has passed has left.
    pub(super) fn note_flushed(&self) {
        self.unflushed.set(false);
        self.settle();
    }

    /// Whether there was something to send on this stream.
    fn forget(&self, stream: u32) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        let known = unsent.iter().position(|unsent| *unsent == stream);
        known.map(|at| unsent.swap_remove(at)).is_some()
    }

    /// How many streams the HTTP library has refused since this was asked last that were no exchanges. It is known
    /// between exchanges only.
    pub(super) fn take_refused(&self) -> u64 {
        if self.has_streams() {
            return 0;
        }
        self.reset.take().saturating_sub(self.blamed.take())
    }
}
