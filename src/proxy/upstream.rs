//! One connection to the backend, polled by the task that serves the client.
//!
//! No task is spawned and no channel is used. Dropping an [`Upstream`] closes the socket, by which a backend learns
//! that the client has left.

use std::io;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::socket::Socket;
use crate::exchange::outcome::ErrorType;
use crate::tls::{Fault, Stream};

pub(super) struct Upstream {
    pub(super) socket: Socket,
    /// It takes no more bytes. A backend that answers early and closes makes our writes fail while its answer is
    /// unread; so a failed write is not an error, and the answer or the end of the connection decides.
    pub(super) deaf: bool,
    /// It has served an exchange before.
    pub(super) reused: bool,
    /// Its last response was an event stream.
    pub(super) after_stream: bool,
}

impl Upstream {
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self { socket: Socket::new(stream), deaf: false, reused: false, after_stream: false })
    }

    /// Whether the backend has neither closed it nor sent unexpected bytes.
    ///
    /// What tokio knows of the socket is as old as the thread's last turn. A backend may close an idle connection at
    /// any moment, and a request that crosses the close is lost: pass `ask` for a system call where the connection was
    /// idle, or the request cannot be repeated.
    pub(super) fn is_quiet(&mut self, ask: bool) -> bool {
        if ask && !self.socket.stream.is_tls() {
            return self.is_silent();
        }
        // TLS sends records of its own between responses. A connection that receives one meanwhile is given up.
        let pending = self.socket.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]).is_pending();
        pending && (!ask || self.is_silent())
    }

    /// Whether the system has nothing from the backend, neither bytes nor an end.
    pub(super) fn is_silent(&self) -> bool {
        let peeked = recv(self.socket.stream.tcp(), &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|error| error == Errno::AGAIN)
    }

    /// Sends bytes; a failure sets [`Upstream::deaf`].
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.deaf |= !bytes.is_empty() && self.socket.send(cx, bytes).is_err();
    }

    /// Whether it has taken every byte that was sent, and can take more.
    pub(super) fn has_taken_all(&self) -> bool {
        !self.deaf && self.socket.is_drained()
    }

    /// Waits until every byte was taken. Pending for ever once no more are taken.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.deaf && !self.socket.is_drained() {
            self.deaf = std::task::ready!(self.socket.poll_drain(cx)).is_err();
        }
        if self.deaf { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// How a backend failed to answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection ended too early.
    Closed,
    /// The connection failed.
    Broken(io::Error),
    /// The answer is not valid HTTP/1.1.
    Improper(&'static str),
    /// The answer did not begin in time.
    Late,
}

impl Failure {
    /// The error type that is recorded for it.
    pub(super) fn why(&self) -> ErrorType {
        match self {
            Self::Closed => ErrorType::Incomplete,
            Self::Late => ErrorType::FirstByteTimeout,
            Self::Improper(_) => ErrorType::Protocol,
            Self::Broken(error) if Fault::find(error).is_some() => ErrorType::Tls,
            // Over TLS, an end without a closing message.
            Self::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => ErrorType::Incomplete,
            Self::Broken(_) => ErrorType::Reset,
        }
    }
}
