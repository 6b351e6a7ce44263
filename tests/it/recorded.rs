//! Every recorded stream passes through the proxy byte for byte, and its record says what is in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inferometer::exchange::names::NamedModel;
use inferometer::exchange::outcome::Phase;
use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{Sink, TokenFrame, Watch};
use inferometer::wire::event::{Defect, FinishReason};
use inferometer::wire::route::BodyFormat;

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::fixture::{self, Fixture, Response, parse};
use crate::support::rig::{Options, Rig};

/// Replays every fixture: a request names its case in a field of its own.
fn replayer() -> Backend {
    let cases: HashMap<String, Fixture> = fixture::all().into_iter().map(|case| (case.name.clone(), case)).collect();
    let cases = Arc::new(cases);
    Backend::start(move |connection| {
        let Some(request) = connection.request() else { return };
        let text = String::from_utf8_lossy(&request).into_owned();
        let name = text.lines().find_map(|line| line.strip_prefix("X-Case: ")).expect("a case");
        let case = &cases[name];
        let mut at = 0;
        for read in &case.reads {
            connection.write(&case.response[at..at + read]);
            at += read;
        }
        connection.write(&case.response[at..]);
        if case.client_left() {
            assert!(connection.closed(), "{name}: the client leaves");
        }
    })
}

/// The response to a case as the client sees it.
fn play(rig: &Rig, case: &Fixture) -> Response {
    let line = case.request.iter().position(|byte| *byte == b'\n').expect("a request line") + 1;
    let mut client = Client::connect(rig.address);
    client.send(&case.request[..line]).send(format!("X-Case: {}\r\n", case.name)).send(&case.request[line..]);
    if !case.client_left() {
        let (bytes, reset) = client.rest();
        assert!(!reset, "{}: reset", case.name);
        return parse(&bytes);
    }
    let body = parse(&case.response).body;
    let mut seen = client.until("\r\n\r\n");
    while parse(&seen).body.len() < body.len() {
        seen.extend(client.until("\n"));
    }
    parse(&seen)
}

/// The head without the fields of the connection.
fn end_to_end(head: &[String]) -> Vec<&str> {
    let own = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    head.iter().map(String::as_str).filter(own).collect()
}

#[track_caller]
fn assert_same(case: &Fixture, seen: &Response) {
    let sent = parse(&case.response);
    assert_eq!(end_to_end(&seen.head), end_to_end(&sent.head), "{}", case.name);
    assert!(seen.body == sent.body, "{}: the body differs", case.name);
}

#[test]
fn every_recorded_stream_passes_unchanged_and_is_understood() {
    let backend = replayer();
    let rig = Rig::before(backend.address);
    let mut understood = 0;
    for case in fixture::all() {
        let seen = play(&rig, &case);
        assert_same(&case, &seen);
        let record = rig.record();
        assert_eq!(u64::from(record.status), case.expect["status"].as_u64().expect("a status"), "{}", case.name);
        if matches!(record.start.route.format, BodyFormat::Ollama | BodyFormat::OllamaProgress | BodyFormat::OpenAi) {
            check(&case, &record);
            understood += 1;
        }
    }
    assert!(understood > 150, "{understood}");
    assert!(rig.no_more_records(), "every exchange ends once");
}

fn check(case: &Fixture, record: &Record) {
    let (name, expect) = (&case.name, &case.expect);
    assert_eq!(record.outcome.as_str(), expect["outcome"], "{name}");
    assert_eq!(record.answered_model.as_deref(), expect["model"].as_str(), "{name}");
    assert_eq!(record.finish_reason.map(FinishReason::as_str), expect["finish_reason"].as_str(), "{name}");
    let count = |key: &str| expect[key].as_u64();
    assert_eq!(record.prompt_tokens.map(|count| count.value), count("prompt_tokens"), "{name}: prompt");
    assert_eq!(record.generated_tokens.map(|count| count.value), count("generated_tokens"), "{name}: generated");
    assert_eq!(record.cached_tokens, count("cached_tokens"), "{name}: cached");
    assert_eq!(Some(record.token_events), count("token_events"), "{name}: events");
    // A long answer that is replayed at once contradicts the watch, as it should.
    let longest = (record.duration * 2 + Duration::from_secs(1)).as_nanos();
    let durations = ["load_ns", "prefill_ns", "decode_ns", "total_ns"];
    let contradicts = durations.iter().any(|key| count(key).is_some_and(|nanos| u128::from(nanos) > longest));
    let defects: &[_] = if contradicts { &[(Defect::Duration, 1)] } else { &[] };
    assert_eq!(record.defects.iter().collect::<Vec<_>>(), defects, "{name}: defects");
    let told = |key: &str| count(key).filter(|_| !contradicts);
    let nanos = |duration: Option<Duration>| duration.map(|duration| u64::try_from(duration.as_nanos()).expect("fits"));
    assert_eq!(nanos(record.load), told("load_ns"), "{name}: load");
    assert_eq!(nanos(record.prefill), told("prefill_ns"), "{name}: prefill");
    assert_eq!(nanos(record.decode), told("decode_ns"), "{name}: decode");
    let sent = parse(&case.response);
    let offset = |key: &str| count(key).map(|raw| sent.raw.iter().filter(|at| (**at as u64) < raw).count() as u64);
    assert_eq!(record.first_token_offset, offset("first_token_raw_offset"), "{name}: first token");
    assert_eq!(record.first_answer_offset, offset("first_answer_raw_offset"), "{name}: first answer");
    assert_eq!(record.response_bytes, sent.body.len() as u64, "{name}: bytes");
    if expect["outcome"] == "client_cancelled" {
        assert_eq!(record.phase, Phase::Decode, "{name}");
    }
}

/// An observer that panics on every call.
struct Faulty;

impl Sink for Faulty {
    type Watch = Self;

    fn started(&self, start: &Start) -> Self {
        assert!(!start.id.is_multiple_of(4), "a fault on purpose, at the start");
        Self
    }
}

impl Watch for Faulty {
    fn requested(&mut self, model: Option<&NamedModel>) {
        panic!("a fault on purpose, asked for {model:?}");
    }
    fn forwarded(&mut self) {
        panic!("a fault on purpose, forwarded");
    }
    fn uploaded(&mut self, _: Instant) {
        panic!("a fault on purpose, uploaded");
    }
    fn phase(&mut self, phase: Phase) {
        panic!("a fault on purpose, in {phase:?}");
    }
    fn tokens(&mut self, frame: TokenFrame) {
        panic!("a fault on purpose, at {frame:?}");
    }
    fn finished(&mut self, record: &Record) {
        panic!("a fault on purpose, after {:?}", record.outcome);
    }
}

#[test]
fn an_inspector_that_panics_on_every_exchange_changes_no_byte() {
    // The faults are wanted: keep them out of the test's output.
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("a fault on purpose") {
            quiet(info);
        }
    }));
    let backend = replayer();
    let rig = Rig::with(backend.address, Options { extra: vec![Arc::new(Faulty)], ..Options::default() });
    for case in fixture::all() {
        assert_same(&case, &play(&rig, &case));
    }
}
