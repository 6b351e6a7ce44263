//! One exchange over HTTP/2: the stream's frames on one side, the backend's HTTP/1.1 on the other.

pub(super) mod body;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::connection_end::is_client_fault;
use super::head;
use super::response_frames::ResponseFrames;
use super::turn::{Piece, StreamTurn};
use super::upload::{UploadPiece, UploadStage};
use crate::exchange::outcome::{End, ErrorType, Malformed};
use crate::proxy::admission::Life;
use crate::proxy::answer::Answer;
use crate::proxy::attempt::{Attempt, AttemptError};
use crate::proxy::chunks::Part;
use crate::proxy::download::ResponseEnd;
use crate::proxy::explain::{blame, explain, no_room, stopped};
use crate::proxy::forward::Forward;
use crate::proxy::framing::Framing;
use crate::proxy::guard::judge;
use crate::proxy::hold::PATIENCE;
use crate::proxy::upstream::Failure;
use crate::proxy::worker::Worker;

/// One stream's exchange with the backend. If it is dropped before its end, the client has reset the stream or left.
pub(super) struct StreamExchange {
    worker: Rc<Worker>,
    turn: Rc<StreamTurn>,
    /// `None` once the end of the response was passed to the library: the rest of the record depends on whether it is
    /// sent.
    forward: Option<Box<Forward>>,
    /// `None` once the exchange has ended.
    attempt: Option<Attempt>,
    body: Incoming,
    upload: UploadStage,
    /// The client waits for permission to send its body.
    expects: bool,
    /// What the backend has sent and the library has not been given.
    ready: VecDeque<Frame<Bytes>>,
    trailers: Vec<u8>,
    /// Why the response broke off; reported after what came before was passed on.
    failure: Option<Failure>,
}

impl StreamExchange {
    /// Begins an exchange.
    ///
    /// # Errors
    /// Where HTTP/1.1 cannot express the head: the library accepts names that are no tokens.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        turn: Rc<StreamTurn>,
        request: Request<Incoming>,
    ) -> Result<Self, Malformed> {
        let (parts, body) = request.into_parts();
        let text = head::to_bytes(&parts);
        let mut judged = judge(&text)?;
        let upload = match judged.framing {
            _ if http_body::Body::is_end_stream(&body) => UploadStage::Done,
            Framing::Chunked(_) => UploadStage::Chunked,
            _ => UploadStage::Sized,
        };
        let mut forward = Forward::begin(worker, &turn.polls, &mut judged, &mut &[][..]);
        if upload == UploadStage::Done {
            forward.tap.uploaded();
        }
        let expects = upload != UploadStage::Done && forward.head.expects_continue();
        if expects {
            turn.await_permission();
        }
        Ok(Self {
            worker: worker.clone(),
            turn,
            forward: Some(forward),
            attempt: None,
            body,
            upload,
            expects,
            ready: VecDeque::new(),
            trailers: Vec::new(),
            failure: None,
        })
    }

    /// To be called before the end of the response was passed on.
    fn forward(&mut self) -> &mut Forward {
        self.forward.as_mut().expect("the response has no end before it has begun")
    }

    /// Asks the backend, unless the exchange is stopped or its client takes too long to send the body.
    async fn ask_in_time(&mut self) -> Result<Response<()>, Answer> {
        let turn = self.turn.clone();
        let mut asking = pin!(self.ask());
        poll_fn(|cx| match () {
            () if turn.polls.is_stopped() => Poll::Ready(Err(stopped())),
            () if turn.upload.take_given_up() => Poll::Ready(Err(blame(ErrorType::ClientTimeout))),
            () => asking.as_mut().poll(cx),
        })
        .await
    }

    async fn ask(&mut self) -> Result<Response<()>, Answer> {
        let mut end = None;
        while !poll_fn(|cx| self.poll_hold(cx)).await? {
            let end = *end.get_or_insert_with(|| Instant::now() + PATIENCE);
            let held = self.worker.held_bodies.clone();
            if !Box::pin(held.wait_for_room(&self.worker.settings.hold, end)).await {
                return Err(no_room());
            }
        }
        loop {
            let (worker, polls) = (self.worker.clone(), self.turn.polls.clone());
            let now = polls.begun();
            match Attempt::begin(worker.clone(), polls, self.forward()).await {
                Ok(attempt) => self.attempt = Some(attempt),
                Err(failed) if self.forward().place_elsewhere(&worker, &failed, now) => continue,
                Err(failed) => return Err(failed),
            }
            match poll_fn(|cx| self.poll_head(cx)).await {
                Ok(response) => return Ok(response),
                Err(AttemptError::Stale) => {}
                Err(AttemptError::Failed(failure)) => return Err(explain(self.forward().member(), &failure)),
            }
        }
    }

    /// Reads the body until a backend is chosen, or there is no room to read more: then false.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Answer>> {
        let (worker, now) = (self.worker.clone(), self.turn.polls.begun());
        loop {
            let is_over = self.upload == UploadStage::Done;
            if self.forward().place_once_known(&worker, is_over, now)? {
                return Poll::Ready(Ok(true));
            }
            if !self.forward().may_hold(&worker) {
                return Poll::Ready(Ok(false));
            }
            if std::mem::take(&mut self.expects) {
                // The backend has the body, and need not allow it again.
                self.forward().head.withhold("expect");
                self.turn.permit_body();
            }
            let piece = ready!(self.poll_piece(cx));
            let mut held = Vec::new();
            self.upload.write(piece, |bytes| held.extend_from_slice(bytes));
            let forward = self.forward();
            forward.hold(held.len(), &worker, now)?;
            forward.head.keep_body(&held);
        }
    }

    /// Sends the request's body. Ready when all of it was taken.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (Some(attempt), Some(forward)) = (&mut self.attempt, &mut self.forward) else { return Poll::Pending };
            ready!(attempt.poll_taken(cx));
            if self.upload == UploadStage::Done {
                forward.tap.uploaded();
                return Poll::Ready(());
            }
            let piece = ready!(self.poll_piece(cx));
            let Some(attempt) = &mut self.attempt else { return Poll::Pending };
            self.upload.write(piece, |bytes| attempt.send(cx, bytes));
        }
    }

    /// Reads the next piece of the request's body.
    ///
    /// Pending where the stream is dead: no answer is possible then, the caller is dropped at once, and the backend
    /// must not take what has come so far for the complete body.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<UploadPiece> {
        let Some(forward) = &mut self.forward else { return Poll::Pending };
        loop {
            if forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let polled = http_body::Body::poll_frame(Pin::new(&mut self.body), cx);
            if let Some(attempt) = &mut self.attempt {
                attempt.wait_for_client();
            }
            match &polled {
                Poll::Pending => self.turn.upload.wait(),
                Poll::Ready(_) => self.turn.upload.moved(),
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        forward.tap.request(Part::Data(&data));
                        return Poll::Ready(UploadPiece::Data(data));
                    }
                    Err(frame) => {
                        let Ok(trailers) = frame.into_trailers() else { continue };
                        if !self.turn.heads.grow(head::fields_length(&trailers)) {
                            self.turn.too_much.set(true);
                            return Poll::Pending;
                        }
                        return Poll::Ready(UploadPiece::End(trailers));
                    }
                },
                Some(Err(error)) => {
                    self.turn.bad_body.set(self.turn.bad_body.get() || is_client_fault(&error));
                    return Poll::Pending;
                }
                None if !http_body::Body::is_end_stream(&self.body) => return Poll::Pending,
                None => return Poll::Ready(UploadPiece::End(HeaderMap::new())),
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, AttemptError>> {
        let (Some(attempt), Some(forward)) = (&mut self.attempt, &mut self.forward) else { return Poll::Pending };
        attempt.open(cx, forward)?;
        // A head that arrives before the rest of the request was sent is no proof that the backend read it, so the head
        // is read first.
        if self.upload != UploadStage::Done
            && let Poll::Ready(head) = self.poll_read_head(cx)
        {
            return Poll::Ready(head);
        }
        let _sent = self.poll_upload(cx);
        if let Poll::Ready(head) = self.poll_read_head(cx) {
            return Poll::Ready(head);
        }
        match &mut self.attempt {
            Some(attempt) if !self.turn.upload.is_waiting() => {
                attempt.poll_first_byte(cx).map(|()| Err(AttemptError::Failed(Failure::Late)))
            }
            _ => Poll::Pending,
        }
    }

    fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, AttemptError>> {
        let mut head = None;
        loop {
            ready!(self.poll_read(cx, &mut head))?;
            if let Some(head) = head {
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// Reads from the backend once, and converts the bytes into frames.
    fn poll_read(&mut self, cx: &mut Context<'_>, head: &mut Option<Response<()>>) -> Poll<Result<(), AttemptError>> {
        let worker = self.worker.clone();
        let mut scratch = worker.thread.scratch.borrow_mut();
        let (Some(attempt), Some(forward)) = (&mut self.attempt, &mut self.forward) else { return Poll::Pending };
        if self.turn.download.take_held_back() {
            attempt.hold_back();
        }
        let uploaded = self.upload == UploadStage::Done;
        let (trailers, ready) = (&mut self.trailers, &mut self.ready);
        let mut continues = false;
        let mut frames = ResponseFrames { head, continues: &mut continues, data: BytesMut::new(), trailers, ready };
        let read = attempt.poll_response(cx, &mut scratch, forward, uploaded, &mut frames);
        if continues && std::mem::take(&mut self.expects) {
            self.turn.permit_body();
        }
        ready!(read)?;
        if attempt.is_whole() && !self.trailers.is_empty() {
            let trailers = head::to_trailers(&std::mem::take(&mut self.trailers));
            if !trailers.is_empty() {
                self.ready.push_back(Frame::trailers(trailers));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Piece>>>> {
        let _sent = self.poll_upload(cx);
        loop {
            if let Some(frame) = self.ready.pop_front() {
                let frame = frame.map_data(|data| Piece::of(data, &self.turn));
                if self.is_whole() && !self.turn.unsent.is_much() {
                    self.complete();
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(failure) = self.failure.take() {
                self.forward().tap.end(End::BackendFailed(failure.why()));
                self.attempt = None;
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
            let Some(attempt) = &mut self.attempt else { return Poll::Ready(None) };
            let failure = match attempt.ended() {
                Some(ResponseEnd::Failed(failure)) => failure,
                Some(ResponseEnd::Whole | ResponseEnd::Switched(_)) => {
                    self.complete();
                    return Poll::Ready(None);
                }
                None => match ready!(self.poll_read(cx, &mut None)) {
                    Ok(()) => continue,
                    Err(AttemptError::Failed(failure)) => failure,
                    Err(AttemptError::Stale) => Failure::Closed,
                },
            };
            self.failure = Some(failure);
            // Reported at the next poll, so that the library can first send what came before.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
    }

    /// Whether only the end of the response, or its trailers, is left to pass on.
    fn is_at_end(&self) -> bool {
        self.attempt.as_ref().is_some_and(Attempt::is_whole) && self.ready.front().is_none_or(Frame::is_trailers)
    }

    /// Ends the exchange after the end of the response was passed on.
    fn complete(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.finish(self.upload == UploadStage::Done);
        }
        if let Some(forward) = self.forward.take() {
            self.turn.unsent.end(forward);
        }
    }

    /// Whether the whole response was read and passed on, except for its end.
    fn is_whole(&self) -> bool {
        self.ready.is_empty() && self.attempt.as_ref().is_some_and(Attempt::is_whole)
    }

    /// Whether the end of the response was passed on, or is now with its last bytes.
    fn is_over(&self) -> bool {
        (self.attempt.is_none() && self.ready.is_empty()) || (self.is_whole() && !self.turn.unsent.is_much())
    }
}

impl Drop for StreamExchange {
    fn drop(&mut self) {
        // A body that is known to have ended is not polled for its end.
        if self.is_whole() && self.is_over() && !self.turn.unsent.too_slow.get() {
            return self.complete();
        }
        // A stream whose client violated the protocol may end before its body was polled.
        let mut cx = Context::from_waker(Waker::noop());
        while self.upload != UploadStage::Done
            && let Poll::Ready(Some(frame)) = http_body::Body::poll_frame(Pin::new(&mut self.body), &mut cx)
        {
            if let Err(error) = frame {
                self.turn.bad_body.set(self.turn.bad_body.get() || is_client_fault(&error));
                break;
            }
        }
        let Some(forward) = &mut self.forward else { return };
        if self.worker.life() == Life::Killed || self.turn.polls.is_stopped() {
            // The tap reports the reason on drop.
        } else if self.turn.unsent.too_slow.get() {
            forward.tap.end(End::Rejected(ErrorType::ClientTimeout));
        } else if self.turn.bad_body.get() || self.turn.too_much.get() {
            forward.tap.end(End::Rejected(ErrorType::ClientBody));
        }
    }
}
