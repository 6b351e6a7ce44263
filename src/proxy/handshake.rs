//! TLS with a client, where the listener speaks it.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;

use super::answer::to_refusal;
use super::closing;
use super::guard::Refusal;
use super::worker::{Life, Worker};
use crate::exchange::outcome::Malformed;
use crate::tls::Stream;
use crate::tls::server::Server;

/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Shakes hands within the time of a head; none where the client is not to be served. A connection that is given up
/// before its first byte, as health checks do, is nobody's fault and not counted.
pub(super) async fn shake(worker: &Worker, socket: TcpStream, server: &Server) -> Option<Stream> {
    let limit = worker.settings.client.head.unwrap_or(Duration::MAX);
    let shaken = {
        let mut shaking = pin!(tokio::time::timeout(limit, accept(server, socket)));
        tokio::select! {
            biased;
            shaken = &mut shaking => shaken,
            () = draining(worker) => return None,
        }
    };
    match shaken {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(Refused::Plain(mut stream))) => {
            let refusal = Refusal::plain(Malformed::Tls);
            worker.sink.refused(refusal.why);
            closing::refuse(&mut stream, &to_refusal(refusal)).await;
        }
        Ok(Err(Refused::Handshake(error))) => {
            worker.sink.refused(Malformed::Tls);
            tracing::debug!(%error, "a TLS handshake failed");
        }
        Ok(Err(Refused::Left)) => {}
        Err(_) => worker.sink.refused(Malformed::Timeout),
    }
    None
}

/// Waits until the process drains. It never does once its owner is gone.
async fn draining(worker: &Worker) {
    if worker.life_to_come().wait_for(|now| *now >= Life::Draining).await.is_err() {
        std::future::pending().await
    }
}

enum Refused {
    /// It speaks something else.
    Plain(Stream),
    Handshake(io::Error),
    /// It said nothing.
    Left,
}

async fn accept(server: &Server, socket: TcpStream) -> Result<Stream, Refused> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(1) if first[0] == HANDSHAKE => server.accept(socket).await.map_err(Refused::Handshake),
        Ok(1) => Err(Refused::Plain(Stream::Plain(socket))),
        _ => Err(Refused::Left),
    }
}
