//! What the metrics promise, read back from the exposition.

#![allow(clippy::unwrap_used, reason = "tests")]

mod accounting;
mod cost;
mod ends;
mod energy;
mod exposition;
mod facts;
mod fed;
mod in_flight;
mod labels;
mod lint;
mod tokens;
mod zeros;

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::watch::ExchangeWatch;
use super::{Build, Format, Metrics, Settings};
use crate::backend::catalogue::Catalogue;
use crate::backend::report::Report;
use crate::exchange::outcome::{ColdCause, Outcome, Phase};
use crate::exchange::placement::{Placement, PlacementReason};
use crate::exchange::record::{Method, Record, Start, TokenCount};
use crate::exchange::sink::{Sink, TokenFrame, Watch};
use crate::exchange::timeline::Timeline;
use crate::exchange::trace::TraceId;
use crate::exchange::vocabulary::{Defects, Dialect, Operation, Route, Source};

const CHAT: Route = Route {
    endpoint: "/api/chat",
    dialect: Dialect::Ollama,
    operation: Operation::Chat,
    format: crate::wire::route::BodyFormat::Ollama,
    names_model: true,
};
const OPENAI: Route = Route { endpoint: "/v1/chat/completions", dialect: Dialect::OpenAi, ..CHAT };
const TAGS: Route = Route { endpoint: "/api/tags", operation: Operation::Other, names_model: false, ..CHAT };

/// Ends an exchange, and drops its watch.
fn finish(mut watch: impl Watch, record: &Record) {
    watch.finished(record);
}

/// A series of the model `m` on the backend of these tests.
fn of(name: &str) -> String {
    format!(r#"{name}{{backend="local",model="m:latest"}}"#)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings() -> Settings {
    Settings {
        build: Build { version: "1.2.3", revision: "abcdef0", rustc: "1.88.0" },
        started: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        max_histograms: super::DEFAULT_MAX_HISTOGRAMS,
        max_series: super::DEFAULT_MAX_SERIES,
    }
}

fn metrics() -> Arc<Metrics> {
    metrics_with(settings(), Catalogue::default())
}

fn metrics_with(settings: Settings, catalogue: Catalogue) -> Arc<Metrics> {
    Metrics::new(settings, &["local".into()], Arc::new(catalogue))
}

fn start(route: Route) -> Start {
    let method = if route == TAGS { Method::Get } else { Method::Post };
    Start {
        id: 1,
        method,
        route,
        trace: TraceId::from_random(1),
        parent: None,
        client: None,
        conversation: None,
        at: Instant::now(),
    }
}

fn on(backend: &str) -> Placement {
    Placement { backend: backend.into(), reason: PlacementReason::Only, attempt: 1, queued: Duration::ZERO, held: None }
}

/// An exchange that was placed on the backend of all tests.
fn begin(metrics: &Metrics, start: &Start) -> ExchangeWatch {
    let mut watch = Sink::started(metrics, start);
    watch.placed(&on("local"));
    watch
}

/// A completed exchange of which nothing more is known.
fn plain(route: Route) -> Record {
    Record {
        start: start(route),
        placement: Some(on("local")),
        timeline: Timeline::default(),
        requested_model: None,
        answered_model: None,
        status: 200,
        outcome: Outcome::Completed,
        error: None,
        phase: Phase::Prefill,
        tunnel: false,
        streamed: false,
        duration: ms(250),
        time_to_first_byte: None,
        time_to_first_token: None,
        time_to_first_answer: None,
        first_token_offset: None,
        first_answer_offset: None,
        token_events: 0,
        stalls: 0,
        largest_gap: None,
        prompt_tokens: None,
        generated_tokens: None,
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
        overhead: Some(Duration::from_micros(30)),
        defects: Defects::default(),
    }
}

fn reported(value: u64) -> Option<TokenCount> {
    Some(TokenCount { value, source: Source::Reported })
}

/// A streamed chat of a model that was cold, with everything that a backend can report.
fn full_chat() -> Record {
    Record {
        streamed: true,
        phase: Phase::Decode,
        duration: ms(4000),
        time_to_first_byte: Some(ms(2900)),
        time_to_first_token: Some(ms(3000)),
        time_to_first_answer: Some(ms(3100)),
        token_events: 5,
        prompt_tokens: reported(26),
        generated_tokens: reported(10),
        cached_tokens: Some(4),
        reasoning_tokens: Some(3),
        drafted_tokens: Some(8),
        messages: None,
        prompt_characters: None,
        truncation_suspected: false,
        draft_accepted_tokens: Some(6),
        load: Some(ms(2500)),
        cold: Some(ColdCause::First.into()),
        prefill: Some(ms(100)),
        decode: Some(ms(900)),
        time_per_output_token: Some(ms(100)),
        tokens_per_second: Some(11.1),
        ..plain(CHAT)
    }
}

/// Ends an exchange that went all the way.
fn complete(metrics: &Metrics, model: &str, record: &Record) {
    let mut watch = begin(metrics, &record.start);
    watch.requested(Some(&model.into()));
    watch.forwarded();
    watch.answered(&model.into());
    finish(watch, record);
}

fn frame(events: u32, gap: Option<u64>, stalled: bool) -> TokenFrame {
    TokenFrame { events, tokens: events, gap: gap.map(ms), stalled }
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode(Format::Text)).unwrap()
}

/// The value of one series, written as in the exposition without the common prefix.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let start = format!("ollama_proxy_{series} ");
    text(metrics).lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.parse().unwrap())
}

/// The values of a counter's series that are not at their first 0.
fn counted(metrics: &Metrics, name: &str) -> Vec<f64> {
    values(metrics, name).into_iter().filter(|value| *value > 0.0).collect()
}

/// The values of all series of one name.
fn values(metrics: &Metrics, name: &str) -> Vec<f64> {
    let start = format!("ollama_proxy_{name}{{");
    let text = text(metrics);
    text.lines()
        .filter(|line| line.starts_with(&start))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}
