//! Reads one response: framing and dialect joined.
//!
//! Only what can hold facts is read: a success status, no content coding, and a route whose body format has a
//! parser. Everything else is opaque and costs nothing.

use super::event::{Defect, Defects, Event};
use super::framing::Stream;
use super::ollama::Ollama;
use super::ollama::progress::Progress;
use super::openai::OpenAi;
use super::route::{Format, Operation, Route};

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
pub struct Reader {
    stream: Choice,
    /// The operation has a terminal event where its answer is a stream.
    ends: bool,
    /// Met before the body.
    defects: Defects,
}

/// One variant for each parser.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "all but the opaque one are of one size, and that one is rare where it matters"
)]
enum Choice {
    Opaque,
    Ollama(Stream<Ollama>),
    Progress(Stream<Progress>),
    OpenAi(Stream<OpenAi>),
}

/// Runs the same on whatever stream there is.
macro_rules! each {
    ($choice:expr, $stream:ident => $run:expr, $opaque:expr) => {
        match $choice {
            Choice::Opaque => $opaque,
            Choice::Ollama($stream) => $run,
            Choice::Progress($stream) => $run,
            Choice::OpenAi($stream) => $run,
        }
    };
}

impl Reader {
    /// Chooses framing and dialect. The framing may still be corrected by the first bytes of the body.
    #[must_use]
    pub fn new(route: Route, head: &Head<'_>) -> Self {
        let operation = route.operation;
        let ends = operation.generates() || matches!(operation, Operation::Pull | Operation::Push | Operation::Create);
        let mut reader = Self { stream: Choice::Opaque, ends, defects: Defects::default() };
        if route.format == Format::None || !(200..300).contains(&head.status) {
            return reader;
        }
        // A decoder of a copy would sit here, before the stream.
        if head.content_encoding.is_some_and(is_coded) {
            reader.defects.add(Defect::Encoding);
            return reader;
        }
        let framing = declared(head.content_type);
        reader.stream = match route.format {
            Format::Ollama => Choice::Ollama(Stream::new(Ollama::default(), framing)),
            Format::OllamaProgress => Choice::Progress(Stream::new(Progress::default(), framing)),
            Format::OpenAi => Choice::OpenAi(Stream::new(OpenAi::new(operation), framing)),
            Format::None | Format::Responses | Format::Anthropic | Format::LlamaCpp => Choice::Opaque,
            Format::SgLang | Format::Tgi | Format::LmStudio => Choice::Opaque,
        };
        reader
    }

    /// Reads the next piece. `emit` is called with each fact and the number of body bytes up to the end of the
    /// stream element (line, SSE event, whole value) that held it: past the newline of a line, past the blank line
    /// of an event (with CRLF: past its CR), past the closing brace of a whole value.
    #[inline]
    pub fn read(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        each!(&mut self.stream, stream => stream.read(piece, emit), ());
    }

    /// The body ended, or was left: an element that is complete but unterminated is read now.
    pub fn end(&mut self, emit: &mut impl FnMut(Event<'_>, u64)) {
        each!(&mut self.stream, stream => stream.end(emit), ());
    }

    /// The framing, as known so far. It is settled before the first event of tokens is told.
    #[must_use]
    pub fn framing(&self) -> Framing {
        each!(&self.stream, stream => stream.framing(), Framing::Opaque)
    }

    /// The answer comes as a stream of elements rather than whole.
    #[must_use]
    pub fn streamed(&self) -> bool {
        matches!(self.framing(), Framing::Ndjson | Framing::Sse)
    }

    /// Whether a clean end without a terminal event means that the answer was cut: a generation or a transfer
    /// in a dialect and framing that has such an event, whose last element was understood.
    #[must_use]
    pub fn expects_terminal(&self) -> bool {
        self.ends && each!(&self.stream, stream => stream.is_open(), false)
    }

    /// What could not be understood so far.
    #[must_use]
    pub fn defects(&self) -> Defects {
        each!(&self.stream, stream => stream.defects(), self.defects)
    }
}

/// A content coding other than none at all.
fn is_coded(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    !(field.is_empty() || field.eq_ignore_ascii_case(b"identity"))
}

/// What the media type says, parameters aside. Opaque where it says nothing: the first byte decides then.
fn declared(content_type: Option<&[u8]>) -> Framing {
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

    const BODY: &[u8] = b"{\"response\":\"x\",\"done\":false}\n";

    fn events(route: Route, head: Head<'_>) -> (usize, Reader) {
        let (mut reader, mut events) = (Reader::new(route, &head), 0);
        reader.read(BODY, &mut |_, _| events += 1);
        reader.end(&mut |_, _| events += 1);
        (events, reader)
    }

    const OK: Head<'_> = Head { status: 200, content_type: Some(b"application/x-ndjson"), content_encoding: None };

    #[test]
    fn only_a_success_on_a_route_with_a_parser_is_read() {
        let generate = Route::of("POST", "/api/generate");
        let (told, reader) = events(generate, OK);
        assert_eq!((told, reader.streamed(), reader.expects_terminal()), (1, true, true));
        for (route, status) in
            [(generate, 404), (generate, 304), (Route::of("GET", "/api/tags"), 200), (Route::OTHER, 200)]
        {
            let (told, reader) = events(route, Head { status, ..OK });
            assert_eq!((told, reader.framing(), reader.streamed()), (0, Framing::Opaque, false));
            assert!(!reader.expects_terminal() && reader.defects().is_empty());
        }
    }

    #[test]
    fn a_coded_body_is_opaque_and_a_defect() {
        let generate = Route::of("POST", "/api/generate");
        for coding in ["gzip", "br", "zstd", "identity, gzip"] {
            let (told, reader) = events(generate, Head { content_encoding: Some(coding.as_bytes()), ..OK });
            assert_eq!((told, reader.framing()), (0, Framing::Opaque), "{coding}");
            assert_eq!(reader.defects().iter().collect::<Vec<_>>(), [(Defect::Encoding, 1)], "{coding}");
        }
        for coding in ["identity", " Identity ", ""] {
            assert_eq!(events(generate, Head { content_encoding: Some(coding.as_bytes()), ..OK }).0, 1, "{coding}");
        }
    }

    #[test]
    fn a_media_type_is_read_without_case_and_parameters() {
        assert_eq!(declared(Some(b"Application/X-NDJSON")), Framing::Ndjson);
        assert_eq!(declared(Some(b"text/event-stream; charset=utf-8")), Framing::Sse);
        assert_eq!(declared(Some(b" application/json;charset=utf-8")), Framing::Json);
        assert_eq!(declared(Some(b"text/html")), Framing::Opaque);
        assert_eq!(declared(None), Framing::Opaque);
    }
}
