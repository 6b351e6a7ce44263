//! What must hold of any bytes: the fuzz targets try to break it, and the tests hold the seeds against it.
//!
//! An input of a response begins with two bytes: the size of the pieces that it is split into, and which media type is
//! declared. What is read in pieces must be what is read whole, and offsets never go back. There is nothing else to
//! check, for parsing does not fail.

use inferometer::proxy::guard::follow;
use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::event::{Defect, Event, Usage};
use inferometer::wire::form::FormScanner;
use inferometer::wire::reader::{Framing, Head, Reader, Reported};
use inferometer::wire::request::ModelScanner;
use inferometer::wire::route::Route;

/// Media types by the second byte of an input.
const MEDIA: [&str; 4] = ["application/x-ndjson", "text/event-stream", "application/json", "text/plain"];

/// Content codings by the first byte of an input.
const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// Which route each target reads; framings are read with the dialect that has least of its own.
pub const RESPONSES: [(&str, &str); 13] = [
    ("framing_ndjson", "/api/generate"),
    ("framing_sse", "/v1/completions"),
    ("framing_whole", "/api/embed"),
    ("dialect_ollama", "/api/chat"),
    ("dialect_progress", "/api/pull"),
    ("dialect_openai", "/v1/chat/completions"),
    ("dialect_responses", "/v1/responses"),
    ("dialect_transcription", "/v1/audio/transcriptions"),
    ("dialect_anthropic", "/v1/messages"),
    ("dialect_llamacpp", "/completion"),
    ("dialect_sglang", "/generate"),
    ("dialect_tgi", "/generate_stream"),
    ("dialect_lmstudio", "/api/v1/chat"),
];

/// Runs the target of this name; the bytes may be anything.
pub fn run(target: &str, input: &[u8]) {
    match target {
        "request" => request(input),
        "coding" => coding(input),
        "guard" => guard(input),
        "form" => form(input),
        _ => {
            let (_, path) = RESPONSES.iter().find(|(name, _)| *name == target).expect("a target");
            let fixed = ["framing_ndjson", "framing_sse", "framing_whole"].iter().position(|name| *name == target);
            response(path, fixed, input);
        }
    }
}

/// A form that is held until it names its model: which one that is does not depend on where the form is cut. The first byte
/// is the size of the pieces.
fn form(input: &[u8]) {
    let Some((size, body)) = input.split_first() else { return };
    let scan = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scanner = FormScanner::of(b"multipart/form-data; boundary=x").expect("a boundary");
        pieces.for_each(|piece| scanner.read(piece));
        scanner.model().map(str::to_owned)
    };
    let whole = scan(&mut std::iter::once(body));
    let pieces = scan(&mut body.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces, "in pieces of {size}");
}

/// What a response amounts to.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    models: Vec<String>,
    tokens: Vec<(bool, bool, Option<u64>, u64)>,
    usage: Option<Usage>,
    ends: Vec<(&'static str, u64)>,
    last: u64,
    framing: Option<Framing>,
    expects_terminal: bool,
    defects: Vec<(Defect, u32)>,
}

impl Facts {
    fn take(&mut self, event: Event<'_>, offset: u64) {
        assert!(offset >= self.last, "offsets never go back");
        self.last = offset;
        match event {
            Event::Model(name) => self.models.push(name.to_owned()),
            Event::Tokens(tokens) => self.tokens.push((tokens.answer, tokens.thinking, tokens.listed, offset)),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Elsewhere => self.ends.push(("elsewhere", offset)),
            Event::Error => self.ends.push(("error", offset)),
            Event::Terminal => self.ends.push(("terminal", offset)),
            Event::Finish(reason) => self.ends.push((reason.as_str(), offset)),
            Event::NoTokens => self.ends.push(("no tokens", offset)),
            Event::Timings(_) | Event::Progress(_) | Event::Step(_) => {}
        }
    }
}

fn read<'a>(path: &str, media: &str, coding: Option<&str>, pieces: impl Iterator<Item = &'a [u8]>) -> Facts {
    let head = Head {
        status: 200,
        content_type: Some(media.as_bytes()),
        content_encoding: coding.map(str::as_bytes),
        reported: Reported::default(),
    };
    let mut reader = Reader::new(Route::of("POST", path), &head, &DecodeBudget::unlimited());
    let mut facts = Facts::default();
    for piece in pieces {
        reader.read(piece, &mut |event, offset| facts.take(event, offset));
    }
    reader.end(&mut |event, offset| facts.take(event, offset));
    facts.framing = Some(reader.framing());
    facts.expects_terminal = reader.expects_terminal();
    facts.defects = reader.defects().iter().collect();
    facts
}

fn response(path: &str, fixed: Option<usize>, input: &[u8]) {
    let [size, media, body @ ..] = input else { return };
    let media = MEDIA[fixed.unwrap_or(usize::from(*media) % MEDIA.len())];
    let whole = read(path, media, None, [body].into_iter());
    let pieces = body.chunks(usize::from(*size).max(1));
    assert_eq!(read(path, media, None, pieces), whole, "split by {size}");
}

/// A request's body, after the size of the pieces.
fn request(input: &[u8]) {
    let [size, body @ ..] = input else { return };
    let scan = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scanner = ModelScanner::default();
        pieces.for_each(|piece| scanner.read(piece));
        let facts = scanner.facts();
        let model = facts.model.map(str::to_owned);
        (model, facts.prompt_characters, facts.messages, facts.conversations)
    };
    let whole = scan(&mut [body].into_iter());
    assert!(whole.0.as_ref().is_none_or(|model| model.len() <= ModelScanner::MAX_NAME));
    assert!(whole.1.is_none_or(|characters| characters <= body.len() as u64));
    assert_eq!(scan(&mut body.chunks(usize::from(*size).max(1))), whole, "split by {size}");
}

/// A coded body, after the coding and the size of the pieces. Where it breaks, what came out before depends on the
/// pieces.
fn coding(input: &[u8]) {
    let [coding, size, body @ ..] = input else { return };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let whole = read("/api/generate", MEDIA[0], Some(coding), [body].into_iter());
    let split = read("/api/generate", MEDIA[0], Some(coding), body.chunks(usize::from(*size).max(1)));
    let broke =
        |facts: &Facts| facts.defects.iter().any(|(defect, _)| matches!(defect, Defect::Encoding | Defect::Budget));
    if !broke(&whole) && !broke(&split) {
        assert_eq!(split, whole, "{coding} split by {size}");
    }
    let mut scanner = ModelScanner::coded(coding.as_bytes(), &DecodeBudget::unlimited());
    body.chunks(usize::from(*size).max(1)).for_each(|piece| scanner.read(piece));
}

/// The head guard: however a client's bytes are split, it stops at the same streams, and never hands on more of them.
fn guard(stream: &[u8]) {
    let (dribbled, stopped) = follow(stream, 1);
    for piece in [2, 3, 7, 64, stream.len().max(1)] {
        let (passed, stops) = follow(stream, piece);
        assert_eq!(stops, stopped, "in pieces of {piece}");
        // A piece that breaks the framing of a body is held back as a whole.
        assert!(passed <= dribbled && (stopped || passed == dribbled), "in pieces of {piece}");
    }
}
