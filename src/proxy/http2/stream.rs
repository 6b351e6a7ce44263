//! The task of one stream, and its time limits.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use tokio::task::JoinSet;

use super::connection_end::ConnectionEnd;
use super::connection_state::ConnectionState;
use super::exchange::StreamExchange;
use super::exchange::body::Body;
use super::head;
use super::turn::{ClientWait, StreamTurn};
use crate::exchange::outcome::Malformed;
use crate::proxy::admission::Ticket;
use crate::proxy::answer;
use crate::proxy::guard::Refusal;
use crate::proxy::timer::Timer;
use crate::proxy::worker::{self, Worker};
use crate::wire::route::ErrorShape;

/// The streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(Rc<StreamsState>);

struct StreamsState {
    worker: Rc<Worker>,
    connection: Rc<ConnectionState>,
    over_limit: bool,
    tasks: RefCell<JoinSet<()>>,
    /// The stream whose task the HTTP library is about to spawn, which it does right after calling the service.
    next: RefCell<Option<OpenStream>>,
}

/// One stream of the connection, counted until it is dropped.
struct OpenStream {
    turn: Rc<StreamTurn>,
    connection: Rc<ConnectionState>,
}

impl Streams {
    pub(super) fn new(worker: Rc<Worker>, connection: Rc<ConnectionState>, over_limit: bool) -> Self {
        Self(Rc::new(StreamsState {
            worker,
            connection,
            over_limit,
            tasks: RefCell::default(),
            next: RefCell::default(),
        }))
    }

    /// The service, called once a stream. A stream whose head exceeds the budget is refused; its client may retry it.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, h2::Error>> + use<> {
        let (worker, connection) = (self.0.worker.clone(), self.0.connection.clone());
        let (ticket, taken) = Ticket::take(&worker.connections);
        let refused = self.0.over_limit;
        let crowded = taken > worker.settings.max_connections;
        let turn = Rc::new(StreamTurn::new(&connection, ticket));
        connection.begin();
        *self.0.next.borrow_mut() = Some(OpenStream { turn: turn.clone(), connection });
        let shape = ErrorShape::of(request.uri().path());
        let head_only = request.method() == http::Method::HEAD;
        // The exchange begins with the call, so that a client that resets the stream at once is counted too.
        let begun = turn
            .heads
            .grow(head::length(&request))
            .then(|| head::to_http1(request).and_then(|request| StreamExchange::begin(&worker, turn.clone(), request)));
        async move {
            let Some(begun) = begun else {
                worker.sink.refused(Malformed::TooLarge);
                return Err(h2::Reason::REFUSED_STREAM.into());
            };
            match begun {
                Ok(exchange) => {
                    let over_limit = refused || (crowded && !worker.make_room().await);
                    exchange.respond(over_limit).await
                }
                Err(why) => {
                    worker.sink.refused(why);
                    let refusal = Refusal { why, shape, head_only };
                    Ok(Body::own(answer::of_refusal(refusal).respond(shape), head_only, turn))
                }
            }
        }
    }

    /// Cancels the remaining streams and waits until they have ended.
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
        // Any other future would be a protocol switch, and no switch is ever answered.
        let Some(open) = self.0.next.borrow_mut().take() else { return };
        let limits = &self.0.worker.settings.client;
        let task = Task {
            future: Box::pin(future),
            upload: Stall::new(limits.body_idle),
            download: Stall::new(limits.write_stall),
            worker: self.0.worker.clone(),
            known_as: None,
            open,
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
    /// The number of its exchange, by which the worker knows the task.
    known_as: Option<u64>,
    open: OpenStream,
}

impl<F> Task<F> {
    /// Makes the task known to the worker, so that its exchange can be stopped.
    fn register(&mut self, cx: &Context<'_>) {
        let polls = &self.open.turn.polls;
        self.known_as = polls.exchange();
        if let Some(exchange) = self.known_as {
            let task = worker::Task { waker: cx.waker().clone(), polls: polls.clone() };
            self.worker.thread.streams.borrow_mut().insert(exchange, task);
        }
    }
}

impl<F: Future> Task<F> {
    /// Ready when the stream has ended, or is to end at once.
    fn poll_future(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let turn = &self.open.turn;
        self.worker.thread.decoding.begin_turn(turn.polls.begin());
        let done = self.future.as_mut().poll(cx).is_ready();
        turn.polls.end();
        if done || turn.too_much.get() || turn.polls.is_stopped() {
            return Poll::Ready(());
        }
        turn.download.rest();
        Poll::Pending
    }
}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.known_as.is_none() {
            this.register(cx);
        }
        if this.poll_future(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.upload.poll(cx, &this.open.turn.upload).is_ready() {
            // Where no answer has begun, there will be one that says so.
            this.open.turn.upload.give_up();
            if this.poll_future(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        let turn = &this.open.turn;
        if !turn.upload.is_given_up() {
            ready!(this.download.poll(cx, &turn.download));
        }
        turn.unsent.too_slow.set(true);
        Poll::Ready(())
    }
}

/// Runs before the future is dropped, which then reports how its exchange ended.
impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        let OpenStream { turn, connection, .. } = &self.open;
        let slow = matches!(connection.ended.get(), Some(ConnectionEnd::Slow | ConnectionEnd::Late));
        turn.unsent.too_slow.set(turn.unsent.too_slow.get() || slow);
        if let Some(exchange) = self.known_as {
            self.worker.thread.streams.borrow_mut().remove(&exchange);
        }
    }
}

/// Runs after the future was dropped.
impl Drop for OpenStream {
    fn drop(&mut self) {
        self.turn.unsent.task_over();
        self.connection.end(self.turn.bad_body.get());
    }
}

/// Limits how long the client may make no progress.
struct Stall {
    limit: Option<Duration>,
    timer: Timer,
    turn: u64,
}

impl Stall {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: Timer::default(), turn: 0 }
    }

    /// Ready once the client has made no progress for too long.
    fn poll(&mut self, cx: &mut Context<'_>, progress: &ClientWait) -> Poll<()> {
        let waiting = progress.waiting();
        let restart = waiting.is_some_and(|turn| std::mem::replace(&mut self.turn, turn) != turn);
        self.timer.poll(cx, self.limit.filter(|_| waiting.is_some()), restart)
    }
}
