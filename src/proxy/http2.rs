//! A client connection that speaks HTTP/2: by prior knowledge, or negotiated in the TLS handshake.
//!
//! Each stream is an exchange with its own connection to the backend, which speaks HTTP/1.1. Streams are tasks owned by
//! their connection, which end with it at the latest. They share the client's socket, with the same time limits as in
//! HTTP/1.1. Left out: protocol switches (WebSocket over HTTP/2 is not offered, so that clients open an HTTP/1.1
//! connection for it), server push, `h2c` by upgrade from HTTP/1.1.

mod budget;
mod connection_end;
mod connection_state;
mod continues;
mod ending;
mod exchange;
mod flood;
mod frames;
mod head;
#[cfg(test)]
mod orders;
mod response_frames;
mod socket;
mod stream;
mod turn;
mod unsent;
mod upload;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::admission::{Admission, FirstHeadDeadlines};
use super::grammar::MAX_HEAD;
use super::worker::Worker;
use crate::exchange::outcome::Malformed;
use crate::tls::Stream;
use crate::tls::watch::Watcher;
use budget::Budget;
use connection_end::{ConnectionEnd, is_client_fault};
use connection_state::ConnectionState;
use ending::{EndReasons, finish};
use socket::Socket;
use stream::Streams;

/// Most concurrent streams on one connection; clients open another connection for more.
const STREAMS: u32 = 100;

/// Most bytes of one response that are buffered for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// Most bytes of one request's body that are buffered for the backend, and of all those of a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Serves one client until either side is done. `ahead` holds bytes that were read from it already.
pub(super) async fn serve(worker: Rc<Worker>, stream: Stream, ahead: Vec<u8>, admission: Admission) {
    let (first, refused_by) = first_head(&worker, &admission);
    // When no descriptor is left, the connection still works; the library notices most clients that leave by itself.
    let mut reasons = EndReasons::new(refused_by, Watcher::new(stream.tcp()).ok());
    let shared = Rc::new(ConnectionState::of(admission.seat, Budget::new(worker.heads.clone())));
    let socket = Socket::new(stream, ahead, shared.clone(), worker.settings.client, first);
    let streams = Streams::new(worker.clone(), shared.clone(), admission.over_limit);
    let service = {
        let streams = streams.clone();
        service_fn(move |request| streams.answer(request))
    };
    let ended = {
        let mut connection = pin!(
            Builder::new(streams.clone())
                .auto_date_header(false)
                .max_concurrent_streams(STREAMS)
                .max_pending_accept_reset_streams(STREAMS as usize)
                .max_header_list_size(MAX_HEAD as u32)
                .max_send_buf_size(SEND_BUFFER)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .serve_connection(TokioIo::new(socket.clone()), service)
        );
        poll_fn(|cx| {
            socket.begin_turn();
            if reasons.begin_drain(&worker) {
                connection.as_mut().graceful_shutdown();
            }
            match connection.as_mut().poll(cx) {
                Poll::Ready(Err(error)) if is_client_fault(&error) => return Poll::Ready(ConnectionEnd::Broken),
                Poll::Ready(_) => return Poll::Ready(shared.ended.get().unwrap_or(ConnectionEnd::Done)),
                Poll::Pending => {}
            }
            count_refused(&worker, shared.take_refused());
            shared.continues.register(cx.waker());
            if shared.continues.is_waiting() {
                socket.send_continues(cx);
            }
            shared.ended.get().map_or_else(|| reasons.poll(cx, &shared, &socket), Poll::Ready)
        })
        .await
    };
    drop(reasons);
    streams.end().await;
    shared.note_over();
    count_refused(&worker, shared.take_refused() + u64::from(ended == ConnectionEnd::Broken));
    finish(&worker, &shared, socket, ended).await;
}

/// The deadlines of the first head. Above the connection limit nothing is served, and the second value is when the
/// client is answered that there are too many.
fn first_head(worker: &Worker, admission: &Admission) -> (FirstHeadDeadlines, Option<Instant>) {
    let limits = worker.settings.client;
    if admission.over_limit {
        let refused_by = admission.first_head_deadline(limits.head);
        return (FirstHeadDeadlines { begun_by: None, whole_by: None }, refused_by);
    }
    (admission.first_head_deadlines(&limits), None)
}

/// Counts requests that the HTTP library has refused.
fn count_refused(worker: &Worker, refused: u64) {
    (0..refused).for_each(|_| worker.sink.refused(Malformed::Http2));
}
