//! The paths of an older dashboard, under `/api/`: the same facts in its names and units.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::backends::up;
use super::machine::{MIB, gpu_usage, part};
use super::metrics::rate;
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Listing, OVERVIEW, Reply};
use crate::api::state::{Parts, wall};
use crate::api::sums::{Sum, Totals, last, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::api::values::UpTo;
use crate::backend::monitor::Monitor;
use crate::history::Reading;
use crate::history::query::Filter;
use crate::history::query::series::{DurationsOf, SeriesQuery};
use crate::history::rollup::Measure;
use crate::history::timestamp::Timestamp;
use crate::host::HostSnapshot;

/// Of which percentiles are made.
const LATELY: Duration = Duration::from_secs(5 * 60);

/// Most hours of a series.
const MOST_HOURS: usize = 720;

/// Figures of now.
#[derive(Serialize, ToSchema)]
#[schema(as = OlderSummary)]
struct Summary {
    /// Exchanges a second, of the last 60 seconds.
    request_rate: Maybe<f64>,
    /// The mean of generations, in seconds, of the last 60 seconds.
    avg_latency: Maybe<f64>,
    /// Completed exchanges by those that completed or failed, of the last 60 seconds, 0 to 100.
    success_rate: Maybe<f64>,
    /// Generated tokens a second, of the last 60 seconds.
    tokens_per_second: Maybe<f64>,
    /// The mean of all GPUs, 0 to 100.
    gpu_utilization: Maybe<f64>,
    /// Of all GPUs, in watts.
    power_consumption: Maybe<f64>,
    /// Of the machine, in MiB.
    memory_usage: Maybe<f64>,
    active_requests: usize,
    /// Requests that wait for a backend.
    queue_size: Maybe<u64>,
    /// Requests a second that a queue lets go.
    queue_processing_rate: Maybe<f64>,
    max_queue_size: Maybe<u64>,
    ollama_status: BackendStatus,
    proxy_status: &'static str,
    /// Requests that did not come through the proxy are not seen.
    direct_requests: Maybe<u64>,
    /// The part of all requests that came through the proxy.
    routing_ratio: Maybe<f64>,
}

/// Of the first backend.
#[derive(Serialize, ToSchema)]
struct BackendStatus {
    /// `online`, `offline` or `unknown`.
    status: &'static str,
    /// Of its last probe, in seconds.
    response_time: Maybe<f64>,
    last_check: Maybe<String>,
}

/// Durations in seconds, of the generations that ended in the last five minutes.
#[derive(Serialize, ToSchema)]
#[schema(as = OlderPercentiles)]
struct Percentiles {
    p50: Maybe<f64>,
    p75: Maybe<f64>,
    p95: Maybe<f64>,
    p99: Maybe<f64>,
}

/// Figures of now with percentiles.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiMetrics)]
pub(crate) struct MetricsBody {
    summary: Summary,
    percentiles: Percentiles,
    timestamp: String,
    unknown: Unknown,
}

/// Figures of now with percentiles, also of requests with a high priority.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiSummary)]
pub(crate) struct SummaryBody {
    summary: Summary,
    latency_percentiles: Percentiles,
    /// There are no priorities.
    high_priority_percentiles: Maybe<Percentiles>,
    timestamp: String,
    unknown: Unknown,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoursQuery {
    /// How many hours until now.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 720, default = 1)]
    hours: Option<UpTo<MOST_HOURS>>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// A value of an interval a line.
impl Table for SeriesBody {
    const COLUMNS: &'static [&'static str] = &["name", "at", "value"];

    fn rows(&self) -> Vec<Vec<String>> {
        let all = self.data.known().into_iter().flatten();
        let line = |(name, points): (&String, &Vec<Point>)| {
            let name = name.clone();
            let cells = points.iter().map(|point| [Timestamp(point.x).to_string(), point.y.to_string()]);
            cells.map(|[at, value]| vec![name.clone(), at, value]).collect::<Vec<_>>()
        };
        all.flat_map(line).collect()
    }
}

/// Figures over time.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiTimeseries)]
pub(crate) struct SeriesBody {
    /// By name: `request_rate`, `avg_latency` and `p95_latency` (of generations, in seconds), `tokens_per_second`, `success_rate` (percent).
    /// Intervals without a value are left out.
    data: Maybe<BTreeMap<String, Vec<Point>>>,
    timestamp: String,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ApiPoint)]
struct Point {
    /// The beginning of the interval, in milliseconds since the epoch.
    x: i64,
    y: f64,
}

/// A sentence about now.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiStatus)]
pub(crate) struct StatusBody {
    status: String,
    /// It is made from the figures, by no model.
    is_ai_generated: bool,
    timestamp: String,
    unknown: Unknown,
}

/// Whether this program answers.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiHealth)]
pub(crate) struct HealthBody {
    status: &'static str,
    service: &'static str,
    timestamp: String,
    unknown: Unknown,
}

/// Figures of now with percentiles.
#[utoipa::path(
    get,
    path = "/api/metrics",
    params(NoParameters),
    responses((status = 200, description = "Figures of now with percentiles.", body = MetricsBody), ApiError)
)]
pub(crate) async fn metrics(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<MetricsBody> {
    let now = Instant::now();
    let percentiles = percentiles(&of_last(&parts, LATELY, now).await);
    let (summary, timestamp) = (summary(&parts, now), parts.text(now));
    Reply::of(&MetricsBody { summary, percentiles, timestamp, unknown: Unknown::default() }, OVERVIEW)
}

/// Figures of now with percentiles, also of requests with a high priority.
#[utoipa::path(
    get,
    path = "/api/metrics/summary",
    params(NoParameters),
    responses((status = 200, description = "Figures of now with percentiles.", body = SummaryBody), ApiError)
)]
pub(crate) async fn metrics_summary(
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Reply<SummaryBody> {
    Reply::of(&read(&parts, Instant::now()).await, OVERVIEW)
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, now: Instant) -> SummaryBody {
    SummaryBody {
        latency_percentiles: percentiles(&of_last(parts, LATELY, now).await),
        high_priority_percentiles: Maybe::Unknown(Reason::NotConfigured),
        summary: summary(parts, now),
        timestamp: parts.text(now),
        unknown: Unknown::default(),
    }
}

/// Figures over time.
#[utoipa::path(
    get,
    path = "/api/metrics/timeseries",
    params(HoursQuery),
    responses((status = 200, description = "Figures over time.", body = SeriesBody), ApiError)
)]
pub(crate) async fn timeseries(
    Parameters(query): Parameters<HoursQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<SeriesBody>, ApiError> {
    let now = Instant::now();
    let hours = query.hours.map_or(1, |hours| hours.0);
    let range = last(&parts, Duration::from_secs(hours as u64 * 3_600), now);
    let series = move |reading: &Reading| {
        let (interval, durations) = (reading.fitting(range, 240)?, DurationsOf::Generations);
        reading.series(&SeriesQuery { range, interval, filter: Filter::default(), durations })
    };
    let found = parts.required(series).await?;
    let data = found.and_then(|series| series.or_unknown(Reason::NotReported)).map(|series| {
        let (from, seconds) = (series.from, series.interval.seconds());
        let points = series.points.into_iter().zip(0_i64..);
        let known: Vec<_> = points.filter_map(|(sums, at)| Some(((from + at * seconds) * 1_000, Sum(sums?)))).collect();
        // Of the interval that goes on, what has passed is all there is.
        let passed = |at: i64| ((parts.millis(now) - at) as f64 / 1e3).clamp(1.0, seconds as f64);
        SERIES.iter().map(|(name, of)| ((*name).to_owned(), line(&known, |at, sum| of(sum, passed(at))))).collect()
    });
    let body = SeriesBody { data, timestamp: parts.text(now), unknown: Unknown::default() };
    Ok(Listing::of(body, LIST, query.format))
}

/// A figure of an interval, given its length in seconds.
type Figure = fn(&Sum, f64) -> Option<f64>;

const SERIES: [(&str, Figure); 5] = [
    ("request_rate", |sum, seconds| Some(sum.0.requests as f64 / seconds)),
    ("avg_latency", |sum, _| sum.mean(Measure::Duration)),
    ("p95_latency", |sum, _| sum.quantile(Measure::Duration, 0.95)),
    ("tokens_per_second", |sum, seconds| Some(sum.0.generated? as f64 / seconds)),
    ("success_rate", |sum, _| Some(sum.success_rate()? * 100.0)),
];

fn line(known: &[(i64, Sum)], of: impl Fn(i64, &Sum) -> Option<f64>) -> Vec<Point> {
    known.iter().filter_map(|(x, sum)| Some(Point { x: *x, y: of(*x, sum)? })).collect()
}

/// A sentence about now.
#[utoipa::path(
    get,
    path = "/api/status",
    params(NoParameters),
    responses((status = 200, description = "A sentence about now.", body = StatusBody), ApiError)
)]
pub(crate) async fn status(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<StatusBody> {
    let now = Instant::now();
    let (minute, length) = parts.recent.last_minute(now);
    let (up, all) = (up(&parts), parts.monitors().len());
    let active = parts.in_flight.count();
    let failed = match minute.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let mean =
        minute.mean_duration().map_or(String::new(), |mean| format!(" of {:.2} s on average", mean.as_secs_f64()));
    let status = format!(
        "{up} of {all} backends answer; {active} requests in flight; {} requests{mean} in the last {} s{failed}.",
        minute.requests,
        length.as_secs()
    );
    let body = StatusBody { status, is_ai_generated: false, timestamp: parts.text(now), unknown: Unknown::default() };
    Reply::of(&body, OVERVIEW)
}

/// Whether this program answers.
#[utoipa::path(
    get,
    path = "/api/health",
    params(NoParameters),
    responses((status = 200, description = "This program answers.", body = HealthBody), ApiError)
)]
pub(crate) async fn health(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<HealthBody> {
    let timestamp = parts.text(Instant::now());
    Reply::of(
        &HealthBody { status: "healthy", service: "inferometer", timestamp, unknown: Unknown::default() },
        OVERVIEW,
    )
}

fn summary(parts: &Parts, now: Instant) -> Summary {
    let (minute, length) = parts.recent.last_minute(now);
    let machine = parts.machine(now);
    let machine = machine.as_ref();
    let memory = part(machine, "memory", |machine| &machine.memory);
    Summary {
        request_rate: rate(minute.requests, length),
        avg_latency: minute.mean_duration().map(|mean| mean.as_secs_f64()).or_unknown(Reason::NoSamples),
        success_rate: minute.success_rate().map(|share| share * 100.0).or_unknown(Reason::NoSamples),
        tokens_per_second: rate(minute.generated_tokens, length),
        gpu_utilization: gpu_usage(machine),
        power_consumption: power(machine),
        memory_usage: memory
            .and_then(|memory| memory.used_bytes().or_unknown(Reason::NotReported))
            .map(|bytes| bytes as f64 / MIB),
        active_requests: parts.in_flight.count(),
        queue_size: Maybe::Unknown(Reason::NotConfigured),
        queue_processing_rate: Maybe::Unknown(Reason::NotConfigured),
        max_queue_size: Maybe::Unknown(Reason::NotConfigured),
        ollama_status: backend_status(parts),
        proxy_status: "online",
        direct_requests: Maybe::Unknown(Reason::NotReported),
        routing_ratio: Maybe::Unknown(Reason::NotReported),
    }
}

/// Of all GPUs, in watts.
fn power(machine: Option<&HostSnapshot>) -> Maybe<f64> {
    let Some(machine) = machine else { return Maybe::Unknown(Reason::NotConfigured) };
    let gpus = machine.gpus();
    let absent = if gpus.is_empty() { Reason::NotApplicable } else { Reason::NotReported };
    gpus.iter().filter_map(|gpu| gpu.power_watts).reduce(|sum, more| sum + more).or_unknown(absent)
}

fn backend_status(parts: &Parts) -> BackendStatus {
    let monitors = parts.monitors();
    // Of several one that answers, else one that is not known yet.
    let standing = |monitor: &&Arc<Monitor>| match monitor.status.snapshot().state.is_up() {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    };
    let best = monitors.iter().min_by_key(standing);
    let state = best.map(|monitor| monitor.status.snapshot());
    let is_up = state.and_then(|state| state.state.is_up());
    let took = state.filter(|_| is_up == Some(true)).and_then(|state| state.probe);
    BackendStatus {
        status: match is_up {
            Some(true) => "online",
            Some(false) => "offline",
            None => "unknown",
        },
        response_time: took.map(|took| took.as_secs_f64()).or_unknown(match is_up {
            Some(false) => Reason::CollectorFailed,
            Some(true) | None => Reason::NotYet,
        }),
        last_check: best.and_then(|monitor| monitor.refreshed()).map(wall).or_unknown(Reason::NotYet),
    }
}

fn percentiles(totals: &Maybe<Totals>) -> Percentiles {
    let sum = totals.as_ref().map(Totals::generations);
    let of =
        |share: f64| sum.as_ref().and_then(|sum| sum.quantile(Measure::Duration, share).or_unknown(Reason::NoSamples));
    Percentiles { p50: of(0.5), p75: of(0.75), p95: of(0.95), p99: of(0.99) }
}
