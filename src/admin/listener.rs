//! Accepts connections and serves HTTP/1.1 on them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::handshake;
use super::parts::Parts;
use super::routes::Site;
use super::scrapes::Scrapes;
use super::slots::{Activity, ConnectionSlots};
use super::socket::TrackedSocket;
use crate::tls::linger::linger;

/// For the TLS handshake, for a head, and for the next head on a connection that is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a head.
const MAX_HEAD: usize = 16 * 1024;

/// A connection's life at most, so that a client that does not read cannot hold its slot for ever.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// For an answer under way when a connection is to end.
const GRACE: Duration = Duration::from_secs(1);

/// How soon to check again where every slot is taken and none may be evicted.
const FULL_RETRY: Duration = Duration::from_millis(50);

/// Most bytes of an answer that the system buffers for one connection. Its own limit is megabytes for each client that
/// does not read.
const SEND_BUFFER: usize = 128 * 1024;

/// Serves until `shutdown` is true or its sender is dropped, and a second longer for answers under way.
pub async fn serve(listener: TcpListener, parts: Parts, mut shutdown: watch::Receiver<bool>) {
    // Without an address of its own the listener is treated as loopback, the stricter kind.
    let own = listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut slots = ConnectionSlots::new(parts.max_connections);
    let scrapes = Scrapes::new(parts.metrics.clone());
    let site = Arc::new(Site { parts, own, scrapes });
    let mut connections = JoinSet::new();
    let on_stop = shutdown.clone();
    loop {
        let has_room = slots.has_room();
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => slots.remove_finished(),
            // Meanwhile the system's queue holds new connections.
            () = tokio::time::sleep(FULL_RETRY), if !has_room => {}
            (stream, peer) = accept(&listener), if has_room => {
                let activity = Activity::accepted(peer.ip());
                let task = connections.spawn(serve_connection(stream, site.clone(), activity.clone(), on_stop.clone()));
                slots.insert(activity, task);
            }
            () = site.scrapes.needs_room.notified() => slots.close_oldest_exposition(),
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Fails only on a socket that the client has closed already.
                let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
                return (stream, peer);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to the second listener");
                if let Some(pause) = crate::tls::accept::pause(&error) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

async fn serve_connection(socket: TcpStream, site: Arc<Site>, activity: Activity, mut shutdown: watch::Receiver<bool>) {
    let mut policies = site.parts.access.watch();
    let policy = policies.borrow_and_update().clone();
    let Some(stream) = handshake::accept_tls(socket, &policy, HEAD_TIMEOUT).await else { return };
    let unread = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        let (site, client, guard) = (site.clone(), activity.client, activity.begin_answer());
        unread.fetch_or(!request.body().is_end_stream(), Ordering::Relaxed);
        Box::pin(async move {
            let mut answer = site.answer(request, client, &guard).await;
            answer.body_mut().begin(guard);
            Ok::<_, Infallible>(answer)
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(TrackedSocket { stream, activity: activity.clone() }), service)
        .with_upgrades();
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = stopped(&mut shutdown) => None,
        _ = policies.changed() => None,
        () = tokio::time::sleep(MAX_LIFETIME) => None,
    };
    let Some(served) = served else {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = tokio::time::timeout(GRACE, connection).await;
        return;
    };
    // Closing with unread data makes the system send a reset, which can overtake the answer: linger first.
    let lingers = served.is_err() || unread.load(Ordering::Relaxed);
    // Without parts the socket was handed to whoever speaks another protocol on it.
    let Some(parts) = connection.into_parts() else { return };
    let mut stream = parts.io.into_inner().stream;
    if lingers {
        return linger(stream).await;
    }
    let _ = tokio::time::timeout(GRACE, stream.shutdown()).await;
}
