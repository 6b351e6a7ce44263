//! The state that the socket, the streams and the task of one connection share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use super::budget::Budget;
use super::connection_end::ConnectionEnd;
use super::continues::Continues;
use super::frames::{Frame, kind};
use crate::exchange::outcome::{End, ErrorType};
use crate::proxy::forward::Forward;
use crate::proxy::slot::Seat;

/// Codes with which the HTTP library resets streams of a client that violates the protocol (RFC 9113, 7):
/// `PROTOCOL_ERROR`, `FLOW_CONTROL_ERROR`, `STREAM_CLOSED`, `FRAME_SIZE_ERROR`, `COMPRESSION_ERROR`.
const BROKEN: [u32; 5] = [1, 3, 5, 6, 9];

/// What the client has to read for the connection to make progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedAnswer {
    /// The answer that has waited longest with its end, by its number in the queue.
    Oldest(u64),
    /// What is left of the others, as no stream's task is running.
    Rest,
}

/// Answers that wait in the HTTP library, in the order in which they started to.
#[derive(Default)]
pub(super) struct AnswerQueue {
    numbers: RefCell<VecDeque<u64>>,
    given: Cell<u64>,
    /// The client has read more of the first of them.
    moved: Cell<bool>,
}

impl AnswerQueue {
    /// Appends an answer, and returns its number.
    pub(super) fn join(&self) -> u64 {
        let number = self.given.get();
        self.given.set(number + 1);
        self.numbers.borrow_mut().push_back(number);
        number
    }

    /// Removes an answer.
    pub(super) fn leave(&self, number: u64) {
        let mut numbers = self.numbers.borrow_mut();
        if let Some(at) = numbers.iter().position(|waits| *waits == number) {
            numbers.remove(at);
        }
    }

    /// The client has read more of this answer.
    pub(super) fn moved(&self, number: u64) {
        if self.first() == Some(number) {
            self.moved.set(true);
        }
    }

    /// Whether the client has read more of the first answer since the last call.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.take()
    }

    fn first(&self) -> Option<u64> {
        self.numbers.borrow().front().copied()
    }
}

/// The state of one connection.
pub(super) struct ConnectionState {
    /// The budget for the heads of its streams.
    pub(super) heads: Rc<Budget>,
    pub(super) seat: Seat,
    /// Permissions to send bodies.
    pub(super) continues: Continues,
    /// Streams whose tasks are running.
    streams: Cell<u64>,
    /// Streams whose answers have not passed the socket completely. The HTTP library holds back what it was given for
    /// as long as the client's windows are full.
    unsent: RefCell<Vec<u32>>,
    /// Answers that were given to the HTTP library with their ends, and wait there.
    pub(super) queue: AnswerQueue,
    /// Exchanges whose answers have passed to the library's buffer before the socket.
    #[expect(clippy::vec_box, reason = "they come boxed, and are large")]
    leaving: RefCell<Vec<Box<Forward>>>,
    /// The end of an answer has been written, and TLS may hold it back until it is flushed.
    unflushed: Cell<bool>,
    /// There was an exchange since the connection was last idle.
    busy: Cell<bool>,
    /// Wakes the connection's task at the end of a stream while the process drains.
    pub(super) drain: Cell<Option<Waker>>,
    /// How the connection is to end; `None` while that is open.
    pub(super) ended: Cell<Option<ConnectionEnd>>,
    /// A stream was reset, as happens after an early answer: its client may not know yet, and still be sending.
    pub(super) interrupts: Cell<bool>,
    /// Streams that the HTTP library has reset because their client violated the protocol.
    reset: Cell<u64>,
    /// Streams among those whose exchange has recorded the violation.
    blamed: Cell<u64>,
}

impl ConnectionState {
    pub(super) fn of(seat: Seat, heads: Budget) -> Self {
        Self {
            heads: Rc::new(heads),
            seat,
            continues: Continues::default(),
            streams: Cell::default(),
            unsent: RefCell::default(),
            queue: AnswerQueue::default(),
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

    /// Counts a stream whose task starts.
    pub(super) fn begin(&self) {
        self.streams.update(|before| before + 1);
        self.busy.set(true);
        self.seat.begin();
    }

    /// Discounts a stream whose task has ended. `blamed` says that its exchange has recorded a protocol violation.
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

    /// Whether nothing is in flight: every answer was sent completely, or its stream was reset.
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
        self.continues.note_opened(stream);
    }

    /// Permits the client to send the body of this stream, unless the stream is over.
    pub(super) fn permit_body(&self, stream: u32) {
        if self.unsent.borrow().contains(&stream) {
            self.continues.permit(stream);
        }
    }

    /// The client has reset a stream: nothing more is sent on it.
    pub(super) fn note_cancelled(&self, stream: u32) {
        self.forget(stream);
        self.settle();
    }

    /// A frame was written to the client. TLS may still hold it back.
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

    /// The last bytes of an answer leave with the next write.
    pub(super) fn note_leaving(&self, exchange: Box<Forward>) {
        self.leaving.borrow_mut().push(exchange);
    }

    /// Everything written has been flushed.
    pub(super) fn note_flushed(&self) {
        self.unflushed.set(false);
        for mut exchange in self.leaving.borrow_mut().drain(..) {
            exchange.tap.end(End::Complete);
        }
        self.settle();
    }

    /// The connection has ended: what has not been sent will not be.
    pub(super) fn note_over(&self) {
        for mut exchange in self.leaving.take() {
            if matches!(self.ended.get(), Some(ConnectionEnd::Slow | ConnectionEnd::Late)) {
                exchange.tap.end(End::Rejected(ErrorType::ClientTimeout));
            }
            // Otherwise the tap reports the reason on drop.
        }
    }

    /// Which answer the client has to read now, whatever else is in progress: the one that has waited longest with its
    /// end, or, where no stream's task is running, all that is left.
    pub(super) fn awaited_answer(&self) -> Option<AwaitedAnswer> {
        let rest = || (!self.has_streams() && !self.is_idle()).then_some(AwaitedAnswer::Rest);
        self.queue.first().map(AwaitedAnswer::Oldest).or_else(rest)
    }

    /// Removes a stream from the unsent ones. False where it was not one.
    fn forget(&self, stream: u32) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        let known = unsent.iter().position(|unsent| *unsent == stream);
        known.map(|at| unsent.swap_remove(at)).is_some()
    }

    /// How many streams without an exchange the HTTP library has refused since the last call. Always 0 while a stream
    /// is open, as the number is not known then.
    pub(super) fn take_refused(&self) -> u64 {
        if self.has_streams() {
            return 0;
        }
        self.reset.take().saturating_sub(self.blamed.take())
    }
}
