//! Notices that a peer has left, also while bytes that it sent ahead lie unread: by the readiness of its socket, which
//! says so without a byte being read.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Watches a duplicate of a socket: where TLS reads the first, nobody else may clear its readiness.
#[derive(Debug)]
pub struct Watcher {
    duplicate: TcpStream,
}

impl Watcher {
    /// Duplicates the socket.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new(stream: &TcpStream) -> io::Result<Self> {
        let descriptor = stream.as_fd().try_clone_to_owned()?;
        Ok(Self { duplicate: TcpStream::from_std(descriptor.into())? })
    }

    /// Ready once the client has closed its sending side or reset the connection.
    pub fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_left(&self.duplicate, cx, || {})
    }

    /// Whether bytes lie in the system.
    #[must_use]
    pub fn has_unread(&self) -> bool {
        has_unread(&self.duplicate)
    }
}

/// Whether bytes lie in the system, also where tokio does not know of them yet.
#[must_use]
pub fn has_unread(stream: &TcpStream) -> bool {
    let peeked = recv(stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_ok_and(|(_, length)| length > 0)
}

/// Ready once the peer has closed its sending side or reset the connection. Readiness is cleared where bytes have
/// arrived, and `arrived` told: tokio does not know of them any more.
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

/// Whether the readiness that is known now says that nothing more will be read.
fn is_read_closed(stream: &TcpStream) -> bool {
    let mut ready = pin!(stream.ready(Interest::READABLE));
    let mut cx = Context::from_waker(Waker::noop());
    matches!(ready.as_mut().poll(&mut cx), Poll::Ready(Ok(ready)) if ready.is_read_closed())
}
