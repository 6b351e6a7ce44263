//! Notices that a client has left, also while bytes that it sent ahead lie unread.
//!
//! The HTTP library sees a disconnect only by reading, and it does not read while unread bytes are buffered. A duplicate
//! of the socket has a readiness of its own, which can be cleared without losing the library's. A half-close counts as
//! leaving: a client that shuts its sending side before it has its answer gets none.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;

/// Watches one client's socket.
pub(super) struct Watcher {
    duplicate: TcpStream,
}

impl Watcher {
    /// Duplicates the socket.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn new(stream: &TcpStream) -> io::Result<Self> {
        let descriptor = stream.as_fd().try_clone_to_owned()?;
        Ok(Self { duplicate: TcpStream::from_std(descriptor.into())? })
    }

    /// Ready once the client has closed its sending side or reset the connection.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(readable) = self.duplicate.poll_read_ready(cx) {
            if readable.is_err() || self.read_closed() {
                return Poll::Ready(());
            }
            // Bytes arrived: clear the readiness, so that the next event wakes us.
            let cleared = self.duplicate.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            debug_assert!(cleared.is_err(), "the closure always fails");
        }
        Poll::Pending
    }

    /// Whether the readiness that is known now says that nothing more will be read.
    fn read_closed(&self) -> bool {
        let mut ready = std::pin::pin!(self.duplicate.ready(Interest::READABLE));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        matches!(ready.as_mut().poll(&mut cx), Poll::Ready(Ok(ready)) if ready.is_read_closed())
    }
}
