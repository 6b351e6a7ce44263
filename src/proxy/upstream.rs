//! One connection to the backend, polled by the task that serves the client.
//!
//! Nothing is spawned and no channel crosses a task. Dropping an [`Upstream`] closes the socket, which is how a backend
//! learns that its client has left.

use std::io;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::socket::Socket;
use crate::exchange::outcome::ErrorType;
use crate::tls::{Fault, Stream};

/// A connection to the backend.
pub(super) struct Upstream {
    pub(super) socket: Socket,
    /// It takes nothing any more. A backend that answers early and closes makes our writes fail while its answer lies
    /// unread: what happened is said by the answer, or by the end of the connection.
    pub(super) deaf: bool,
    /// It has served an exchange before.
    pub(super) reused: bool,
    /// What it served last was a stream of events.
    pub(super) after_stream: bool,
}

impl Upstream {
    /// Over a fresh socket.
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self { socket: Socket::new(stream), deaf: false, reused: false, after_stream: false })
    }

    /// Whether the backend has neither closed it nor sent anything that nobody asked for.
    ///
    /// What is known of the socket is as old as the last turn of the thread. A backend that closes an idle connection
    /// does so at any moment, and a request that crosses its end is lost: `ask` the system where it has been idle, or
    /// the request cannot be repeated.
    pub(super) fn is_quiet(&mut self, ask: bool) -> bool {
        if ask && !self.socket.stream.is_tls() {
            return self.is_silent();
        }
        // TLS has words of its own to read between answers. Those that arrive meanwhile cost the connection.
        let pending = self.socket.poll_read(&mut Context::from_waker(Waker::noop()), &mut [0]).is_pending();
        pending && (!ask || self.is_silent())
    }

    /// Whether the system has nothing from the backend, neither bytes nor an end.
    pub(super) fn is_silent(&self) -> bool {
        let peeked = recv(self.socket.stream.tcp(), &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|error| error == Errno::AGAIN)
    }

    /// Sends bytes; a failure shows in [`Upstream::deaf`].
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) {
        self.deaf |= !bytes.is_empty() && self.socket.send(cx, bytes).is_err();
    }

    /// Whether it has taken all that was sent, and takes more.
    pub(super) fn has_taken_all(&self) -> bool {
        !self.deaf && self.socket.is_drained()
    }

    /// Waits until everything was taken. Pending for ever where nothing is taken any more.
    pub(super) fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.deaf && !self.socket.is_drained() {
            self.deaf = std::task::ready!(self.socket.poll_drain(cx)).is_err();
        }
        if self.deaf { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// What was wrong with a backend's answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection ended too early.
    Closed,
    /// It broke.
    Broken(io::Error),
    /// The answer is not proper HTTP/1.1.
    Improper(&'static str),
    /// It did not begin in time.
    Late,
}

impl Failure {
    /// In bounded words.
    pub(super) fn why(&self) -> ErrorType {
        match self {
            Self::Closed => ErrorType::Incomplete,
            Self::Late => ErrorType::FirstByteTimeout,
            Self::Improper(_) => ErrorType::Protocol,
            Self::Broken(error) if Fault::find(error).is_some() => ErrorType::Tls,
            // Over TLS, an end without a farewell.
            Self::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => ErrorType::Incomplete,
            Self::Broken(_) => ErrorType::Reset,
        }
    }
}
