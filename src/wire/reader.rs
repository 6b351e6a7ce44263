//! Reads the body of one response: picks its framing and its dialect.
//!
//! Only a success on a route whose body format has a parser is read. Everything else is opaque and costs nothing. A
//! coded body is decoded; where that fails, the facts read before stay.

use std::rc::Rc;

use super::anthropic::Anthropic;
use super::budget::DecodeBudget;
use super::coding::{Coding, Side};
use super::event::{Defect, Defects, Event};
use super::framing::Stream;
use super::head::declared;
pub use super::head::{Engine, Framing, Head, Reported};
use super::llamacpp::LlamaCpp;
use super::lmstudio::LmStudio;
use super::ollama::Ollama;
use super::ollama::progress::Transfer;
use super::openai::OpenAi;
use super::responses::Responses;
use super::route::{BodyFormat, Operation, Route};
use super::sglang::SgLang;
use super::tgi::Tgi;
use super::transcription::Transcription;

/// Reads one response body, in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    stream: AnyStream,
    /// [`Coding::Unknown`] also after decoding failed: the rest of the body is not read.
    coding: Coding,
    /// A coded body has yielded an event.
    has_emitted: bool,
    /// Streamed answers to this operation have a terminal event.
    has_terminal: bool,
    /// Defects outside the JSON.
    defects: Defects,
}

/// One variant per parser. Boxed, so that each response takes only the memory of its own.
#[derive(Debug)]
enum AnyStream {
    Opaque,
    Ollama(Box<Stream<Ollama>>),
    Transfer(Box<Stream<Transfer>>),
    OpenAi(Box<Stream<OpenAi>>),
    Responses(Box<Stream<Responses>>),
    Transcription(Box<Stream<Transcription>>),
    Anthropic(Box<Stream<Anthropic>>),
    LlamaCpp(Box<Stream<LlamaCpp>>),
    SgLang(Box<Stream<SgLang>>),
    Tgi(Box<Stream<Tgi>>),
    LmStudio(Box<Stream<LmStudio>>),
}

/// Runs an expression on the stream of any variant, and `$opaque` without one.
macro_rules! on_stream {
    ($choice:expr, $stream:ident => $run:expr, $opaque:expr) => {
        match $choice {
            AnyStream::Opaque => $opaque,
            AnyStream::Ollama($stream) => $run,
            AnyStream::Transfer($stream) => $run,
            AnyStream::OpenAi($stream) => $run,
            AnyStream::Responses($stream) => $run,
            AnyStream::Transcription($stream) => $run,
            AnyStream::Anthropic($stream) => $run,
            AnyStream::LlamaCpp($stream) => $run,
            AnyStream::SgLang($stream) => $run,
            AnyStream::Tgi($stream) => $run,
            AnyStream::LmStudio($stream) => $run,
        }
    };
}

impl Reader {
    /// The first bytes of the body may still correct the framing that the head declares.
    #[must_use]
    pub fn new(route: Route, head: &Head<'_>, budget: &Rc<DecodeBudget>) -> Self {
        let operation = route.operation;
        let has_terminal = operation.generates()
            || matches!(operation, Operation::Pull | Operation::Push | Operation::Create)
            || route.format == BodyFormat::Transcription;
        let mut reader = Self {
            stream: AnyStream::Opaque,
            coding: Coding::Plain,
            has_emitted: false,
            has_terminal,
            defects: Defects::default(),
        };
        if route.format == BodyFormat::None || !(200..300).contains(&head.status) {
            return reader;
        }
        reader.coding = Coding::parse(head.content_encoding, Side::Response, budget);
        if matches!(reader.coding, Coding::Unknown) {
            reader.defects.add(Defect::Encoding);
            return reader;
        }
        reader.stream = AnyStream::new(route, head);
        reader
    }

    /// Reads the next piece. `emit` gets each fact and the number of body bytes up to the end of the stream element
    /// (line, SSE event, whole value) that held it: past the newline of a line, past the blank line of an event (with
    /// CRLF: past its CR), past the closing brace of a whole value. For a coded body these are decoded bytes.
    #[inline]
    pub fn read(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        if !matches!(self.coding, Coding::Plain) {
            return self.read_coded(piece, emit);
        }
        on_stream!(&mut self.stream, stream => stream.read(piece, emit), ());
    }

    /// Whether the body is coded and still being decoded.
    #[must_use]
    pub const fn decodes(&self) -> bool {
        self.coding.is_decoded()
    }

    #[cold]
    fn read_coded(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        let Coding::Coded(decoder) = &mut self.coding else { return };
        let (stream, has_emitted) = (&mut self.stream, &mut self.has_emitted);
        let mut emit = |event: Event<'_>, offset: u64| {
            *has_emitted = true;
            emit(event, offset);
        };
        let decoded =
            decoder.decode(piece, &mut |bytes| on_stream!(stream, stream => stream.read(bytes, &mut emit), ()));
        if let Err(error) = decoded {
            self.coding = Coding::Unknown;
            self.defects.add(error.defect());
            if !self.has_emitted {
                self.stream = AnyStream::Opaque;
            }
        }
    }
}

impl AnyStream {
    fn new(route: Route, head: &Head<'_>) -> Self {
        let framing = declared(head.content_type);
        match route.format {
            BodyFormat::Ollama => AnyStream::Ollama(Stream::new(Ollama::default(), framing)),
            BodyFormat::OllamaProgress => AnyStream::Transfer(Stream::new(Transfer::default(), framing)),
            BodyFormat::OpenAi => AnyStream::OpenAi(Stream::new(OpenAi::new(route.operation, head.reported), framing)),
            BodyFormat::Responses => AnyStream::Responses(Stream::new(Responses::default(), framing)),
            // Plain text may look like an SSE event.
            BodyFormat::Transcription if framing == Framing::Opaque => AnyStream::Opaque,
            BodyFormat::Transcription => AnyStream::Transcription(Stream::new(Transcription::default(), framing)),
            BodyFormat::Anthropic => AnyStream::Anthropic(Stream::new(Anthropic::default(), framing)),
            BodyFormat::LlamaCpp => AnyStream::LlamaCpp(Stream::new(LlamaCpp::default(), framing)),
            // SGLang and TGI share a path, and only TGI reports in the head.
            BodyFormat::SgLang if head.reported == Reported::default() => {
                AnyStream::SgLang(Stream::new(SgLang::default(), framing))
            }
            BodyFormat::SgLang | BodyFormat::Tgi => AnyStream::Tgi(Stream::new(Tgi::new(head.reported), framing)),
            BodyFormat::LmStudio => AnyStream::LmStudio(Stream::new(LmStudio::default(), framing)),
            BodyFormat::None => AnyStream::Opaque,
        }
    }
}

impl Reader {
    /// Call when the body ended or was abandoned: emits an element that is complete but unterminated.
    pub fn end(&mut self, emit: &mut impl FnMut(Event<'_>, u64)) {
        if !self.is_lost() {
            on_stream!(&mut self.stream, stream => stream.end(emit), ());
        }
    }

    /// Whether the body cannot be decoded, or no longer.
    fn is_lost(&self) -> bool {
        matches!(self.coding, Coding::Unknown)
    }

    /// The request had a single prompt, which all choices share. Without this call each choice counts as having its
    /// own, on operations that allow lists of prompts. Call before the first piece.
    pub fn share_prompt(&mut self) {
        match &mut self.stream {
            AnyStream::OpenAi(stream) => stream.dialect_mut().share_prompt(),
            AnyStream::LlamaCpp(stream) => stream.dialect_mut().share_prompt(),
            AnyStream::SgLang(stream) => stream.dialect_mut().share_prompt(),
            _ => {}
        }
    }

    /// Names the answering server. Call before the first piece.
    pub fn set_engine(&mut self, engine: Engine) {
        if let AnyStream::Anthropic(stream) = &mut self.stream {
            stream.dialect_mut().set_engine(engine);
        }
    }

    /// The framing so far. It is final before the first token event is emitted.
    #[must_use]
    pub fn framing(&self) -> Framing {
        on_stream!(&self.stream, stream => stream.framing(), Framing::Opaque)
    }

    /// Whether the answer is a stream of elements rather than one value.
    #[must_use]
    pub fn streamed(&self) -> bool {
        matches!(self.framing(), Framing::Ndjson | Framing::Sse)
    }

    /// Whether a clean end now would mean that the answer was cut: its dialect and framing have a terminal event, which
    /// has not been seen, and the last element was understood.
    #[must_use]
    pub fn expects_terminal(&self) -> bool {
        self.has_terminal && !self.is_lost() && on_stream!(&self.stream, stream => stream.is_open(), false)
    }

    /// Everything so far that was not understood.
    #[must_use]
    pub fn defects(&self) -> Defects {
        self.defects.with(on_stream!(&self.stream, stream => stream.defects(), Defects::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"{\"response\":\"x\",\"done\":false}\n";

    fn events(route: Route, head: Head<'_>) -> (usize, Reader) {
        let (mut reader, mut events) = (Reader::new(route, &head, &DecodeBudget::unlimited()), 0);
        reader.read(BODY, &mut |_, _| events += 1);
        reader.end(&mut |_, _| events += 1);
        (events, reader)
    }

    const OK: Head<'_> = Head {
        status: 200,
        content_type: Some(b"application/x-ndjson"),
        content_encoding: None,
        reported: Reported { prompt_tokens: None, generated_tokens: None, total: None, inference: None },
    };

    #[test]
    fn only_a_success_on_a_route_with_a_parser_is_read() {
        let generate = Route::of("POST", "/api/generate");
        let (emitted, reader) = events(generate, OK);
        assert_eq!((emitted, reader.streamed(), reader.expects_terminal()), (1, true, true));
        for (route, status) in
            [(generate, 404), (generate, 304), (Route::of("GET", "/api/tags"), 200), (Route::OTHER, 200)]
        {
            let (emitted, reader) = events(route, Head { status, ..OK });
            assert_eq!((emitted, reader.framing(), reader.streamed()), (0, Framing::Opaque, false));
            assert!(!reader.expects_terminal() && reader.defects().is_empty());
        }
    }

    #[test]
    fn a_coding_that_lies_or_is_unknown_is_opaque_and_a_defect() {
        let generate = Route::of("POST", "/api/generate");
        for coding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "compress"] {
            let (emitted, reader) = events(generate, Head { content_encoding: Some(coding.as_bytes()), ..OK });
            assert_eq!((emitted, reader.framing()), (0, Framing::Opaque), "{coding}");
            assert_eq!(reader.defects().iter().collect::<Vec<_>>(), [(Defect::Encoding, 1)], "{coding}");
        }
        for coding in ["identity", " Identity ", ""] {
            assert_eq!(events(generate, Head { content_encoding: Some(coding.as_bytes()), ..OK }).0, 1, "{coding}");
        }
    }
}
