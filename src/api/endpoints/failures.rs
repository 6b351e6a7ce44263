//! `/dashboard/exchanges/failures`: exchanges that did not complete, counted by how they ended.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::exchange::name;
use crate::api::error::ApiError;
use crate::api::export::{Format, Table, cells};
use crate::api::parameters::Parameters;
use crate::api::range::{AnInstant, Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::api::values::UpTo;
use crate::exchange::outcome::Outcome;
use crate::history::query::Filter;
use crate::history::query::errors::of_exchange;
use crate::history::query::failures::EndedAlike;
use crate::history::timestamp::Timestamp;

/// Most kinds of an answer.
const MOST: usize = 100;

/// Which exchanges.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FailuresQuery {
    /// The time up to now; 24h without one. Not together with `from`.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period, and before `to`. A day is its beginning.
    #[param(inline, value_type = Option<AnInstant>)]
    from: Option<String>,
    /// The instant after the last; now without one.
    #[param(inline, value_type = Option<AnInstant>)]
    to: Option<String>,
    /// As backends list it.
    model: Option<String>,
    /// The name of a backend.
    backend: Option<String>,
    tenant: Option<String>,
    /// The first product of a `User-Agent`.
    client: Option<String>,
    /// Only generations and embeddings, for which a model works.
    inference: Option<bool>,
    /// How many kinds.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Option<UpTo<MOST>>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

/// Exchanges that did not complete, counted by how they ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failures {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// The first instant of the range.
    from: String,
    /// The instant after its last.
    to: String,
    summary: FailuresSummary,
    /// The most frequent first.
    failures: Vec<FailureKind>,
    /// Less frequent kinds that are not listed.
    kinds_left_out: usize,
    unknown: Unknown,
}

/// Of all kinds, listed or not.
#[derive(Serialize, ToSchema)]
struct FailuresSummary {
    /// Exchanges that failed.
    failed: u64,
    /// Exchanges that a backend answered with a status of 400 to 499, which are no failures.
    refused: u64,
    /// Exchanges that their client left.
    cancelled: u64,
}

/// Exchanges that ended alike.
#[derive(Serialize, ToSchema)]
struct FailureKind {
    /// How they ended.
    outcome: &'static str,
    /// What went wrong.
    error: Maybe<String>,
    /// What that means.
    message: Maybe<String>,
    /// Sent to the clients.
    status: u16,
    /// The last that was tried.
    backend: Maybe<String>,
    /// As its backend lists it.
    model: Maybe<String>,
    /// Whether they count as failed: not where a client left, or was answered with a status of 400 to 499.
    is_failure: bool,
    count: u64,
    /// The id of the newest of them.
    newest_id: String,
    /// When that one ended: RFC 3339 in UTC.
    newest_at: String,
}

/// Exchanges that did not complete, counted by how they ended.
#[utoipa::path(
    get,
    path = "/dashboard/exchanges/failures",
    params(FailuresQuery),
    responses((status = 200, description = "Exchanges that did not complete, by how they ended.", body = Failures), ApiError)
)]
pub(crate) async fn failures(
    Parameters(query): Parameters<FailuresQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Failures>, ApiError> {
    let now = Instant::now();
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Day, parts.millis(now)))?;
    let shared = |text: &Option<String>| text.as_deref().map(Into::into);
    let filter = Filter {
        backend: shared(&query.backend),
        model: shared(&query.model),
        tenant: shared(&query.tenant),
        client: shared(&query.client),
        inference: query.inference.unwrap_or(false),
        ..Filter::default()
    };
    let found = parts.ask(move |reading| reading.failures(range, &filter)).await?;
    let shown = found.len().min(query.limit.map_or(MOST, |limit| limit.0));
    let body = Failures {
        timestamp: parts.text(now),
        from: Timestamp(range.from).to_string(),
        to: Timestamp(range.to).to_string(),
        summary: summary(&found),
        failures: found[..shown].iter().map(kind).collect(),
        kinds_left_out: found.len() - shown,
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

fn summary(found: &[EndedAlike]) -> FailuresSummary {
    let count =
        |is_wanted: fn(&EndedAlike) -> bool| found.iter().filter(|one| is_wanted(one)).map(|one| one.count).sum();
    FailuresSummary {
        failed: count(|one| one.ending.is_failure()),
        refused: count(|one| one.ending.outcome == Outcome::HttpError && !one.ending.is_failure()),
        cancelled: count(|one| one.ending.outcome == Outcome::ClientCancelled),
    }
}

fn kind(EndedAlike { ending, count, newest }: &EndedAlike) -> FailureKind {
    FailureKind {
        outcome: ending.outcome.as_str(),
        error: ending.error.map(|error| error.as_str().to_owned()).or_unknown(Reason::NotApplicable),
        message: ending.error.map(|error| of_exchange(error).1.to_owned()).or_unknown(Reason::NotApplicable),
        status: ending.status,
        backend: name(ending.backend.as_ref(), Reason::NotApplicable),
        model: name(ending.model.as_ref(), Reason::NotReported),
        is_failure: ending.is_failure(),
        count: *count,
        newest_id: newest.0.to_string(),
        newest_at: Timestamp(newest.millis()).to_string(),
    }
}

impl Table for Failures {
    const COLUMNS: &'static [&'static str] =
        &["outcome", "error", "status", "backend", "model", "is_failure", "count", "newest_id", "newest_at"];

    fn rows(&self) -> Vec<Vec<String>> {
        self.failures.iter().map(|kind| cells(kind, Self::COLUMNS)).collect()
    }
}
