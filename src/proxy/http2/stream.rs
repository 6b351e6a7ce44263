//! One stream: its task, and its time limits.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use tokio::task::JoinSet;

use super::budget::Charge;
use super::ending::Ended;
use super::exchange::{Body, Exchange};
use super::head;
use super::shared::Shared;
use crate::exchange::outcome::Malformed;
use crate::proxy::admission::Ticket;
use crate::proxy::answer;
use crate::proxy::guard::Refusal;
use crate::proxy::polls::Polls;
use crate::proxy::timer::Timer;
use crate::proxy::worker::Worker;
use crate::wire::route::ErrorShape;

/// What a stream's task and its exchange tell each other.
pub(super) struct Turn {
    /// What its head and its trailers may take.
    pub(super) heads: Charge,
    /// Waiting for the client to send more of its request.
    pub(super) upload: Progress,
    /// Waiting for the client to make room for more of its response.
    pub(super) download: Progress,
    /// The client was too slow.
    pub(super) too_slow: Cell<bool>,
    /// The client sent what it must not.
    pub(super) bad_body: Cell<bool>,
    /// Its trailers are more than it may send now.
    pub(super) too_much: Cell<bool>,
    /// Time that the stream's task has been polled.
    pub(super) polls: Rc<Polls>,
}

impl Turn {
    fn new(heads: Charge) -> Self {
        Self {
            heads,
            upload: Progress::default(),
            download: Progress::default(),
            too_slow: Cell::default(),
            bad_body: Cell::default(),
            too_much: Cell::default(),
            polls: Rc::default(),
        }
    }
}

/// Whether the client is waited for. It takes no clock: whoever limits the time counts the turns.
#[derive(Default)]
pub(super) struct Progress {
    waiting: Cell<bool>,
    turns: Cell<u64>,
    /// The client was waited for.
    holds_back: Cell<bool>,
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

    /// Whether it is the client's turn.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.get()
    }

    /// The task has done what it could: if it is the client's turn, what the backend sends lies unread until then.
    fn rest(&self) {
        if self.waiting.get() {
            self.holds_back.set(true);
        }
    }

    /// Whether the client was waited for since the last call: what is read now may have lain unread.
    pub(super) fn take_held_back(&self) -> bool {
        self.holds_back.take()
    }

    /// Which turn of the client's is waited for.
    fn waiting(&self) -> Option<u64> {
        self.waiting.get().then(|| self.turns.get())
    }
}

/// The streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(Rc<Inner>);

struct Inner {
    worker: Rc<Worker>,
    connection: Rc<Shared>,
    over_limit: bool,
    tasks: RefCell<JoinSet<()>>,
    /// The stream whose task the HTTP library is about to start: it does so right after it called the service.
    next: RefCell<Option<Place>>,
}

/// What a stream has from its connection.
struct Place {
    turn: Rc<Turn>,
    connection: Rc<Shared>,
    /// A stream needs as many descriptors as a connection, and counts as one.
    _ticket: Ticket,
}

impl Streams {
    pub(super) fn new(worker: Rc<Worker>, connection: Rc<Shared>, over_limit: bool) -> Self {
        Self(Rc::new(Inner { worker, connection, over_limit, tasks: RefCell::default(), next: RefCell::default() }))
    }

    /// The service: one call a stream. A stream whose head is too much now is refused; its client may try again.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, h2::Error>> + use<> {
        let (worker, connection) = (self.0.worker.clone(), self.0.connection.clone());
        let (ticket, taken) = Ticket::take(&worker.connections);
        let refused = self.0.over_limit;
        let crowded = taken > worker.settings.max_connections;
        let turn = Rc::new(Turn::new(Charge::new(connection.heads.clone())));
        connection.begin();
        *self.0.next.borrow_mut() = Some(Place { turn: turn.clone(), connection, _ticket: ticket });
        let shape = ErrorShape::of(request.uri().path());
        let head_only = request.method() == http::Method::HEAD;
        // The exchange begins with the call: a client that resets the stream at once is counted too.
        let begun = turn
            .heads
            .grow(head::length(&request))
            .then(|| head::to_http1(request).and_then(|request| Exchange::begin(&worker, turn, request)));
        async move {
            let Some(begun) = begun else {
                worker.sink.refused(Malformed::TooLarge);
                return Err(h2::Reason::REFUSED_STREAM.into());
            };
            Ok(match begun {
                Ok(exchange) => {
                    let over_limit = refused || (crowded && !worker.make_room().await);
                    exchange.respond(over_limit).await
                }
                Err(why) => {
                    worker.sink.refused(why);
                    let refusal = Refusal { why, shape, head_only };
                    Body::own(answer::of_refusal(refusal).respond(shape), head_only)
                }
            })
        }
    }

    /// Ends what is left, and waits until it is gone.
    pub(super) async fn end(self) {
        let mut tasks = self.0.tasks.take();
        tasks.shutdown().await;
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        // Anything else would be a protocol switch, and none is ever answered.
        let Some(place) = self.0.next.borrow_mut().take() else { return };
        let limits = &self.0.worker.settings.client;
        let task = Task {
            future: Box::pin(future),
            upload: Stall::new(limits.body_idle),
            download: Stall::new(limits.write_stall),
            worker: self.0.worker.clone(),
            place,
        };
        let mut tasks = self.0.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task);
    }
}

/// The task of one stream. Dropping it resets the stream, unless it has ended.
struct Task<F> {
    future: Pin<Box<F>>,
    upload: Stall,
    download: Stall,
    worker: Rc<Worker>,
    place: Place,
}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let turn = &this.place.turn;
        this.worker.thread.decoding.begin_turn(turn.polls.begin());
        let done = this.future.as_mut().poll(cx).is_ready();
        turn.polls.end();
        if done || turn.too_much.get() {
            return Poll::Ready(());
        }
        turn.download.rest();
        if this.upload.poll(cx, &turn.upload).is_pending() {
            ready!(this.download.poll(cx, &turn.download));
        }
        turn.too_slow.set(true);
        Poll::Ready(())
    }
}

/// Runs before the future is dropped, which then tells how its exchange ended.
impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        let Place { turn, connection, .. } = &self.place;
        let slow = matches!(connection.ended.get(), Some(Ended::Slow | Ended::Late));
        turn.too_slow.set(turn.too_slow.get() || slow);
    }
}

/// Runs behind that.
impl Drop for Place {
    fn drop(&mut self) {
        self.connection.end(self.turn.bad_body.get());
    }
}

/// Waits for a client that does not move on.
struct Stall {
    limit: Option<Duration>,
    timer: Timer,
    turn: u64,
}

impl Stall {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: Timer::default(), turn: 0 }
    }

    /// Ready once the client has been waited for too long.
    fn poll(&mut self, cx: &mut Context<'_>, progress: &Progress) -> Poll<()> {
        let waiting = progress.waiting();
        let anew = waiting.is_some_and(|turn| std::mem::replace(&mut self.turn, turn) != turn);
        self.timer.poll(cx, self.limit.filter(|_| waiting.is_some()), anew)
    }
}
