//! One exchange over HTTP/2: the stream's frames on one side, the backend's HTTP/1.1 on the other.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::stream::Turn;
use super::{head, is_client_fault};
use crate::exchange::outcome::{End, ErrorType, Malformed};
use crate::proxy::answer::Answer;
use crate::proxy::chunks::{Part, Progress};
use crate::proxy::forward::{Forward, connect, explain};
use crate::proxy::framing::Framing;
use crate::proxy::guard::judge;
use crate::proxy::response;
use crate::proxy::timer::Timer;
use crate::proxy::upstream::{Failure, Upstream, last};
use crate::proxy::worker::{Life, Worker};

/// An exchange. Dropped before its end, it was given up by the client, or with it.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    turn: Rc<Turn>,
    forward: Forward,
    upstream: Option<Box<Upstream>>,
    body: Incoming,
    upload: Upload,
    state: State,
    /// What the backend has sent and the client has not been given.
    ready: VecDeque<Frame<Bytes>>,
    trailers: Vec<u8>,
    /// Waiting for the head of the response.
    first_byte: Timer,
    /// The backend's connection serves no other exchange.
    ends_upstream: bool,
}

/// How far the request's body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Sized,
    Chunked,
    Done,
}

/// How far the response has come.
#[derive(Debug)]
enum State {
    Head,
    Body(Framing),
    /// All of it was read.
    Over,
    /// It failed; told once what came before was handed on.
    Failed(Failure),
    /// All of it was told.
    Told,
}

impl Exchange {
    /// An exchange begins.
    ///
    /// # Errors
    /// What HTTP/1.1 has no proper words for: the library lets names pass that are no tokens.
    pub(super) fn begin(worker: &Rc<Worker>, turn: Rc<Turn>, request: Request<Incoming>) -> Result<Self, Malformed> {
        let (parts, body) = request.into_parts();
        let text = head::to_bytes(&parts);
        let judged = judge(&text)?;
        let upload = match judged.framing {
            _ if http_body::Body::is_end_stream(&body) => Upload::Done,
            Framing::Chunked(_) => Upload::Chunked,
            _ => Upload::Sized,
        };
        let mut forward = Forward::begin(worker, &turn.polls, judged, &mut &[][..]);
        if upload == Upload::Done {
            forward.tap.uploaded();
        }
        Ok(Self {
            worker: worker.clone(),
            turn,
            forward,
            upstream: None,
            body,
            upload,
            state: State::Head,
            ready: VecDeque::new(),
            trailers: Vec::new(),
            first_byte: Timer::default(),
            ends_upstream: false,
        })
    }

    /// Serves it up to the head of the response.
    pub(super) async fn respond(mut self, over_limit: bool) -> Response<Body> {
        let asked = self.forward.asked;
        let answered = match self.worker.refusal(over_limit) {
            Some(refused) => Err(refused),
            None => self.ask().await,
        };
        match answered {
            Ok(response) => response.map(|()| Body::Backend(Box::new(self))),
            Err(answer) => {
                self.forward.give_up(&answer);
                Body::own(answer.respond(asked.shape), asked.head_only)
            }
        }
    }

    async fn ask(&mut self) -> Result<Response<()>, Answer> {
        loop {
            let upstream = match self.worker.pool.take(self.turn.polls.begun(), self.forward.asked.repeatable) {
                Some(upstream) => upstream,
                None => connect(self.worker.clone()).await?,
            };
            let reused = upstream.reused;
            self.upstream = Some(upstream);
            if !reused {
                self.forward.tap.dialled();
            }
            self.forward.tap.forwarded();
            if !poll_fn(|cx| Poll::Ready(self.open(cx))).await && reused {
                // Not one byte was taken.
                continue;
            }
            if !(reused && self.forward.asked.repeatable) {
                self.worker.thread.give_back(std::mem::take(&mut self.forward.opening));
            }
            match poll_fn(|cx| self.poll_head(cx)).await {
                Ok(response) => return Ok(response),
                // It may have been closed before the request arrived; asking again does no harm.
                Err(Failure::Closed | Failure::Broken(_)) if reused && self.forward.asked.repeatable => {}
                Err(failure) => return Err(explain(&self.worker, &failure)),
            }
        }
    }

    /// Sends the head. False where the connection takes nothing.
    fn open(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(upstream) = &mut self.upstream else { return false };
        upstream.send(cx, &self.forward.opening);
        !upstream.deaf
    }

    /// Sends the request's body. Ready when all of it was taken.
    ///
    /// Pending where the stream is dead: there is nobody to answer then, whoever polls this is dropped at once, and the
    /// backend must not take what came so far for the whole.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else { return Poll::Pending };
        loop {
            ready!(upstream.poll_taken(cx));
            if self.upload == Upload::Done {
                self.forward.tap.uploaded();
                return Poll::Ready(());
            }
            if self.forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let polled = http_body::Body::poll_frame(Pin::new(&mut self.body), cx);
            self.first_byte.disarm();
            match &polled {
                Poll::Pending => self.turn.upload.wait(),
                Poll::Ready(_) => self.turn.upload.moved(),
            }
            let chunked = self.upload == Upload::Chunked;
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.forward.tap.request(Part::Data(&data));
                        if chunked && !data.is_empty() {
                            upstream.send(cx, format!("{:x}\r\n", data.len()).as_bytes());
                            upstream.send(cx, &data);
                            upstream.send(cx, b"\r\n");
                        } else {
                            upstream.send(cx, &data);
                        }
                    }
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        if !self.turn.heads.grow(head::fields_length(&trailers)) {
                            self.turn.too_much.set(true);
                            return Poll::Pending;
                        }
                        self.upload = Upload::Done;
                        if chunked {
                            upstream.send(cx, &head::last_chunk(&trailers));
                        }
                    }
                },
                Some(Err(error)) => {
                    self.turn.bad_body.set(self.turn.bad_body.get() || is_client_fault(&error));
                    return Poll::Pending;
                }
                None if !http_body::Body::is_end_stream(&self.body) => return Poll::Pending,
                None => {
                    self.upload = Upload::Done;
                    if chunked {
                        upstream.send(cx, &head::last_chunk(&HeaderMap::new()));
                    }
                }
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Failure>> {
        // A head that is there before the rest of the request has left proves nothing of it: it is read before.
        if self.upload != Upload::Done
            && let Poll::Ready(head) = self.poll_read_head(cx)
        {
            return Poll::Ready(head);
        }
        let _sent = self.poll_upload(cx);
        match self.poll_read_head(cx) {
            Poll::Pending => self.poll_first_byte(cx).map(|()| Err(Failure::Late)),
            head => head,
        }
    }

    /// Ready when the backend has had its time. It runs only while nothing but the backend is waited for.
    fn poll_first_byte(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.turn.upload.is_waiting() {
            return Poll::Pending;
        }
        self.first_byte.poll(cx, self.worker.settings.first_byte, false)
    }

    fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Failure>> {
        let worker = self.worker.clone();
        let mut scratch = worker.thread.scratch.borrow_mut();
        loop {
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(Err(Failure::Closed)) };
            let read = match ready!(upstream.socket.poll_read(cx, &mut scratch)) {
                Ok(0) => return Poll::Ready(Err(Failure::Closed)),
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err(Failure::Broken(error))),
            };
            upstream.held.extend_from_slice(&scratch[..read]);
            if let Some(response) = self.read_head()? {
                return Poll::Ready(Ok(response));
            }
        }
    }

    /// Looks for a final head in what the backend has sent.
    fn read_head(&mut self) -> Result<Option<Response<()>>, Failure> {
        let Some(upstream) = &mut self.upstream else { return Ok(None) };
        let held = std::mem::take(&mut upstream.held);
        let mut rest = &held[..];
        loop {
            let read = response::read(rest, &mut upstream.seen).map_err(Failure::Improper)?;
            let Some((mut response, length)) = read else {
                let left = rest.len();
                upstream.held = last(held, left);
                return Ok(None);
            };
            rest = &rest[length..];
            // The HTTP library does not hand interim responses on.
            if response.is_interim() {
                continue;
            }
            let sent = self.upload == Upload::Done && upstream.has_taken_all();
            self.forward.respond(&response, self.turn.polls.now())?;
            self.worker.thread.give_back(std::mem::take(&mut self.forward.opening));
            let framing = std::mem::replace(&mut response.framing, Framing::OVER);
            let bodiless = self.forward.asked.head_only || response.is_bodiless() || framing.is_over();
            self.ends_upstream = response.hop.close
                || response.version == response::Version::Http10
                || (!bodiless && matches!(framing, Framing::Close))
                || !self.forward.has_proof_of_upload(response.status, sent);
            self.state = if bodiless { State::Over } else { State::Body(framing) };
            self.take(rest);
            return head::to_http2(&response).map(Some).ok_or(Failure::Improper("a field cannot be said in HTTP/2"));
        }
    }

    /// Takes bytes of the body.
    fn take(&mut self, bytes: &[u8]) {
        let State::Body(framing) = &mut self.state else {
            // Bytes behind an answer belong to no request.
            self.ends_upstream |= !bytes.is_empty();
            return;
        };
        let now = self.turn.polls.now();
        let (tap, trailers) = (&mut self.forward.tap, &mut self.trailers);
        let mut all = BytesMut::new();
        let followed = framing.follow(bytes, &mut |part| {
            tap.response(part, now);
            match part {
                Part::Data(data) => all.extend_from_slice(data),
                Part::Trailer(line) => trailers.extend_from_slice(line),
            }
        });
        if self.turn.download.holds_back() {
            tap.held_back();
        }
        tap.frame_end();
        if !all.is_empty() {
            self.ready.push_back(Frame::data(all.freeze()));
        }
        match followed.state {
            Progress::Goes => {}
            Progress::Ended => {
                self.ends_upstream |= followed.bytes < bytes.len();
                self.over();
            }
            Progress::Broken => self.state = State::Failed(Failure::Improper("its chunks are framed wrongly")),
        }
    }

    /// The body was read to its end.
    fn over(&mut self) {
        self.state = State::Over;
        let trailers = head::to_trailers(&self.trailers);
        if !trailers.is_empty() {
            self.ready.push_back(Frame::trailers(trailers));
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let _sent = self.poll_upload(cx);
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match std::mem::replace(&mut self.state, State::Told) {
                State::Body(framing) => self.state = State::Body(framing),
                State::Over => {
                    self.complete();
                    return Poll::Ready(None);
                }
                State::Failed(failure) => {
                    self.forward.tap.end(End::BackendFailed(failure.why()));
                    self.upstream = None;
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
                State::Head | State::Told => return Poll::Ready(None),
            }
            ready!(self.poll_body(cx));
        }
    }

    /// Reads more of the body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let worker = self.worker.clone();
        let mut scratch = worker.thread.scratch.borrow_mut();
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(()) };
        if self.forward.tap.ends_turn(cx) {
            return Poll::Pending;
        }
        let most = self.forward.tap.reads(scratch.len());
        let read = upstream.socket.poll_read(cx, &mut scratch[..most]);
        if read.is_pending() {
            self.turn.download.caught_up();
        }
        match ready!(read) {
            Ok(0) if matches!(self.state, State::Body(Framing::Close)) => self.over(),
            Ok(0) => self.state = State::Failed(Failure::Closed),
            Ok(read) => self.take(&scratch[..read]),
            Err(error) => self.state = State::Failed(Failure::Broken(error)),
        }
        if matches!(self.state, State::Failed(_)) && self.ready.is_empty() {
            // Told at the next poll: until then the library has its chance to send what came before.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn complete(&mut self) {
        self.forward.tap.end(End::Complete);
        if let Some(upstream) = self.upstream.take()
            && !self.ends_upstream
            && upstream.has_taken_all()
            && self.upload == Upload::Done
        {
            self.worker.pool.put(upstream, self.turn.polls.begun());
        }
    }

    fn is_over(&self) -> bool {
        self.ready.is_empty() && matches!(self.state, State::Over | State::Told)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // A body that is known to have ended is not asked for its end.
        if self.ready.is_empty() && matches!(self.state, State::Over) {
            return self.complete();
        }
        // A stream that its client broke may end before its body was asked for.
        let mut cx = Context::from_waker(Waker::noop());
        while self.upload != Upload::Done
            && let Poll::Ready(Some(frame)) = http_body::Body::poll_frame(Pin::new(&mut self.body), &mut cx)
        {
            if let Err(error) = frame {
                self.turn.bad_body.set(self.turn.bad_body.get() || is_client_fault(&error));
                break;
            }
        }
        if self.worker.life() == Life::Killed {
            // The tap knows.
        } else if self.turn.too_slow.get() {
            self.forward.tap.end(End::Rejected(ErrorType::ClientTimeout));
        } else if self.turn.bad_body.get() || self.turn.too_much.get() {
            self.forward.tap.end(End::Rejected(ErrorType::ClientBody));
        }
    }
}

/// The body of a response on its way into a stream. The HTTP library asks for a frame only when the client has room for
/// the one before.
pub(super) enum Body {
    /// The backend's.
    Backend(Box<Exchange>),
    /// Ours; empty once it is sent.
    Own(Bytes),
}

impl Body {
    /// An answer of ours. A HEAD gets the head alone.
    pub(super) fn own(response: Response<Bytes>, head_only: bool) -> Response<Self> {
        response.map(|bytes| Self::Own(if head_only { Bytes::new() } else { bytes }))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Backend(exchange) => {
                exchange.turn.download.moved();
                let frame = ready!(exchange.poll_frame(cx));
                exchange.turn.download.wait();
                Poll::Ready(frame)
            }
            Self::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Backend(exchange) => exchange.is_over(),
            Self::Own(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Backend(_) => SizeHint::default(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
