//! The bytes of one exchange, in both directions.
//!
//! Promises: no byte waits for a later one; what one side does not take yet is at most what was read at once, and
//! nothing more is read for it before; a backend that answers early is heard.

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::Connection;
use crate::proxy::answer::Answer;
use crate::proxy::chunks::{Part, Progress};
use crate::proxy::client::Lost;
use crate::proxy::closing;
use crate::proxy::forward::Forward;
use crate::proxy::framing::Framing;
use crate::proxy::response::{self, Persistence, Response, Version};
use crate::proxy::timer::Timer;
use crate::proxy::upstream::{Failure, Upstream, last};
use crate::proxy::worker::Worker;

/// How a relay ends.
pub(super) enum Over {
    /// The answer was handed on to its last byte.
    Complete,
    /// The answer switches protocols. What the backend sent behind its head.
    Switch(Vec<u8>),
    /// The client is gone, or too slow.
    Lost(Lost),
    /// The request's body is framed wrongly.
    BadBody,
    /// The backend failed.
    Failed(Failure),
    /// There was no backend.
    Answer(Answer),
    /// The connection had been closed before, and the request can be sent over another one.
    Stale,
}

/// How far the response has come.
enum State {
    Head,
    Body(Framing),
    /// All of it was read.
    Over,
    /// It switches protocols; what the backend sent behind its head.
    Switched(Vec<u8>),
    /// It broke off, what came before was read.
    Cut,
}

/// One exchange between two sockets.
pub(super) struct Relay {
    pub(super) forward: Forward,
    pub(super) upstream: Box<Upstream>,
    /// Waiting for the head of the response.
    first_byte: Timer,
    /// The opening was sent.
    opened: bool,
    /// The client is being read from.
    reads_client: bool,
    state: State,
    /// The client gets the data without its chunks.
    dechunks: bool,
    /// The end of the connection is the end of the answer: a cut one could be taken for a whole one.
    ends_with_connection: bool,
    /// The client's connection closes behind the answer.
    closes: bool,
    /// The backend's connection serves no other exchange.
    ends_upstream: bool,
    answered: bool,
    /// The client was waited for, and the backend has not been waited for since: what it sent lay unread.
    holds_back: bool,
}

impl Relay {
    pub(super) fn new(forward: Forward, upstream: Box<Upstream>) -> Self {
        Self {
            forward,
            upstream,
            first_byte: Timer::default(),
            opened: false,
            reads_client: false,
            state: State::Head,
            dechunks: false,
            ends_with_connection: false,
            closes: false,
            ends_upstream: false,
            answered: false,
            holds_back: false,
        }
    }

    /// Whether the backend's connection has taken the whole request.
    fn has_sent(&self) -> bool {
        self.forward.upload.is_over() && self.upstream.has_taken_all()
    }

    /// Whether the client has the head of the response.
    pub(super) fn has_answered(&self) -> bool {
        self.answered
    }

    /// Whether only the end of the connection tells the client that the answer is whole.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.ends_with_connection
    }

    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// The backend's connection, where it can serve another exchange.
    pub(super) fn into_reusable(self) -> Option<Box<Upstream>> {
        let ends = self.ends_upstream || !self.has_sent();
        (!ends).then_some(self.upstream)
    }

    /// The head of the response decides how everything ends.
    fn begin(&mut self, response: &mut Response<'_>, draining: bool) -> Persistence {
        let asked = &self.forward.asked;
        let framing = std::mem::replace(&mut response.framing, Framing::OVER);
        let framing = if asked.head_only || response.is_bodiless() { Framing::OVER } else { framing };
        let old = asked.version == Version::Http10;
        let ends_with_connection = matches!(framing, Framing::Close) || (old && matches!(framing, Framing::Chunked(_)));
        self.dechunks = old && matches!(framing, Framing::Chunked(_));
        self.ends_with_connection = ends_with_connection;
        let refuses_upload = !self.forward.upload.is_over() && response.hop.close;
        self.closes = !asked.keeps || ends_with_connection || refuses_upload || draining;
        self.ends_upstream = response.hop.close
            || response.version == Version::Http10
            || matches!(framing, Framing::Close)
            || response.status == 101
            || !self.forward.has_proof_of_upload(response.status, self.has_sent());
        self.state = if framing.is_over() { State::Over } else { State::Body(framing) };
        match (old, self.closes) {
            (true, false) => Persistence::KeepAlive,
            (false, true) if response.status != 101 => Persistence::Close,
            _ => Persistence::Implied,
        }
    }
}

impl Connection {
    /// Moves everything that can be moved.
    pub(super) fn poll_relay(&mut self, cx: &mut Context<'_>, relay: &mut Relay) -> Poll<Over> {
        relay.reads_client = false;
        // A head that is there before the rest of the request has left proves nothing of it: it is read before.
        if relay.opened
            && !relay.has_sent()
            && let Poll::Ready(over) = self.poll_download(cx, relay)
        {
            return Poll::Ready(over);
        }
        if let Poll::Ready(Err(over)) = self.poll_upload(cx, relay) {
            return Poll::Ready(over);
        }
        if let Poll::Ready(over) = self.poll_download(cx, relay) {
            return Poll::Ready(over);
        }
        // Whoever reads from the client learns of its end by that.
        if !relay.reads_client && self.client.poll_left(cx).is_ready() {
            return Poll::Ready(Over::Lost(Lost::Left));
        }
        self.poll_first_byte(cx, relay).map(|()| Over::Failed(Failure::Late))
    }

    /// Ready when the backend has had its time. It runs only while nothing but the backend is waited for.
    fn poll_first_byte(&self, cx: &mut Context<'_>, relay: &mut Relay) -> Poll<()> {
        if relay.reads_client || !matches!(relay.state, State::Head) {
            relay.first_byte.disarm();
            return Poll::Pending;
        }
        relay.first_byte.poll(cx, self.worker.settings.first_byte, false)
    }

    /// Behind a whole answer: takes the rest of the request where the backend does. False where it does not.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, relay: &mut Relay) -> Poll<bool> {
        relay.reads_client = false;
        match self.poll_upload(cx, relay) {
            Poll::Ready(uploaded) => Poll::Ready(uploaded.is_ok()),
            Poll::Pending if relay.upstream.deaf || relay.closes || self.is_draining() => Poll::Ready(false),
            Poll::Pending if !relay.reads_client && self.client.poll_left(cx).is_ready() => Poll::Ready(false),
            Poll::Pending => relay.upstream.socket.poll_read(cx, &mut [0]).map(|_| false),
        }
    }

    /// Sends the request. Ready when all of it was taken.
    fn poll_upload(&mut self, cx: &mut Context<'_>, relay: &mut Relay) -> Poll<Result<(), Over>> {
        let Relay { forward, upstream, .. } = relay;
        if !relay.opened {
            relay.opened = true;
            if upstream.socket.send(cx, &forward.opening).is_err() {
                // Not one byte was taken.
                if upstream.reused {
                    return Poll::Ready(Err(Over::Stale));
                }
                upstream.deaf = true;
            }
            if !(upstream.reused && forward.asked.repeatable) {
                self.worker.thread.give_back(std::mem::take(&mut forward.opening));
            }
        }
        loop {
            ready!(upstream.poll_taken(cx));
            if forward.upload.is_over() {
                forward.tap.uploaded();
                return Poll::Ready(Ok(()));
            }
            let worker = self.worker.clone();
            let mut scratch = worker.thread.scratch.borrow_mut();
            relay.reads_client = true;
            relay.first_byte.disarm();
            if forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let most = forward.tap.reads(scratch.len());
            let read = ready!(self.client.poll_body(cx, &mut scratch[..most])).map_err(Over::Lost)?;
            let piece = &scratch[..read];
            let mut trailers = Vec::new();
            let followed = forward.upload.follow(piece, &mut |part| {
                forward.tap.request(part);
                trailers.extend_from_slice(part.trailer());
            });
            if followed.state == Progress::Broken {
                return Poll::Ready(Err(Over::BadBody));
            }
            upstream.send(cx, &piece[..followed.raw]);
            upstream.send(cx, &trailers);
            self.client.inbox.extend_from_slice(&piece[followed.bytes..]);
            relay.reads_client = false;
        }
    }

    /// Hands the response on.
    fn poll_download(&mut self, cx: &mut Context<'_>, relay: &mut Relay) -> Poll<Over> {
        let worker = self.worker.clone();
        let mut scratch = worker.thread.scratch.borrow_mut();
        loop {
            if !self.client.socket.is_drained() {
                match self.client.poll_drain(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(lost)) => return Poll::Ready(Over::Lost(lost)),
                    Poll::Pending => {
                        relay.holds_back = true;
                        return Poll::Pending;
                    }
                }
            }
            match &mut relay.state {
                State::Over => return Poll::Ready(Over::Complete),
                State::Switched(ahead) => return Poll::Ready(Over::Switch(std::mem::take(ahead))),
                State::Cut => {
                    return Poll::Ready(Over::Failed(Failure::Improper("its chunks are framed wrongly")));
                }
                State::Head | State::Body(_) => {}
            }
            if relay.forward.tap.ends_turn(cx) {
                return Poll::Pending;
            }
            let most = relay.forward.tap.reads(scratch.len());
            let taken = match relay.upstream.socket.poll_read(cx, &mut scratch[..most]) {
                Poll::Ready(Ok(0)) => ended(relay, Failure::Closed),
                Poll::Ready(Ok(read)) => self.take(cx, &worker, relay, &scratch[..read], self.polls.now()),
                Poll::Ready(Err(error)) => ended(relay, Failure::Broken(error)),
                Poll::Pending => {
                    relay.holds_back = false;
                    return Poll::Pending;
                }
            };
            if let Err(over) = taken {
                return Poll::Ready(over);
            }
        }
    }

    /// Takes what the backend has sent.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Rc<Worker>,
        relay: &mut Relay,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Over> {
        if matches!(relay.state, State::Body(_)) && !relay.dechunks {
            let (raw, trailers) = follow(relay, bytes, now, &mut |_| {});
            return self
                .client
                .send(cx, &bytes[..raw])
                .and_then(|()| self.client.send(cx, &trailers))
                .map_err(Over::Lost);
        }
        let mut build = worker.thread.build.borrow_mut();
        build.clear();
        if matches!(relay.state, State::Head) {
            let mut held = std::mem::take(&mut relay.upstream.held);
            let mut rest = bytes;
            if !held.is_empty() {
                held.extend_from_slice(bytes);
                rest = &held;
            }
            while matches!(relay.state, State::Head) {
                let read = response::read(rest, &mut relay.upstream.seen);
                let Some((mut response, length)) = read.map_err(|fault| Over::Failed(Failure::Improper(fault)))? else {
                    let left = rest.len();
                    relay.upstream.held = if held.is_empty() { rest.to_vec() } else { last(held, left) };
                    break;
                };
                rest = &rest[length..];
                if response.is_interim() {
                    // HTTP/1.0 knows none.
                    if relay.forward.asked.version == Version::Http11 {
                        response.write(Version::Http11, Persistence::Implied, &mut build);
                    }
                    continue;
                }
                self.respond(relay, &mut response, now, &mut build)?;
                if response.status == 101 {
                    relay.state = State::Switched(rest.to_vec());
                    break;
                }
                let head = build.len();
                let (raw, trailers) = follow(relay, rest, now, &mut |data| build.extend_from_slice(data));
                if !relay.dechunks {
                    build.truncate(head);
                    build.extend_from_slice(&rest[..raw]);
                    build.extend(trailers);
                }
                break;
            }
        } else {
            follow(relay, bytes, now, &mut |data| build.extend_from_slice(data));
        }
        self.client.send(cx, &build).map_err(Over::Lost)
    }

    /// The head of the final response.
    fn respond(
        &self,
        relay: &mut Relay,
        response: &mut Response<'_>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), Over> {
        if response.status == 101 && !relay.upstream.has_taken_all() {
            return Err(Over::Failed(Failure::Improper("it switches protocols before it has the request")));
        }
        relay.forward.respond(response, now).map_err(Over::Failed)?;
        self.worker.thread.give_back(std::mem::take(&mut relay.forward.opening));
        let persistence = relay.begin(response, self.is_draining());
        if relay.ends_with_connection {
            closing::reset_at_end(&self.client.socket.stream);
        }
        response.write(relay.forward.asked.version, persistence, out);
        relay.answered = true;
        Ok(())
    }
}

/// Follows the body in what the backend has sent, and shows it to the observer. Gives how much of it passes as it stands,
/// and the trailers that pass behind that.
fn follow(relay: &mut Relay, bytes: &[u8], now: Instant, data: &mut impl FnMut(&[u8])) -> (usize, Vec<u8>) {
    let tap = &mut relay.forward.tap;
    let State::Body(framing) = &mut relay.state else {
        // Bytes behind an answer belong to no request, and must not become the next one's answer.
        relay.ends_upstream |= !bytes.is_empty();
        return (0, Vec::new());
    };
    let mut trailers = Vec::new();
    let followed = framing.follow(bytes, &mut |part| {
        tap.response(part, now);
        match part {
            Part::Data(piece) => data(piece),
            Part::Trailer(lines) => trailers.extend_from_slice(lines),
        }
    });
    if relay.holds_back {
        tap.held_back();
    }
    tap.frame_end();
    match followed.state {
        Progress::Goes => {}
        Progress::Ended => {
            relay.ends_upstream |= followed.bytes < bytes.len();
            relay.state = State::Over;
        }
        Progress::Broken => relay.state = State::Cut,
    }
    (followed.raw, trailers)
}

/// The backend's connection is over.
fn ended(relay: &mut Relay, failure: Failure) -> Result<(), Over> {
    match (&relay.state, failure) {
        (State::Body(Framing::Close), Failure::Closed) => {
            relay.state = State::Over;
            Ok(())
        }
        // It may have been closed before the request arrived; asking again does no harm.
        (State::Head, _)
            if relay.upstream.reused && relay.forward.asked.repeatable && relay.upstream.held.is_empty() =>
        {
            Err(Over::Stale)
        }
        (_, failure) => Err(Over::Failed(failure)),
    }
}
