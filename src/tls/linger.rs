//! Closing a socket whose peer may still be sending.
//!
//! A socket that is closed over unread bytes is reset, and the reset destroys an answer that the peer has not read yet
//! (RFC 9112, 9.6). So the socket is closed in two steps: first for writing, and for reading once the peer has closed
//! its side too, has gone quiet, or the time is over. What still arrives is thrown away; past a number of bytes it is
//! not even read, so that the peer's own system holds it back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Stream;

/// Longest that a socket stays half closed.
pub const LONGEST: Duration = Duration::from_secs(10);

/// A peer that sends nothing for so long has finished, or cannot go on.
const QUIET: Duration = Duration::from_secs(2);

/// Bytes that are read and thrown away. Clients that write their whole request before they read get an early answer up
/// to this size; those that read beside it get theirs at any size.
pub const DISCARDED: u64 = 64 * 1024 * 1024;

/// Read at once, on the stack: a quiet socket holds no buffer.
const READ: usize = 16 * 1024;

/// Closes in two steps. The socket is closed when the future is done or dropped.
pub async fn linger(mut stream: Stream) {
    let closing = async {
        let mut left = DISCARDED;
        let mut told = false;
        while left > 0 {
            let read = poll_fn(|cx| {
                // A peer that does not read takes no farewell either; what it sends is thrown away meanwhile.
                told = told || Pin::new(&mut stream).poll_shutdown(cx).is_ready();
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

/// Reads and throws away what is there. Below TLS: what nobody looks at need not be decrypted.
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

/// Ready once the peer has closed or reset the connection, whatever lies unread.
fn poll_gone(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
    crate::tls::watch::poll_left(socket, cx, || {})
}
