//! One attempt at a backend: takes or opens a connection, sends the request and reads the response.
//!
//! Only this module decides when a request is sent again and when a connection is reused:
//! * a request is sent again over another connection if this one had served an exchange before and has either taken not
//!   one byte of the request, or the request is idempotent (RFC 9110, 9.2.2) and not one byte of a response has come;
//! * a connection is reused if both messages are complete, the response does not forbid it, and it proves that the
//!   backend has read the request ([`Forward::has_proof_of_upload`]).

use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::answer::Answer;
use super::connect::connect;
use super::download::{Download, Receiver, ResponseEnd};
use super::forward::Forward;
use super::polls::Polls;
use super::pool::Pool;
use super::timer::Timer;
use super::upstream::{Failure, Upstream};
use super::worker::Worker;
use crate::tls::Stream;

/// Why an attempt ended before its response.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// The backend had already closed the reused connection; the request can be sent over another one.
    Stale,
    /// The backend failed.
    Failed(Failure),
}

/// One attempt: a connection to the backend, and how far request and response have come on it.
pub(super) struct Attempt {
    worker: Rc<Worker>,
    polls: Rc<Polls>,
    /// The pool that the connection came from, or will be returned to.
    pool: Rc<Pool>,
    upstream: Box<Upstream>,
    download: Download,
    /// Times how long the backend takes to send the response's head.
    first_byte: (Timer, Option<Duration>),
    /// The request's head was sent.
    opened: bool,
}

impl Attempt {
    /// Takes an idle connection, or opens one. Dropping the future abandons the connection.
    ///
    /// # Errors
    /// The answer for the client where there is no connection to be had.
    pub(super) async fn begin(worker: Rc<Worker>, polls: Rc<Polls>, forward: &mut Forward) -> Result<Self, Answer> {
        let pool = worker.thread.pools.of(forward.member());
        let upstream = match forward.connect_everywhere() {
            Some(connected) => Some(connected?),
            None => pool.take(polls.begun(), forward.request.repeatable),
        };
        let upstream = match upstream {
            Some(upstream) => upstream,
            None => {
                let upstream = Box::pin(connect(worker.clone(), forward.member().clone())).await?;
                forward.tap.dialled();
                upstream
            }
        };
        forward.tap.forwarded();
        let (download, first_byte) = (Download::default(), Timer::default());
        let limit = forward.member().settings.first_byte;
        Ok(Self { worker, polls, pool, upstream, download, first_byte: (first_byte, limit), opened: false })
    }

    /// Whether the request's head was sent.
    pub(super) fn is_open(&self) -> bool {
        self.opened
    }

    /// Sends the request's head and the part of the body that came with it. Later calls do nothing.
    ///
    /// # Errors
    /// [`AttemptError::Stale`] where the connection takes nothing and another one might.
    pub(super) fn open(&mut self, cx: &mut Context<'_>, forward: &mut Forward) -> Result<(), AttemptError> {
        if std::mem::replace(&mut self.opened, true) {
            return Ok(());
        }
        let (worker, member) = (&self.worker, forward.member());
        let (prefix, host) = (&member.backend.address.prefix, &member.settings.host_header);
        let mut opening = worker.thread.build.borrow_mut();
        opening.clear();
        forward.head.write(prefix, host, member.authority.as_bytes(), &mut opening);
        self.upstream.send(cx, &opening);
        if self.upstream.deaf && self.upstream.reused {
            return Err(AttemptError::Stale);
        }
        if !self.may_repeat(forward) {
            forward.head.release();
        }
        Ok(())
    }

    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.upstream.send(cx, bytes);
    }

    /// Waits until the backend's connection has taken everything. Pending for ever once it takes nothing more.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.upstream.poll_taken(cx)
    }

    /// Whether the backend's connection has taken everything, and can take more.
    pub(super) fn has_taken_all(&self) -> bool {
        self.upstream.has_taken_all()
    }

    /// Whether the backend's connection takes nothing more.
    pub(super) fn is_deaf(&self) -> bool {
        self.upstream.deaf
    }

    /// Reads from the backend once, and passes the bytes to `receiver`. `uploaded` says whether the request's body is
    /// complete.
    ///
    /// # Errors
    /// See [`AttemptError`].
    pub(super) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        forward: &mut Forward,
        uploaded: bool,
        to: &mut impl Receiver,
    ) -> Poll<Result<(), AttemptError>> {
        if forward.tap.ends_turn(cx) {
            return Poll::Pending;
        }
        let most = forward.tap.reads(scratch.len());
        let read = match self.download.read_ahead(&mut scratch[..most]) {
            0 => self.upstream.socket.poll_read(cx, &mut scratch[..most]),
            read => Poll::Ready(Ok(read)),
        };
        if read.is_pending() {
            self.download.caught_up();
        }
        Poll::Ready(match ready!(read) {
            Ok(0) if self.download.close() => Ok(()),
            Ok(0) => Err(self.fail(forward, Failure::Closed)),
            Ok(read) => {
                let sent = uploaded && self.has_taken_all();
                self.take(&scratch[..read], forward, sent, to)
            }
            Err(error) => Err(self.fail(forward, Failure::Broken(error))),
        })
    }

    fn take(
        &mut self,
        bytes: &[u8],
        forward: &mut Forward,
        sent: bool,
        to: &mut impl Receiver,
    ) -> Result<(), AttemptError> {
        let had_head = self.has_head();
        self.download.take(bytes, forward, sent, self.polls.arrival(), to).map_err(AttemptError::Failed)?;
        if !had_head && self.has_head() {
            forward.head.release();
        }
        Ok(())
    }

    /// The connection ended before the response did. It may have been closed before the request arrived.
    fn fail(&self, forward: &Forward, failure: Failure) -> AttemptError {
        if self.may_repeat(forward) && !self.download.has_begun() {
            AttemptError::Stale
        } else {
            AttemptError::Failed(failure)
        }
    }

    fn may_repeat(&self, forward: &Forward) -> bool {
        self.upstream.reused && forward.request.repeatable
    }

    /// Whether the final head of the response has been read.
    pub(super) fn has_head(&self) -> bool {
        self.download.has_head()
    }

    /// Whether the whole response has been read.
    pub(super) fn is_whole(&self) -> bool {
        self.download.is_whole()
    }

    /// How the response ended, or `None` while more is to be read.
    pub(super) fn ended(&mut self) -> Option<ResponseEnd> {
        self.download.ended()
    }

    /// The client takes nothing, so the backend's bytes stay unread.
    pub(super) fn hold_back(&mut self) {
        self.download.hold_back();
    }

    /// Ready when the backend has exceeded its time for the response's head. While waiting for the client, call
    /// [`Attempt::wait_for_client`] instead.
    pub(super) fn poll_first_byte(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_head() {
            self.first_byte.0.disarm();
            return Poll::Pending;
        }
        let (timer, limit) = &mut self.first_byte;
        timer.poll(cx, *limit, false)
    }

    /// Pauses the backend's time limit while waiting for the client.
    pub(super) fn wait_for_client(&mut self) {
        self.first_byte.0.disarm();
    }

    /// Ready when, after a complete response, the backend sends more bytes or closes.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.upstream.socket.poll_read(cx, &mut [0]).map(drop)
    }

    /// Ends the exchange: returns the connection to the pool if it can be reused, else closes it. `uploaded` says
    /// whether the request's body is complete.
    pub(super) fn finish(mut self, uploaded: bool) {
        let sent = uploaded && self.has_taken_all();
        if sent && self.is_whole() && !self.download.ends_connection() {
            self.upstream.after_stream = self.download.is_stream();
            self.pool.put(self.upstream, self.polls.begun());
        }
    }

    /// The connection, after a protocol switch.
    pub(super) fn into_stream(self) -> Stream {
        self.upstream.socket.stream
    }
}
