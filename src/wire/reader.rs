//! Reads one response: framing and dialect joined.

use super::event::{Defects, Event};
use super::route::Route;

/// How a response body is divided, decided from the response and never from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value a line.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// One JSON value, whole.
    Json,
    /// Nothing that is read.
    Opaque,
}

/// The head of a response, as far as it decides how the body is read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The status code.
    pub status: u16,
    /// The `Content-Type` field as sent.
    pub content_type: Option<&'a [u8]>,
    /// The `Content-Encoding` field as sent.
    pub content_encoding: Option<&'a [u8]>,
}

/// Reads one response body, in pieces of any size.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Chooses framing and dialect. The framing may still be corrected by the first bytes of the body.
    #[must_use]
    pub fn new(_route: Route, _head: &Head<'_>) -> Self {
        Self {}
    }

    /// Reads the next piece. `emit` is called with each fact and the number of body bytes up to the end of the
    /// stream element (line, SSE event, whole value) that held it.
    pub fn read(&mut self, _piece: &[u8], _emit: &mut impl FnMut(Event<'_>, u64)) {}

    /// The body ended, or was left: an element that is complete but unterminated is read now.
    pub fn end(&mut self, _emit: &mut impl FnMut(Event<'_>, u64)) {}

    /// The framing, as known so far.
    #[must_use]
    pub fn framing(&self) -> Framing {
        Framing::Opaque
    }

    /// Whether a clean end without a terminal event means that the answer was cut: a generation or a transfer
    /// in a dialect and framing that has such an event.
    #[must_use]
    pub fn expects_terminal(&self) -> bool {
        false
    }

    /// What could not be understood so far.
    #[must_use]
    pub fn defects(&self) -> Defects {
        Defects::default()
    }
}
