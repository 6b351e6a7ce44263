//! The client's socket as the HTTP/2 library sees it: what was read ahead comes first, the client has its time limits, and
//! frames are looked at as they pass.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::flood::Allowance;
use super::frames::{Frames, kind};
use super::shared::{Fault, Shared};
use crate::proxy::ClientLimits;
use crate::proxy::timer::Timer;
use crate::tls::Stream;

/// A client's socket. The HTTP library has one handle, and whoever ends the connection the other.
#[derive(Clone)]
pub(super) struct Socket(Rc<RefCell<Inner>>);

struct Inner {
    stream: Stream,
    ahead: Vec<u8>,
    shared: Rc<Shared>,
    limits: ClientLimits,
    /// When the first head has to be whole, until it is.
    first_head: Option<Instant>,
    read_timer: Timer,
    write_timer: Timer,
    /// What the read timer runs for.
    awaited: Awaited,
    received: Frames,
    sent: Frames,
    allowance: Allowance,
    /// The last stream that the client has opened.
    last: u32,
}

/// What the client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    FirstHead,
    /// The rest of a head, by its number.
    Head(u64),
    Request,
}

impl Socket {
    pub(super) fn new(
        stream: Stream,
        ahead: Vec<u8>,
        shared: Rc<Shared>,
        limits: ClientLimits,
        first_head: Option<Instant>,
    ) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stream,
            ahead,
            shared,
            limits,
            first_head,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            awaited: Awaited::Nothing,
            received: Frames::of_client(),
            sent: Frames::default(),
            allowance: Allowance::new(std::time::Instant::now()),
            last: 0,
        })))
    }

    /// The stream, and what is left to say on it where the connection ends for a fault. To be called once the HTTP library
    /// has let go of it.
    pub(super) fn into_stream(self, fault: Option<Fault>) -> Option<(Stream, Vec<u8>)> {
        let Inner { stream, sent, last, .. } = Rc::into_inner(self.0)?.into_inner();
        let goaway = fault.filter(|_| sent.is_between()).map_or_else(Vec::new, |fault| goaway(last, fault));
        Some((stream, goaway))
    }
}

/// A whole `GOAWAY`.
fn goaway(last: u32, fault: Fault) -> Vec<u8> {
    // `NO_ERROR` and `ENHANCE_YOUR_CALM` (RFC 9113, 7).
    let code: u32 = match fault {
        Fault::Late => 0x0,
        Fault::Flood => 0xb,
    };
    let head = [0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0];
    [&head[..], &last.to_be_bytes(), &code.to_be_bytes()].concat()
}

impl Inner {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let bytes = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..bytes]);
        self.ahead.drain(..bytes);
        Poll::Ready(Ok(()))
    }

    /// Looks at what the client has sent. False where it goes no further.
    fn look(&mut self, bytes: &[u8]) -> bool {
        self.shared.heads.received.update(|received| received + bytes.len() as u64);
        let mut flood = false;
        self.received.follow(bytes, &mut |frame| {
            flood |= self.allowance.is_spent_by(frame, std::time::Instant::now);
            if frame.kind == kind::HEADERS {
                self.last = self.last.max(frame.stream);
            }
        });
        if self.last > 0 && self.received.amid().is_none() {
            self.first_head = None;
        }
        if flood {
            self.shared.fault.set(Some(Fault::Flood));
        }
        !flood
    }

    fn awaited(&self) -> Awaited {
        match self.received.amid() {
            _ if self.first_head.is_some() => Awaited::FirstHead,
            Some(head) => Awaited::Head(head),
            None if self.shared.streams.get() == 0 => Awaited::Request,
            None => Awaited::Nothing,
        }
    }

    /// Ready once what the client is waited for should have come.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let awaited = self.awaited();
        if std::mem::replace(&mut self.awaited, awaited) != awaited {
            self.read_timer.disarm();
        }
        match awaited {
            Awaited::Nothing => Poll::Pending,
            Awaited::FirstHead => self.read_timer.poll_until(cx, self.first_head),
            Awaited::Head(_) => self.read_timer.poll(cx, self.limits.head, false),
            Awaited::Request => self.read_timer.poll(cx, self.limits.keep_alive_idle, false),
        }
    }

    /// What was written of these slices, or that the client does not read.
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            self.write_timer.disarm();
            let mut left = *result.as_ref().unwrap_or(&0);
            self.shared.written.update(|before| before + left as u64);
            for slice in slices {
                let taken = left.min(slice.len());
                left -= taken;
                self.sent.follow(&slice[..taken], &mut |frame| {
                    self.allowance.answered(frame);
                    self.shared.note_sent(frame);
                });
            }
            return written;
        }
        ready!(self.write_timer.poll(cx, self.limits.write_stall, false));
        self.shared.too_slow.set(true);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
        let before = buf.filled().len();
        if let Poll::Ready(read) = this.poll_bytes(cx, buf) {
            if this.awaited == Awaited::Request {
                this.read_timer.disarm();
            }
            let fine = this.look(&buf.filled()[before..]);
            // Where there is a fault, whoever polls the connection ends it.
            return if fine { Poll::Ready(read) } else { Poll::Pending };
        }
        ready!(this.poll_late(cx));
        if this.awaited == Awaited::Request {
            // An idle connection is over when its time is.
            return Poll::Ready(Ok(()));
        }
        this.shared.too_slow.set(true);
        this.shared.fault.set(Some(Fault::Late));
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.borrow_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.poll_written(cx, written, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.borrow_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.poll_written(cx, written, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx).map_ok(|()| 0);
        this.poll_written(cx, flushed, &[]).map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}
