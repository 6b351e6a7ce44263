//! A client connection that speaks HTTP/2: by prior knowledge, or agreed on in a TLS handshake.
//!
//! Each stream is an exchange with a connection to the backend of its own, which speaks HTTP/1.1. Streams are tasks that
//! belong to their connection: they end with it at the latest. What they share is the client's socket, behind the same
//! time limits as with HTTP/1.1. Left out: protocol switches (WebSocket over HTTP/2 is not offered, so that clients open
//! an HTTP/1.1 connection for it), server push, `h2c` by upgrade from HTTP/1.1.

mod budget;
mod exchange;
mod flood;
mod frames;
mod head;
mod shared;
mod socket;
mod stream;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::closing::{self, GRACE};
use super::guard::MAX_HEAD;
use super::timer::Timer;
use super::worker::{Admission, Life, Worker};
use crate::exchange::outcome::Malformed;
use crate::tls::Stream;
use crate::tls::watch::{Watcher, has_unread};
use budget::Budget;
use shared::{Fault, Shared};
use socket::Socket;
use stream::Streams;

/// Exchanges at once on one connection; clients open another one for more.
const STREAMS: u32 = 100;

/// Most bytes of one response that wait here for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// Most bytes of one request's body that wait here for the backend, and of all on a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves one client until either side is done. `ahead` was read from it already.
pub(super) async fn serve(worker: Rc<Worker>, stream: Stream, ahead: Vec<u8>, admission: Admission) {
    // Above the limit nothing is served, so a client that was not told by then has nothing to lose.
    let told_by = admission.first_head(None);
    let first_head = admission.first_head(worker.settings.client.head);
    let over_limit = admission.over_limit;
    let mut telling = Timer::default();
    let shared = Rc::new(Shared::of(admission.seat, Budget::new(worker.heads.clone())));
    // Without a descriptor to spare the connection works; the library notices most clients that leave by itself.
    let mut watcher = Watcher::new(stream.tcp()).ok();
    let socket = Socket::new(stream, ahead, shared.clone(), worker.settings.client, first_head);
    let streams = Streams::new(worker.clone(), shared.clone(), over_limit);
    let service = {
        let streams = streams.clone();
        service_fn(move |request| streams.answer(request))
    };
    let ended = {
        let mut connection = pin!(
            Builder::new(streams.clone())
                .auto_date_header(false)
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(MAX_HEAD as u32)
                .max_send_buf_size(SEND_BUFFER)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .serve_connection(TokioIo::new(socket.clone()), service)
        );
        let mut drain = Drain::default();
        poll_fn(|cx| {
            if worker.life() != Life::Running && drain.begin() {
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                let broken = ended.is_err_and(|error| is_client_fault(&error));
                return Poll::Ready(if broken { Ended::Broken } else { Ended::Done });
            }
            count_refused(&worker, shared.take_refused());
            if shared.fault.get().is_some() || drain.poll(cx, &shared).is_ready() {
                return Poll::Ready(Ended::Done);
            }
            // What lies in the system unread may be a request: it is waited for, and served.
            let leaves = || shared.seat.is_leaving() && !watcher.as_ref().is_some_and(Watcher::has_unread);
            if leaves() || telling.poll_until(cx, told_by).is_ready() {
                connection.as_mut().graceful_shutdown();
                // Whether the goodbye is written at once or not.
                let _ = connection.as_mut().poll(cx);
                return Poll::Ready(Ended::Done);
            }
            if let Some(watching) = &mut watcher
                && watching.poll_left(cx).is_ready()
            {
                if shared.streams.get() > 0 {
                    return Poll::Ready(Ended::Left);
                }
                // Between exchanges the library sees the end by itself.
                watcher = None;
            }
            Poll::Pending
        })
        .await
    };
    drop(watcher);
    streams.end().await;
    count_refused(&worker, shared.take_refused() + u64::from(ended == Ended::Broken));
    finish(&worker, &shared, socket, ended).await;
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All that it is to be served was served.
    Done,
    /// The client broke the protocol.
    Broken,
    /// The client left amid an exchange.
    Left,
}

/// Closes the socket, so that a client that may still be sending can read what it was sent.
async fn finish(worker: &Worker, shared: &Shared, socket: Socket, ended: Ended) {
    let fault = shared.fault.get();
    let Some((stream, goaway)) = socket.into_stream(fault) else { return };
    if let Some(fault) = fault {
        worker.sink.refused(match fault {
            Fault::Late => Malformed::Timeout,
            Fault::Flood => Malformed::Flood,
        });
        return closing::refuse(worker, &shared.seat, stream, &goaway).await;
    }
    if ended == Ended::Left || shared.too_slow.get() {
        return;
    }
    // A place that is needed is not kept for what may come.
    let may_send = !shared.seat.is_leaving() && (ended == Ended::Broken || shared.interrupts.get());
    if may_send || has_unread(stream.tcp()) {
        closing::linger(worker, &shared.seat, stream).await;
    } else {
        closing::close(stream).await;
    }
}

/// What the HTTP library has refused.
fn count_refused(worker: &Worker, refused: u64) {
    (0..refused).for_each(|_| worker.sink.refused(Malformed::Http2));
}

/// Whether a stream or a connection ended because its client sent what it must not, rather than because the client left.
fn is_client_fault(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(h2::Error::is_library)
}

/// The end of a connection while the process drains.
#[derive(Default)]
struct Drain {
    begun: bool,
    grace: Timer,
    written: u64,
}

impl Drain {
    /// Whether it begins now.
    fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.begun, true)
    }

    /// Ready once the client has had its time. Without a stream it gets nothing more than what is left of the last one,
    /// and may neither read that nor take its leave.
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<()> {
        if !self.begun {
            return Poll::Pending;
        }
        shared.drain.set(Some(cx.waker().clone()));
        let written = std::mem::replace(&mut self.written, shared.written.get());
        let limit = (shared.streams.get() == 0).then_some(GRACE);
        self.grace.poll(cx, limit, written != self.written)
    }
}
