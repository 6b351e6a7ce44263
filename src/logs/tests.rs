//! The log against writers that work, block and fail.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::access::AccessLog;
use super::{Format, filter, json, queue, text};
use crate::exchange::outcome::{ErrorType, Outcome, Phase};
use crate::exchange::record::{Count, Method, Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::exchange::trace::TraceId;
use crate::wire::event::{Defects, Source};
use crate::wire::route::Route;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged in the given shape while `work` runs.
fn logged(format: Format, work: impl FnOnce()) -> String {
    let memory = Memory::default();
    let (writer, logs) = queue(memory.clone());
    let all = || filter("trace").expect("a level");
    match format {
        Format::Text => tracing::subscriber::with_default(text(all(), writer, false), work),
        Format::Json => tracing::subscriber::with_default(json(all(), writer), work),
    }
    drop(logs);
    let bytes = memory.0.lock().expect("lock").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

fn record() -> Record {
    let route = Route::of("POST", "/api/chat");
    let start = Start {
        id: 1,
        method: Method::Post,
        route,
        backend: "gpu1".into(),
        trace: TraceId::made_up(1),
        at: Instant::now(),
    };
    let count = |value| Some(Count { value, source: Source::Reported });
    Record {
        start,
        requested_model: Some("llama3".into()),
        answered_model: None,
        status: 200,
        outcome: Outcome::Completed,
        error: None,
        phase: Phase::Decode,
        tunnel: false,
        streamed: true,
        duration: Duration::from_millis(1500),
        time_to_first_byte: None,
        time_to_first_token: Some(Duration::from_micros(120_500)),
        time_to_first_answer: None,
        first_token_offset: None,
        first_answer_offset: None,
        token_events: 7,
        stalls: 0,
        prompt_tokens: count(11),
        generated_tokens: count(7),
        cached_tokens: None,
        reasoning_tokens: None,
        drafted_tokens: None,
        prompt_characters: None,
        truncation_suspected: false,
        draft_accepted_tokens: None,
        load: None,
        cold: None,
        prefill: None,
        decode: None,
        time_per_output_token: None,
        tokens_per_second: None,
        finish_reason: None,
        has_no_tokens: false,
        progress_bytes: None,
        request_bytes: 100,
        response_bytes: 1000,
        overhead: None,
        defects: Defects::default(),
    }
}

fn finish(log: &AccessLog, record: &Record) {
    log.started(&record.start).finished(record);
}

#[test]
fn a_finished_exchange_is_one_line_with_its_fields() {
    let lines = logged(Format::Json, || finish(&AccessLog::new(true), &record()));
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let line: serde_json::Value = serde_json::from_str(&lines).expect("JSON");
    let expected: [(&str, serde_json::Value); 11] = [
        ("level", "INFO".into()),
        ("method", "POST".into()),
        ("endpoint", "/api/chat".into()),
        ("status", 200.into()),
        ("model", "llama3".into()),
        ("outcome", "completed".into()),
        ("ttft_ms", 120.5.into()),
        ("prompt_tokens", 11.into()),
        ("generated_tokens", 7.into()),
        ("duration_ms", 1500.0.into()),
        ("trace_id", "00000000000000000000000000000001".into()),
    ];
    for (field, expected) in expected {
        assert_eq!(line[field], expected, "{field} in {line}");
    }
    assert!(line.get("error").is_none(), "absent is unknown: {line}");
}

#[test]
fn a_prompt_that_was_probably_cut_is_in_its_line_and_warned_of_once_a_model() {
    let cut = Record { truncation_suspected: true, prompt_characters: Some(15_009), ..record() };
    let other = Record { requested_model: Some("other".into()), ..cut.clone() };
    let lines = logged(Format::Json, || {
        let log = AccessLog::new(true);
        [&cut, &cut, &other, &record()].into_iter().for_each(|record| finish(&log, record));
    });
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let warned: Vec<_> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warned.iter().map(|line| &line["model"]).collect::<Vec<_>>(), ["llama3", "other"]);
    assert_eq!((&warned[0]["prompt_characters"], &warned[0]["prompt_tokens"]), (&15_009.into(), &11.into()));
    let marked = lines.iter().filter(|line| line["level"] == "INFO" && line["prompt_cut_suspected"] == true).count();
    assert_eq!(marked, 3, "{lines:?}");
    let silent = logged(Format::Json, || finish(&AccessLog::new(false), &cut));
    assert_eq!(silent.lines().count(), 1, "the warning alone: {silent}");
}

#[test]
fn what_is_unknown_is_absent_and_an_error_is_named() {
    let failed = Record {
        status: 502,
        outcome: Outcome::BackendFailed,
        error: Some(ErrorType::ConnectRefused),
        requested_model: None,
        time_to_first_token: None,
        prompt_tokens: None,
        generated_tokens: None,
        ..record()
    };
    let line = logged(Format::Text, || finish(&AccessLog::new(true), &failed));
    assert!(line.contains("error=\"connect_refused\""), "{line}");
    for absent in ["model=", "ttft_ms=", "prompt_tokens=", "generated_tokens="] {
        assert!(!line.contains(absent), "{absent} in {line}");
    }
}

#[test]
fn a_model_name_cannot_forge_a_line() {
    let forged = Record { requested_model: Some("x\nINFO forged \u{1b}[31m".into()), ..record() };
    for format in Format::ALL {
        let lines = logged(format, || finish(&AccessLog::new(true), &forged));
        assert_eq!(lines.lines().count(), 1, "{lines:?}");
        assert!(!lines.contains('\u{1b}'), "{lines:?}");
    }
}

#[test]
fn an_empty_403_of_ollama_earns_one_hint_a_process() {
    let refused = Record { status: 403, response_bytes: 0, outcome: Outcome::HttpError, ..record() };
    let log = AccessLog::new(false);
    let lines = logged(Format::Text, || {
        finish(&log, &record());
        finish(&log, &Record { response_bytes: 9, ..refused.clone() });
        (0..3).for_each(|_| finish(&log, &refused));
    });
    assert_eq!(lines.matches("--host-header").count(), 1, "{lines}");
    assert_eq!(lines.lines().count(), 1, "the lines themselves are off: {lines}");
}

#[test]
fn a_level_or_directives_are_taken_and_slips_are_not() {
    for good in ["off", "INFO", "debug", "info,inferometer::backend=trace", "hyper=off, warn"] {
        assert!(filter(good).is_ok(), "{good}");
    }
    for bad in ["", "inof", "3", "info,", "info,hyper", "hyper=loud", "[span"] {
        assert!(filter(bad).is_err(), "{bad}");
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_standard_error_ends_nothing() {
    let (writer, logs) = queue(Closed);
    tracing::subscriber::with_default(text(filter("info").expect("a level"), writer, false), || {
        (0..100).for_each(|_| tracing::info!("into the void"));
    });
    drop(logs);
}

/// Takes nothing until it is told to.
struct Blocked(Sender<()>, Receiver<()>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_standard_error_drops_lines_and_counts_them() {
    let (writing, has_begun) = channel();
    let (release, released) = channel();
    let (writer, logs) = queue(Blocked(writing, released));
    tracing::subscriber::with_default(text(filter("info").expect("a level"), writer, false), || {
        tracing::info!("the first line blocks the thread");
        has_begun.recv().expect("the thread writes");
        (0..super::QUEUE + 10).for_each(|_| tracing::info!("queued or dropped"));
    });
    assert_eq!(logs.dropped_counter()(), 10);
    drop(release);
}
