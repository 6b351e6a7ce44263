//! The response of a stream, as the HTTP library takes it.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};

use super::StreamExchange;
use crate::exchange::outcome::ErrorType;
use crate::proxy::answer::of_merged;
use crate::proxy::http2::turn::{Piece, StreamTurn};
use crate::proxy::merge::{self, Gathered};

impl StreamExchange {
    /// Serves the exchange up to the head of the response.
    ///
    /// # Errors
    /// Where the process drains: with the code after which clients repeat the request elsewhere, as it was not
    /// processed, although the last `GOAWAY` names its stream (RFC 9113, 8.7).
    pub(in crate::proxy::http2) async fn respond(mut self, over_limit: bool) -> Result<Response<Body>, h2::Error> {
        let worker = self.worker.clone();
        if worker.refusal(over_limit).is_none()
            && let Some(listing) = self.forward().listing(&worker)
        {
            let merging = merge::merge(worker.clone(), &self.forward().head, listing);
            let gathered = Box::pin(merging).await;
            let now = self.turn.polls.begun();
            match gathered {
                Gathered::Merged(merged) => {
                    self.forward().merged(&merged, now);
                    return Ok(Body::own(of_merged(&merged), false, self.turn.clone()));
                }
                Gathered::Alone(member) => self.forward().move_to(&member, &worker, now),
                Gathered::Nothing => {}
            }
        }
        let answered = match self.worker.refusal(over_limit) {
            Some(refused) => Err(refused),
            None => self.ask_in_time().await,
        };
        match answered {
            Ok(response) => Ok(response.map(|()| Body::Backend(Box::new(self)))),
            Err(answer) => {
                let turn = self.turn.clone();
                let forward = self.forward();
                forward.give_up(&answer);
                if answer.why == ErrorType::Draining {
                    return Err(h2::Reason::REFUSED_STREAM.into());
                }
                Ok(Body::own(answer.respond(forward.request.shape), forward.request.head_only, turn))
            }
        }
    }
}

/// The body of a response in a stream. The HTTP library polls for a frame only when the client has room for the
/// previous one.
pub(in crate::proxy::http2) enum Body {
    Backend(Box<StreamExchange>),
    /// The proxy's own answer; empty once it is sent.
    Own(Bytes, Rc<StreamTurn>),
}

impl Body {
    /// An answer of the proxy's own. The answer to a HEAD has no body.
    pub(in crate::proxy::http2) fn own(
        response: Response<Bytes>,
        head_only: bool,
        turn: Rc<StreamTurn>,
    ) -> Response<Self> {
        response.map(|bytes| Self::Own(if head_only { Bytes::new() } else { bytes }, turn))
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Piece>>>> {
        match self.get_mut() {
            Self::Backend(exchange) => {
                if exchange.is_at_end() {
                    // The client has still to read.
                    ready!(exchange.turn.unsent.poll_little(cx));
                }
                exchange.turn.download.moved();
                let frame = ready!(exchange.poll_frame(cx));
                exchange.turn.download.wait();
                Poll::Ready(frame)
            }
            Self::Own(bytes, _) if bytes.is_empty() => Poll::Ready(None),
            Self::Own(bytes, turn) => Poll::Ready(Some(Ok(Frame::data(Piece::of(std::mem::take(bytes), turn))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Backend(exchange) => exchange.is_over(),
            Self::Own(bytes, _) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Backend(_) => SizeHint::default(),
            Self::Own(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}
