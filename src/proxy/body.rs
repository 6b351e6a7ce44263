//! The body of what the client gets: the backend's, or ours.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::tap::ResponseBody;

/// The body of a response to the client.
pub(super) enum ProxyBody {
    /// The backend's, observed as it passes.
    Backend(ResponseBody),
    /// Ours; empty once it is sent.
    Own(Bytes),
}

impl ProxyBody {
    /// A body of ours.
    pub(super) fn own(bytes: Bytes) -> Self {
        Self::Own(bytes)
    }

    /// A body of ours goes where the request was for the head alone. The HTTP library does this for HTTP/1.1 by itself.
    pub(super) fn without_own(self, head_only: bool) -> Self {
        match self {
            Self::Own(_) if head_only => Self::Own(Bytes::new()),
            body => body,
        }
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Backend(body) => Pin::new(body).poll_frame(cx),
            Self::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Backend(body) => body.is_end_stream(),
            Self::Own(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Backend(body) => body.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
