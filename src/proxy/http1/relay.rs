//! Copies the bytes of one exchange in both directions.
//!
//! Promises: no byte waits for a later one; at most one read's bytes are buffered for a side that does not take them,
//! and nothing more is read for it until they are taken; an early answer of the backend is forwarded.

use std::task::{Context, Poll, ready};

use crate::exchange::Observation;
use crate::proxy::answer::Answer;
use crate::proxy::attempt::{Attempt, AttemptError};
use crate::proxy::chunks::BodyProgress;
use crate::proxy::client::{Client, ClientLost};
use crate::proxy::closing;
use crate::proxy::download::{Receiver, ResponseEnd};
use crate::proxy::forward::{Forward, RequestSummary};
use crate::proxy::framing::Framing;
use crate::proxy::response::{Persistence, Response, Version};
use crate::proxy::upgrade::Upgraded;
use crate::proxy::upstream::Failure;
use crate::proxy::worker::Worker;

/// How a relay ended.
pub(super) enum RelayEnd {
    /// The answer was sent to its last byte.
    Complete,
    /// The answer switches protocols. Holds the bytes that the backend sent after its head.
    Switch(Vec<u8>),
    /// The client left, was too slow, or is given up.
    Lost(ClientLost),
    /// The request's body is framed wrongly.
    BadBody,
    Failed(Failure),
    /// No attempt succeeded; the client gets this answer.
    Answer(Answer),
    /// The backend had already closed the reused connection, and the request can be sent over another one.
    Stale,
}

impl From<AttemptError> for RelayEnd {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Stale => Self::Stale,
            AttemptError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// How the response is sent to the client, as its head determines.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// The head of the response has been sent.
    pub(super) begun: bool,
    /// The data are sent without chunked framing, as the client speaks HTTP/1.0.
    dechunks: bool,
    /// The end of the connection ends the response, so a cut response could be taken for a complete one.
    pub(super) ends_with_connection: bool,
    /// The connection closes after the response.
    pub(super) closes: bool,
}

/// One exchange between two sockets.
pub(super) struct Relay {
    pub(super) forward: Box<Forward>,
    pub(super) attempt: Attempt,
    /// The current poll has read from the client.
    reads_client: bool,
    pub(super) reply: Reply,
}

impl Relay {
    pub(super) fn new(forward: Box<Forward>, attempt: Attempt) -> Self {
        Self { forward, attempt, reads_client: false, reply: Reply::default() }
    }

    /// Whether the backend's connection has taken the whole request.
    fn has_sent(&self) -> bool {
        self.forward.upload.is_over() && self.attempt.has_taken_all()
    }

    /// Ends the exchange, and returns the backend's connection if it can be reused.
    pub(super) fn finish(self) {
        self.attempt.finish(self.forward.upload.is_over());
    }

    /// Drops the backend's connection and continues without one.
    pub(super) fn into_forward(self) -> Box<Forward> {
        self.forward
    }

    /// Turns the exchange into a tunnel after a protocol switch. `ahead` is what the backend sent after its head.
    pub(super) fn into_tunnel(mut self, ahead: Vec<u8>) -> Upgraded {
        self.forward.tap.observe(Observation::tunnelled);
        Upgraded { backend: self.attempt.into_stream(), ahead, tap: self.forward.tap }
    }
}

/// Assembles what the client is sent: heads, and body bytes that came with a head or have to be changed.
struct ReplyBuilder<'a> {
    reply: &'a mut Reply,
    request: RequestSummary,
    /// The request's body is complete.
    uploaded: bool,
    draining: bool,
    out: &'a mut Vec<u8>,
}

impl ReplyBuilder<'_> {
    /// Decides from the head of the response how it is sent and what becomes of the connection.
    fn begin(&mut self, response: &Response<'_>, framing: &Framing) -> Persistence {
        let Self { reply, request, uploaded, draining, .. } = self;
        let old = request.version == Version::Http10;
        reply.dechunks = old && matches!(framing, Framing::Chunked(_));
        reply.ends_with_connection = reply.dechunks || matches!(framing, Framing::Close);
        let refuses_upload = !*uploaded && response.connection.close;
        reply.closes = !request.keeps || reply.ends_with_connection || refuses_upload || *draining;
        reply.begun = true;
        match (old, reply.closes) {
            (true, false) => Persistence::KeepAlive,
            (false, true) if response.status != 101 => Persistence::Close,
            _ => Persistence::Implied,
        }
    }
}

impl Receiver for ReplyBuilder<'_> {
    fn interim(&mut self, head: &Response<'_>) {
        // HTTP/1.0 has no interim responses.
        if self.request.version == Version::Http11 {
            head.write(Version::Http11, Persistence::Implied, self.out);
        }
    }

    fn head(&mut self, head: &Response<'_>, framing: &Framing) -> Result<(), Failure> {
        let persistence = self.begin(head, framing);
        head.write(self.request.version, persistence, self.out);
        Ok(())
    }

    fn data(&mut self, data: &[u8]) {
        if self.reply.dechunks {
            self.out.extend_from_slice(data);
        }
    }

    fn piece(&mut self, raw: &[u8], trailers: &[u8]) {
        if !self.reply.dechunks {
            self.out.extend_from_slice(raw);
            self.out.extend_from_slice(trailers);
        }
    }
}

/// Body bytes that are forwarded as they were read.
#[derive(Default)]
struct PassedPiece {
    raw: usize,
    trailers: Vec<u8>,
}

impl Receiver for PassedPiece {
    fn interim(&mut self, _head: &Response<'_>) {}

    fn head(&mut self, _head: &Response<'_>, _framing: &Framing) -> Result<(), Failure> {
        Ok(())
    }

    fn data(&mut self, _data: &[u8]) {}

    fn piece(&mut self, raw: &[u8], trailers: &[u8]) {
        self.raw = raw.len();
        self.trailers = trailers.to_vec();
    }
}

impl Relay {
    /// Moves every byte that can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<RelayEnd> {
        self.reads_client = false;
        // A head that arrives before the rest of the request was sent is no proof that the backend read it, so the head
        // is read first.
        if self.attempt.is_open()
            && !self.has_sent()
            && let Poll::Ready(end) = self.poll_download(cx, client, worker)
        {
            return Poll::Ready(end);
        }
        if let Poll::Ready(Err(end)) = self.poll_upload(cx, client, worker) {
            return Poll::Ready(end);
        }
        if let Poll::Ready(end) = self.poll_download(cx, client, worker) {
            return Poll::Ready(end);
        }
        if self.reads_client {
            // A read from the client notices its end too.
            return Poll::Pending;
        }
        if let Poll::Ready(lost) = client.poll_lost(cx) {
            return Poll::Ready(RelayEnd::Lost(lost));
        }
        self.attempt.poll_first_byte(cx).map(|()| RelayEnd::Failed(Failure::Late))
    }

    /// After a complete answer: sends the rest of the request if the backend takes it. False where it does not.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<bool> {
        self.reads_client = false;
        match self.poll_upload(cx, client, worker) {
            Poll::Ready(uploaded) => Poll::Ready(uploaded.is_ok()),
            Poll::Pending if self.attempt.is_deaf() || self.reply.closes || worker.is_draining() => Poll::Ready(false),
            Poll::Pending if !self.reads_client && client.poll_lost(cx).is_ready() => Poll::Ready(false),
            Poll::Pending => self.attempt.poll_more(cx).map(|()| false),
        }
    }

    /// Sends the request. Ready when all of it was taken.
    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Client,
        worker: &Worker,
    ) -> Poll<Result<(), RelayEnd>> {
        let Self { forward, attempt, reads_client, .. } = self;
        attempt.open(cx, forward)?;
        loop {
            ready!(attempt.poll_taken(cx));
            if forward.upload.is_over() {
                forward.tap.uploaded();
                return Poll::Ready(Ok(()));
            }
            let mut scratch = worker.thread.scratch.borrow_mut();
            *reads_client = true;
            attempt.wait_for_client();
            if forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let most = forward.tap.reads(scratch.len());
            let read = ready!(client.poll_body(cx, &mut scratch[..most])).map_err(RelayEnd::Lost)?;
            let piece = &scratch[..read];
            let mut trailers = Vec::new();
            let followed = forward.upload.follow(piece, &mut |part| {
                forward.tap.request(part);
                trailers.extend_from_slice(part.trailer());
            });
            if followed.state == BodyProgress::Broken {
                return Poll::Ready(Err(RelayEnd::BadBody));
            }
            attempt.send(cx, &piece[..followed.raw]);
            attempt.send(cx, &trailers);
            client.inbox.extend_from_slice(&piece[followed.bytes..]);
            *reads_client = false;
        }
    }

    /// Forwards the response.
    fn poll_download(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<RelayEnd> {
        loop {
            if !client.socket.is_drained() {
                match client.poll_drain(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(lost)) => return Poll::Ready(RelayEnd::Lost(lost)),
                    Poll::Pending => {
                        self.attempt.hold_back();
                        return Poll::Pending;
                    }
                }
            }
            match self.attempt.ended() {
                None => {}
                Some(ResponseEnd::Whole) => return Poll::Ready(RelayEnd::Complete),
                Some(ResponseEnd::Switched(ahead)) => return Poll::Ready(RelayEnd::Switch(ahead)),
                Some(ResponseEnd::Failed(failure)) => return Poll::Ready(RelayEnd::Failed(failure)),
            }
            if let Err(end) = ready!(self.poll_piece(cx, client, worker)) {
                return Poll::Ready(end);
            }
        }
    }

    /// Reads from the backend once and forwards the bytes.
    fn poll_piece(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<Result<(), RelayEnd>> {
        let mut scratch = worker.thread.scratch.borrow_mut();
        let draining = worker.is_draining();
        let Self { forward, attempt, reply, .. } = self;
        let uploaded = forward.upload.is_over();
        if reply.begun && !reply.dechunks {
            let mut pass = PassedPiece::default();
            ready!(attempt.poll_response(cx, &mut scratch, forward, uploaded, &mut pass))?;
            let sent = client.send(cx, &scratch[..pass.raw]).and_then(|()| client.send(cx, &pass.trailers));
            return Poll::Ready(sent.map_err(RelayEnd::Lost));
        }
        let mut out = worker.thread.build.borrow_mut();
        out.clear();
        let request = forward.request;
        let mut build = ReplyBuilder { reply, request, uploaded, draining, out: &mut out };
        ready!(attempt.poll_response(cx, &mut scratch, forward, uploaded, &mut build))?;
        if reply.ends_with_connection {
            closing::reset_at_end(&client.socket.stream);
        }
        Poll::Ready(client.send(cx, &out).map_err(RelayEnd::Lost))
    }
}
