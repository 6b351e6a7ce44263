//! What the head of a response says about its body.

use std::time::Duration;

use super::route::{BodyFormat, Route};
use super::units;

/// How a response body is divided into elements. Derived from the response, never from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value per line.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// One JSON value.
    Json,
    /// Not read.
    Opaque,
}

/// The parts of a response's head that decide how its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` field as sent.
    pub content_type: Option<&'a [u8]>,
    /// The `Content-Encoding` field as sent.
    pub content_encoding: Option<&'a [u8]>,
    /// Counts and times in the head itself. Only TGI sends them.
    pub reported: Reported,
}

/// The answering server, where the meaning of an answer depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Ollama.
    Ollama,
    /// `SGLang`.
    Sglang,
    /// Another recognised server.
    Other,
    /// Not recognised: the answer is judged by its shape.
    #[default]
    Unknown,
}

/// Header fields in which TGI reports on an answer that does not stream. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// `x-prompt-tokens`.
    pub prompt_tokens: Option<u64>,
    /// `x-generated-tokens`.
    pub generated_tokens: Option<u64>,
    /// `x-total-time`, sent in milliseconds.
    pub total: Option<Duration>,
    /// `x-inference-time`, sent in milliseconds: prefill and decode together.
    pub inference: Option<Duration>,
}

/// A header field of every answer by TGI, and of no other server's.
const TGI_MARK: &str = "x-compute-type";

impl Reported {
    /// `field` looks a header field up by its lower-case name. It is called only where the route's server may send such
    /// fields.
    #[must_use]
    pub fn parse<'a>(route: Route, field: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        match route.format {
            BodyFormat::Tgi | BodyFormat::SgLang => {}
            BodyFormat::OpenAi if field(TGI_MARK).is_some() => {}
            _ => return Self::default(),
        }
        let count = |name| {
            let number = field(name).and_then(|value| std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok());
            number.filter(|number: &u64| *number < 1 << 53)
        };
        Self {
            prompt_tokens: count("x-prompt-tokens"),
            generated_tokens: count("x-generated-tokens"),
            total: count("x-total-time").and_then(|millis| units::millis(millis as f64)),
            inference: count("x-inference-time").and_then(|millis| units::millis(millis as f64)),
        }
    }
}

/// The framing that the media type declares, ignoring parameters. [`Framing::Opaque`] where it declares none: then the
/// first byte decides.
pub(super) fn declared(content_type: Option<&[u8]>) -> Framing {
    // As most servers write it.
    if content_type == Some(b"application/json") {
        return Framing::Json;
    }
    let media = content_type.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |name: &[u8]| media.eq_ignore_ascii_case(name);
    if is(b"application/x-ndjson") || is(b"application/ndjson") || is(b"application/jsonl") {
        Framing::Ndjson
    } else if is(b"text/event-stream") {
        Framing::Sse
    } else if is(b"application/json") {
        Framing::Json
    } else {
        Framing::Opaque
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_without_case_and_parameters() {
        assert_eq!(declared(Some(b"Application/X-NDJSON")), Framing::Ndjson);
        assert_eq!(declared(Some(b"text/event-stream; charset=utf-8")), Framing::Sse);
        assert_eq!(declared(Some(b" application/json;charset=utf-8")), Framing::Json);
        assert_eq!(declared(Some(b"text/html")), Framing::Opaque);
        assert_eq!(declared(None), Framing::Opaque);
    }
}
