//! What the parts of one client connection tell each other. They all live in one task, so cells are enough.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::fill::Fill;
use super::guard::Refusal;
use super::upgrade::Upgraded;

/// The state of one client connection.
pub(super) struct Shared {
    /// Heads handed to the HTTP library.
    heads: Cell<u64>,
    /// Exchanges whose response is over.
    finished: Cell<u64>,
    /// A head that must not be handed on; it is answered once everything before it is.
    pub(super) refused: Cell<Option<Refusal>>,
    /// The request's body is framed wrongly or broke off.
    pub(super) bad_body: Cell<bool>,
    /// The client was too slow, in its body or in reading.
    pub(super) too_slow: Cell<bool>,
    /// The response was cut: close in a way that cannot be mistaken for its end.
    pub(super) reset: Cell<bool>,
    /// The connection is one too many.
    pub(super) over_limit: bool,
    /// The drain ran out of time: what ends now is our doing.
    pub(super) killed: Cell<bool>,
    /// What a protocol switch left to be joined.
    pub(super) upgraded: RefCell<Option<Upgraded>>,
    /// What lies unwritten of the response.
    pub(super) fill: Fill,
    /// Everything given to the client's socket has been handed to the system.
    flushed: Cell<bool>,
    /// Wakes who waits for that, or for the exchanges before a refused head to be over.
    waiting: RefCell<Option<Waker>>,
    /// Time that the task of this connection has been polled.
    pub(super) polls: Polls,
}

impl Shared {
    pub(super) fn new(over_limit: bool) -> Self {
        Self {
            heads: Cell::new(0),
            finished: Cell::new(0),
            refused: Cell::new(None),
            bad_body: Cell::new(false),
            too_slow: Cell::new(false),
            reset: Cell::new(false),
            over_limit,
            killed: Cell::new(false),
            upgraded: RefCell::new(None),
            fill: Fill::default(),
            flushed: Cell::new(true),
            waiting: RefCell::new(None),
            polls: Polls::default(),
        }
    }

    /// A head was handed to the HTTP library: an exchange will follow.
    pub(super) fn head_passed(&self) {
        self.heads.set(self.heads.get() + 1);
    }

    /// A response is over, however it ended.
    pub(super) fn exchange_finished(&self) {
        self.finished.set(self.finished.get() + 1);
        self.wake_waiting();
    }

    /// Whether a request is being answered.
    pub(super) fn busy(&self) -> bool {
        self.heads.get() > self.finished.get()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.flushed.get()
    }

    /// Bytes were given to the client's socket.
    pub(super) fn written(&self) {
        self.flushed.set(false);
    }

    /// All of them have been handed to the system.
    pub(super) fn flush(&self) {
        self.fill.clear();
        if !self.flushed.replace(true) {
            self.wake_waiting();
        }
    }

    /// Wakes this task when the state changes.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
    }

    fn wake_waiting(&self) {
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// How long the connection's task has been polled in all.
#[derive(Default)]
pub(super) struct Polls {
    before: Cell<Duration>,
    current: Cell<Option<Instant>>,
}

impl Polls {
    /// A poll begins.
    pub(super) fn begin(&self, now: Instant) {
        self.current.set(Some(now));
    }

    /// A poll ends.
    pub(super) fn end(&self, now: Instant) {
        self.before.set(self.total(now));
        self.current.set(None);
    }

    /// The sum, the poll in progress included.
    pub(super) fn total(&self, now: Instant) -> Duration {
        let current = self.current.get().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.before.get() + current
    }
}
