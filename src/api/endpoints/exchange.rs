//! `/dashboard/exchanges/{id}`: one exchange, and where its time went.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::where_time_went::{TimelineStep, sentence, steps};
use crate::api::error::{ApiError, Code};
use crate::api::export::cells;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::exchange::trace::TraceId;
use crate::exchange::vocabulary::Source;
use crate::history::id::RowId;
use crate::history::query::Exchange;
use crate::history::row::Flags;
use crate::history::timestamp::Timestamp;
use crate::history::units;

/// A finished exchange: one request with its response.
#[derive(Serialize, ToSchema)]
#[schema(as = Exchange)]
pub(super) struct Entry {
    /// Digits.
    id: String,
    /// 32 hexadecimal digits.
    trace_id: String,
    /// The client's span: 16 hexadecimal digits.
    parent_span_id: Maybe<String>,
    /// RFC 3339 in UTC.
    started_at: String,
    /// RFC 3339 in UTC.
    ended_at: String,
    /// The last that was tried.
    backend: Maybe<String>,
    /// The one that answered, as its backend lists it.
    model: Maybe<String>,
    tenant: Maybe<String>,
    /// The first product of its `User-Agent`.
    client: Maybe<String>,
    /// 16 hexadecimal digits: a salted hash of what the client calls it.
    conversation: Maybe<String>,
    /// Of a chat's request.
    messages: Maybe<u64>,
    /// The template of the path.
    endpoint: Maybe<String>,
    method: &'static str,
    /// The wire format.
    dialect: &'static str,
    operation: &'static str,
    /// Whether a model works for it: a generation or an embedding.
    inference: bool,
    /// Sent to the client.
    status: u16,
    /// How it ended.
    outcome: &'static str,
    /// What went wrong.
    error: Maybe<String>,
    /// The phase in which it ended.
    phase: &'static str,
    finish_reason: Maybe<String>,
    /// Why the model had to be loaded.
    cold_start: Maybe<String>,
    streamed: bool,
    /// The prompt was probably cut to the context.
    prompt_truncated: bool,
    /// Backends that were tried.
    attempts: u8,
    /// For how many exchanges it counts: itself, and ordinary ones that were left out of the history.
    weight: u16,
    /// To the last byte.
    duration_ms: Maybe<f64>,
    time_to_first_token_ms: Maybe<f64>,
    time_per_output_token_ms: Maybe<f64>,
    tokens_per_second: Maybe<f64>,
    /// The longest gap between two tokens.
    largest_gap_ms: Maybe<f64>,
    /// Gaps above the threshold of stalls.
    stalls: Maybe<u64>,
    tokens: Tokens,
    request_bytes: u64,
    response_bytes: u64,
    /// In units of the prices' currency.
    cost: Maybe<f64>,
}

impl Entry {
    /// The columns of a table of exchanges.
    pub(super) const COLUMNS: [&'static str; 29] = [
        "id",
        "trace_id",
        "started_at",
        "ended_at",
        "backend",
        "model",
        "tenant",
        "client",
        "conversation",
        "endpoint",
        "method",
        "dialect",
        "operation",
        "status",
        "outcome",
        "error",
        "finish_reason",
        "cold_start",
        "weight",
        "duration_ms",
        "time_to_first_token_ms",
        "time_per_output_token_ms",
        "tokens_per_second",
        "tokens.prompt",
        "tokens.cached",
        "tokens.generated",
        "request_bytes",
        "response_bytes",
        "cost",
    ];

    /// The cells of its row.
    pub(super) fn cells(&self) -> Vec<String> {
        cells(self, &Self::COLUMNS)
    }
}

/// Tokens of an exchange.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Cached ones included.
    prompt: Maybe<u64>,
    prompt_source: Maybe<String>,
    /// Read from the backend's cache of prompts.
    cached: Maybe<u64>,
    /// With the source `chunks` a lower bound: the pieces that came.
    generated: Maybe<u64>,
    generated_source: Maybe<String>,
    /// Of the generated: thinking.
    reasoning: Maybe<u64>,
    /// Proposed by a draft model.
    drafted: Maybe<u64>,
    /// Of the drafted: accepted.
    draft_accepted: Maybe<u64>,
}

/// An exchange, and where its time went.
#[derive(Serialize, ToSchema)]
pub(super) struct DetailedExchange {
    #[serde(flatten)]
    entry: Entry,
    /// What happened one after the other, from the request's head to the end.
    timeline: Vec<TimelineStep>,
    /// For people.
    where_the_time_went: Maybe<String>,
}

/// One exchange.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneExchange {
    #[serde(flatten)]
    exchange: DetailedExchange,
    unknown: Unknown,
}

/// One exchange, and where its time went.
#[utoipa::path(
    get,
    path = "/dashboard/exchanges/{id}",
    params(("id" = String, Path, description = "The id that lists show.", pattern = "^[0-9]{1,19}$"), NoParameters),
    responses(
        (status = 200, description = "One exchange, and where its time went.", body = OneExchange),
        (status = 404, description = "It is not kept.", body = inline(serde_json::Value)),
        ApiError
    )
)]
pub(crate) async fn exchange(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<OneExchange>, ApiError> {
    let not_kept = || ApiError::new(Code::NotFound, "no exchange of this id is kept");
    let id = id.parse().ok().filter(|id: &i64| *id >= 0).map(RowId).ok_or_else(not_kept)?;
    let found = parts.ask(move |reading| reading.exchange(id)).await?.ok_or_else(not_kept)?;
    let body = OneExchange { exchange: detailed(&found), unknown: Unknown::default() };
    Ok(Reply::of(&body, LIST))
}

/// What is shown of an exchange, with its time.
pub(super) fn detailed(exchange: &Exchange) -> DetailedExchange {
    DetailedExchange {
        entry: entry(exchange),
        timeline: steps(&exchange.row),
        where_the_time_went: sentence(&exchange.row).or_unknown(Reason::NotReported),
    }
}

/// A name, or the reason why it is unknown.
pub(super) fn name(name: Option<&Arc<str>>, reason: Reason) -> Maybe<String> {
    name.map(|name| name.to_string()).or_unknown(reason)
}

fn millis(span: units::Span, reason: Reason) -> Maybe<f64> {
    span.micros().map(|micros| micros as f64 / 1e3).or_unknown(reason)
}

/// Hexadecimal digits.
pub(super) fn digits(trace: TraceId) -> String {
    String::from_utf8_lossy(&trace.digits()).into_owned()
}

/// What is shown of an exchange.
pub(super) fn entry(exchange: &Exchange) -> Entry {
    let row = &exchange.row;
    let ended = exchange.id.millis();
    let started = ended - row.duration.micros().map_or(0, |micros| i64::try_from(micros / 1_000).unwrap_or(0));
    let parent = row.parent.map(|parent| format!("{:016x}", u64::from_be_bytes(parent.span)));
    Entry {
        id: exchange.id.0.to_string(),
        trace_id: digits(row.trace),
        parent_span_id: parent.or_unknown(Reason::NotReported),
        started_at: Timestamp(started).to_string(),
        ended_at: Timestamp(ended).to_string(),
        backend: name(exchange.backend.as_ref(), Reason::NotApplicable),
        model: name(exchange.model.as_ref(), Reason::NotReported),
        tenant: name(exchange.tenant.as_ref(), Reason::NotConfigured),
        client: name(exchange.client.as_ref(), Reason::NotReported),
        conversation: row.conversation().map(|id| id.to_string()).or_unknown(Reason::NotReported),
        messages: row.messages.value().or_unknown(Reason::NotApplicable),
        endpoint: name(exchange.endpoint.as_ref(), Reason::NotReported),
        method: row.method.as_str(),
        dialect: row.dialect.as_str(),
        operation: row.operation.as_str(),
        inference: row.operation.infers(),
        status: row.status,
        outcome: row.outcome.as_str(),
        error: row.error.map(|error| error.as_str().to_owned()).or_unknown(Reason::NotApplicable),
        phase: row.phase.as_str(),
        finish_reason: row.finish.map(|finish| finish.as_str().to_owned()).or_unknown(Reason::NotReported),
        cold_start: row.cold.map(|cause| cause.as_str().to_owned()).or_unknown(Reason::NotApplicable),
        streamed: row.flags.contains(Flags::STREAMED),
        prompt_truncated: row.flags.contains(Flags::TRUNCATED_PROMPT),
        attempts: row.attempts,
        weight: exchange.weight,
        duration_ms: millis(row.duration, Reason::NotReported),
        time_to_first_token_ms: millis(row.first_token, Reason::NotApplicable),
        time_per_output_token_ms: millis(row.per_token, Reason::NoSamples),
        tokens_per_second: Some(f64::from(row.rate)).filter(|rate| !rate.is_nan()).or_unknown(Reason::NoSamples),
        largest_gap_ms: millis(row.largest_gap, Reason::NoSamples),
        stalls: row.stalls.value().or_unknown(Reason::NotApplicable),
        tokens: tokens(exchange),
        request_bytes: row.request_bytes,
        response_bytes: row.response_bytes,
        cost: row.cost().map(|nano| nano as f64 / 1e9).or_unknown(Reason::NotConfigured),
    }
}

fn tokens(exchange: &Exchange) -> Tokens {
    let row = &exchange.row;
    // An exchange that generates nothing by nature has none to report.
    let absent = if row.flags.contains(Flags::NO_TOKENS) { Reason::NotApplicable } else { Reason::NotReported };
    let count = |count: units::Count| count.value().or_unknown(absent);
    let source = |source: Option<Source>| source.map(|source| source.as_str().to_owned()).or_unknown(absent);
    let [prompt_source, generated_source] = row.sources;
    Tokens {
        prompt: count(row.prompt),
        prompt_source: source(prompt_source),
        cached: count(row.cached),
        generated: count(row.generated),
        generated_source: source(generated_source),
        reasoning: count(row.reasoning),
        drafted: count(row.drafted),
        draft_accepted: count(row.accepted),
    }
}
