//! `/dashboard/traces`: the traces of finished exchanges, the newest first, with a search.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::exchange::digits;
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::Unknown;
use crate::api::values::{Span, UpTo, since};
use crate::exchange::outcome::Outcome;
use crate::exchange::trace::TraceId;
use crate::history::query::{Exchange, Filter, MAX_NEWEST, MAX_PAGE, PageQuery, Range};
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// Most traces of an answer.
const MOST: usize = 100;

/// How far back is looked where nothing else is asked for.
const USUAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Which traces.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TracesQuery {
    /// The id of a trace, or a part of the name of a model, backend, client or endpoint.
    q: Option<String>,
    /// Only exchanges that took at least as long; a year at most.
    #[param(minimum = 0, maximum = 31_536_000_000i64)]
    min_ms: Option<u64>,
    /// Only exchanges that did not complete.
    errors: Option<bool>,
    /// As backends list it.
    model: Option<String>,
    /// Exchanges of the last time, such as `1h`; 24h without one.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,3}[smhdw]$", example = "1h")]
    since: Option<Span>,
    /// How many traces.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<UpTo<MOST>>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

/// Traces of finished exchanges.
#[derive(Serialize, ToSchema)]
pub(crate) struct Traces {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// The newest first.
    traces: Vec<OneTrace>,
    /// Whether there may be more, earlier ones.
    has_more: bool,
    unknown: Unknown,
}

/// Of the exchanges of a trace that fit what was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = TraceSummary)]
struct OneTrace {
    /// 32 hexadecimal digits: `/dashboard/traces/{id}` shows it.
    trace_id: String,
    /// When the first began: RFC 3339 in UTC.
    started_at: String,
    /// From there to the end of the last.
    duration_ms: f64,
    exchanges: usize,
    /// Of these, the ones that did not complete.
    failed: usize,
    /// The models, each once.
    models: Vec<String>,
    /// The backends, each once.
    backends: Vec<String>,
}

/// Traces of finished exchanges.
#[utoipa::path(
    get,
    path = "/dashboard/traces",
    params(TracesQuery),
    responses((status = 200, description = "Traces of finished exchanges.", body = Traces), ApiError)
)]
pub(crate) async fn traces(
    Parameters(query): Parameters<TracesQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Traces>, ApiError> {
    let now = Instant::now();
    let range = since(&parts, Some(query.since.unwrap_or(Span(USUAL))), now);
    let limit = query.limit.map_or(50, |limit| limit.0);
    let format = query.format;
    let (found, has_more) = parts.ask(move |reading| search(reading, &query, range, limit)).await?;
    let traces = found.iter().map(|trace| summary(trace)).collect();
    let body = Traces { timestamp: parts.text(now), traces, has_more, unknown: Unknown::default() };
    Ok(Listing::of(body, LIST, format))
}

/// The exchanges that fit, by their trace, and whether there may be more traces.
fn search(
    reading: &Reading,
    query: &TracesQuery,
    range: Range,
    limit: usize,
) -> Result<(Vec<Vec<Exchange>>, bool), StoreError> {
    let filter = Filter {
        model: query.model.as_deref().map(Into::into),
        failed: query.errors.unwrap_or(false),
        min_duration_us: query.min_ms.map(|millis| millis.saturating_mul(1_000)),
        ..Filter::default()
    };
    let text = query.q.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut traces: Vec<Vec<Exchange>> = Vec::new();
    // The first are enough where most of them fit.
    for (offset, rows) in [(0, MAX_PAGE), (MAX_PAGE, MAX_NEWEST - MAX_PAGE)] {
        let newest = reading.newest(&PageQuery { range, filter: filter.clone(), offset, limit: rows })?;
        for exchange in newest.exchanges.into_iter().filter(|exchange| has(exchange, &text)) {
            match traces.iter().position(|trace| trace[0].row.trace == exchange.row.trace) {
                Some(at) => traces[at].push(exchange),
                None if traces.len() == limit => return Ok((traces, true)),
                None => traces.push(vec![exchange]),
            }
        }
        if !newest.has_more {
            return Ok((traces, false));
        }
    }
    Ok((traces, true))
}

/// Whether a text is the id of its trace, or occurs in a name of it.
fn has(exchange: &Exchange, text: &str) -> bool {
    let names = [&exchange.model, &exchange.backend, &exchange.client, &exchange.endpoint];
    let mut names = names.into_iter().flatten();
    text.is_empty() || is_id(exchange.row.trace, text) || names.any(|name| name.to_ascii_lowercase().contains(text))
}

fn is_id(trace: TraceId, text: &str) -> bool {
    text.len() == 32 && digits(trace) == text
}

fn summary(exchanges: &[Exchange]) -> OneTrace {
    let ended = |exchange: &Exchange| exchange.id.millis();
    let took = |exchange: &Exchange| exchange.row.duration.micros().unwrap_or(0);
    let begun = |exchange: &Exchange| ended(exchange) - i64::try_from(took(exchange) / 1_000).unwrap_or(0);
    let (first, last) =
        (exchanges.iter().map(begun).min().unwrap_or_default(), exchanges.iter().map(ended).max().unwrap_or_default());
    let names = |of: fn(&Exchange) -> Option<&Arc<str>>| {
        let mut names: Vec<_> = exchanges.iter().filter_map(of).map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        names
    };
    let alone = exchanges.first().filter(|_| exchanges.len() == 1);
    OneTrace {
        trace_id: digits(exchanges[0].row.trace),
        started_at: Timestamp(first).to_string(),
        duration_ms: alone.map_or((last - first) as f64, |exchange| took(exchange) as f64 / 1e3),
        exchanges: exchanges.len(),
        failed: exchanges.iter().filter(|exchange| exchange.row.outcome != Outcome::Completed).count(),
        models: names(|exchange| exchange.model.as_ref()),
        backends: names(|exchange| exchange.backend.as_ref()),
    }
}

impl Table for Traces {
    const COLUMNS: &'static [&'static str] =
        &["trace_id", "started_at", "duration_ms", "exchanges", "failed", "models", "backends"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &OneTrace| {
            let (duration, exchanges) = (it.duration_ms.to_string(), it.exchanges.to_string());
            let (failed, models, backends) = (it.failed.to_string(), it.models.join(" "), it.backends.join(" "));
            vec![it.trace_id.clone(), it.started_at.clone(), duration, exchanges, failed, models, backends]
        };
        self.traces.iter().map(row).collect()
    }
}
