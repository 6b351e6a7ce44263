//! How a client's connection is closed, so that it cannot take what it has for more or less than it is.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::tls::Stream;

/// After an answer to a client that is still sending: how long, and how much, is read and thrown away, so that closing
/// does not destroy the answer on its way (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// While the process drains: how long a connection without an exchange may take to say goodbye, or to make a request of
/// what it has begun to send.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Closes after a whole answer.
pub(super) async fn close(mut stream: Stream) {
    if stream.is_tls() {
        drop(tokio::time::timeout(LINGER, stream.shutdown()).await);
    }
}

/// Closes after an answer to a client that may still be sending. Whether the rest arrives or not, the connection is over.
pub(super) async fn linger(stream: &mut Stream) {
    drop(tokio::time::timeout(LINGER, drain(stream)).await);
}

/// Says why nothing is served and closes. A client that does not even read that is not waited for.
pub(super) async fn refuse(stream: &mut Stream, refusal: &[u8]) {
    if let Ok(Ok(())) = tokio::time::timeout(LINGER, stream.write_all(refusal)).await {
        linger(stream).await;
    }
}

/// Closes where the end of a body is the end of the connection: only a reset tells a cut one from a whole one.
pub(super) fn reset(stream: &Stream) {
    // A socket that is closed already needs no more.
    drop(SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO)));
}

/// Reads and throws away what a client is still sending, up to a bound.
async fn drain(stream: &mut Stream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut buffer = [0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}
