//! The socket of a connection, which records how far the client has taken its answer.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::slots::Activity;

/// Records writes and flushes in `activity`. The HTTP library flushes once it has nothing left to write.
pub(super) struct TrackedSocket<S> {
    pub(super) stream: S,
    pub(super) activity: Activity,
}

impl<S> TrackedSocket<S> {
    fn record(&self, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.activity.record_progress();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.activity.record_flush();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, StatusCode};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::admin::answer::{TEXT, answer};

    /// The client has room for less than the library holds of the answer.
    #[tokio::test]
    async fn an_answer_counts_until_the_last_of_it_has_left() {
        let activity = Activity::accepted(std::net::Ipv4Addr::LOCALHOST.into());
        let (mut client, stream) = tokio::io::duplex(1024);
        let asked = activity.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let guard = asked.begin_answer();
            async move {
                let mut answer = answer(StatusCode::OK, TEXT, vec![b'x'; 8 * 1024]);
                answer.body_mut().begin(guard);
                Ok::<_, Infallible>(answer)
            }
        });
        let stream = TokioIo::new(TrackedSocket { stream, activity: activity.clone() });
        let serving = tokio::spawn(http1::Builder::new().serve_connection(stream, service));
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("it reads");
        let mut answer = vec![0; 4 * 1024];
        client.read_exact(&mut answer).await.expect("half of it");
        assert_eq!(activity.is_answered(), Some(false), "the rest has not left");
        while !answer.ends_with(&[b'x'; 8 * 1024]) {
            assert!(client.read_buf(&mut answer).await.expect("the rest") > 0);
        }
        while activity.is_answered() != Some(true) {
            tokio::task::yield_now().await;
        }
        serving.abort();
    }
}
