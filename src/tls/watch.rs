//! Detects that a peer has closed its side, also while bytes from it are unread: the socket's readiness shows it
//! without a read.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Watches a duplicate of a socket: no other code may clear the readiness of the one that TLS reads from.
#[derive(Debug)]
pub struct Watcher {
    duplicate: TcpStream,
}

impl Watcher {
    /// Duplicates the socket.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(stream: &TcpStream) -> io::Result<Self> {
        let descriptor = stream.as_fd().try_clone_to_owned()?;
        Ok(Self { duplicate: TcpStream::from_std(descriptor.into())? })
    }

    /// Ready once the peer has closed its sending side or reset the connection.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_left(&self.duplicate, cx, || {})
    }

    /// As the function [`has_unread`].
    #[must_use]
    pub fn has_unread(&self) -> bool {
        has_unread(&self.duplicate)
    }
}

/// Whether the system has received unread bytes, even if tokio does not know yet.
#[must_use]
pub fn has_unread(stream: &TcpStream) -> bool {
    let peeked = recv(stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_ok_and(|(_, length)| length > 0)
}

/// Ready once the peer has closed its sending side or reset the connection. If bytes have arrived instead, clears the
/// readiness, so that tokio does not know of them, and calls `arrived`.
pub fn poll_left(stream: &TcpStream, cx: &mut Context<'_>, mut arrived: impl FnMut()) -> Poll<()> {
    while let Poll::Ready(readable) = stream.poll_read_ready(cx) {
        if readable.is_err() || is_read_closed(stream) {
            return Poll::Ready(());
        }
        arrived();
        let cleared = stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        debug_assert!(cleared.is_err(), "the closure always fails");
    }
    Poll::Pending
}

/// Whether the current readiness shows the end of the incoming bytes.
fn is_read_closed(stream: &TcpStream) -> bool {
    let mut ready = pin!(stream.ready(Interest::READABLE));
    let mut cx = Context::from_waker(Waker::noop());
    matches!(ready.as_mut().poll(&mut cx), Poll::Ready(Ok(ready)) if ready.is_read_closed())
}
