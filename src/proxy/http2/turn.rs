//! The state that the task of a stream, its exchange and the pieces of its response share.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::budget::Charge;
use super::connection_state::ConnectionState;
use super::unsent::Unsent;
use crate::proxy::admission::Ticket;
use crate::proxy::polls::Polls;

/// The state that the task of one stream and its exchange share.
pub(super) struct StreamTurn {
    /// The budget for its head and trailers.
    pub(super) heads: Charge,
    connection: Rc<ConnectionState>,
    /// The stream, where that is certain.
    stream: Option<u32>,
    /// Waiting for the client to send more of its request.
    pub(super) upload: ClientWait,
    /// Waiting for the client to make room for more of its response.
    pub(super) download: ClientWait,
    /// The bytes of its response that wait in the HTTP library.
    pub(super) unsent: Unsent,
    /// The client violated the protocol in the request's body.
    pub(super) bad_body: Cell<bool>,
    /// Its trailers exceed the budget.
    pub(super) too_much: Cell<bool>,
    /// Time that the stream's task has been polled.
    pub(super) polls: Rc<Polls>,
}

impl StreamTurn {
    /// For the request that the library hands over.
    pub(super) fn new(connection: &Rc<ConnectionState>, ticket: Ticket) -> Self {
        Self {
            heads: Charge::new(connection.heads.clone()),
            connection: connection.clone(),
            stream: connection.continues.take(),
            upload: ClientWait::default(),
            download: ClientWait::default(),
            unsent: Unsent::new(connection.clone(), ticket),
            bad_body: Cell::default(),
            too_much: Cell::default(),
            polls: Rc::default(),
        }
    }

    /// The client waits until it is permitted to send its body.
    pub(super) fn await_permission(&self) {
        self.connection.continues.await_one();
    }

    /// Permits the client to send its body.
    pub(super) fn permit_body(&self) {
        if let Some(stream) = self.stream {
            self.connection.permit_body(stream);
        }
    }
}

/// Whether the client is being waited for. Reads no clock: the time limit applies to each period of waiting, by its
/// number.
#[derive(Default)]
pub(super) struct ClientWait {
    waiting: Cell<bool>,
    turns: Cell<u64>,
    /// The client has been waited for since this was last read.
    holds_back: Cell<bool>,
    /// It has been waited for too long.
    given_up: Cell<bool>,
}

impl ClientWait {
    /// Starts waiting for the client.
    pub(super) fn wait(&self) {
        if !self.waiting.replace(true) {
            self.turns.set(self.turns.get() + 1);
        }
    }

    /// The client made progress: stops waiting.
    pub(super) fn moved(&self) {
        self.waiting.set(false);
    }

    /// The client has been waited for too long.
    pub(super) fn give_up(&self) {
        self.given_up.set(true);
    }

    /// Whether the client has been waited for too long, and nothing has come of that.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// Whether the client has been waited for too long; it is waited for no more.
    pub(super) fn take_given_up(&self) -> bool {
        let given_up = self.given_up.take();
        if given_up {
            self.moved();
        }
        given_up
    }

    /// Whether the client is being waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// The task has done all it could: while the client is waited for, the backend's bytes stay unread.
    pub(super) fn rest(&self) {
        if self.waiting.get() {
            self.holds_back.set(true);
        }
    }

    /// Whether the client was waited for since the last call, so that the next bytes may have been unread for a while.
    pub(super) fn take_held_back(&self) -> bool {
        self.holds_back.take()
    }

    /// The number of the current period of waiting; `None` outside one.
    pub(super) fn waiting(&self) -> Option<u64> {
        self.waiting.get().then(|| self.turns.get())
    }
}

/// Data of a response. The HTTP library drops it once the socket, or the library's buffer before it, has taken all of
/// it, and earlier where the stream or the connection has ended.
pub(super) struct Piece {
    data: Bytes,
    turn: Rc<StreamTurn>,
}

impl Piece {
    pub(super) fn of(data: Bytes, turn: &Rc<StreamTurn>) -> Self {
        turn.unsent.hand_over(data.len());
        Self { data, turn: turn.clone() }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.data
    }

    fn advance(&mut self, bytes: usize) {
        self.data.advance(bytes);
        self.turn.unsent.left(bytes);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !self.data.is_empty() {
            self.turn.unsent.lose();
        }
    }
}
