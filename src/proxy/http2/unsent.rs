//! The bytes of one answer that wait in the HTTP library for the client to read, and how they end.
//!
//! Promises: an answer is complete once the system, or TLS, has its last byte, and not when the library has it; only
//! little of it waits without the stream's task, its time limit and its place among the connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::connection_end::ConnectionEnd;
use super::connection_state::ConnectionState;
use crate::exchange::outcome::{End, ErrorType};
use crate::proxy::admission::Ticket;
use crate::proxy::forward::Forward;

/// Most bytes of an answer that may wait after its end was passed on, from when it has no task. One frame's worth, so
/// that ordinary answers are passed on together with their ends.
pub(super) const LITTLE: usize = 16 * 1024;

/// The waiting bytes of one answer.
pub(super) struct Unsent {
    connection: Rc<ConnectionState>,
    /// A stream needs as many descriptors as a connection, and counts as one until its answer was sent.
    _ticket: Ticket,
    bytes: Cell<usize>,
    /// Some bytes were dropped.
    lost: Cell<bool>,
    /// Its exchange, once the end was passed on while bytes are waiting.
    exchange: RefCell<Option<Box<Forward>>>,
    /// Its number in the connection's queue of answers that wait with their ends.
    number: Cell<Option<u64>>,
    /// The stream's task, while it waits to pass on the end.
    task: Cell<Option<Waker>>,
    /// The client was too slow.
    pub(super) too_slow: Cell<bool>,
}

impl Unsent {
    pub(super) fn new(connection: Rc<ConnectionState>, ticket: Ticket) -> Self {
        Self {
            connection,
            _ticket: ticket,
            bytes: Cell::default(),
            lost: Cell::default(),
            exchange: RefCell::default(),
            number: Cell::default(),
            task: Cell::default(),
            too_slow: Cell::default(),
        }
    }

    /// The library has been given more bytes.
    pub(super) fn hand_over(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Whether more bytes wait than may without the stream's task.
    pub(super) fn is_much(&self) -> bool {
        self.bytes.get() > LITTLE
    }

    /// Ready once at most [`LITTLE`] bytes wait.
    pub(super) fn poll_little(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_much() {
            return Poll::Ready(());
        }
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// The library has been given the end of the answer: its exchange ends with the waiting bytes.
    pub(super) fn end(&self, exchange: Box<Forward>) {
        self.exchange.replace(Some(exchange));
        if self.lost.get() {
            self.give_up();
        } else if self.bytes.get() == 0 {
            self.complete();
        }
    }

    /// The stream's task has ended: the connection's time limit applies to the waiting bytes from now on, unless the stream
    /// was given up, and the library is about to drop them.
    pub(super) fn task_over(&self) {
        if self.bytes.get() > 0 && !self.lost.get() && !self.too_slow.get() {
            self.number.set(Some(self.connection.queue.join()));
        }
    }

    /// The socket, or the library's buffer before it, has taken bytes.
    pub(super) fn left(&self, bytes: usize) {
        let left = self.bytes.get() - bytes;
        self.bytes.set(left);
        if left == 0 {
            self.leave_queue();
            self.complete();
        } else if let Some(number) = self.number.get() {
            self.connection.queue.moved(number);
        }
        if left <= LITTLE
            && let Some(task) = self.task.take()
        {
            task.wake();
        }
    }

    /// The library has dropped the rest: the stream was reset, or its connection has ended.
    pub(super) fn lose(&self) {
        self.lost.set(true);
        self.give_up();
    }

    fn leave_queue(&self) {
        if let Some(number) = self.number.take() {
            self.connection.queue.leave(number);
        }
    }

    fn complete(&self) {
        if let Some(exchange) = self.exchange.take() {
            self.connection.note_leaving(exchange);
        }
    }

    fn give_up(&self) {
        self.leave_queue();
        let Some(mut exchange) = self.exchange.take() else { return };
        if self.too_slow.get() || matches!(self.connection.ended.get(), Some(ConnectionEnd::Slow | ConnectionEnd::Late))
        {
            exchange.tap.end(End::Rejected(ErrorType::ClientTimeout));
        }
        // Otherwise the tap reports the reason on drop: the process was killed, or the client left.
    }
}
