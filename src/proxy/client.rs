//! The client's side of an HTTP/1 connection: its socket, its time limits, and whether it is still there.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::admission::Admission;
use super::settings::ClientLimits;
use super::socket::Socket;
use super::timer::Timer;
use crate::tls::Stream;
use crate::tls::watch::{self, Watcher};

/// Why nothing more can be written to a client, or read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientLost {
    /// It has closed or reset its connection.
    Left,
    /// It was too slow.
    Slow,
}

/// Most bytes that are decrypted ahead, for the farewell that may follow them.
const AHEAD: usize = 16 * 1024;

/// A client's socket with what was read ahead, and the timers of its limits.
pub(super) struct Client {
    pub(super) socket: Socket,
    /// What it has sent ahead.
    pub(super) inbox: Vec<u8>,
    /// What is read next: what TLS has given after it while it was looked at for the client's farewell, and what of a
    /// body came with its head and is to be looked at in a later turn.
    ahead: Vec<u8>,
    limits: ClientLimits,
    /// The time of the first head, until it is whole.
    first: Option<FirstHead>,
    read_timer: Timer,
    write_timer: Timer,
    /// Bytes lie unread in the system that tokio does not know of any more.
    unread: bool,
    /// A duplicate of the socket, where TLS owns the readiness of the first.
    watcher: Option<Watcher>,
}

/// A connection's first head counts from accept: who says nothing has no more time than who says it slowly.
struct FirstHead {
    /// For its first byte.
    begun_by: Option<Instant>,
    /// For its last.
    whole_by: Option<Instant>,
}

impl Client {
    /// A client that was let in like this.
    pub(super) fn new(stream: Stream, limits: ClientLimits, admission: &Admission) -> Self {
        let whole_by = admission.first_head(limits.head);
        let idle_until = limits.keep_alive_idle.and_then(|limit| admission.at.checked_add(limit));
        let begun_by = whole_by.into_iter().chain(idle_until).min();
        // Without a descriptor to spare the connection works; only a client that leaves with unread bytes goes unnoticed.
        let watcher = if stream.is_tls() { Watcher::new(stream.tcp()).ok() } else { None };
        Self {
            socket: Socket::new(stream),
            inbox: Vec::new(),
            ahead: Vec::new(),
            limits,
            first: Some(FirstHead { begun_by, whole_by }),
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            unread: false,
            watcher,
        }
    }

    /// Ready once the client has closed its sending side or reset the connection, also while bytes that it sent ahead
    /// lie unread. A half-close counts as leaving: a client that shuts its sending side before it has its answer gets
    /// none.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.socket.stream {
            Stream::Plain(stream) => watch::poll_left(stream, cx, || self.unread = true),
            Stream::Tls(_) => self.poll_farewell(cx),
        }
    }

    /// TLS says farewell in a record of its own, often without closing the socket. What was sent before is kept, as far
    /// as there is room for it; after more than that only the end of the socket is noticed.
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

    /// Gives back the first of what was read, to be read again.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.splice(0..0, bytes.iter().copied());
    }

    /// Reads what is there; 0 is the end.
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
    /// When the client stands still for too long, or is gone: whoever is in the middle of a body is not done.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, ClientLost>> {
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

    /// Reads what belongs to heads; 0 is the end. The time of a head runs from its first byte, that of the first head from
    /// accept: more of it does not start it again.
    ///
    /// # Errors
    /// As for [`Client::poll_body`]. Between exchanges nobody is too slow, but an idle connection may be over.
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

    /// A head is whole, or refused.
    pub(super) fn head_over(&mut self) {
        if self.first.take().is_some() {
            // Most connections are never late again: the memory goes back.
            self.read_timer = Timer::default();
        }
        self.read_timer.disarm();
    }

    /// Writes bytes after all that waits.
    ///
    /// # Errors
    /// When the client is gone.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), ClientLost> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.socket.send(cx, bytes).map(drop).map_err(|_| ClientLost::Left)
    }

    /// Waits until the system has taken everything.
    ///
    /// # Errors
    /// When the client is gone, or does not read.
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

    /// Whether bytes lie unread: closing the socket then would reset it, and destroy an answer on its way. The system is
    /// asked: they may have come since the last turn.
    pub(super) fn has_more(&self) -> bool {
        !self.inbox.is_empty() || !self.ahead.is_empty() || self.has_unread()
    }

    /// Whether bytes lie in the system.
    pub(super) fn has_unread(&self) -> bool {
        watch::has_unread(self.socket.stream.tcp())
    }

    /// The socket, for whoever goes on with it, and what was sent ahead.
    ///
    /// # Errors
    /// When the system has no room to watch it again.
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
