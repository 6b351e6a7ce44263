//! `/dashboard/metrics`: rates, latencies, errors and the use of the machine, and the last hour by minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::machine::part;
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::Parts;
use crate::api::sums::{Sum, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::exchange::outcome::ErrorType;
use crate::history::recent::{Counts, Totals};
use crate::history::rollup::Measure;

/// Of which percentiles are made.
const LATELY: Duration = Duration::from_secs(5 * 60);

/// Rates, latencies, errors and the use of the machine.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metrics {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    metrics: Figures,
    time_series: TimeSeries,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct Figures {
    requests: Requests,
    latency: Latency,
    throughput: Throughput,
    errors: ErrorFigures,
    resources: MachineUse,
}

/// Exchanges that ended. Rates are of the last 60 seconds.
#[derive(Serialize, ToSchema)]
struct Requests {
    /// Since the program's start.
    total: u64,
    rate_per_second: Maybe<f64>,
    rate_per_minute: Maybe<f64>,
    /// Completed exchanges by those that completed or failed, since the program's start: 0 to 1.
    success_rate: Maybe<f64>,
}

/// Durations of the generations that ended in the last five minutes. The error of percentiles is at most 1 %.
#[derive(Serialize, ToSchema)]
struct Latency {
    p50_ms: Maybe<f64>,
    p90_ms: Maybe<f64>,
    p95_ms: Maybe<f64>,
    p99_ms: Maybe<f64>,
    average_ms: Maybe<f64>,
}

/// Of the exchanges that ended in the last 60 seconds.
#[derive(Serialize, ToSchema)]
struct Throughput {
    /// Generated tokens.
    tokens_per_second: Maybe<f64>,
    requests_per_second: Maybe<f64>,
    /// Bodies of requests and responses.
    bytes_per_second: Maybe<f64>,
}

/// Exchanges that failed, since the program's start; `/dashboard/errors` lists them.
#[derive(Serialize, ToSchema)]
struct ErrorFigures {
    total: u64,
    /// Of the last hour, as far as the program has run.
    rate_per_hour: Maybe<f64>,
    /// Exchanges that a backend answered with a status of 400 to 499. They count in no other field: they did not fail.
    client_errors: u64,
    types: Kinds,
    /// The same by the words of the metrics.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    by_type: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorKinds)]
struct Kinds {
    /// A backend or a client was too slow.
    timeout: u64,
    /// A backend reported an error, or its answer was not whole.
    model_error: u64,
    /// The request is malformed.
    validation_error: u64,
    /// All others.
    system_error: u64,
}

/// In percent, disks in bytes a second.
#[derive(Serialize, ToSchema)]
struct MachineUse {
    cpu_usage: Maybe<f64>,
    memory_usage: Maybe<f64>,
    /// The mean of all GPUs.
    gpu_usage: Maybe<f64>,
    disk_io_rate: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct TimeSeries {
    /// The last whole minutes since the start, at most 60.
    requests_per_minute: Vec<Point>,
}

#[derive(Serialize, ToSchema)]
struct Point {
    timestamp: String,
    value: u64,
}

/// Rates, latencies, errors and the use of the machine.
#[utoipa::path(
    get,
    path = "/dashboard/metrics",
    params(NoParameters),
    responses((status = 200, description = "Rates, latencies, errors and the use of the machine.", body = Metrics), ApiError)
)]
pub(crate) async fn metrics(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Metrics> {
    Reply::of(&read(&parts, Instant::now()).await, OVERVIEW)
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, now: Instant) -> Metrics {
    let sum = of_last(parts, LATELY, now).await.map(|totals| totals.generations());
    let (minute, length) = parts.recent.last_minute(now);
    let totals = parts.recent.totals();
    let hour = parts.recent.last_hour(now);
    Metrics {
        timestamp: parts.text(now),
        metrics: Figures {
            requests: requests(&totals.all, &minute, length),
            latency: latency(&sum),
            throughput: Throughput {
                tokens_per_second: rate(minute.generated_tokens, length),
                requests_per_second: rate(minute.requests, length),
                bytes_per_second: rate(minute.bytes, length),
            },
            errors: ErrorFigures {
                total: totals.all.failed,
                rate_per_hour: hourly(&hour, &minute, length),
                client_errors: totals.all.client_errors,
                types: kinds(&totals),
                by_type: by_type(&totals),
            },
            resources: machine_use(parts, now),
        },
        time_series: TimeSeries {
            requests_per_minute: hour
                .into_iter()
                .map(|(at, counts)| Point { timestamp: parts.text(at), value: counts.requests })
                .collect(),
        },
        unknown: Unknown::default(),
    }
}

/// By second; unknown in the first one.
pub(super) fn rate(count: u64, length: Duration) -> Maybe<f64> {
    (!length.is_zero()).then(|| count as f64 / length.as_secs_f64()).or_unknown(Reason::NotYet)
}

/// Failures of the last whole minutes by hour; of the last seconds in the first minute.
fn hourly(hour: &[(Instant, Counts)], minute: &Counts, length: Duration) -> Maybe<f64> {
    let minutes = u32::try_from(hour.len()).unwrap_or(u32::MAX);
    let (failed, length) = match minutes {
        0 => (minute.failed, length),
        minutes => (hour.iter().map(|(_, counts)| counts.failed).sum(), Duration::from_secs(60) * minutes),
    };
    rate(failed, length).map(|rate| rate * 3_600.0)
}

fn requests(all: &Counts, minute: &Counts, length: Duration) -> Requests {
    Requests {
        total: all.requests,
        rate_per_second: rate(minute.requests, length),
        rate_per_minute: rate(minute.requests, length).map(|rate| rate * 60.0),
        success_rate: all.success_rate().or_unknown(Reason::NoSamples),
    }
}

fn latency(sum: &Maybe<Sum>) -> Latency {
    let millis = |of: &dyn Fn(&Sum) -> Option<f64>| {
        sum.as_ref().and_then(|sum| of(sum).or_unknown(Reason::NoSamples)).map(|seconds| seconds * 1e3)
    };
    let percentile = |share: f64| millis(&|sum| sum.quantile(Measure::Duration, share));
    Latency {
        p50_ms: percentile(0.5),
        p90_ms: percentile(0.9),
        p95_ms: percentile(0.95),
        p99_ms: percentile(0.99),
        average_ms: millis(&|sum| sum.mean(Measure::Duration)),
    }
}

fn kinds(totals: &Totals) -> Kinds {
    let mut kinds = Kinds { timeout: 0, model_error: 0, validation_error: 0, system_error: 0 };
    for (error, count) in ErrorType::ALL.iter().zip(totals.errors) {
        *match error {
            ErrorType::ConnectTimeout | ErrorType::ClientTimeout | ErrorType::FirstByteTimeout => &mut kinds.timeout,
            ErrorType::StreamError | ErrorType::Truncated | ErrorType::Incomplete | ErrorType::Http5xx => {
                &mut kinds.model_error
            }
            ErrorType::BadRequest | ErrorType::ClientBody => &mut kinds.validation_error,
            _ => &mut kinds.system_error,
        } += count;
    }
    kinds
}

fn by_type(totals: &Totals) -> serde_json::Map<String, serde_json::Value> {
    let ours = ErrorType::ALL.iter().map(|error| error.as_str()).zip(totals.errors);
    ours.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn machine_use(parts: &Parts, now: Instant) -> MachineUse {
    let machine = parts.machine(now);
    let machine = machine.as_ref();
    let memory = part(machine, "memory", |machine| &machine.memory);
    let used =
        |memory: &crate::host::memory::Memory| super::machine::percent(memory.used_bytes()?, memory.total_bytes?);
    MachineUse {
        cpu_usage: part(machine, "cpu", |machine| &machine.cpu)
            .and_then(|cpu| cpu.utilization.or_unknown(Reason::NotYet))
            .map(|share| share * 100.0),
        memory_usage: memory.and_then(|memory| used(memory).or_unknown(Reason::NotReported)),
        gpu_usage: super::machine::gpu_usage(machine),
        disk_io_rate: part(machine, "disks", |machine| &machine.disks)
            .and_then(|disks| disks.rates.or_unknown(Reason::NotYet))
            .map(|rates| rates.read_bytes + rates.written_bytes),
    }
}
