//! One stream: an exchange, its task, and its time limits.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use tokio::task::JoinSet;

use super::head;
use crate::proxy::answer;
use crate::proxy::body::ProxyBody;
use crate::proxy::client_io::Timer;
use crate::proxy::forward::exchange;
use crate::proxy::guard::Refusal;
use crate::proxy::shared::{Progress, Shared};
use crate::proxy::worker::{Ticket, Worker};
use crate::wire::route::ErrorShape;

/// The streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(Rc<Inner>);

struct Inner {
    worker: Rc<Worker>,
    connection: Rc<Shared>,
    tasks: RefCell<JoinSet<()>>,
    /// The exchange whose task the HTTP library is about to start: it does so right after it called the service.
    next: RefCell<Option<Exchange>>,
}

/// What a stream has from its connection.
struct Exchange {
    shared: Rc<Shared>,
    connection: Rc<Shared>,
    /// A stream needs as many descriptors as a connection, and counts as one.
    _ticket: Ticket,
}

impl Streams {
    pub(super) fn new(worker: Rc<Worker>, connection: Rc<Shared>) -> Self {
        Self(Rc::new(Inner { worker, connection, tasks: RefCell::default(), next: RefCell::default() }))
    }

    /// The service: one call a stream.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<StreamBody>, Infallible>> + use<> {
        let (worker, connection) = (self.0.worker.clone(), self.0.connection.clone());
        let (ticket, taken) = Ticket::take(&worker.connections);
        let shared = Rc::new(Shared::of_stream(connection.over_limit || taken > worker.settings.max_connections));
        connection.head_passed();
        *self.0.next.borrow_mut() = Some(Exchange { shared: shared.clone(), connection, _ticket: ticket });
        async move {
            let head_only = *request.method() == Method::HEAD;
            let shape = ErrorShape::of(request.uri().path());
            let mut response = match head::to_http1(request) {
                Ok(request) => exchange(worker, shared.clone(), request).await?,
                Err(why) => {
                    worker.sink.refused(why);
                    answer::of_refusal(Refusal { why, shape }).respond(shape)
                }
            };
            head::to_http2(response.headers_mut());
            Ok(response.map(|body| StreamBody { body: body.without_own(head_only), shared }))
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
        let Some(exchange) = self.0.next.borrow_mut().take() else { return };
        let limits = &self.0.worker.settings.client;
        let task = Task {
            future: Box::pin(future),
            upload: Stall::new(limits.body_idle),
            download: Stall::new(limits.write_stall),
            exchange,
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
    exchange: Exchange,
}

impl<F: Future> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shared = &this.exchange.shared;
        shared.polls.begin(Instant::now());
        let done = this.future.as_mut().poll(cx).is_ready();
        shared.polls.end(Instant::now());
        if done {
            return Poll::Ready(());
        }
        if this.upload.poll(cx, &shared.upload).is_pending() {
            ready!(this.download.poll(cx, &shared.download));
        }
        shared.too_slow.set(true);
        Poll::Ready(())
    }
}

/// Runs before the future is dropped, which then tells how its exchange ended.
impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        let Exchange { shared, connection, .. } = &self.exchange;
        shared.killed.set(connection.killed.get());
        shared.too_slow.set(shared.too_slow.get() || connection.too_slow.get());
        connection.exchange_finished();
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

/// The body of a response on its way into a stream. The HTTP library asks for a frame only when the client has room
/// for the one before.
pub(super) struct StreamBody {
    body: ProxyBody,
    shared: Rc<Shared>,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.shared.download.moved();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.shared.download.wait();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
