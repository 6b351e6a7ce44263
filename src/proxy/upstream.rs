//! One connection to the backend, polled inline by the task that serves the client.
//!
//! Nothing is spawned and no channel crosses a task: whoever waits for a response or a piece of its body also drives the
//! socket. Dropping an [`Upstream`] closes the socket, which is how a backend learns that its client has left.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::client_io::READ;
use super::fill::Fill;
use super::guard::{MAX_FIELDS, MAX_HEAD};
use super::tap::RequestBody;
use super::wake::Quiet;
use crate::tls::Stream;

/// A connection to the backend.
pub(super) struct Upstream {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<UpstreamIo>, RequestBody>,
    /// What lies unwritten of the request.
    fill: Rc<Fill>,
    /// The connection has ended and must not be polled again.
    over: bool,
    /// It has served an exchange before.
    pub(super) reused: bool,
    /// It must not be used again.
    pub(super) once: bool,
}

/// A request failed before its response's head.
pub(super) struct SendError {
    pub(super) error: hyper::Error,
    /// The request, where not one byte of it was written.
    pub(super) unsent: Option<Request<RequestBody>>,
}

impl Upstream {
    /// Speaks HTTP/1.1 over a fresh socket.
    ///
    /// # Errors
    /// When the HTTP library refuses the socket.
    pub(super) async fn new(stream: Stream) -> hyper::Result<Box<Self>> {
        let fill = Rc::<Fill>::default();
        let (sender, connection) = Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_FIELDS)
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(UpstreamIo { stream, fill: fill.clone(), write_failed: false }))
            .await?;
        Ok(Box::new(Self { sender, connection, fill, over: false, reused: false, once: false }))
    }

    /// Drives the socket. Whatever it ends with reaches the response or its body too.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            self.over = self.connection.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Whether the next request can be sent now: the last exchange is over on both sides and the backend has not closed.
    pub(super) fn is_usable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.over && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its response. The request's body may still be under way then.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
        quiet: &Quiet,
    ) -> Result<Response<Incoming>, SendError> {
        request.body_mut().attach(&self.fill);
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            quiet.poll(cx, |cx| {
                if !self.over {
                    self.over = self.connection.poll_without_shutdown(cx).is_ready();
                }
                response.as_mut().poll(cx)
            })
        })
        .await
        .map_err(|mut failed| SendError { unsent: failed.take_message(), error: failed.into_error() })
    }

    /// After a 101: the bare socket, and what was read past the response's head.
    pub(super) fn into_tunnel(self: Box<Self>) -> (Stream, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner().stream, parts.read_buf)
    }
}

/// The backend's socket. A backend that answers early and closes makes our writes fail while its answer lies unread: the
/// failure is kept silent, and reading goes on until the answer or the end of the connection says what happened.
struct UpstreamIo {
    stream: Stream,
    fill: Rc<Fill>,
    write_failed: bool,
}

impl UpstreamIo {
    fn settle(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match ready!(written) {
            Err(_) => {
                self.write_failed = true;
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut (&mut self.stream).take(READ as u64)).poll_read(cx, buf)
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.settle(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.settle(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush; TLS may. Its failure is told as that of a write.
        if !self.write_failed && ready!(Pin::new(&mut self.stream).poll_flush(cx)).is_err() {
            self.write_failed = true;
        }
        // Asked for only when the library's own buffer is empty.
        self.fill.clear();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
