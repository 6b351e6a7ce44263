//! Closing a socket whose peer may still be sending.
//!
//! Closing a socket with unread bytes resets the connection, and the reset can destroy an answer that the peer has not
//! read yet (RFC 9112, 9.6). So the socket is closed in two steps: first for writing, then for reading once the peer
//! has closed its side, sends nothing more, or the time is over. Bytes that still arrive are discarded, up to a limit;
//! after it nothing is read, so that flow control stops the peer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Stream;

/// How long a socket stays half closed at most.
pub const LONGEST: Duration = Duration::from_secs(10);

/// A peer that sends nothing for this long has finished, or cannot continue.
const QUIET: Duration = Duration::from_secs(2);

/// Bytes that are read and discarded. A client that writes its whole request before it reads gets an early answer if
/// the request is at most this large; one that reads meanwhile gets it at any size.
pub const DISCARDED: u64 = 64 * 1024 * 1024;

/// The size of a read in bytes. The buffer is on the stack, so that idle sockets hold none.
const READ: usize = 16 * 1024;

/// Closes in two steps. The socket is closed when the future is done or dropped.
pub async fn linger(mut stream: Stream) {
    let closing = async {
        let mut left = DISCARDED;
        let mut shutdown_done = false;
        while left > 0 {
            let read = poll_fn(|cx| {
                // A peer that does not read blocks the shutdown too; its bytes are discarded meanwhile.
                shutdown_done = shutdown_done || Pin::new(&mut stream).poll_shutdown(cx).is_ready();
                poll_discard(stream.tcp(), cx)
            });
            match timeout(QUIET, read).await {
                Ok(Ok(read)) if read > 0 => left = left.saturating_sub(read as u64),
                _ => return,
            }
        }
        poll_fn(|cx| poll_gone(stream.tcp(), cx)).await;
    };
    drop(timeout(LONGEST, closing).await);
}

/// Reads and discards the available bytes, below TLS: they need not be decrypted.
fn poll_discard(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut buffer = [0; READ];
    loop {
        ready!(socket.poll_read_ready(cx))?;
        match socket.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
}

/// Ready once the peer has closed or reset the connection, also with unread bytes.
fn poll_gone(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    crate::tls::watch::poll_left(socket, cx, || {})
}
