//! The body of an answer, written in pieces.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::scrapes::Exposition;
use super::slots::AnswerGuard;

/// Bytes of a piece handed to the system at once.
const PIECE: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Body {
    left: Bytes,
    exposition: Option<Arc<Exposition>>,
    guard: Option<AnswerGuard>,
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self { left: bytes.into(), ..Self::default() }
    }
}

impl Body {
    /// The bytes of an exposition, which other scrapers can share until its last piece is taken.
    pub(super) fn of(bytes: Bytes, exposition: Arc<Exposition>) -> Self {
        Self { left: bytes, exposition: Some(exposition), guard: None }
    }

    /// Marks the answer as being written. Dropping the body ends that.
    pub(super) fn begin(&mut self, guard: AnswerGuard) {
        guard.begin_writing();
        self.guard = Some(guard);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left.is_empty() {
            self.exposition = None;
            return Poll::Ready(None);
        }
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
