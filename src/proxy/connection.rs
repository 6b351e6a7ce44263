//! One client connection from accept to close.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answer::to_refusal;
use super::client_io::ClientIo;
use super::forward::exchange;
use super::guard::{MAX_FIELDS, MAX_HEAD};
use super::shared::Shared;
use super::watch::Watcher;
use super::worker::{Life, Worker};
use super::{handshake, http2};
use crate::tls::Stream;

/// After an answer to a client that is still sending: how long, and how much, is read and thrown away, so that closing
/// does not destroy the answer on its way (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The HTTP library is done with it.
    Done,
    /// The client left in the middle of an exchange.
    Left,
    /// The drain ran out of time.
    Killed,
}

/// Serves one client until either side is done. Dropping the future cancels whatever it is serving.
pub(super) async fn serve(worker: Rc<Worker>, stream: TcpStream, over_limit: bool) {
    let shared = Rc::new(Shared::new(over_limit));
    // Without a descriptor to spare the connection works; only a client that leaves with unread bytes goes unnoticed.
    let watcher = Watcher::new(&stream).ok();
    let stream = match &worker.settings.tls {
        None => Stream::Plain(stream),
        Some(server) => match handshake::shake(&worker, stream, server).await {
            Some(stream) => stream,
            None => return,
        },
    };
    let is_http2 = stream.agreed_on_http2();
    let io = ClientIo::new(stream, shared.clone(), worker.settings.client);
    if is_http2 {
        http2::serve(worker, io.into_http2(shared.clone()), shared, watcher).await;
    } else {
        serve_http1(worker, io, shared, watcher).await;
    }
}

async fn serve_http1(worker: Rc<Worker>, io: ClientIo, shared: Rc<Shared>, watcher: Option<Watcher>) {
    let life = worker.life();
    let service = {
        let (worker, shared) = (worker.clone(), shared.clone());
        service_fn(move |request| exchange(worker.clone(), shared.clone(), request))
    };
    let mut connection = Builder::new()
        .auto_date_header(false)
        .preserve_header_case(true)
        .max_headers(MAX_FIELDS)
        .max_buf_size(2 * MAX_HEAD)
        .serve_connection(TokioIo::new(io), service);
    let shut_down = |connection: Pin<&mut _>| hyper::server::conn::http1::Connection::graceful_shutdown(connection);
    let ended = drive(Pin::new(&mut connection), shut_down, &shared, watcher, &life).await;
    shared.killed.set(ended == Ended::Killed);
    if ended == Ended::Done {
        let parts = connection.into_parts();
        let io = parts.io.into_inner();
        if shared.http2.get() {
            let (shared, watcher) = (Rc::new(Shared::new(shared.over_limit)), Watcher::new(io.tcp()).ok());
            return http2::serve(worker, io.into_http2(shared.clone()), shared, watcher).await;
        }
        finish(&worker, &shared, io, &parts.read_buf, life).await;
    }
}

/// Polls the HTTP connection, the watcher and the life of the process together. `shut_down` lets the connection end with
/// what it is serving.
pub(super) async fn drive<C: Future>(
    mut connection: Pin<&mut C>,
    shut_down: impl Fn(Pin<&mut C>),
    shared: &Shared,
    mut watcher: Option<Watcher>,
    life: &watch::Receiver<Life>,
) -> Ended {
    let mut change = pin!(reached(life.clone(), Life::Draining));
    let mut draining = false;
    poll_fn(|cx| {
        shared.polls.begin(Instant::now());
        let done = connection.as_mut().poll(cx).is_ready();
        shared.polls.end(Instant::now());
        if done {
            return Poll::Ready(Ended::Done);
        }
        if let Some(watching) = &mut watcher
            && watching.poll_left(cx).is_ready()
        {
            if shared.busy() && shared.upgraded.borrow().is_none() {
                return Poll::Ready(Ended::Left);
            }
            // Between exchanges the library sees the end by itself.
            watcher = None;
        }
        while change.as_mut().poll(cx).is_ready() {
            if draining {
                return Poll::Ready(Ended::Killed);
            }
            draining = true;
            shut_down(connection.as_mut());
            // The library looks at its state only when it is polled.
            cx.waker().wake_by_ref();
            change.set(reached(life.clone(), Life::Killed));
        }
        Poll::Pending
    })
    .await
}

/// Waits until the process has come that far. It never does once its owner is gone.
pub(super) async fn reached(mut life: watch::Receiver<Life>, state: Life) {
    if life.wait_for(|now| *now >= state).await.is_err() {
        std::future::pending().await
    }
}

/// What is left to do when the HTTP library has let go of the socket.
async fn finish(worker: &Worker, shared: &Shared, io: ClientIo, read: &[u8], life: watch::Receiver<Life>) {
    let upgraded = shared.upgraded.borrow_mut().take();
    if let Some(upgraded) = upgraded {
        let (client, held) = io.into_tunnel();
        let ahead = [read, &held].concat();
        tokio::select! {
            () = upgraded.join(client, &ahead) => {}
            () = reached(life, Life::Killed) => {}
        }
        return;
    }
    let (mut stream, sending) = io.into_parts();
    if shared.reset.get() {
        // Where the end of a body is the end of the connection, only a reset tells a cut one from a whole one.
        drop(SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO)));
        return;
    }
    if let Some(refusal) = shared.refused.get() {
        worker.sink.refused(refusal.why);
        if stream.write_all(&to_refusal(refusal)).await.is_err() {
            return;
        }
    } else if !sending {
        if stream.wants_farewell() {
            drop(tokio::time::timeout(LINGER, stream.shutdown()).await);
        }
        return;
    }
    linger(&mut stream).await;
}

/// Closes after an answer to a client that may still be sending. Whether the rest arrives or not, the connection is over.
pub(super) async fn linger(stream: &mut Stream) {
    drop(tokio::time::timeout(LINGER, drain(stream)).await);
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
