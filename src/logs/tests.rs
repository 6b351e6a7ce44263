//! The log against writers that work, block and fail.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::access::AccessLog;
use super::queue::{self, MAX_WAITING};
use super::{LogFormat, json, parse_filter, text};
use crate::exchange::outcome::{ErrorType, Outcome, Phase};
use crate::exchange::placement::{Placement, PlacementReason};
use crate::exchange::record::{Method, Record, Start, TokenCount};
use crate::exchange::sink::{Sink, Watch};
use crate::exchange::timeline::Timeline;
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

impl Memory {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().expect("lock").clone();
        String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}

/// Sends the number of lines of each write.
struct Counting(Sender<usize>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(bytes.iter().filter(|byte| **byte == b'\n').count());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of `work` in this format.
fn logged(format: LogFormat, work: impl FnOnce()) -> String {
    let memory = Memory::default();
    let (writer, logs) = queue::start(memory.clone()).expect("a thread");
    let all = || parse_filter("trace").expect("a level");
    match format {
        LogFormat::Text => tracing::subscriber::with_default(text(all(), writer, false), work),
        LogFormat::Json => tracing::subscriber::with_default(json(all(), writer), work),
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
        trace: TraceId::from_random(1),
        parent: None,
        client: None,
        conversation: None,
        at: Instant::now(),
    };
    let count = |value| Some(TokenCount { value, source: Source::Reported });
    Record {
        start,
        placement: Some(Placement {
            backend: "gpu1".into(),
            reason: PlacementReason::Only,
            attempt: 1,
            queued: Duration::ZERO,
            held: None,
        }),
        timeline: Timeline::default(),
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
        largest_gap: None,
        prompt_tokens: count(11),
        generated_tokens: count(7),
        cached_tokens: None,
        reasoning_tokens: None,
        drafted_tokens: None,
        messages: None,
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
    let lines = logged(LogFormat::Json, || finish(&AccessLog::new(true), &record()));
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

/// What the library itself makes of the same.
fn logged_by_the_library(format: LogFormat, work: impl FnOnce()) -> String {
    use tracing_subscriber::layer::SubscriberExt;
    let memory = Memory::default();
    let out = memory.clone();
    let layer = tracing_subscriber::fmt::Layer::new().with_writer(move || out.clone());
    match format {
        LogFormat::Text => {
            let layer = layer.with_ansi(false).with_target(false);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        }
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        }
    }
    memory.lines().join("\n") + "\n"
}

#[test]
fn a_line_is_what_the_library_would_write() {
    let odd = ["llama3", "a \"quoted\" \\ name", "caf\u{e9} \u{1f600}", "x\ny\u{1b}[31m\u{7f}", ""];
    let durations = [1, 999, 1000, 1_500_000, 10, 1_234_567_891];
    let records = odd.iter().zip(durations.iter().cycle()).map(|(model, micros)| Record {
        requested_model: Some((*model).into()),
        duration: Duration::from_micros(*micros),
        time_to_first_token: Some(Duration::from_micros(*micros / 7)),
        ..record()
    });
    let failed =
        Record { error: Some(ErrorType::ConnectRefused), truncation_suspected: true, prompt_tokens: None, ..record() };
    let records: Vec<Record> = records.chain([record(), failed]).collect();
    for format in LogFormat::ALL {
        let work = || records.iter().for_each(|record| finish(&AccessLog::new(true), record));
        let without_instants = |lines: String| -> Vec<String> {
            lines
                .lines()
                .map(|line| {
                    let (before, after) = line.split_once('Z').expect("an instant");
                    assert_eq!(before.len(), if format == LogFormat::Text { 26 } else { 40 }, "{line}");
                    after.to_owned()
                })
                .collect()
        };
        assert_eq!(without_instants(logged(format, work)), without_instants(logged_by_the_library(format, work)));
    }
}

#[test]
fn the_level_and_the_directives_decide_about_lines() {
    for (level, is_written) in [
        ("off", false),
        ("warn", false),
        ("info", true),
        ("info,inferometer::logs::access=warn", false),
        ("warn,inferometer::logs=info", true),
        ("warn,inferometer::logs::access[{trace_id}]=info", true),
        ("warn,inferometer::logs::access[{path}]=info", false),
    ] {
        for format in LogFormat::ALL {
            let memory = Memory::default();
            let (writer, logs) = queue::start(memory.clone()).expect("a thread");
            let (level_filter, work) = (parse_filter(level).expect(level), || finish(&AccessLog::new(true), &record()));
            match format {
                LogFormat::Text => tracing::subscriber::with_default(text(level_filter, writer, false), work),
                LogFormat::Json => tracing::subscriber::with_default(json(level_filter, writer), work),
            }
            drop(logs);
            assert_eq!(memory.lines().len(), usize::from(is_written), "{level}, {format:?}");
        }
    }
}

#[test]
fn a_line_on_a_terminal_has_colours() {
    let memory = Memory::default();
    let (writer, logs) = queue::start(memory.clone()).expect("a thread");
    let subscriber = text(parse_filter("info").expect("a level"), writer, true);
    tracing::subscriber::with_default(subscriber, || finish(&AccessLog::new(true), &record()));
    drop(logs);
    let lines = memory.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("\u{1b}[32m INFO\u{1b}[0m exchange finished "), "{lines:?}");
}

#[test]
fn a_prompt_that_was_probably_cut_is_in_its_line_and_warned_about_once_a_model() {
    let cut = Record { truncation_suspected: true, prompt_characters: Some(15_009), ..record() };
    let other = Record { requested_model: Some("other".into()), ..cut.clone() };
    let lines = logged(LogFormat::Json, || {
        let log = AccessLog::new(true);
        [&cut, &cut, &other, &record()].into_iter().for_each(|record| finish(&log, record));
    });
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let warned: Vec<_> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warned.iter().map(|line| &line["model"]).collect::<Vec<_>>(), ["llama3", "other"]);
    assert_eq!((&warned[0]["prompt_characters"], &warned[0]["prompt_tokens"]), (&15_009.into(), &11.into()));
    let marked = lines.iter().filter(|line| line["level"] == "INFO" && line["prompt_cut_suspected"] == true).count();
    assert_eq!(marked, 3, "{lines:?}");
    let silent = logged(LogFormat::Json, || finish(&AccessLog::new(false), &cut));
    assert_eq!(silent.lines().count(), 1, "the warning alone: {silent}");
}

#[test]
fn unknown_fields_are_absent_and_an_error_is_named() {
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
    let line = logged(LogFormat::Text, || finish(&AccessLog::new(true), &failed));
    assert!(line.contains("error=\"connect_refused\""), "{line}");
    for absent in ["model=", "ttft_ms=", "prompt_tokens=", "generated_tokens="] {
        assert!(!line.contains(absent), "{absent} in {line}");
    }
}

#[test]
fn a_model_name_cannot_forge_a_line() {
    let forged = Record { requested_model: Some("x\nINFO forged \u{1b}[31m".into()), ..record() };
    for format in LogFormat::ALL {
        let lines = logged(format, || finish(&AccessLog::new(true), &forged));
        assert_eq!(lines.lines().count(), 1, "{lines:?}");
        assert!(!lines.contains('\u{1b}'), "{lines:?}");
    }
}

#[test]
fn an_empty_403_of_ollama_earns_one_hint_a_process() {
    let refused = Record { status: 403, response_bytes: 0, outcome: Outcome::HttpError, ..record() };
    let log = AccessLog::new(false);
    let lines = logged(LogFormat::Text, || {
        finish(&log, &record());
        finish(&log, &Record { response_bytes: 9, ..refused.clone() });
        (0..3).for_each(|_| finish(&log, &refused));
    });
    assert_eq!(lines.matches("--host-header").count(), 1, "{lines}");
    assert_eq!(lines.lines().count(), 1, "the lines themselves are off: {lines}");
}

#[test]
fn levels_and_directives_are_accepted_and_misspelt_ones_refused() {
    for good in ["off", "INFO", "debug", "info,inferometer::backend=trace", "hyper=off, warn"] {
        assert!(parse_filter(good).is_ok(), "{good}");
    }
    for bad in ["", "inof", "3", "info,", "info,hyper", "hyper=loud", "[span"] {
        assert!(parse_filter(bad).is_err(), "{bad}");
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
fn with_a_closed_standard_error_the_program_goes_on_and_lost_lines_are_counted() {
    let (writer, logs) = queue::start(Closed).expect("a thread");
    let dropped = logs.dropped_counter();
    tracing::subscriber::with_default(text(parse_filter("info").expect("a level"), writer, false), || {
        (0..100).for_each(|_| tracing::info!("into the void"));
    });
    drop(logs);
    assert_eq!(dropped(), 100);
}

/// Accepts nothing until it is released.
struct Blocked(Sender<()>, Receiver<()>, Memory);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        self.2.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_standard_error_drops_lines_and_counts_them() {
    let memory = Memory::default();
    let (writing, has_begun) = channel();
    let (release, released) = channel();
    let (writer, logs) = queue::start(Blocked(writing, released, memory.clone())).expect("a thread");
    let dropped = logs.dropped_counter();
    let filling = "x".repeat(1000);
    let lines = 1 + MAX_WAITING / filling.len();
    tracing::subscriber::with_default(text(parse_filter("info").expect("a level"), writer, false), || {
        tracing::info!("the first line blocks the thread");
        has_begun.recv().expect("the thread writes");
        (0..lines).for_each(|_| tracing::info!("{filling}"));
    });
    let lost = dropped();
    assert!((1..1000).contains(&lost), "{lost} of {lines}");
    drop(release);
    drop(logs);
    assert_eq!(memory.lines().len() as u64 + lost, 1 + lines as u64, "every line is written or counted");
}

#[test]
fn frequent_lines_are_written_together() {
    const LINES: usize = 2000;
    let (written, writes) = channel();
    let (writer, logs) = queue::start(Counting(written)).expect("a thread");
    tracing::subscriber::with_default(json(parse_filter("info").expect("a level"), writer), || {
        let log = AccessLog::new(true);
        (0..LINES).for_each(|_| finish(&log, &record()));
    });
    drop(logs);
    let writes: Vec<usize> = writes.iter().collect();
    println!("{LINES} lines in {} writes", writes.len());
    assert_eq!(writes.iter().sum::<usize>(), LINES, "all are written at the end");
    assert!(writes.len() < LINES / 20, "{} writes", writes.len());
}

#[test]
fn a_single_line_is_written_and_an_urgent_one_flushes_all() {
    let (written, writes) = channel();
    let (writer, logs) = queue::start(Counting(written)).expect("a thread");
    tracing::subscriber::with_default(json(parse_filter("info").expect("a level"), writer), || {
        let log = AccessLog::new(true);
        for _ in 0..2 {
            finish(&log, &record());
            assert_eq!(writes.recv_timeout(Duration::from_secs(60)), Ok(1), "by itself");
        }
        finish(&log, &record());
        tracing::warn!("now");
        let mut lines = 0;
        while lines < 2 {
            lines += writes.recv_timeout(Duration::from_secs(60)).expect("it is written");
        }
    });
    drop(logs);
}

#[test]
fn lines_of_several_threads_are_in_the_order_of_their_time() {
    for format in LogFormat::ALL {
        let lines = logged(format, || {
            let here = tracing::dispatcher::get_default(Clone::clone);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        tracing::dispatcher::with_default(&here, || {
                            let log = AccessLog::new(true);
                            (0..200).for_each(|_| finish(&log, &record()));
                        });
                    });
                }
            });
        });
        let instants: Vec<&str> = lines.lines().map(|line| line.split_once('Z').expect("an instant").0).collect();
        assert_eq!(instants.len(), 800);
        let late = instants.windows(2).filter(|pair| pair[0] > pair[1]).count();
        // Where a batch ends, a line may come a moment late.
        assert!(late < 8, "{late} of 800 lines stand behind later ones");
    }
}
