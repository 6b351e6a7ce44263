//! What the task of a stream, its exchange and the pieces of its response tell each other.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::budget::Charge;
use super::connection_state::ConnectionState;
use super::unsent::Unsent;
use crate::proxy::admission::Ticket;
use crate::proxy::polls::Polls;

/// What the task of one stream and its exchange share.
pub(super) struct StreamTurn {
    /// What its head and its trailers may take.
    pub(super) heads: Charge,
    /// Waiting for the client to send more of its request.
    pub(super) upload: ClientWait,
    /// Waiting for the client to make room for more of its response.
    pub(super) download: ClientWait,
    /// What of its response waits in the HTTP library.
    pub(super) unsent: Unsent,
    /// The client sent what it must not.
    pub(super) bad_body: Cell<bool>,
    /// Its trailers are more than it may send now.
    pub(super) too_much: Cell<bool>,
    /// Time that the stream's task has been polled.
    pub(super) polls: Rc<Polls>,
}

impl StreamTurn {
    pub(super) fn new(connection: &Rc<ConnectionState>, ticket: Ticket) -> Self {
        Self {
            heads: Charge::new(connection.heads.clone()),
            upload: ClientWait::default(),
            download: ClientWait::default(),
            unsent: Unsent::new(connection.clone(), ticket),
            bad_body: Cell::default(),
            too_much: Cell::default(),
            polls: Rc::default(),
        }
    }
}

/// Whether the client is waited for. It takes no clock: whoever limits the time counts the turns.
#[derive(Default)]
pub(super) struct ClientWait {
    waiting: Cell<bool>,
    turns: Cell<u64>,
    /// The client was waited for.
    holds_back: Cell<bool>,
}

impl ClientWait {
    /// It is the client's turn.
    pub(super) fn wait(&self) {
        if !self.waiting.replace(true) {
            self.turns.set(self.turns.get() + 1);
        }
    }

    /// The client has moved on.
    pub(super) fn moved(&self) {
        self.waiting.set(false);
    }

    /// Whether it is the client's turn.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// The task has done what it could: if it is the client's turn, what the backend sends lies unread until then.
    pub(super) fn rest(&self) {
        if self.waiting.get() {
            self.holds_back.set(true);
        }
    }

    /// Whether the client was waited for since the last call: what is read now may have lain unread.
    pub(super) fn take_held_back(&self) -> bool {
        self.holds_back.take()
    }

    /// Which turn of the client's is waited for.
    pub(super) fn waiting(&self) -> Option<u64> {
        self.waiting.get().then(|| self.turns.get())
    }
}

/// Data of a response. The HTTP library drops it once the socket, or its buffer in front of that, has all of it, and
/// earlier where the stream or the connection is over.
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
