//! The bytes of one exchange, in both directions.
//!
//! Promises: no byte waits for a later one; what one side does not take yet is at most what was read at once, and
//! nothing more is read for it before; a backend that answers early is heard.

use std::task::{Context, Poll, ready};

use crate::exchange::Observation;
use crate::proxy::answer::Answer;
use crate::proxy::attempt::{Attempt, AttemptError};
use crate::proxy::chunks::BodyProgress;
use crate::proxy::client::{Client, ClientLost};
use crate::proxy::closing;
use crate::proxy::download::{Receiver, ResponseEnd};
use crate::proxy::forward::{Asked, Forward};
use crate::proxy::framing::Framing;
use crate::proxy::response::{Persistence, Response, Version};
use crate::proxy::upgrade::Upgraded;
use crate::proxy::upstream::Failure;
use crate::proxy::worker::Worker;

/// How a relay ends.
pub(super) enum RelayEnd {
    /// The answer was handed on to its last byte.
    Complete,
    /// The answer switches protocols. What the backend sent after its head.
    Switch(Vec<u8>),
    /// The client is gone, or too slow.
    Lost(ClientLost),
    /// The request's body is framed wrongly.
    BadBody,
    /// The backend failed.
    Failed(Failure),
    /// There was no backend.
    Answer(Answer),
    /// The connection had been closed before, and the request can be sent over another one.
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

/// How the response is sent to the client, decided by its head.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// It has the head of the response.
    pub(super) begun: bool,
    /// It gets the data without its chunks.
    dechunks: bool,
    /// The end of the connection is the end of the answer: a cut one could be taken for a whole one.
    pub(super) ends_with_connection: bool,
    /// Its connection closes after the answer.
    pub(super) closes: bool,
}

/// One exchange between two sockets.
pub(super) struct Relay {
    pub(super) forward: Box<Forward>,
    pub(super) attempt: Attempt,
    /// The client is being read from.
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

    /// Nothing is left to be done for the exchange.
    pub(super) fn finish(self) {
        self.attempt.finish(self.forward.upload.is_over());
    }

    /// The backend's connection is given up.
    pub(super) fn into_forward(self) -> Box<Forward> {
        self.forward
    }

    /// Becomes a tunnel, as the protocols were switched. `ahead` is what the backend sent after its head.
    pub(super) fn into_tunnel(mut self, ahead: Vec<u8>) -> Upgraded {
        self.forward.tap.observe(Observation::tunnelled);
        let (tap, lease) = self.forward.into_tunnel();
        Upgraded { backend: self.attempt.into_stream(), ahead, tap, lease }
    }
}

/// Puts what the client gets together: heads, and what was read with them or has to be changed.
struct ReplyBuilder<'a> {
    reply: &'a mut Reply,
    asked: Asked,
    /// The request's body is over.
    uploaded: bool,
    draining: bool,
    out: &'a mut Vec<u8>,
}

impl ReplyBuilder<'_> {
    /// The head of the response decides how everything ends.
    fn begin(&mut self, response: &Response<'_>, framing: &Framing) -> Persistence {
        let Self { reply, asked, uploaded, draining, .. } = self;
        let old = asked.version == Version::Http10;
        reply.dechunks = old && matches!(framing, Framing::Chunked(_));
        reply.ends_with_connection = reply.dechunks || matches!(framing, Framing::Close);
        let refuses_upload = !*uploaded && response.hop.close;
        reply.closes = !asked.keeps || reply.ends_with_connection || refuses_upload || *draining;
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
        // HTTP/1.0 knows none.
        if self.asked.version == Version::Http11 {
            head.write(Version::Http11, Persistence::Implied, self.out);
        }
    }

    fn head(&mut self, head: &Response<'_>, framing: &Framing) -> Result<(), Failure> {
        let persistence = self.begin(head, framing);
        head.write(self.asked.version, persistence, self.out);
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

/// Bytes of a body that pass as they were read, from the first on.
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
    /// Moves everything that can be moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<RelayEnd> {
        self.reads_client = false;
        // A head that is there before the rest of the request has left proves nothing of it: it is read before.
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
            // Whoever reads from the client learns of its end by that.
            return Poll::Pending;
        }
        if client.poll_left(cx).is_ready() {
            return Poll::Ready(RelayEnd::Lost(ClientLost::Left));
        }
        self.attempt.poll_first_byte(cx).map(|()| RelayEnd::Failed(Failure::Late))
    }

    /// After a whole answer: takes the rest of the request where the backend does. False where it does not.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, client: &mut Client, worker: &Worker) -> Poll<bool> {
        self.reads_client = false;
        match self.poll_upload(cx, client, worker) {
            Poll::Ready(uploaded) => Poll::Ready(uploaded.is_ok()),
            Poll::Pending if self.attempt.is_deaf() || self.reply.closes || worker.is_draining() => Poll::Ready(false),
            Poll::Pending if !self.reads_client && client.poll_left(cx).is_ready() => Poll::Ready(false),
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

    /// Hands the response on.
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

    /// Reads from the backend once, and hands on what came.
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
        let asked = forward.asked;
        let mut build = ReplyBuilder { reply, asked, uploaded, draining, out: &mut out };
        ready!(attempt.poll_response(cx, &mut scratch, forward, uploaded, &mut build))?;
        if reply.ends_with_connection {
            closing::reset_at_end(&client.socket.stream);
        }
        Poll::Ready(client.send(cx, &out).map_err(RelayEnd::Lost))
    }
}
