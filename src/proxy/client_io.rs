//! The client's socket as the HTTP library sees it: behind the guard, with the client's time limits.
//!
//! Bytes of a body are read straight into the library's buffer. Only an incomplete head, or what a client sends ahead,
//! is kept here. One read gives at most [`READ`] bytes, so that the library's buffers stay small.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ClientLimits;
use super::guard::{Guard, Refusal, Verdict};
use super::shared::Shared;
use crate::exchange::outcome::Malformed;
use crate::tls::Stream;
use crate::wire::route::ErrorShape;

/// Most bytes taken from a socket at once.
pub(super) const READ: usize = 16 * 1024;

/// A client's socket.
pub(super) struct ClientIo {
    stream: Stream,
    shared: Rc<Shared>,
    guard: Guard,
    /// Bytes read and not yet handed on: the first `released` of them may be.
    held: Vec<u8>,
    released: usize,
    limits: ClientLimits,
    read_timer: Timer,
    write_timer: Timer,
}

impl ClientIo {
    pub(super) fn new(stream: Stream, shared: Rc<Shared>, limits: ClientLimits) -> Self {
        Self {
            stream,
            shared,
            guard: Guard::new(),
            held: Vec::new(),
            released: 0,
            limits,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
        }
    }

    /// Gives the socket back, and whether the client may still be sending a body.
    pub(super) fn into_parts(self) -> (Stream, bool) {
        (self.stream, self.guard.in_body() || !self.held.is_empty())
    }

    /// Takes what was read ahead. From here on bytes are not HTTP.
    pub(super) fn into_tunnel(mut self) -> (Stream, Vec<u8>) {
        self.guard.switch_protocol();
        (self.stream, self.held)
    }

    /// The same socket for HTTP/2, what was read ahead included. From here on bytes are not HTTP/1.1.
    pub(super) fn into_http2(mut self, shared: Rc<Shared>) -> Self {
        self.guard.switch_protocol();
        self.released = self.held.len();
        self.shared = shared;
        self
    }

    /// The socket below.
    pub(super) fn tcp(&self) -> &TcpStream {
        self.stream.tcp()
    }

    /// Hands on held bytes that may be.
    fn release(&mut self, buf: &mut ReadBuf<'_>) {
        let bytes = self.released.min(buf.remaining());
        buf.put_slice(&self.held[..bytes]);
        self.held.drain(..bytes);
        self.released -= bytes;
        if self.held.is_empty() && self.held.capacity() > READ {
            self.held = Vec::new();
        }
    }

    /// Shows the guard what is held; true if some of it may be handed on now.
    fn judge_held(&mut self) -> io::Result<bool> {
        while self.released < self.held.len() {
            match self.guard.show(&self.held[self.released..]) {
                Verdict::Pass { bytes, head } => {
                    self.released += bytes;
                    self.count_head(head);
                }
                Verdict::More => break,
                Verdict::Refuse(refusal) => {
                    self.shared.refused.set(Some(refusal));
                    break;
                }
                Verdict::Http2 => {
                    // A refusal like others, unless the connection's owner can serve it: only its first bytes may ask.
                    self.shared.http2.set(!self.shared.has_had_heads());
                    let refusal = Refusal { why: Malformed::Version, shape: ErrorShape::Native };
                    self.shared.refused.set(Some(refusal));
                    break;
                }
                Verdict::BadBody if self.released > 0 => break,
                Verdict::BadBody => return Err(self.bad_body()),
            }
        }
        Ok(self.released > 0)
    }

    fn count_head(&self, head: bool) {
        if head {
            self.shared.head_passed();
        }
    }

    fn bad_body(&self) -> io::Error {
        self.shared.bad_body.set(true);
        io::Error::new(io::ErrorKind::InvalidData, "the request's chunked framing is broken")
    }

    /// A refused head: nothing more is read. The library is told that the client has ended once everything before is
    /// answered and written.
    fn poll_refused(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.busy() || !self.shared.is_flushed() {
            self.shared.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the rest of a sized body past the guard, straight into the library's buffer.
    fn poll_past(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, most: u64) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut limited = (&mut self.stream).take(most.min(READ as u64));
        ready!(Pin::new(&mut limited).poll_read(cx, buf))?;
        self.guard.passed((buf.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }

    /// Reads into the library's buffer, shows it to the guard, and takes back what may not be handed on yet.
    fn poll_shown(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        let mut limited = (&mut self.stream).take(READ as u64);
        ready!(Pin::new(&mut limited).poll_read(cx, buf))?;
        let fresh = &buf.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if self.held.is_empty()
            && let Verdict::Pass { bytes, head } = self.guard.show(fresh)
        {
            self.count_head(head);
            if bytes == fresh.len() {
                return Poll::Ready(Ok(true));
            }
            self.released = bytes;
        }
        self.held.extend_from_slice(fresh);
        buf.set_filled(before);
        let some = self.judge_held()?;
        Poll::Ready(Ok(some))
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.released > 0 {
                self.release(buf);
                return Poll::Ready(Ok(()));
            }
            if self.shared.refused.get().is_some() {
                return self.poll_refused(cx);
            }
            if !self.held.is_empty() && self.judge_held()? {
                continue;
            }
            if self.held.is_empty()
                && let Some(most) = self.guard.free_passage()
            {
                return self.poll_past(cx, buf, most);
            }
            if self.shared.refused.get().is_none() && ready!(self.poll_shown(cx, buf))? && self.released == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The time limit that applies while nothing arrives.
    fn read_limit(&self) -> Option<Duration> {
        if self.guard.in_body() {
            self.limits.body_idle
        } else if !self.held.is_empty() {
            self.limits.head
        } else if self.shared.busy() {
            None
        } else {
            self.limits.keep_alive_idle
        }
    }

    /// A limit passed: a slow head is refused, a slow body fails, an idle connection is closed.
    fn read_timed_out(&mut self) -> io::Result<()> {
        if self.guard.in_body() {
            self.shared.too_slow.set(true);
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client sends its body too slowly"));
        }
        if !self.held.is_empty() {
            self.shared.refused.set(Some(Refusal { why: Malformed::Timeout, shape: ErrorShape::Native }));
        }
        Ok(())
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let held = this.held.len();
        match this.poll_socket(cx, buf) {
            Poll::Ready(done) => {
                this.read_timer.disarm();
                Poll::Ready(done)
            }
            Poll::Pending if this.shared.refused.get().is_some() => Poll::Pending,
            Poll::Pending => {
                // The head's time runs from its first byte: more of it does not start it anew.
                let anew = this.held.len() != held && (held == 0 || this.guard.in_body());
                let limit = this.read_limit();
                ready!(this.read_timer.poll(cx, limit, anew));
                Poll::Ready(this.read_timed_out())
            }
        }
    }
}

impl ClientIo {
    fn poll_written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_timer.disarm();
            return written;
        }
        ready!(self.write_timer.poll(cx, self.limits.write_stall, false));
        self.shared.too_slow.set(true);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.written();
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared.written();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The library flushes only when its own buffer is empty; a socket has none, TLS has one.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        ready!(self.poll_written(cx, flushed))?;
        self.shared.flush();
        Poll::Ready(Ok(()))
    }

    /// The connection's owner closes it, except for HTTP/2: a refusal may still have to be written, or unread bytes drained.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.guard.has_switched() {
            return Pin::new(&mut self.stream).poll_shutdown(cx);
        }
        Poll::Ready(Ok(()))
    }
}

/// A timer that costs nothing while it is not needed.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Timer {
    /// Arms the timer if it is not (or `anew`), and waits for it. Pending for ever without a limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Option<Duration>, anew: bool) -> Poll<()> {
        let Some(limit) = limit else {
            self.armed = false;
            return Poll::Pending;
        };
        if !self.armed || anew {
            let deadline = Instant::now() + limit;
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(deadline),
                None => self.sleep = Some(Box::pin(sleep_until(deadline))),
            }
            self.armed = true;
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.armed = false;
        Poll::Ready(())
    }

    fn disarm(&mut self) {
        self.armed = false;
    }
}
