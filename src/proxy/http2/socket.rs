//! The client's socket as the HTTP/2 library sees it: bytes read ahead come first, the client's time limits apply, and
//! frames are parsed as they pass.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_end::ConnectionEnd;
use super::connection_state::{AwaitedAnswer, ConnectionState};
use super::flood::Allowance;
use super::frames::{Frames, kind};
use crate::proxy::admission::FirstHeadDeadlines;
use crate::proxy::settings::ClientLimits;
use crate::proxy::timer::Timer;
use crate::tls::Stream;
use crate::tls::watch::has_unread;

/// The last stream that a `GOAWAY` names when it is only a warning (RFC 9113, 6.8).
const ANY: u32 = 0x7fff_ffff;

/// Most bytes between two looks at how many streams were reset.
const STRIDE: usize = 1024;
/// After this many resets of streams the library reads no more in this turn. It takes requests only once it has read
/// all there is, holds the head of each until then, and ends a connection of which [`super::STREAMS`] were reset before
/// they were taken. With a request and its reset in 26 bytes, fewer come before the turn ends.
const RESETS_IN_A_TURN: u32 = 50;

/// A client's socket. The HTTP library holds one handle, and the task that ends the connection the other.
#[derive(Clone)]
pub(super) struct Socket(Rc<RefCell<SocketState>>);

struct SocketState {
    stream: Stream,
    ahead: Vec<u8>,
    shared: Rc<ConnectionState>,
    limits: ClientLimits,
    /// The deadlines of the first head, until it is complete.
    first: Option<FirstHeadDeadlines>,
    read_timer: Timer,
    write_timer: Timer,
    room_timer: Timer,
    /// The last write did not complete, as the client does not read.
    blocked: bool,
    /// What the read timer limits.
    awaited: Awaited,
    /// What the room timer limits.
    awaited_answer: Option<AwaitedAnswer>,
    received: Frames,
    sent: Frames,
    allowance: Allowance,
    /// The last stream that the client has opened before a `GOAWAY`.
    last: u32,
    /// A `GOAWAY` that names the last stream was sent.
    goaway_sent: bool,
    /// Streams that the client has reset in this turn.
    resets: u32,
    /// A permission to send a body is partly written.
    amid_continues: bool,
}

/// What the client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    /// The first byte of the first head.
    FirstHeadStart,
    /// The rest of the first head, or of what precedes it.
    FirstHeadRest,
    /// The rest of a later head, by its number.
    Head(u64),
    /// Another request.
    Request,
}

impl Socket {
    pub(super) fn new(
        stream: Stream,
        ahead: Vec<u8>,
        shared: Rc<ConnectionState>,
        limits: ClientLimits,
        first: FirstHeadDeadlines,
    ) -> Self {
        Self(Rc::new(RefCell::new(SocketState {
            stream,
            ahead,
            shared,
            limits,
            first: Some(first),
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            room_timer: Timer::default(),
            blocked: false,
            awaited: Awaited::Nothing,
            awaited_answer: None,
            received: Frames::of_client(),
            sent: Frames::default(),
            allowance: Allowance::new(std::time::Instant::now()),
            last: 0,
            goaway_sent: false,
            resets: 0,
            amid_continues: false,
        })))
    }

    /// To be called before the library is polled.
    pub(super) fn begin_turn(&self) {
        self.0.borrow_mut().resets = 0;
    }

    /// Writes permissions to send bodies as far as the library's last frame is whole. An error is met again by the library.
    pub(super) fn send_continues(&self, cx: &mut Context<'_>) {
        let this = &mut *self.0.borrow_mut();
        if let Poll::Ready(Ok(())) = this.poll_continues(cx) {
            let _ = Pin::new(&mut this.stream).poll_flush(cx);
        }
    }

    /// Whether the system holds unread bytes.
    pub(super) fn has_unread(&self) -> bool {
        has_unread(self.0.borrow().stream.tcp())
    }

    /// Ready once a deadline of the client has passed, with how the connection ends for it. To be called after the
    /// library has been polled: another request is awaited only after the last answer was written.
    pub(super) fn poll_late(&self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        self.0.borrow_mut().poll_late(cx)
    }

    /// The stream, and the `GOAWAY` still to be sent on it where the proxy ends the connection. To be called after the
    /// HTTP library has dropped its handle.
    pub(super) fn into_stream(self, ended: ConnectionEnd) -> Option<(Stream, Vec<u8>)> {
        let SocketState { stream, sent, last, .. } = Rc::into_inner(self.0)?.into_inner();
        let code = ended.code().filter(|_| sent.is_between());
        Some((stream, code.map_or_else(Vec::new, |code| goaway(last, code))))
    }
}

/// A complete `GOAWAY` frame: streams above `last` are not served, and the client may retry them elsewhere.
fn goaway(last: u32, code: u32) -> Vec<u8> {
    let head = [0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0];
    [&head[..], &last.to_be_bytes(), &code.to_be_bytes()].concat()
}

impl SocketState {
    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let bytes = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..bytes]);
        self.ahead.drain(..bytes);
        Poll::Ready(Ok(()))
    }

    /// Follows the bytes that the client has sent, in which the turn may end: what is behind that is to be read in the
    /// next one, and how many bytes are not is returned.
    fn note_read(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut noted = 0;
        while noted < bytes.len() && !self.is_turn_over() {
            let end = bytes.len().min(noted + STRIDE);
            if !self.note_received(&bytes[noted..end]) {
                return None;
            }
            noted = end;
        }
        if noted < bytes.len() {
            self.ahead.splice(0..0, bytes[noted..].iter().copied());
        }
        Some(noted)
    }

    /// Whether so many streams were reset that nothing more is read in this turn.
    fn is_turn_over(&self) -> bool {
        self.resets >= RESETS_IN_A_TURN
    }

    /// Follows bytes that the client has sent. False where it floods, and nothing more is to be read.
    fn note_received(&mut self, bytes: &[u8]) -> bool {
        self.shared.heads.received.update(|received| received + bytes.len() as u64);
        let mut flood = false;
        self.received.follow(bytes, &mut |frame| {
            flood |= self.allowance.is_spent_by(frame, std::time::Instant::now);
            if frame.ends_head() && frame.stream > self.last && !self.goaway_sent {
                self.last = frame.stream;
                self.first = None;
                self.shared.note_opened(frame.stream);
            }
            if frame.kind == kind::SETTINGS {
                self.shared.continues.note_settings(frame);
            }
            if frame.kind == kind::RST_STREAM {
                self.resets += 1;
                self.shared.note_cancelled(frame.stream);
            }
        });
        if flood {
            self.shared.ended.set(Some(ConnectionEnd::Flood));
        }
        !flood
    }

    /// Follows the bytes of these slices that the system, or TLS, has taken.
    fn note_written(&mut self, mut left: usize, slices: &[io::IoSlice<'_>]) {
        let mut moved = false;
        for slice in slices {
            let taken = left.min(slice.len());
            left -= taken;
            self.sent.follow(&slice[..taken], &mut |frame| {
                self.allowance.answered(frame);
                self.shared.note_sent(frame);
                moved |= frame.kind == kind::DATA;
                self.goaway_sent |= frame.kind == kind::GOAWAY && frame.word != Some(ANY);
            });
        }
        if moved && self.awaited_answer == Some(AwaitedAnswer::Rest) {
            self.room_timer.disarm();
        }
    }

    fn awaited(&self) -> Awaited {
        match (&self.first, self.received.amid()) {
            (Some(_), None) => Awaited::FirstHeadStart,
            (Some(_), Some(_)) => Awaited::FirstHeadRest,
            (None, Some(head)) => Awaited::Head(head),
            (None, None) if self.shared.is_idle() => Awaited::Request,
            (None, None) => Awaited::Nothing,
        }
    }

    /// Ready once the client has left its windows full for too long, for answers that no stream's task is waiting with.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let awaited = self.shared.awaited_answer();
        if std::mem::replace(&mut self.awaited_answer, awaited) != awaited || self.shared.queue.take_moved() {
            self.room_timer.disarm();
        }
        self.room_timer.poll(cx, self.limits.write_stall.filter(|_| awaited.is_some()), false)
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        if self.poll_room(cx).is_ready() {
            self.shared.ended.set(Some(ConnectionEnd::Slow));
            return Poll::Ready(ConnectionEnd::Slow);
        }
        let awaited = self.awaited();
        if std::mem::replace(&mut self.awaited, awaited) != awaited {
            self.read_timer.disarm();
        }
        let timer = &mut self.read_timer;
        ready!(match (awaited, &self.first) {
            (Awaited::FirstHeadStart, Some(first)) => timer.poll_until(cx, first.begun_by),
            (Awaited::FirstHeadRest, Some(first)) => timer.poll_until(cx, first.whole_by),
            (Awaited::Head(_), _) => timer.poll(cx, self.limits.head, false),
            (Awaited::Request, _) => timer.poll(cx, self.limits.keep_alive_idle, false),
            _ => Poll::Pending,
        });
        let ended = match awaited {
            // The client has sent it, and the library cannot read it before the client reads.
            _ if self.blocked && has_unread(self.stream.tcp()) => return Poll::Pending,
            Awaited::FirstHeadStart | Awaited::Request => ConnectionEnd::Dismissed,
            _ => ConnectionEnd::Late,
        };
        self.shared.ended.set(Some(ended));
        Poll::Ready(ended)
    }

    /// Writes permissions to send bodies if a frame may begin. Ready when the library may write.
    fn poll_continues(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = self.shared.clone();
        while shared.continues.is_waiting() && (self.amid_continues || self.sent.is_between()) {
            let written = Pin::new(&mut self.stream).poll_write(cx, &shared.continues.waiting());
            let written = ready!(self.poll_written(cx, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            shared.continues.note_written(written);
            self.amid_continues = shared.continues.is_waiting();
        }
        Poll::Ready(Ok(()))
    }

    /// Times a write that does not complete.
    fn poll_written<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.blocked = written.is_pending();
        if !self.blocked {
            self.write_timer.disarm();
            return written;
        }
        ready!(self.write_timer.poll(cx, self.limits.write_stall, false));
        self.shared.ended.set(Some(ConnectionEnd::Slow));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
        if this.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = ready!(this.poll_bytes(cx, buf));
        if this.awaited == Awaited::Request {
            this.read_timer.disarm();
        }
        // After a flood nothing is read; the task that polls the connection ends it.
        let Some(noted) = this.note_read(&buf.filled()[before..]) else { return Poll::Pending };
        buf.set_filled(before + noted);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.borrow_mut();
        let (first, mut slices) = (std::cell::OnceCell::new(), slices);
        if this.shared.continues.is_waiting() {
            ready!(this.poll_continues(cx))?;
            // Where a frame is under way, a permission follows it, before what the library has ready behind it.
            if this.shared.continues.is_waiting() {
                let slice = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
                slices = first.get_or_init(|| [io::IoSlice::new(&slice[..slice.len().min(this.sent.left())])]);
            }
        }
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        let written = ready!(this.poll_written(cx, written));
        this.note_written(*written.as_ref().unwrap_or(&0), slices);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
        ready!(this.poll_continues(cx))?;
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        let flushed = ready!(this.poll_written(cx, flushed));
        if flushed.is_ok() {
            this.shared.note_flushed();
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }
}
