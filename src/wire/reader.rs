//! Reads one response: framing and dialect joined.
//!
//! Only what can hold facts is read: a success status, and a route whose body format has a parser. Everything else is
//! opaque and costs nothing. A coded body is decoded on the way; where that fails, what was read before stays.

use std::rc::Rc;
use std::time::Duration;

use super::anthropic::Anthropic;
use super::budget::Budget;
use super::coding::{Coding, Side};
use super::event::{Defect, Defects, Event};
use super::framing::Stream;
use super::llamacpp::LlamaCpp;
use super::lmstudio::LmStudio;
use super::ollama::Ollama;
use super::ollama::progress::Progress;
use super::openai::OpenAi;
use super::responses::Responses;
use super::route::{Format, Operation, Route};
use super::sglang::SgLang;
use super::tgi::Tgi;
use super::transcription::Transcription;
use super::units;

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
    /// What the head itself reports. Only TGI's does.
    pub reported: Reported,
}

/// Which server answers, as far as an answer means another thing by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Ollama.
    Ollama,
    /// `SGLang`.
    Sglang,
    /// Another that was recognised.
    Other,
    /// Not recognised: what an answer looks like is all there is.
    #[default]
    Unknown,
}

/// Facts that a server states in header fields of its response: TGI, of a whole answer. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// `x-prompt-tokens`.
    pub prompt_tokens: Option<u64>,
    /// `x-generated-tokens`.
    pub generated_tokens: Option<u64>,
    /// `x-total-time`, in milliseconds like all of them.
    pub total: Option<Duration>,
    /// `x-inference-time`: prefill and decode together.
    pub inference: Option<Duration>,
}

/// Every answer of TGI's has it, and no other server's.
const TGI_MARK: &str = "x-compute-type";

impl Reported {
    /// Reads them through a look-up of a field by its name in lower case. It asks only where the route's server may
    /// have such fields.
    #[must_use]
    pub fn read<'a>(route: Route, field: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        match route.format {
            Format::Tgi | Format::SgLang => {}
            Format::OpenAi if field(TGI_MARK).is_some() => {}
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

/// Reads one response body, in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    stream: Choice,
    /// Unknown also after it broke or cost too much: nothing more is read.
    coding: Coding,
    /// Something was told of a coded body.
    told: bool,
    /// The operation has a terminal event where its answer is a stream.
    ends: bool,
    /// Met around the JSON.
    defects: Defects,
}

/// One variant for each parser, each no larger than it needs to be.
#[derive(Debug)]
enum Choice {
    Opaque,
    Ollama(Box<Stream<Ollama>>),
    Progress(Box<Stream<Progress>>),
    OpenAi(Box<Stream<OpenAi>>),
    Responses(Box<Stream<Responses>>),
    Transcription(Box<Stream<Transcription>>),
    Anthropic(Box<Stream<Anthropic>>),
    LlamaCpp(Box<Stream<LlamaCpp>>),
    SgLang(Box<Stream<SgLang>>),
    Tgi(Box<Stream<Tgi>>),
    LmStudio(Box<Stream<LmStudio>>),
}

/// Runs the same on whatever stream there is.
macro_rules! each {
    ($choice:expr, $stream:ident => $run:expr, $opaque:expr) => {
        match $choice {
            Choice::Opaque => $opaque,
            Choice::Ollama($stream) => $run,
            Choice::Progress($stream) => $run,
            Choice::OpenAi($stream) => $run,
            Choice::Responses($stream) => $run,
            Choice::Transcription($stream) => $run,
            Choice::Anthropic($stream) => $run,
            Choice::LlamaCpp($stream) => $run,
            Choice::SgLang($stream) => $run,
            Choice::Tgi($stream) => $run,
            Choice::LmStudio($stream) => $run,
        }
    };
}

impl Reader {
    /// Chooses framing and dialect. The framing may still be corrected by the first bytes of the body.
    #[must_use]
    pub fn new(route: Route, head: &Head<'_>, budget: &Rc<Budget>) -> Self {
        let operation = route.operation;
        let ends = operation.generates()
            || matches!(operation, Operation::Pull | Operation::Push | Operation::Create)
            || route.format == Format::Transcription;
        let mut reader =
            Self { stream: Choice::Opaque, coding: Coding::Plain, told: false, ends, defects: Defects::default() };
        if route.format == Format::None || !(200..300).contains(&head.status) {
            return reader;
        }
        reader.coding = Coding::of(head.content_encoding, Side::Response, budget);
        if matches!(reader.coding, Coding::Unknown) {
            reader.defects.add(Defect::Encoding);
            return reader;
        }
        reader.stream = Choice::of(route, head);
        reader
    }

    /// Reads the next piece. `emit` is called with each fact and the number of body bytes up to the end of the
    /// stream element (line, SSE event, whole value) that held it: past the newline of a line, past the blank line
    /// of an event (with CRLF: past its CR), past the closing brace of a whole value. Of a coded body the decoded bytes
    /// are counted.
    #[inline]
    pub fn read(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        if !matches!(self.coding, Coding::Plain) {
            return self.read_coded(piece, emit);
        }
        each!(&mut self.stream, stream => stream.read(piece, emit), ());
    }

    /// The body is coded, and is being decoded.
    #[must_use]
    pub const fn decodes(&self) -> bool {
        self.coding.is_decoded()
    }

    #[cold]
    fn read_coded(&mut self, piece: &[u8], emit: &mut impl FnMut(Event<'_>, u64)) {
        let Coding::Coded(decoder) = &mut self.coding else { return };
        let (stream, told) = (&mut self.stream, &mut self.told);
        let mut emit = |event: Event<'_>, offset: u64| {
            *told = true;
            emit(event, offset);
        };
        let decoded = decoder.decode(piece, &mut |bytes| each!(stream, stream => stream.read(bytes, &mut emit), ()));
        if let Err(error) = decoded {
            self.coding = Coding::Unknown;
            self.defects.add(error.defect());
            if !self.told {
                self.stream = Choice::Opaque;
            }
        }
    }
}

impl Choice {
    fn of(route: Route, head: &Head<'_>) -> Self {
        let framing = declared(head.content_type);
        match route.format {
            Format::Ollama => Choice::Ollama(Stream::new(Ollama::default(), framing)),
            Format::OllamaProgress => Choice::Progress(Stream::new(Progress::default(), framing)),
            Format::OpenAi => Choice::OpenAi(Stream::new(OpenAi::new(route.operation, head.reported), framing)),
            Format::Responses => Choice::Responses(Stream::new(Responses::default(), framing)),
            // Plain text may begin as an event does.
            Format::Transcription if framing == Framing::Opaque => Choice::Opaque,
            Format::Transcription => Choice::Transcription(Stream::new(Transcription::default(), framing)),
            Format::Anthropic => Choice::Anthropic(Stream::new(Anthropic::default(), framing)),
            Format::LlamaCpp => Choice::LlamaCpp(Stream::new(LlamaCpp::default(), framing)),
            // The two share a path, and only TGI counts in the head.
            Format::SgLang if head.reported == Reported::default() => {
                Choice::SgLang(Stream::new(SgLang::default(), framing))
            }
            Format::SgLang | Format::Tgi => Choice::Tgi(Stream::new(Tgi::new(head.reported), framing)),
            Format::LmStudio => Choice::LmStudio(Stream::new(LmStudio::default(), framing)),
            Format::None => Choice::Opaque,
        }
    }
}

impl Reader {
    /// The body ended, or was left: an element that is complete but unterminated is read now.
    pub fn end(&mut self, emit: &mut impl FnMut(Event<'_>, u64)) {
        if !self.is_lost() {
            each!(&mut self.stream, stream => stream.end(emit), ());
        }
    }

    /// The coding is unknown, broke or cost too much.
    fn is_lost(&self) -> bool {
        matches!(self.coding, Coding::Unknown)
    }

    /// The request had a single prompt: choices share it. Otherwise each is taken to have its own where an operation
    /// allows lists of prompts. To be told before the first piece.
    pub fn share_prompt(&mut self) {
        match &mut self.stream {
            Choice::OpenAi(stream) => stream.dialect_mut().share_prompt(),
            Choice::LlamaCpp(stream) => stream.dialect_mut().share_prompt(),
            Choice::SgLang(stream) => stream.dialect_mut().share_prompt(),
            _ => {}
        }
    }

    /// Which server answers. To be told before the first piece.
    pub fn served_by(&mut self, engine: Engine) {
        if let Choice::Anthropic(stream) = &mut self.stream {
            stream.dialect_mut().served_by(engine);
        }
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
        self.ends && !self.is_lost() && each!(&self.stream, stream => stream.is_open(), false)
    }

    /// What could not be understood so far.
    #[must_use]
    pub fn defects(&self) -> Defects {
        self.defects.with(each!(&self.stream, stream => stream.defects(), Defects::default()))
    }
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
        let (mut reader, mut events) = (Reader::new(route, &head, &Budget::unlimited()), 0);
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
    fn a_coding_that_lies_or_is_unknown_is_opaque_and_a_defect() {
        let generate = Route::of("POST", "/api/generate");
        for coding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "compress"] {
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
