//! Every recorded stream says what its `expect.json` says, however its bytes are split or coded.

#![allow(clippy::unwrap_used, reason = "tests")]

mod coded;
mod facts;
mod less;
mod properties;
mod seeds;
mod truncation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use inferometer::wire::budget::DecodeBudget;
use inferometer::wire::event::{Defect, Event, FinishReason, Timings, Usage};
use inferometer::wire::reader::{Framing, Head, Reader, Reported};
use inferometer::wire::route::{BodyFormat, Operation, Route};
use serde_json::Value;

/// One recorded exchange.
struct Fixture {
    name: String,
    /// The body of the request.
    request: Vec<u8>,
    route: Route,
    status: u16,
    content_type: Option<String>,
    body: Vec<u8>,
    /// Where in `response.http` each byte of the body stands.
    raw: Vec<usize>,
    expect: Value,
}

fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let all: Vec<_> = folders(&root).iter().flat_map(|server| folders(server)).map(|case| load(&root, &case)).collect();
    assert!(all.len() > 250, "the fixtures are here");
    all
}

fn load(root: &Path, case: &Path) -> Fixture {
    let expect: Value = serde_json::from_slice(&fs::read(case.join("expect.json")).unwrap()).unwrap();
    let request = fs::read(case.join("request.http")).unwrap();
    let line = request.split(|byte| *byte == b'\r').next().unwrap();
    let mut words = std::str::from_utf8(line).unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let response = fs::read(case.join("response.http")).unwrap();
    let end = response.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&response[..end]).unwrap().to_owned();
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
    };
    let raw = match field("transfer-encoding").as_deref() {
        Some("chunked") => dechunk(&response, end),
        _ => (end..response.len()).collect(),
    };
    Fixture {
        name: case.strip_prefix(root).unwrap().display().to_string(),
        request: request[request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4..].to_vec(),
        route: Route::of(method, target.split('?').next().unwrap()),
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        content_type: field("content-type"),
        body: raw.iter().map(|at| response[*at]).collect(),
        raw,
        expect,
    }
}

/// The positions of the bytes inside the chunks, of a body that may break off.
fn dechunk(response: &[u8], start: usize) -> Vec<usize> {
    let (mut at, mut raw) = (start, Vec::new());
    while let Some(len) = response[at..].windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&response[at..at + len]).unwrap(), 16).unwrap();
        let data = at + len + 2;
        raw.extend(data..(data + size).min(response.len()));
        at = data + size + 2;
        if size == 0 || at >= response.len() {
            break;
        }
    }
    raw
}

/// What an exchange amounts to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    model: Option<String>,
    usage: Usage,
    timings: Timings,
    token_events: u64,
    listed: u64,
    first_token: Option<u64>,
    first_answer: Option<u64>,
    finish: Option<FinishReason>,
    progress: Option<u64>,
    error: bool,
    terminal: bool,
    expects_terminal: bool,
    framing: Option<Framing>,
    defects: Vec<(Defect, u32)>,
    last_offset: u64,
}

impl Facts {
    fn take(&mut self, event: Event<'_>, offset: u64) {
        assert!(offset >= self.last_offset, "offsets never go back");
        self.last_offset = offset;
        match event {
            Event::Model(name) => self.model = Some(name.to_owned()),
            Event::Tokens(tokens) => {
                self.token_events += 1;
                self.listed += tokens.listed.unwrap_or(0);
                self.first_token.get_or_insert(offset);
                if tokens.answer {
                    self.first_answer.get_or_insert(offset);
                }
            }
            Event::Usage(usage) => {
                self.usage = Usage {
                    prompt: usage.prompt.or(self.usage.prompt),
                    generated: usage.generated.or(self.usage.generated),
                    cached: usage.cached.or(self.usage.cached),
                    ..usage
                };
            }
            Event::Timings(timings) => {
                self.timings = Timings {
                    load: timings.load.or(self.timings.load),
                    prefill: timings.prefill.or(self.timings.prefill),
                    decode: timings.decode.or(self.timings.decode),
                    total: timings.total.or(self.timings.total),
                };
            }
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Progress(progress) => self.progress = Some(progress.completed),
            Event::Elsewhere | Event::Step(_) => {}
            Event::Error => self.error = true,
            Event::Terminal => self.terminal = true,
            Event::NoTokens => {}
        }
    }

    /// As the contract has it, where the body came to its end (or the client left).
    fn outcome(&self, fixture: &Fixture) -> &'static str {
        if fixture.expect["ended"] == "client left" && !self.terminal {
            "client_cancelled"
        } else if self.error {
            "stream_error"
        } else if self.expects_terminal && !self.terminal {
            "truncated"
        } else if fixture.status >= 400 {
            "http_error"
        } else {
            "completed"
        }
    }
}

fn read<'a>(fixture: &Fixture, pieces: impl IntoIterator<Item = &'a [u8]>) -> Facts {
    read_coded(fixture, None, pieces)
}

fn read_coded<'a>(
    fixture: &Fixture,
    coding: Option<&'static str>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Facts {
    let head = Head {
        status: fixture.status,
        content_type: fixture.content_type.as_deref().map(str::as_bytes),
        content_encoding: coding.map(str::as_bytes),
        reported: Reported::default(),
    };
    let mut reader = Reader::new(fixture.route, &head, &DecodeBudget::unlimited());
    let mut facts = Facts::default();
    for piece in pieces {
        reader.read(piece, &mut |event, offset| facts.take(event, offset));
    }
    reader.end(&mut |event, offset| facts.take(event, offset));
    facts.expects_terminal = reader.expects_terminal();
    facts.framing = Some(reader.framing());
    facts.defects = reader.defects().iter().collect();
    facts
}

/// The fixtures that have a parser, and an answer to read.
fn readable() -> impl Iterator<Item = Fixture> {
    fixtures().into_iter().filter(|fixture| fixture.route.format != BodyFormat::None)
}

#[test]
fn every_recorded_request_is_classified() {
    for fixture in fixtures() {
        let operation = match fixture.expect["operation"].as_str().unwrap() {
            "generate" | "completions" | "completion" => Operation::TextCompletion,
            "chat" | "messages" | "responses" => Operation::Chat,
            "embed" | "embeddings" => Operation::Embeddings,
            "pull" => Operation::Pull,
            "push" => Operation::Push,
            "create" => Operation::Create,
            "other" => Operation::Other,
            unknown => panic!("{unknown}"),
        };
        assert_eq!(fixture.route.operation, operation, "{}", fixture.name);
        if operation != Operation::Other {
            assert_eq!(fixture.route.dialect.as_str(), fixture.expect["dialect"], "{}", fixture.name);
        }
    }
}

#[test]
fn every_recorded_answer_says_what_is_expected() {
    let mut checked = 0;
    for fixture in readable() {
        let facts = read(&fixture, [fixture.body.as_slice()]);
        check(&fixture, &facts);
        checked += 1;
    }
    assert!(checked > 150, "{checked} fixtures have a parser");
}

fn check(fixture: &Fixture, facts: &Facts) {
    let (name, expect) = (&fixture.name, &fixture.expect);
    assert_eq!(facts.outcome(fixture), expect["outcome"], "{name}: outcome of {facts:?}");
    assert_eq!(facts.defects, Vec::new(), "{name}: defects");
    if fixture.status < 400 {
        let framing = match facts.framing.unwrap() {
            Framing::Ndjson => "ndjson",
            Framing::Sse => "sse",
            Framing::Json => "json",
            Framing::Opaque => "other",
        };
        assert_eq!(framing, expect["framing"], "{name}: framing");
    }
    assert_eq!(facts.model.as_deref(), expect["model"].as_str(), "{name}: model");
    assert_eq!(facts.finish.map(FinishReason::as_str), expect["finish_reason"].as_str(), "{name}: finish");
    let count = |key: &str| expect[key].as_u64();
    assert_eq!(facts.usage.prompt, count("prompt_tokens"), "{name}: prompt tokens");
    assert_eq!(facts.usage.generated, count("generated_tokens"), "{name}: generated tokens");
    assert_eq!(facts.usage.cached, count("cached_tokens"), "{name}: cached tokens");
    let running = expect["outcome"] == "client_cancelled";
    assert_eq!(facts.usage.last, facts.usage.prompt.is_some() && !running, "{name}: the last report is final");
    assert_eq!(Some(facts.token_events), count("token_events"), "{name}: token events");
    let nanos = |duration: Option<Duration>| duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap());
    assert_eq!(nanos(facts.timings.load), count("load_ns"), "{name}: load");
    assert_eq!(nanos(facts.timings.prefill), count("prefill_ns"), "{name}: prefill");
    assert_eq!(nanos(facts.timings.decode), count("decode_ns"), "{name}: decode");
    assert_eq!(nanos(facts.timings.total), count("total_ns"), "{name}: total");
    let offset = |key: &str| count(key).map(|raw| fixture.raw.iter().filter(|at| (**at as u64) < raw).count() as u64);
    assert_eq!(facts.first_token, offset("first_token_raw_offset"), "{name}: first token");
    assert_eq!(facts.first_answer, offset("first_answer_raw_offset"), "{name}: first answer token");
    assert_eq!(facts.progress, moved(fixture), "{name}: bytes moved");
}

/// Bytes moved, found the slow and obvious way.
fn moved(fixture: &Fixture) -> Option<u64> {
    let mut layers = std::collections::BTreeMap::new();
    for line in fixture.body.split(|byte| *byte == b'\n').filter(|_| fixture.route.format == BodyFormat::OllamaProgress)
    {
        let Ok(object) = serde_json::from_slice::<Value>(line) else { continue };
        if let Some(digest) = object["digest"].as_str() {
            layers.insert(digest.to_owned(), object["completed"].as_u64().unwrap_or(0));
        }
    }
    (!layers.is_empty()).then(|| layers.values().sum())
}

#[test]
fn one_byte_at_a_time_says_the_same() {
    for fixture in readable() {
        let whole = read(&fixture, [fixture.body.as_slice()]);
        assert_eq!(read(&fixture, fixture.body.chunks(1)), whole, "{}", fixture.name);
    }
}

/// Longest body that is read in two pieces for every place where it can be cut: the time goes with the square of the
/// length. `make splits` has no bound; unoptimized, what is longer is a matter of many minutes.
const TWO_PIECES: usize = if cfg!(debug_assertions) { 4_000 } else { usize::MAX };

/// Pieces in which longer bodies are read: each byte begins one once.
const STRIDE: usize = 61;

#[test]
fn a_split_at_any_byte_says_the_same() {
    let fixtures: Vec<_> = readable().filter(|fixture| !fixture.body.is_empty()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
            split_everywhere(fixture);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let (short, all) = (fixtures.iter().filter(|fixture| fixture.body.len() < TWO_PIECES).count(), fixtures.len());
    println!("{short} of {all} bodies cut in two at every byte");
    assert!(short > 150, "most recorded bodies are cut in two at every byte");
}

fn split_everywhere(fixture: &Fixture) {
    let whole = read(fixture, [fixture.body.as_slice()]);
    if fixture.body.len() < TWO_PIECES {
        for at in 0..=fixture.body.len() {
            let (head, tail) = fixture.body.split_at(at);
            assert_eq!(read(fixture, [head, tail]), whole, "{} split at {at}", fixture.name);
        }
    }
    for first in 0..STRIDE.min(fixture.body.len()) {
        let (head, tail) = fixture.body.split_at(first);
        let pieces = std::iter::once(head).chain(tail.chunks(STRIDE));
        assert_eq!(read(fixture, pieces), whole, "{} split every {STRIDE} from {first}", fixture.name);
    }
}

/// A generator that gives the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    /// Pieces of random lengths, empty ones too.
    fn pieces<'a>(&mut self, body: &'a [u8]) -> Vec<&'a [u8]> {
        let (mut rest, mut pieces) = (body, Vec::new());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(self.below(300.min(rest.len() + 1)));
            pieces.push(piece);
            rest = more;
        }
        pieces
    }
}

#[test]
fn random_splits_say_the_same() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for fixture in readable() {
        let whole = read(&fixture, [fixture.body.as_slice()]);
        for round in 0..10 {
            let pieces = random.pieces(&fixture.body);
            assert_eq!(read(&fixture, pieces), whole, "{} round {round}", fixture.name);
        }
    }
}

#[test]
fn damaged_bodies_say_the_same_however_they_are_split() {
    const MARKS: &[u8] = b"{}[]\",:\\ \n\r0-tn\xff";
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for mut fixture in readable().filter(|fixture| !fixture.body.is_empty()) {
        let body = fixture.body.clone();
        for round in 0..10 {
            fixture.body.clone_from(&body);
            for _ in 0..=random.below(4) {
                let at = random.below(fixture.body.len());
                match random.below(3) {
                    0 => fixture.body[at] = MARKS[random.below(MARKS.len())],
                    1 => fixture.body.insert(at, MARKS[random.below(MARKS.len())]),
                    _ => fixture.body.truncate(at.max(1)),
                }
            }
            let whole = read(&fixture, [fixture.body.as_slice()]);
            let pieces = random.pieces(&fixture.body);
            assert_eq!(read(&fixture, pieces), whole, "{} round {round}", fixture.name);
            assert_eq!(read(&fixture, fixture.body.chunks(1)), whole, "{} round {round}", fixture.name);
        }
    }
}

/// llama.cpp served its chat on Ollama's route too, and others complete without a prefix: what a body is decides.
#[test]
fn an_answer_in_the_shape_of_openai_says_the_same_on_the_route_of_another_dialect() {
    let mut read_so = 0;
    for mut fixture in readable().filter(|fixture| fixture.route.format == BodyFormat::OpenAi && fixture.status < 300) {
        let path = match fixture.route.operation {
            Operation::Chat => "/api/chat",
            Operation::TextCompletion => "/completions",
            _ => "/embeddings",
        };
        let there = read(&fixture, [fixture.body.as_slice()]);
        fixture.route = Route::of("POST", path);
        assert_eq!(read(&fixture, [fixture.body.as_slice()]), there, "{} on {path}", fixture.name);
        assert_eq!(read(&fixture, fixture.body.chunks(7)), there, "{} on {path}", fixture.name);
        read_so += 1;
    }
    assert!(read_so > 50, "{read_so}");
}

#[test]
fn listed_tokens_are_the_reported_ones() {
    for name in ["llamacpp-server/v1-chat-logprobs", "ollama-0.24.0/generate-logprobs"] {
        let fixture = fixtures().into_iter().find(|fixture| fixture.name == name).unwrap();
        let facts = read(&fixture, [fixture.body.as_slice()]);
        // The end token is generated and not listed.
        assert_eq!(Some(facts.listed + 1), facts.usage.generated, "{name}");
    }
}
