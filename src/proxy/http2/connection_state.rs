//! What the socket, the streams and the task of one connection tell each other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::budget::Budget;
use super::connection_end::ConnectionEnd;
use super::frames::{Frame, kind};
use crate::exchange::outcome::{End, ErrorType};
use crate::proxy::forward::Forward;
use crate::proxy::slot::Seat;

/// Why the HTTP library resets streams of a client that breaks the protocol (RFC 9113, 7): an error of the protocol, of
/// flow control, a stream that is closed, a frame's size, compression.
const BROKEN: [u32; 5] = [1, 3, 5, 6, 9];

/// What a client is to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedAnswer {
    /// The one that has waited longest with its end, by its number.
    Oldest(u64),
    /// The rest of what it is sent.
    Rest,
}

/// Answers that wait, in the order in which they began to.
#[derive(Default)]
pub(super) struct Line {
    numbers: RefCell<VecDeque<u64>>,
    given: Cell<u64>,
    /// The client has read on in the first of them.
    moved: Cell<bool>,
}

impl Line {
    /// One more waits, by this number.
    pub(super) fn join(&self) -> u64 {
        let number = self.given.get();
        self.given.set(number + 1);
        self.numbers.borrow_mut().push_back(number);
        number
    }

    /// It does not wait any more.
    pub(super) fn leave(&self, number: u64) {
        let mut numbers = self.numbers.borrow_mut();
        if let Some(at) = numbers.iter().position(|waits| *waits == number) {
            numbers.remove(at);
        }
    }

    /// The client has read on in this one.
    pub(super) fn moved(&self, number: u64) {
        if self.first() == Some(number) {
            self.moved.set(true);
        }
    }

    /// Whether the client has read on in the first since this was asked last.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.take()
    }

    fn first(&self) -> Option<u64> {
        self.numbers.borrow().front().copied()
    }
}

/// One connection.
pub(super) struct ConnectionState {
    /// What the heads of its streams may take.
    pub(super) heads: Rc<Budget>,
    pub(super) seat: Seat,
    /// Streams whose tasks run.
    streams: Cell<u64>,
    /// Streams whose answers have not passed the socket to their ends. The HTTP library holds back what it was handed
    /// for as long as the client makes no room for it.
    unsent: RefCell<Vec<u32>>,
    /// Answers that were handed to the HTTP library with their ends, and wait there.
    pub(super) line: Line,
    /// Exchanges whose answers have passed to the library's buffer in front of the socket.
    #[expect(clippy::vec_box, reason = "they come boxed, and are large")]
    leaving: RefCell<Vec<Box<Forward>>>,
    /// The end of an answer has passed, and TLS may hold it back until it is flushed.
    unflushed: Cell<bool>,
    /// There was an exchange since the connection was idle the last time.
    busy: Cell<bool>,
    /// The connection's task, woken at the end of a stream while the process drains.
    pub(super) drain: Cell<Option<Waker>>,
    /// How the connection is to end, once that is known.
    pub(super) ended: Cell<Option<ConnectionEnd>>,
    /// A stream was reset, as one is that is answered early: its client may not know yet, and still be sending.
    pub(super) interrupts: Cell<bool>,
    /// Streams that the HTTP library has reset because their client broke the protocol.
    reset: Cell<u64>,
    /// Exchanges that say so themselves.
    blamed: Cell<u64>,
}

impl ConnectionState {
    pub(super) fn of(seat: Seat, heads: Budget) -> Self {
        Self {
            heads: Rc::new(heads),
            seat,
            streams: Cell::default(),
            unsent: RefCell::default(),
            line: Line::default(),
            leaving: RefCell::default(),
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

    /// The last of an answer leaves with what the client is sent next.
    pub(super) fn note_leaving(&self, exchange: Box<Forward>) {
        self.leaving.borrow_mut().push(exchange);
    }

    /// All that has passed has left.
    pub(super) fn note_flushed(&self) {
        self.unflushed.set(false);
        for mut exchange in self.leaving.borrow_mut().drain(..) {
            exchange.tap.end(End::Complete);
        }
        self.settle();
    }

    /// The connection is over: what has not left does not any more.
    pub(super) fn note_over(&self) {
        for mut exchange in self.leaving.take() {
            if matches!(self.ended.get(), Some(ConnectionEnd::Slow | ConnectionEnd::Late)) {
                exchange.tap.end(End::Rejected(ErrorType::ClientTimeout));
            }
            // Else the tap knows.
        }
    }

    /// Which answer the client is to read on, whatever else goes on: the one that has waited longest with its end, or,
    /// where no stream goes on, whatever is left.
    pub(super) fn awaited_answer(&self) -> Option<AwaitedAnswer> {
        let rest = || (!self.has_streams() && !self.is_idle()).then_some(AwaitedAnswer::Rest);
        self.line.first().map(AwaitedAnswer::Oldest).or_else(rest)
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
