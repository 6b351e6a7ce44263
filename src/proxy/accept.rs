//! Accepts clients and hands them round robin to the workers.
//!
//! One plain listener: several with SO_REUSEPORT would let a second instance take the port unnoticed, spread few
//! connections unevenly, and reset pending ones on close.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::Proxy;
use super::worker::{Accepted, Life, Ticket};

/// Connections above the limit that are told so; beyond these the system's queue holds them back.
const OVERFLOW: u64 = 64;
/// Pause after a failed accept: without descriptors it fails at once and for some time.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts until the process drains.
pub(super) async fn accept(listener: &TcpListener, proxy: &Proxy) {
    let mut life = proxy.life.clone();
    let mut failing = false;
    for next in (0..proxy.clients.len()).cycle() {
        let accepted = tokio::select! {
            biased;
            _ = life.wait_for(|now| *now != Life::Running) => return,
            accepted = next_client(listener, proxy) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                failing = false;
                // A worker that is gone has panicked; its clients go with it, the next ones to the others.
                drop(proxy.clients[next].send(accepted));
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept connections; going on trying");
                }
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

async fn next_client(listener: &TcpListener, proxy: &Proxy) -> io::Result<Accepted> {
    // Asked before it is taken from the queue. Only this task adds to the count.
    if proxy.connections.load(Ordering::Relaxed) >= proxy.max_connections.saturating_add(OVERFLOW) {
        return Err(io::Error::other("too many connections: raise max_connections or the limit of open files"));
    }
    let (stream, _) = listener.accept().await?;
    let (ticket, taken) = Ticket::take(&proxy.connections);
    prepare(&stream);
    let over_limit = taken > proxy.max_connections;
    Ok(Accepted { stream: stream.into_std()?, over_limit, ticket })
}

/// Small writes leave at once, and a peer that vanished without a word is noticed in time.
fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    let socket = socket2::SockRef::from(stream);
    // A socket that is closed already refuses both; it ends by itself.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&keepalive));
}
