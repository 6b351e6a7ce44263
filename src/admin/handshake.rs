//! A connection's socket, with TLS around it where the listener speaks it.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::HEAD;
use super::access::Policy;
use crate::tls::Stream;
use crate::tls::linger::linger;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 48\r\n\
connection: close\r\n\r\nTLS is spoken here: use https:// in the address\n";

/// The socket as HTTP uses it; none where the handshake fails or takes too long.
pub(super) async fn secured(socket: TcpStream, policy: &Policy) -> Option<Stream> {
    let Some(tls) = &policy.tls else { return Some(Stream::Plain(socket)) };
    let shaken = async {
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
    match tokio::time::timeout(HEAD, shaken).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake with the second listener failed");
            None
        }
        Err(_) => None,
    }
}

/// Says it in plain HTTP.
async fn refuse(mut socket: TcpStream) {
    if socket.write_all(SPEAK_TLS).await.is_ok() {
        linger(Stream::Plain(socket)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says() {
        let text = std::str::from_utf8(SPEAK_TLS).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head} {}", body.len());
    }
}
