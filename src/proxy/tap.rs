//! Looks at the bytes of an exchange while they pass, and hands on the very same frames.
//!
//! Nothing here can change, delay or end traffic: the observation is called behind a barrier that catches panics, and
//! after one the bytes pass unobserved. Size hints, the end-of-stream flag and trailers are those of the body inside.
//! How an exchange ended is told exactly once: by the response's body, or by whoever gives the exchange up before.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::error::{classify, is_malformed};
use super::fill::Fill;
use super::pool::Pool;
use super::shared::Shared;
use super::upstream::Upstream;
use crate::exchange::outcome::{End, ErrorType};
use crate::exchange::{CLIENT_CLOSED_REQUEST, Observation};
use crate::wire::event::Defect;

/// The observer of one exchange, shared by both directions.
pub(super) struct Tap {
    observation: RefCell<Option<Box<Observation>>>,
    shared: Rc<Shared>,
    /// What was sent to the client.
    status: Cell<u16>,
    polls_before: Duration,
    uploaded: Cell<bool>,
    ended: Cell<bool>,
}

impl Tap {
    /// Starts with what `observe` makes; without an observation if that fails.
    pub(super) fn start(shared: Rc<Shared>, now: Instant, observe: impl FnOnce() -> Box<Observation>) -> Rc<Self> {
        let observation = catch_unwind(AssertUnwindSafe(observe)).ok();
        let polls_before = shared.polls.total(now);
        Rc::new(Self {
            observation: RefCell::new(observation),
            shared,
            status: Cell::new(CLIENT_CLOSED_REQUEST),
            polls_before,
            uploaded: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// Lets the observation see something. A panic in it takes its reader out; the exchange does not notice.
    pub(super) fn observe(&self, look: impl FnOnce(&mut Observation)) {
        let mut slot = self.observation.borrow_mut();
        let Some(observation) = slot.as_mut() else { return };
        if catch_unwind(AssertUnwindSafe(|| look(observation))).is_err()
            && catch_unwind(AssertUnwindSafe(|| observation.defect(Defect::Panic))).is_err()
        {
            drop(slot);
            self.give_up();
        }
    }

    /// The status of the head that is handed to the client now.
    pub(super) fn answer(&self, status: u16) {
        self.status.set(status);
    }

    /// The request's body is over; only the first call counts.
    pub(super) fn uploaded(&self) {
        if !self.uploaded.replace(true) {
            self.observe(Observation::request_done);
        }
    }

    /// The request's body failed. It surfaces as an error of the request to the backend, which must not be blamed: the
    /// framing was broken, or else the client left, whichever of the library and the watcher sees it first.
    fn upload_failed(&self, error: &hyper::Error) {
        let known = self.shared.bad_body.get() || self.shared.too_slow.get();
        self.shared.bad_body.set(!self.shared.too_slow.get());
        if !known && !is_malformed(error) {
            self.end(End::ClientLeft);
        }
    }

    /// Whether the request's body is over.
    pub(super) fn is_uploaded(&self) -> bool {
        self.uploaded.get()
    }

    /// The exchange is over; only the first call counts.
    pub(super) fn end(&self, end: End) {
        if self.ended.replace(true) {
            return;
        }
        let now = Instant::now();
        let overhead = self.shared.polls.total(now).saturating_sub(self.polls_before);
        self.shared.exchange_finished();
        if let Some(observation) = self.observation.borrow_mut().take() {
            // A sink that fails has lost its own record, nothing else.
            drop(catch_unwind(AssertUnwindSafe(|| observation.finish(end, self.status.get(), now, overhead))));
        }
    }

    /// The observation is beyond repair: forget it.
    fn give_up(&self) {
        let observation = self.observation.borrow_mut().take();
        let _ = catch_unwind(AssertUnwindSafe(move || std::mem::drop(observation)));
    }

    /// How an exchange ended that is dropped before its end.
    fn abandoned(&self) -> End {
        if self.shared.killed.get() {
            End::Rejected(ErrorType::Draining)
        } else if self.shared.too_slow.get() {
            End::Rejected(ErrorType::ClientTimeout)
        } else if self.shared.is_stream && self.shared.bad_body.get() {
            End::Rejected(ErrorType::ClientBody)
        } else {
            End::ClientLeft
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end(self.abandoned());
    }
}

/// When a request's body may be asked for.
pub(super) struct Gate {
    /// The backend said that it wants the body.
    open: Arc<AtomicBool>,
    /// It gets the body anyway after this.
    patience: Pin<Box<Sleep>>,
}

impl Gate {
    pub(super) fn new(open: Arc<AtomicBool>, patience: Duration) -> Self {
        Self { open, patience: Box::pin(tokio::time::sleep(patience)) }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.open.load(Ordering::Relaxed) { Poll::Ready(()) } else { self.patience.as_mut().poll(cx) }
    }
}

/// The request's body on its way to the backend.
pub(super) struct RequestBody {
    inner: Incoming,
    tap: Rc<Tap>,
    gate: Option<Gate>,
    /// What lies unwritten at the backend's connection; none before one is chosen.
    fill: Option<Rc<Fill>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, tap: Rc<Tap>, gate: Option<Gate>) -> Self {
        Self { inner, tap, gate, fill: None }
    }

    /// Of a stream: pending where it is dead. There is nobody to answer then, whoever polls this is dropped at once, and
    /// the backend must not take what came so far for the whole.
    fn poll_stream(&self, polled: &Poll<Option<Result<Frame<Bytes>, hyper::Error>>>) -> Poll<()> {
        let shared = &self.tap.shared;
        match polled {
            Poll::Pending => shared.upload.wait(),
            Poll::Ready(_) => shared.upload.moved(),
        }
        match polled {
            Poll::Ready(Some(Err(error))) => {
                shared.bad_body.set(shared.bad_body.get() || is_client_fault(error));
                Poll::Pending
            }
            Poll::Ready(None) if !self.inner.is_end_stream() => Poll::Pending,
            Poll::Ready(_) | Poll::Pending => Poll::Ready(()),
        }
    }

    /// A connection was chosen.
    pub(super) fn attach(&mut self, fill: &Rc<Fill>) {
        self.fill = Some(fill.clone());
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            std::task::ready!(gate.poll_open(cx));
            this.gate = None;
        }
        if this.fill.as_ref().is_some_and(|fill| fill.is_full(cx)) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if this.tap.shared.is_stream {
            std::task::ready!(this.poll_stream(&polled));
        }
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    if let Some(fill) = &this.fill {
                        fill.add(data.len());
                    }
                    this.tap.observe(|observation| observation.request_frame(data));
                }
                if this.inner.is_end_stream() {
                    this.tap.uploaded();
                }
            }
            Poll::Ready(None) => this.tap.uploaded(),
            Poll::Ready(Some(Err(error))) => this.tap.upload_failed(error),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A stream that its client broke may end before its body was asked for.
impl Drop for RequestBody {
    fn drop(&mut self) {
        let shared = &self.tap.shared;
        if !shared.is_stream || self.tap.is_uploaded() {
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(frame)) = Pin::new(&mut self.inner).poll_frame(&mut cx) {
            if let Err(error) = frame {
                shared.bad_body.set(shared.bad_body.get() || is_client_fault(&error));
                return;
            }
        }
    }
}

/// Whether a stream ended because its client sent what it must not, rather than because the client left.
fn is_client_fault(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(h2::Error::is_library)
}

/// The response's body on its way to the client. It drives the backend's connection itself.
pub(super) struct ResponseBody {
    inner: Incoming,
    tap: Rc<Tap>,
    upstream: Option<Box<Upstream>>,
    pool: Rc<Pool>,
    /// The end of the body cannot be told from a cut: the client must see a reset.
    reset_on_error: bool,
    /// The head announces a length of zero: the library keeps such a field in its place only if it asks for a frame.
    announce_empty: bool,
    /// Why the body failed; told to the library once what came before is written.
    failed: Failed,
    ended: bool,
}

/// A body's failure on its way to the library, which throws away what it has not written when it hears of one.
enum Failed {
    No,
    /// The library is given a turn to write.
    Held(hyper::Error),
    /// It has had its turn, and waits for the client to read.
    Flushing(hyper::Error),
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, tap: Rc<Tap>, upstream: Box<Upstream>, pool: Rc<Pool>) -> Self {
        Self {
            inner,
            tap,
            upstream: Some(upstream),
            pool,
            reset_on_error: false,
            announce_empty: false,
            failed: Failed::No,
            ended: false,
        }
    }

    /// See [`ResponseBody::reset_on_error`].
    pub(super) fn reset_on_error(mut self, reset: bool) -> Self {
        self.reset_on_error = reset;
        self
    }

    /// See [`ResponseBody::announce_empty`].
    pub(super) fn announce_empty(mut self, announce: bool) -> Self {
        self.announce_empty = announce;
        self
    }

    /// The next frame that the backend has sent, driving its connection where none lies ready.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { inner, tap, upstream, .. } = self;
        tap.shared.quiet.poll(cx, |cx| {
            let ready = Pin::new(&mut *inner).poll_frame(cx);
            let Some(upstream) = upstream.as_mut().filter(|_| ready.is_pending()) else { return ready };
            upstream.drive(cx);
            Pin::new(&mut *inner).poll_frame(cx)
        })
    }

    /// Tells a failure once everything before it has been handed to the system.
    fn poll_failed(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match std::mem::replace(&mut self.failed, Failed::No) {
            Failed::No => Poll::Ready(None),
            Failed::Held(error) => {
                self.failed = Failed::Flushing(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Failed::Flushing(error) if self.tap.shared.is_flushed() => Poll::Ready(Some(Err(error))),
            Failed::Flushing(error) => {
                self.failed = Failed::Flushing(error);
                self.tap.shared.wait(cx);
                Poll::Pending
            }
        }
    }

    fn complete(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.tap.end(End::Complete);
        if let Some(mut upstream) = self.upstream.take()
            && !upstream.once
            && upstream.is_usable()
        {
            upstream.reused = true;
            self.pool.put(upstream);
        }
    }

    fn fail(&mut self, error: &hyper::Error) {
        self.ended = true;
        self.upstream = None;
        if self.reset_on_error {
            self.tap.shared.reset.set(true);
        }
        self.tap.end(match classify(error, &self.tap.shared) {
            ErrorType::ClientBody => End::Rejected(ErrorType::ClientBody),
            ErrorType::ClientTimeout => End::Rejected(ErrorType::ClientTimeout),
            why => End::BackendFailed(why),
        });
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.announce_empty = false;
        if !matches!(self.failed, Failed::No) {
            return self.poll_failed(cx);
        }
        // A stream of several on a connection is held back by its own window.
        if !self.tap.shared.is_stream && self.tap.shared.fill.is_full(cx) {
            return Poll::Pending;
        }
        let polled = std::task::ready!(self.poll_inner(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.tap.shared.fill.add(data.len());
                    self.tap.observe(|observation| observation.response_frame(data, Instant::now()));
                }
            }
            Some(Err(error)) => self.fail(error),
            None => self.complete(),
        }
        match polled {
            Some(Err(error)) => {
                self.failed = Failed::Held(error);
                self.poll_failed(cx)
            }
            polled => Poll::Ready(polled),
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.announce_empty && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // A body that is known to have ended is not asked for its end.
        if self.inner.is_end_stream() {
            self.complete();
        } else if !self.ended {
            self.tap.end(self.tap.abandoned());
        }
    }
}
