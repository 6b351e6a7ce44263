//! The TLS handshake with a client.

use std::cell::Cell;
use std::io;
use std::pin::pin;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::admission::Admission;
use super::answer::to_refusal;
use super::closing;
use super::guard::Refusal;
use super::worker::Worker;
use crate::exchange::outcome::Malformed;
use crate::tls::Stream;
use crate::tls::server::TlsServer;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Does the TLS handshake within the time limit of the first head; `None` where the client is not to be served. A
/// connection that ends before its first byte, as those of health checks do, is not counted as a fault.
pub(super) async fn accept_tls(
    worker: &Worker,
    socket: TcpStream,
    server: &TlsServer,
    admission: &Admission,
) -> Option<Stream> {
    let deadline = admission.first_head_deadline(worker.settings.client.head);
    let spoke = Cell::new(false);
    let accepted = {
        let mut accepting = pin!(before(deadline, accept(server, socket, &spoke)));
        tokio::select! {
            biased;
            accepted = &mut accepting => accepted,
            () = admission.seat.asked_to_leave() => return None,
            () = worker.draining() => return None,
        }
    };
    match accepted {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(HandshakeFailure::Plain(stream))) => {
            let refusal = Refusal::plain(Malformed::Tls);
            worker.sink.refused(refusal.why);
            closing::refuse(worker, &admission.seat, stream, &to_refusal(refusal)).await;
        }
        Ok(Err(HandshakeFailure::Handshake(error))) => {
            worker.sink.refused(Malformed::Tls);
            tracing::debug!(%error, "a TLS handshake failed");
        }
        Ok(Err(HandshakeFailure::Left)) => {}
        Err(_) if spoke.get() => worker.sink.refused(Malformed::Timeout),
        Err(_) => {}
    }
    None
}

/// Runs `work` until the deadline; `None` is no limit.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, work).await,
        None => Ok(work.await),
    }
}

enum HandshakeFailure {
    /// The client does not speak TLS.
    Plain(Stream),
    Handshake(io::Error),
    /// The client closed without sending anything.
    Left,
}

async fn accept(server: &TlsServer, socket: TcpStream, spoke: &Cell<bool>) -> Result<Stream, HandshakeFailure> {
    let mut first = [0];
    let peeked = socket.peek(&mut first).await;
    spoke.set(true);
    match peeked {
        Ok(1) if first[0] == HANDSHAKE => server.accept(socket).await.map_err(HandshakeFailure::Handshake),
        Ok(1) => Err(HandshakeFailure::Plain(Stream::Plain(socket))),
        _ => Err(HandshakeFailure::Left),
    }
}
