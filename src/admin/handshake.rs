//! The TLS handshake of a connection, where the listener speaks TLS.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::policy::Policy;
use crate::tls::Stream;
use crate::tls::linger::linger;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

const TLS_REQUIRED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 48\r\n\
connection: close\r\n\r\nTLS is spoken here: use https:// in the address\n";

/// The stream that HTTP is spoken on. `None` where the handshake fails or takes longer than `limit`. Without TLS in the
/// policy there is no handshake.
pub(super) async fn accept_tls(socket: TcpStream, policy: &Policy, limit: Duration) -> Option<Stream> {
    let Some(tls) = &policy.tls else { return Some(Stream::Plain(socket)) };
    let handshake = async {
        let mut first = [0];
        match socket.peek(&mut first).await {
            Ok(1) if first[0] == HANDSHAKE => tls.accept(socket).await,
            Ok(1) => {
                refuse(socket).await;
                Err(std::io::Error::other("it does not speak TLS"))
            }
            _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
    };
    match tokio::time::timeout(limit, handshake).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake with the second listener failed");
            None
        }
        Err(_) => None,
    }
}

/// Answers a client that speaks plain HTTP to a TLS listener.
async fn refuse(mut socket: TcpStream) {
    if socket.write_all(TLS_REQUIRED).await.is_ok() {
        linger(Stream::Plain(socket)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(TLS_REQUIRED).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head} {}", body.len());
    }
}
