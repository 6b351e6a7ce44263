//! What more than one board shows: metrics, names with their colours, limits, tiles and panels.

use super::column;
use super::panel::{Panel, Unit, colour};
use super::query::{Metric, share};
use serde_json::{Value, json};

pub(super) const REQUESTS: Metric = Metric::of_model("requests_total");
/// What shares are made of: both are at 0 before they count, so that neither lacks its first value.
pub(super) const ENDED: Metric = Metric::of_model("requests_ended_total");
pub(super) const FAILED: Metric = Metric::of_model("requests_failed_total");
pub(super) const ERRORS: Metric = Metric::of_model("errors_total");
pub(super) const ACTIVE: Metric = Metric::of_model("active_requests");
pub(super) const IN_PHASE: Metric = Metric::of_model("exchanges_in_phase");
pub(super) const DURATION: Metric = Metric::of_model("request_duration_seconds");
pub(super) const TTFT: Metric = Metric::of_model("time_to_first_token_seconds");
pub(super) const ITL: Metric = Metric::of_model("inter_token_latency_seconds");
pub(super) const DECODE_SPEED: Metric = Metric::of_model("tokens_per_second");
pub(super) const COLD_STARTS: Metric = Metric::of_model("cold_starts_total");
pub(super) const OVERHEAD: Metric = Metric::of_instance("overhead_seconds");
/// `chunks` counts events, a lower bound: it never goes into a sum that claims to be tokens.
pub(super) const GENERATED: Metric = Metric::of_model("generated_tokens_total").with(r#"source!="chunks""#);
pub(super) const PROMPT: Metric = Metric::of_model("prompt_tokens_total").with(r#"source!="chunks""#);

/// How a request ended.
pub(super) const OUTCOMES: &[(&str, &str)] = &[
    ("completed", colour::GREEN),
    ("client_cancelled", colour::BLUE),
    ("rejected", colour::PURPLE),
    ("http_error", colour::YELLOW),
    ("truncated", colour::ORANGE),
    ("stream_error", colour::BROWN),
    ("backend_failed", colour::RED),
];

/// What goes wrong most, as in `errors_by_type`; where an outcome says the same, in its colour.
const COMMON_ERRORS: &[(&str, &str)] = &[
    ("connect_refused, upstream", colour::RED),
    ("stream_error, upstream", colour::BROWN),
    ("truncated, upstream", colour::ORANGE),
    ("http_5xx, upstream", colour::YELLOW),
    ("reset, upstream", colour::PURPLE),
    ("first_byte_timeout, upstream", colour::BLUE),
    ("incomplete, upstream", colour::SKY),
];

/// How far a request has come.
pub(super) const PHASES: &[(&str, &str)] = &[
    ("upload", colour::PURPLE),
    ("queued", colour::RED),
    ("waiting", colour::ORANGE),
    ("prefill", colour::YELLOW),
    ("decode", colour::GREEN),
];

/// Up and down, in words and colours.
pub(super) const UP_DOWN: &[(&str, &str, &str)] = &[("0", "DOWN", "red"), ("1", "UP", "green")];

/// The same of what was there and answers no more.
pub(super) const UP_LOST: &[(&str, &str, &str)] = &[("0", "LOST", "red"), ("1", "UP", "green")];

/// Where the alert on errors stands.
pub(super) const ERROR_LIMIT: f64 = 0.05;
/// Where the alert on the first token stands, in seconds.
pub(super) const FIRST_TOKEN_LIMIT: f64 = 10.0;
/// Where the alert on the proxy's own work stands, in seconds.
pub(super) const OVERHEAD_LIMIT: f64 = 0.02;

/// A share of errors is noticed from the first of these on.
const ERROR_STEPS: &[(f64, &str)] = &[(0.01, "orange"), (ERROR_LIMIT, "red")];

/// A tile that is red as soon as one of them is 0.
pub(super) fn state_tile(title: &str, what: &str, state: Metric, words: &[(&str, &str, &str)]) -> Panel {
    Panel::tile(title, what, Unit::Count)
        .query(&format!("min({})", state.now()), title)
        .words(words)
        .thresholds("red", &[(1.0, "green")])
        .filled()
}

pub(super) fn requests_tile() -> Panel {
    Panel::tile("Requests", "Requests that ended in the last minute, a second.", Unit::RequestsPerSecond)
        .query(&REQUESTS.rate(""), "requests")
        .neutral()
}

pub(super) fn in_flight_tile() -> Panel {
    Panel::tile("In flight", "Requests that are being answered right now.", Unit::Count)
        .query(&format!("sum({})", ACTIVE.now()), "in flight")
        .neutral()
}

pub(super) fn tokens_tile() -> Panel {
    let what = "Tokens generated a second, over all answers; exact counts only.";
    Panel::tile("Tokens", what, Unit::TokensPerSecond).query(&GENERATED.rate(""), "tokens").neutral()
}

pub(super) fn first_token_tile() -> Panel {
    let what = "95 of 100 streamed answers of the last minute began sooner after their request came in; with waiting, loading \
                and reading the prompt. Red from 10 s, where the alert stands.";
    Panel::tile("First token p95", what, Unit::Seconds)
        .query(&TTFT.quantile(0.95, ""), "p95")
        .thresholds("green", &[(2.0, "orange"), (FIRST_TOKEN_LIMIT, "red")])
}

pub(super) fn errors_tile() -> Panel {
    let what = "Share of the last minute's requests that ended in an error; red from 5 %, where the alert stands. Cancellations \
                and answers from 400 to 499 are no errors.";
    Panel::tile("Errors", what, Unit::Share)
        .query(&share(&FAILED.rate(""), &ENDED.rate("")), "errors")
        .thresholds("green", ERROR_STEPS)
}

pub(super) fn decode_speed_tile() -> Panel {
    let what = "How fast one answer comes once it has begun, the median of the last minute's answers. People read about 5 \
                words a second.";
    Panel::tile("Decode speed", what, Unit::TokensPerSecond)
        .query(&DECODE_SPEED.quantile(0.5, ""), "p50")
        .thresholds("red", &[(3.0, "orange"), (8.0, "green")])
}

/// Requests by how they ended.
pub(super) fn outcomes(title: &str) -> Panel {
    Panel::series(title, "Requests that ended, by how.", Unit::RequestsPerSecond)
        .query(&REQUESTS.rate("outcome"), "{{outcome}}")
        .family(OUTCOMES)
        .stacked()
}

pub(super) fn errors_by_type() -> Panel {
    Panel::events(
        "Errors by type",
        "Requests that ended in an error, by what went wrong and by whose doing it was: upstream is the backend, downstream \
         the client, internal the proxy.",
    )
    .query(&ERRORS.events(&["error_type", "origin"]), "{{event}}")
    .family(COMMON_ERRORS)
}

pub(super) fn first_token(title: &str) -> Panel {
    Panel::series(
        title,
        "From the request's head to the first token of a streamed answer; with waiting, loading and reading the \
         prompt. The alert stands at the grey line.",
        Unit::Seconds,
    )
    .quantiles(|q| TTFT.quantile(q, ""))
    .limit_at(FIRST_TOKEN_LIMIT)
}

pub(super) fn first_token_distribution(title: &str) -> Panel {
    let what = "How many streamed answers began after which time; each column is a step of time.";
    Panel::heatmap(title, what, Unit::Seconds).query(&TTFT.buckets(), "{{le}}")
}

pub(super) fn between_tokens() -> Panel {
    Panel::series("Between tokens", "The gap between one token and the next in a stream.", Unit::Seconds)
        .quantiles(|q| ITL.quantile(q, ""))
}

pub(super) fn overhead() -> Panel {
    Panel::series(
        "Proxy overhead",
        "Work of the proxy itself on a request from beginning to end; waiting for the backend is not in it. The alert \
         stands at the grey line.",
        Unit::Seconds,
    )
    .quantiles(|q| OVERHEAD.quantile(q, ""))
    .limit_at(OVERHEAD_LIMIT)
}

/// Of a table's column of shares of errors.
pub(super) fn errors_column() -> Value {
    column::shaded(ERROR_STEPS)
}

/// Of a table's column that says whether a model is loaded.
pub(super) fn loaded_column() -> Value {
    let mut properties = column::worded(&[("0", "no", colour::GREY), ("1", "yes", "green")]);
    let unknown = json!({ "mode": "absolute", "steps": [{ "color": colour::GREY, "value": null }] });
    properties.as_array_mut().expect("it is a list").push(json!({ "id": "thresholds", "value": unknown }));
    properties
}
