//! The client's socket as the HTTP/2 library sees it: what was read ahead comes first, and the client has its time limits.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::Budget;
use crate::proxy::ClientLimits;
use crate::proxy::slot::Seat;
use crate::proxy::timer::Timer;
use crate::tls::Stream;

/// What the socket and the streams of one connection tell each other.
pub(super) struct Shared {
    /// What the heads of its streams may take.
    pub(super) heads: Rc<Budget>,
    /// Streams that are not over.
    pub(super) streams: Cell<u64>,
    /// The client does not read.
    pub(super) too_slow: Cell<bool>,
    /// Bytes that the system has taken for the client.
    pub(super) written: Cell<u64>,
    /// The connection's task, to be told of the end of its last stream while the process drains.
    pub(super) drain: Cell<Option<Waker>>,
    pub(super) seat: Seat,
}

impl Shared {
    pub(super) fn of(seat: Seat, heads: Budget) -> Self {
        Self {
            heads: Rc::new(heads),
            streams: Cell::default(),
            too_slow: Cell::default(),
            written: Cell::default(),
            drain: Cell::default(),
            seat,
        }
    }

    /// A stream begins.
    pub(super) fn begin(&self) {
        self.streams.set(self.streams.get() + 1);
        self.seat.begin();
    }

    /// A stream is over.
    pub(super) fn end(&self) {
        self.streams.set(self.streams.get() - 1);
        if self.streams.get() == 0 {
            self.seat.rest(Instant::now());
        }
        if let Some(waker) = self.drain.take() {
            waker.wake();
        }
    }
}

/// A client's socket.
pub(super) struct Socket {
    stream: Stream,
    ahead: Vec<u8>,
    shared: Rc<Shared>,
    limits: ClientLimits,
    read_timer: Timer,
    write_timer: Timer,
}

impl Socket {
    pub(super) fn new(stream: Stream, ahead: Vec<u8>, shared: Rc<Shared>, limits: ClientLimits) -> Self {
        Self { stream, ahead, shared, limits, read_timer: Timer::default(), write_timer: Timer::default() }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let bytes = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..bytes]);
        self.ahead.drain(..bytes);
        Poll::Ready(Ok(()))
    }

    fn poll_written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            self.write_timer.disarm();
            self.shared.written.update(|before| before + *result.as_ref().unwrap_or(&0) as u64);
            return written;
        }
        ready!(self.write_timer.poll(cx, self.limits.write_stall, false));
        self.shared.too_slow.set(true);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if let Poll::Ready(read) = this.poll_bytes(cx, buf) {
            this.read_timer.disarm();
            let read_bytes = (buf.filled().len() - before) as u64;
            this.shared.heads.received.update(|received| received + read_bytes);
            return Poll::Ready(read);
        }
        let idle = this.shared.streams.get() == 0;
        // An idle connection is over when its time is.
        this.read_timer.poll(cx, this.limits.keep_alive_idle.filter(|_| idle), false).map(Ok)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| 0);
        self.poll_written(cx, flushed).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
