//! How a model performed, from its sums.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::sums::{Sum, generates};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::exchange::outcome::Outcome;
use crate::history::query::totals::Total;
use crate::history::rollup::Measure;

/// Of the range: the last 24 hours, unless another is asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Performance {
    total_requests: Maybe<u64>,
    average_tokens_per_second: Maybe<f64>,
    /// Of generations.
    average_latency_ms: Maybe<f64>,
    /// Requests that failed, by those that completed or failed: 0 to 1. An answer with a status of 400 to 499 is neither.
    error_rate: Maybe<f64>,
    /// Prompt tokens that were read from a cache, by all of the requests that report it: 0 to 1.
    cache_hit_rate: Maybe<f64>,
    /// Requests that failed.
    failed_requests: Maybe<u64>,
    /// Requests that their client left.
    cancelled_requests: Maybe<u64>,
    /// Requests whose answer ended short.
    truncated_requests: Maybe<u64>,
    /// Requests that failed through the backend or the network to it.
    server_failures: Maybe<u64>,
    /// Requests that waited for a load.
    cold_starts: Maybe<u64>,
    prompt_tokens: Maybe<u64>,
    generated_tokens: Maybe<u64>,
    /// Of generations.
    latency_ms: Percentiles,
    time_to_first_token_ms: Percentiles,
    /// Without those that waited for a load.
    warm_time_to_first_token_ms: Percentiles,
    load_ms: Percentiles,
}

/// Right to 1 %: the smallest value with so many of all at or below it, so that p99 of a few is the largest of them.
#[derive(Serialize, ToSchema)]
pub(super) struct Percentiles {
    p50: Maybe<f64>,
    p95: Maybe<f64>,
    p99: Maybe<f64>,
}

/// Outcomes that the backend or the network to it caused.
const SERVER_FAILURES: [Outcome; 4] =
    [Outcome::StreamError, Outcome::BackendFailed, Outcome::Truncated, Outcome::HttpError];

fn percentiles(sum: Maybe<&Sum>, measure: Measure) -> Percentiles {
    let of = |share| sum.and_then(|sum| sum.quantile(measure, share).or_unknown(Reason::NoSamples)).map(|it| it * 1e3);
    Percentiles { p50: of(0.5), p95: of(0.95), p99: of(0.99) }
}

/// Of a model's own sums.
pub(super) fn performance(totals: Maybe<&[&Total]>) -> Performance {
    let of = |fits: fn(&Total) -> bool| totals.map(|all| Sum::of(all.iter().copied().filter(|total| fits(total))));
    let (all, timed) = (of(|_| true), of(generates));
    let (sum, timed) = (all.as_ref(), timed.as_ref());
    let some = |of: fn(&Sum) -> Option<f64>| sum.and_then(|sum| of(sum).or_unknown(Reason::NoSamples));
    let mean = |sum: &Sum| sum.mean(Measure::Duration).or_unknown(Reason::NoSamples);
    Performance {
        total_requests: sum.map(|sum| sum.0.requests),
        average_tokens_per_second: some(|sum| sum.mean(Measure::Rate)),
        average_latency_ms: timed.and_then(mean).map(|seconds| seconds * 1e3),
        error_rate: some(|sum| Some(1.0 - sum.success_rate()?)),
        cache_hit_rate: some(Sum::cached_share),
        failed_requests: sum.map(|sum| sum.0.failed()),
        cancelled_requests: sum.map(|sum| sum.outcome(Outcome::ClientCancelled)),
        truncated_requests: sum.map(|sum| sum.outcome(Outcome::Truncated)),
        server_failures: sum
            .map(|sum| SERVER_FAILURES.iter().map(|outcome| sum.outcome(*outcome)).sum::<u64>() - sum.0.client_errors),
        cold_starts: sum.map(|sum| sum.0.cold),
        prompt_tokens: sum.and_then(|sum| sum.0.prompt.or_unknown(Reason::NoSamples)),
        generated_tokens: sum.and_then(|sum| sum.0.generated.or_unknown(Reason::NoSamples)),
        latency_ms: percentiles(timed, Measure::Duration),
        time_to_first_token_ms: percentiles(sum, Measure::FirstToken),
        warm_time_to_first_token_ms: percentiles(sum, Measure::FirstTokenWarm),
        load_ms: percentiles(sum, Measure::Load),
    }
}
