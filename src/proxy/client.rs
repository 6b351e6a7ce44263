//! The client's side of an HTTP/1 connection: its socket, its time limits, and whether the client is still there.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;

use super::admission::{Admission, FirstHeadDeadlines};
use super::polls::Polls;
use super::settings::ClientLimits;
use super::socket::Socket;
use super::timer::Timer;
use crate::tls::Stream;
use crate::tls::watch::{self, Watcher};

/// Why nothing more can be written to a client or read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientLost {
    /// It has closed or reset its connection.
    Left,
    /// It was too slow.
    Slow,
    /// It is given up: an operator stopped its exchange.
    Stopped,
}

/// Most bytes that are decrypted ahead of use, to find the closing message of TLS that may follow them.
const AHEAD: usize = 16 * 1024;

/// A client's socket, the bytes read ahead, and the timers of its limits.
pub(super) struct Client {
    pub(super) socket: Socket,
    /// Bytes of heads that have arrived and are not used yet.
    pub(super) inbox: Vec<u8>,
    /// Bytes to be read after the inbox: those decrypted while looking for the closing message of TLS, and those of a
    /// body that came with its head and are left for a later turn.
    ahead: Vec<u8>,
    limits: ClientLimits,
    /// The deadlines of the first head, until it is complete.
    first: Option<FirstHeadDeadlines>,
    read_timer: Timer,
    write_timer: Timer,
    /// The system holds unread bytes that tokio will not report again.
    unread: bool,
    /// A duplicate of the socket, where TLS uses the readiness of the first.
    watcher: Option<Watcher>,
    /// Those of the connection's task, which know of an exchange that is to end.
    polls: Rc<Polls>,
}

impl Client {
    /// A client that was admitted on these terms.
    pub(super) fn new(stream: Stream, limits: ClientLimits, admission: &Admission, polls: Rc<Polls>) -> Self {
        // When no descriptor is left, the connection still works; only a client that leaves with bytes unread goes
        // unnoticed.
        let watcher = if stream.is_tls() { Watcher::new(stream.tcp()).ok() } else { None };
        Self {
            socket: Socket::new(stream),
            inbox: Vec::new(),
            ahead: Vec::new(),
            limits,
            first: Some(admission.first_head_deadlines(&limits)),
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            unread: false,
            watcher,
            polls,
        }
    }

    /// Ready once the client has closed its sending side or reset the connection, even while bytes that it sent ahead
    /// are unread. A half-close counts as leaving: a client that closes its sending side before its answer gets none.
    /// Also ready once its exchange is stopped.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<ClientLost> {
        if self.polls.is_stopped() {
            return Poll::Ready(ClientLost::Stopped);
        }
        self.poll_left(cx).map(|()| ClientLost::Left)
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.socket.stream {
            Stream::Plain(stream) => watch::poll_left(stream, cx, || self.unread = true),
            Stream::Tls(_) => self.poll_farewell(cx),
        }
    }

    /// TLS closes with a record of its own, often without closing the socket. Bytes before that record are kept, up to
    /// [`AHEAD`]; beyond that, only the end of the socket is noticed.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 4096];
        while self.ahead.len() < AHEAD {
            match ready!(self.socket.poll_read(cx, &mut buffer)) {
                Ok(read) if read > 0 => self.ahead.extend_from_slice(&buffer[..read]),
                _ => return Poll::Ready(()),
            }
        }
        self.watcher.as_mut().map_or(Poll::Pending, |watcher| watcher.poll_left(cx))
    }

    /// Puts bytes that were read back, to be read again first.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.splice(0..0, bytes.iter().copied());
    }

    /// Reads what is available; 0 is the end.
    fn poll_socket(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let read = into.len().min(self.ahead.len());
            into[..read].copy_from_slice(&self.ahead[..read]);
            self.ahead = self.ahead.split_off(read);
            return Poll::Ready(Ok(read));
        }
        while self.unread {
            match recv(self.socket.stream.tcp(), &mut *into, RecvFlags::DONTWAIT) {
                Ok((_, read)) => {
                    self.unread = read == into.len();
                    return Poll::Ready(Ok(read));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.unread = false,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        self.socket.poll_read(cx, into)
    }

    /// Reads a piece of a body.
    ///
    /// # Errors
    /// When the client pauses for too long or is gone, as an end amid a body is not an orderly one; and when its exchange
    /// is stopped.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, ClientLost>> {
        if self.polls.is_stopped() {
            return Poll::Ready(Err(ClientLost::Stopped));
        }
        match self.poll_socket(cx, into) {
            Poll::Ready(read) => {
                self.read_timer.disarm();
                Poll::Ready(read.ok().filter(|read| *read > 0).ok_or(ClientLost::Left))
            }
            Poll::Pending => {
                ready!(self.read_timer.poll(cx, self.limits.body_idle, false));
                Poll::Ready(Err(ClientLost::Slow))
            }
        }
    }

    /// Reads what belongs to heads; 0 is the end. The time limit of a head runs from its first byte, that of the first
    /// head from accept; further bytes do not restart it.
    ///
    /// # Errors
    /// As for [`Client::poll_body`]. Between exchanges no client is too slow, but the end is returned once the idle
    /// time is over.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, ClientLost>> {
        let idle = self.inbox.is_empty();
        match self.poll_socket(cx, into) {
            Poll::Ready(read) => {
                if idle {
                    self.read_timer.disarm();
                }
                Poll::Ready(read.map_err(|_| ClientLost::Left))
            }
            Poll::Pending => {
                ready!(match (&self.first, idle) {
                    (Some(first), true) => self.read_timer.poll_until(cx, first.begun_by),
                    (Some(first), false) => self.read_timer.poll_until(cx, first.whole_by),
                    (None, true) => self.read_timer.poll(cx, self.limits.keep_alive_idle, false),
                    (None, false) => self.read_timer.poll(cx, self.limits.head, false),
                });
                Poll::Ready(if idle { Ok(0) } else { Err(ClientLost::Slow) })
            }
        }
    }

    /// Stops the time limit of a head, which is complete or refused.
    pub(super) fn head_over(&mut self) {
        if self.first.take().is_some() {
            // Most connections never need it again, so its memory is freed.
            self.read_timer = Timer::default();
        }
        self.read_timer.disarm();
    }

    /// Writes bytes after all that are waiting.
    ///
    /// # Errors
    /// When the client is gone.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), ClientLost> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.socket.send(cx, bytes).map(drop).map_err(|_| ClientLost::Left)
    }

    /// Waits until the system has taken every byte.
    ///
    /// # Errors
    /// When the client is gone, or has not read for too long.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientLost>> {
        let left = self.socket.left();
        match self.socket.poll_drain(cx) {
            Poll::Ready(drained) => {
                self.write_timer.disarm();
                Poll::Ready(drained.map_err(|_| ClientLost::Left))
            }
            Poll::Pending => {
                let moved = self.socket.left() != left;
                ready!(self.write_timer.poll(cx, self.limits.write_stall, moved));
                Poll::Ready(Err(ClientLost::Slow))
            }
        }
    }

    /// Whether bytes are unread. Closing the socket then would reset it and destroy an answer on its way. Asks the
    /// system, as bytes may have come since the last turn.
    pub(super) fn has_more(&self) -> bool {
        !self.inbox.is_empty() || !self.ahead.is_empty() || self.has_unread()
    }

    /// Whether the system holds unread bytes.
    pub(super) fn has_unread(&self) -> bool {
        watch::has_unread(self.socket.stream.tcp())
    }

    /// The socket, for the next user of it, and the bytes read ahead.
    ///
    /// # Errors
    /// When the system cannot watch the socket again.
    pub(super) fn into_stream(mut self) -> io::Result<(Stream, Vec<u8>)> {
        let stream = match self.socket.stream {
            // Only a new registration reports bytes that are there already.
            Stream::Plain(stream) if self.unread => Stream::Plain(TcpStream::from_std(stream.into_std()?)?),
            stream => stream,
        };
        self.inbox.append(&mut self.ahead);
        Ok((stream, self.inbox))
    }
}
