//! `/dashboard/exchanges/in-flight`: the exchanges that have begun and not ended.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::exchange::digits;
use crate::api::error::ApiError;
use crate::api::export::{FormatQuery, Table, cells};
use crate::api::parameters::Parameters;
use crate::api::reply::{Listing, NOW};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::in_flight::InFlightExchange;

/// Exchanges listed, the oldest; the others are counted.
const MOST: usize = 200;

/// The exchanges in flight.
#[derive(Serialize, ToSchema)]
#[schema(as = InFlight)]
pub(crate) struct Answer {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// How many there are; at most 200 of them are listed.
    count: usize,
    /// The oldest first.
    exchanges: Vec<Running>,
    unknown: Unknown,
}

/// An exchange that has begun and not ended.
#[derive(Serialize, ToSchema)]
struct Running {
    /// Digits, by which it can be stopped; no id of the history, which gives one to what has ended.
    id: String,
    /// 32 hexadecimal digits, by which it is found once it has ended.
    trace_id: String,
    /// RFC 3339 in UTC.
    started_at: String,
    /// Since its head had come.
    age_ms: f64,
    /// `upload` (the request is not sent completely), `waiting` (for the head of the answer), `prefill` (for the first
    /// token) or `decode` (tokens arrive).
    phase: &'static str,
    /// The one that it was last sent to.
    backend: Maybe<String>,
    /// The one that answers, else the one that was asked for.
    model: Maybe<String>,
    /// The first product of its `User-Agent`.
    client: Maybe<String>,
    /// The template of the path.
    endpoint: &'static str,
    method: &'static str,
    operation: &'static str,
    /// Pieces of the answer that bear tokens, so far: about one each.
    pieces: u64,
}

/// The exchanges that have begun and not ended.
#[utoipa::path(
    get,
    path = "/dashboard/exchanges/in-flight",
    params(FormatQuery),
    responses((status = 200, description = "The exchanges in flight.", body = Answer), ApiError)
)]
pub(crate) async fn in_flight(
    Parameters(query): Parameters<FormatQuery>,
    State(parts): State<Arc<Parts>>,
) -> Listing<Answer> {
    Listing::of(read(&parts, Instant::now()), NOW, query.format)
}

impl Table for Answer {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "trace_id",
        "started_at",
        "age_ms",
        "phase",
        "backend",
        "model",
        "client",
        "endpoint",
        "method",
        "operation",
        "pieces",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        self.exchanges.iter().map(|exchange| cells(exchange, Self::COLUMNS)).collect()
    }
}

/// What is to be shown now.
pub(crate) fn read(parts: &Parts, now: Instant) -> Answer {
    let all = parts.in_flight.snapshot();
    Answer {
        timestamp: parts.text(now),
        count: all.len(),
        exchanges: all.iter().take(MOST).map(|exchange| running(parts, exchange, now)).collect(),
        unknown: Unknown::default(),
    }
}

fn running(parts: &Parts, exchange: &InFlightExchange, now: Instant) -> Running {
    Running {
        id: id(parts, exchange),
        trace_id: digits(exchange.trace),
        started_at: parts.text(exchange.started),
        age_ms: now.saturating_duration_since(exchange.started).as_secs_f64() * 1e3,
        phase: exchange.phase.as_str(),
        backend: exchange.backend.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
        model: exchange.model.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
        client: exchange.client.as_deref().map(str::to_owned).or_unknown(Reason::NotReported),
        endpoint: exchange.endpoint,
        method: exchange.method.as_str(),
        operation: exchange.operation,
        pieces: exchange.chunks,
    }
}

/// Holds when it began, so that the id of an earlier run of the program stops nothing.
pub(super) fn id(parts: &Parts, exchange: &InFlightExchange) -> String {
    let number = i64::try_from(exchange.id % (1 << 20)).expect("20 bits");
    (parts.millis(exchange.started) << 20 | number).to_string()
}
