//! What the parts of one client connection tell each other. They all live in one task, so cells are enough.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::fill::Fill;
use super::guard::Refusal;
use super::upgrade::Upgraded;
use super::wake::Quiet;

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
    /// Polls the backend's side without waking the task that is doing so.
    pub(super) quiet: Quiet,
    /// The connection turned out to speak HTTP/2.
    pub(super) http2: Cell<bool>,
    /// This is one stream of several on its connection.
    pub(super) is_stream: bool,
    /// Of a stream: waiting for the client to send more of its request.
    pub(super) upload: Progress,
    /// Of a stream: waiting for the client to make room for more of its response.
    pub(super) download: Progress,
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
            quiet: Quiet::default(),
            http2: Cell::new(false),
            is_stream: false,
            upload: Progress::default(),
            download: Progress::default(),
            polls: Polls::default(),
        }
    }

    /// Of one stream of several on a connection.
    pub(super) fn of_stream(over_limit: bool) -> Self {
        Self { is_stream: true, ..Self::new(over_limit) }
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

    /// Whether a head was ever handed to the HTTP library.
    pub(super) fn has_had_heads(&self) -> bool {
        self.heads.get() > 0
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

/// Whether the client is waited for. It takes no clock: whoever limits the time counts the turns.
#[derive(Default)]
pub(super) struct Progress {
    waiting: Cell<bool>,
    turns: Cell<u64>,
}

impl Progress {
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

    /// Which turn of the client's is waited for.
    pub(super) fn waiting(&self) -> Option<u64> {
        self.waiting.get().then(|| self.turns.get())
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
