//! Answers: whole ones, refusals, and streams that stop working when nobody listens.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::generation::{Figures, Generation, RUNNER_ERROR, Step};
use crate::script::{Piece, Said};
use crate::tools::Call;

/// Content type of native answers that are not streamed.
pub(crate) const JSON_UTF8: &str = "application/json; charset=utf-8";
/// Content type of OpenAI-style answers that are not streamed.
pub(crate) const JSON: &str = "application/json";
/// Content type of native streams.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// Content type of OpenAI-style streams.
pub(crate) const EVENTS: &str = "text/event-stream";

/// An answer.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A request that gets an error instead of an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    message: String,
}

impl Refusal {
    /// A refusal with an HTTP status.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// As the native interface puts it.
    pub(crate) fn native(&self) -> Answer {
        respond(self.status, JSON_UTF8, json!({ "error": self.message }).to_string())
    }

    /// As the OpenAI-compatible interface puts it.
    pub(crate) fn openai(&self) -> Answer {
        let kind = match self.status {
            400 => "invalid_request_error",
            404 => "not_found_error",
            _ => "api_error",
        };
        let error = json!({"message": self.message, "type": kind, "param": null, "code": null});
        respond(self.status, JSON, format!("{}\n", json!({ "error": error })))
    }
}

/// All that was said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The thinking.
    pub(crate) thinking: String,
    /// The answer.
    pub(crate) text: String,
    /// Calls of tools.
    pub(crate) calls: Vec<Call>,
}

impl Told {
    fn add(&mut self, piece: Piece) {
        match piece.said {
            Said::Thinking(words) => self.thinking.push_str(&words),
            Said::Text(words) => self.text.push_str(&words),
            Said::Tool(call) => self.calls.push(call),
        }
    }
}

/// How one interface writes a generation down.
pub(crate) trait Wire: Send + 'static {
    /// Content type of a stream.
    const STREAM: &'static str;
    /// Content type otherwise.
    const WHOLE: &'static str;
    /// One piece in a stream.
    fn piece(&mut self, piece: &Piece) -> String;
    /// The end of a stream.
    fn done(&mut self, figures: &Figures) -> String;
    /// An error in a stream.
    fn failed(&mut self) -> String;
    /// Everything at once; without figures where it was cut off.
    fn whole(&mut self, told: &Told, figures: Option<&Figures>) -> String;
}

/// Answers with a generation, streamed or not.
pub(crate) async fn tell<W: Wire>(mut wire: W, mut generation: Generation, stream: bool) -> Result<Answer, Refusal> {
    if stream {
        // As in Ollama, the head is sent with the first piece only.
        let first = generation.next().await;
        return Ok(streamed(wire, generation, first));
    }
    let mut told = Told::default();
    let figures = loop {
        match generation.next().await {
            Step::Piece(piece) => told.add(piece),
            Step::Done(figures) => break Some(figures),
            Step::Cut => break None,
            Step::Failed => return Err(Refusal::new(500, RUNNER_ERROR)),
        }
    };
    Ok(respond(200, W::WHOLE, wire.whole(&told, figures.as_ref())))
}

fn streamed<W: Wire>(mut wire: W, mut generation: Generation, first: Step) -> Answer {
    let (lines, body) = mpsc::channel(1);
    tokio::spawn(async move {
        let telling = async {
            let mut step = first;
            loop {
                let (line, more) = match &step {
                    Step::Piece(piece) => (wire.piece(piece), true),
                    Step::Done(figures) => (wire.done(figures), false),
                    Step::Failed => (wire.failed(), false),
                    Step::Cut => return,
                };
                if lines.send(line).await.is_err() || !more {
                    return;
                }
                step = generation.next().await;
            }
        };
        // Dropping the rest of the telling is what cancels a generation, also in the middle of a wait.
        tokio::select! {
            () = telling => {}
            () = lines.closed() => {}
        }
    });
    response(200, W::STREAM, UnsyncBoxBody::new(Lines(body)))
}

/// A body made of lines somebody else writes.
#[derive(Debug)]
pub(crate) struct Lines(pub(crate) mpsc::Receiver<String>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(Bytes::from(line)))))
    }
}

/// An answer of known length.
pub(crate) fn respond(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    response(status, content_type, Full::new(body.into()).boxed_unsync())
}

/// An answer.
pub(crate) fn response(status: u16, content_type: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

/// A value as JSON. What is written here has string keys only, so it always can be.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
