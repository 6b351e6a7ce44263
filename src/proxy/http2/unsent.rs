//! What of one answer waits in the HTTP library for the client to read, and what becomes of it.
//!
//! Promises: an answer is complete once the system, or TLS, has its last byte, and not when the library has it; little of
//! it waits there without the stream's task, its time limit and its place among the connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::connection_end::ConnectionEnd;
use super::connection_state::ConnectionState;
use crate::exchange::outcome::{End, ErrorType};
use crate::proxy::admission::Ticket;
use crate::proxy::forward::Forward;

/// Most bytes of an answer that may wait once its end was handed over: from then on it has no task. As much as a frame
/// carries, so that ordinary answers go over with their ends.
pub(super) const LITTLE: usize = 16 * 1024;

/// What waits of one answer.
pub(super) struct Unsent {
    connection: Rc<ConnectionState>,
    /// A stream needs as many descriptors as a connection, and counts as one until its answer has left.
    _ticket: Ticket,
    bytes: Cell<usize>,
    /// Some were given up.
    lost: Cell<bool>,
    /// Its exchange, where its end was handed over and bytes are left.
    exchange: RefCell<Option<Box<Forward>>>,
    /// Its number among the answers of the connection that wait with their ends.
    number: Cell<Option<u64>>,
    /// The stream's task, where it waits to hand over the end.
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

    /// The library has so many bytes more.
    pub(super) fn hand_over(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Whether more waits than may without the stream's task.
    pub(super) fn is_much(&self) -> bool {
        self.bytes.get() > LITTLE
    }

    /// Ready once little waits.
    pub(super) fn poll_little(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_much() {
            return Poll::Ready(());
        }
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// The library has the end of the answer too: its exchange ends with what waits.
    pub(super) fn end(&self, exchange: Box<Forward>) {
        self.exchange.replace(Some(exchange));
        if self.lost.get() {
            self.give_up();
        } else if self.bytes.get() == 0 {
            self.complete();
        }
    }

    /// The stream's task is over: from now on the connection has the time limit of what waits.
    pub(super) fn task_over(&self) {
        if self.bytes.get() > 0 && !self.lost.get() {
            self.number.set(Some(self.connection.line.join()));
        }
    }

    /// The socket, or the library's buffer in front of it, has taken so many bytes.
    pub(super) fn left(&self, bytes: usize) {
        let left = self.bytes.get() - bytes;
        self.bytes.set(left);
        if left == 0 {
            self.leave_line();
            self.complete();
        } else if let Some(number) = self.number.get() {
            self.connection.line.moved(number);
        }
        if left <= LITTLE
            && let Some(task) = self.task.take()
        {
            task.wake();
        }
    }

    /// The library has given up what was left: the stream was reset, or its connection is over.
    pub(super) fn lose(&self) {
        self.lost.set(true);
        self.give_up();
    }

    fn leave_line(&self) {
        if let Some(number) = self.number.take() {
            self.connection.line.leave(number);
        }
    }

    fn complete(&self) {
        if let Some(exchange) = self.exchange.take() {
            self.connection.note_leaving(exchange);
        }
    }

    fn give_up(&self) {
        self.leave_line();
        let Some(mut exchange) = self.exchange.take() else { return };
        if self.too_slow.get() || matches!(self.connection.ended.get(), Some(ConnectionEnd::Slow | ConnectionEnd::Late))
        {
            exchange.tap.end(End::Rejected(ErrorType::ClientTimeout));
        }
        // Else the tap knows: the process has no more time, or the client has left.
    }
}
