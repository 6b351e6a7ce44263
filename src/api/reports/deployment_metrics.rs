//! `/dashboard/workload/deployments/{id}/metrics`: one deployment over time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Length, Metadata, of_period, series, timestamps, values};
use super::deployments::{alone, names, resident_of};
use crate::api::endpoints::machine::{GIB, gpu_usage};
use crate::api::error::{ApiError, Code};
use crate::api::export::{Format, Table, intervals};
use crate::api::parameters::Parameters;
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::Sum;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::backend::monitor::Monitor;
use crate::exchange::outcome::Outcome;
use crate::history::machine::Fact;
use crate::history::query::lists::{ListFilter, ListQuery, ListedError};
use crate::history::query::series::Series;
use crate::history::query::{Filter, Range};
use crate::history::rollup::{Measure, Step, Sums};
use crate::history::timestamp::Timestamp;

/// Errors that are looked at.
const ERRORS: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct MetricsQuery {
    /// The time up to now; 24h without one.
    #[param(inline)]
    period: Option<Period>,
    /// Of the histories, `1m` and `5m` for a period of `24h` at most; without one it fits the period.
    #[param(inline)]
    interval: Option<Length>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// One deployment over time.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentMetrics {
    timestamp: String,
    deployment_id: String,
    name: String,
    period: &'static str,
    interval: &'static str,
    data_points: usize,
    /// Where each interval of the histories begins.
    timestamps: Vec<String>,
    metrics: Figures,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DeploymentFigures)]
struct Figures {
    requests: Requests,
    latency: Latency,
    throughput: Throughput,
    gpu: GpuFigures,
    errors: Maybe<Vec<ErrorGroup>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DeploymentRequests)]
struct Requests {
    total: u64,
    successful: u64,
    /// What failed; answers from 400 to 499 do not count.
    failed: u64,
    /// What its client left.
    cancelled: u64,
    history: Vec<Maybe<f64>>,
}

/// Milliseconds.
#[derive(Serialize, ToSchema)]
#[schema(as = DeploymentLatency)]
struct Latency {
    avg: Maybe<f64>,
    p50: Maybe<f64>,
    p95: Maybe<f64>,
    p99: Maybe<f64>,
    /// The mean of each interval.
    history: Vec<Maybe<f64>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeploymentThroughput)]
struct Throughput {
    /// On average over the period.
    requests_per_second: f64,
    /// Generated, on average over the period.
    tokens_per_second: Maybe<f64>,
    /// Requests a second.
    history: Vec<Maybe<f64>>,
}

/// Of this machine's GPUs, where the deployment is the only model in its memory.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeploymentGpu)]
struct GpuFigures {
    /// Percent.
    utilization: Maybe<f64>,
    /// GiB.
    vram_usage: Maybe<f64>,
    /// Degrees Celsius of the hottest.
    temperature: Maybe<f64>,
    history: Maybe<GpuHistory>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeploymentGpuHistory)]
struct GpuHistory {
    /// Where each interval begins.
    timestamps: Vec<String>,
    utilization: Vec<Maybe<f64>>,
    vram_usage: Vec<Maybe<f64>>,
    temperature: Vec<Maybe<f64>>,
}

/// Errors of one kind.
#[derive(Serialize, ToSchema)]
#[schema(as = DeploymentErrors)]
struct ErrorGroup {
    /// Of the last one.
    timestamp: String,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    count: u64,
}

/// One deployment over time.
#[utoipa::path(
    get,
    path = "/dashboard/workload/deployments/{id}/metrics",
    params(("id" = String, Path, description = "The backend and the model, with `%2F` between them."), MetricsQuery),
    responses(
        (status = 200, description = "One deployment over time.", body = DeploymentMetrics),
        (status = 404, description = "There is no such model on such a backend."),
        ApiError,
    )
)]
pub(crate) async fn metrics(
    Path(id): Path<String>,
    Parameters(query): Parameters<MetricsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<DeploymentMetrics>, ApiError> {
    let now = Instant::now();
    let missing = || ApiError::new(Code::NotFound, "there is no such model on such a backend");
    let (backend, model) = id.split_once('/').ok_or_else(missing)?;
    let monitors = parts.monitors();
    let monitor = monitors.iter().find(|monitor| *monitor.backend.name == *backend).ok_or_else(missing)?;
    if !names(&monitor.inventory()).iter().any(|name| **name == *model) {
        return Err(missing());
    }
    let period = query.period.unwrap_or(Period::Day);
    let length = query.interval.unwrap_or_else(|| Length::fitting(period));
    let filter = Filter { backend: Some(backend.into()), model: Some(model.into()), ..Filter::default() };
    let series = series(&parts, (period, length), filter, now).await?;
    let range = range(Some(period), (None, None), (period, parts.millis(now)))?;
    let body = DeploymentMetrics {
        timestamp: parts.text(now),
        name: format!("{model} on {backend}"),
        period: period.as_str(),
        interval: length.as_str(),
        data_points: series.points.len(),
        timestamps: timestamps(&series),
        metrics: figures(&parts, (monitor, model), (&series, range), now).await,
        deployment_id: id,
        metadata: of_period(&parts, period, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// An interval a line.
impl Table for DeploymentMetrics {
    const COLUMNS: &'static [&'static str] = &["at", "requests", "latency_ms", "requests_per_second"];

    fn rows(&self) -> Vec<Vec<String>> {
        let Figures { requests, latency, throughput, .. } = &self.metrics;
        intervals(&self.timestamps, &[&requests.history, &latency.history, &throughput.history])
    }
}

async fn figures(
    parts: &Parts,
    (monitor, model): (&Monitor, &str),
    (series, range): (&Series, Range),
    now: Instant,
) -> Figures {
    let mut all = Sums::default();
    series.points.iter().flatten().for_each(|sums| all.merge(sums));
    let all = Sum(all);
    let (completed, cancelled) = (all.outcome(Outcome::Completed), all.outcome(Outcome::ClientCancelled));
    let seconds = (range.to - range.from) as f64 / 1e3;
    let length = series.interval.seconds() as f64;
    let millis = |value: Option<f64>| value.map(|seconds| seconds * 1e3).or_unknown(Reason::NoSamples);
    let quantile = |share| millis(all.quantile(Measure::Duration, share));
    Figures {
        requests: Requests {
            total: all.0.requests,
            successful: completed,
            failed: all.0.failed(),
            cancelled,
            history: values(series, |sum| Some(sum.0.requests as f64)),
        },
        latency: Latency {
            avg: millis(all.mean(Measure::Duration)),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            history: values(series, |sum| sum.mean(Measure::Duration).map(|seconds| seconds * 1e3)),
        },
        throughput: Throughput {
            requests_per_second: all.0.requests as f64 / seconds,
            tokens_per_second: all.0.generated.map(|tokens| tokens as f64 / seconds).or_unknown(Reason::NoSamples),
            history: values(series, |sum| Some(sum.0.requests as f64 / length)),
        },
        gpu: gpu(parts, (monitor, model), (series, range), now).await,
        errors: errors(parts, (monitor, model), range).await,
    }
}

async fn gpu(
    parts: &Parts,
    (monitor, model): (&Monitor, &str),
    (series, range): (&Series, Range),
    now: Instant,
) -> GpuFigures {
    let inventory = monitor.inventory();
    let resident = resident_of(&inventory, model);
    let unheld = Maybe::Unknown(Reason::NotApplicable);
    let vram = resident
        .map_or(unheld, |resident| resident.vram.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported));
    if let Err(reason) = alone(parts, monitor, resident.is_some()) {
        let unknown = Maybe::Unknown(reason);
        return GpuFigures {
            utilization: unknown,
            vram_usage: vram,
            temperature: unknown,
            history: Maybe::Unknown(reason),
        };
    }
    let step = if series.interval.seconds() < 3_600 { Step::Minute } else { Step::Hour };
    let node = parts.node.clone();
    let history = parts.asked(move |reading| reading.machine(step, range)).await.map(|points| {
        let points: Vec<_> = points.into_iter().filter(|point| point.node == node).collect();
        let fact = |fact: Fact, unit: f64| {
            let of = |point: &crate::history::query::MachinePoint| point.means.means()[fact as usize];
            points.iter().map(|point| of(point).map(|it| it * unit).or_unknown(Reason::NotReported)).collect()
        };
        GpuHistory {
            timestamps: points.iter().map(|point| Timestamp(point.at * 1_000).to_string()).collect(),
            utilization: fact(Fact::Gpu, 100.0),
            vram_usage: fact(Fact::GpuMemory, 1.0 / GIB),
            temperature: fact(Fact::GpuCelsius, 1.0),
        }
    });
    let machine = parts.machine(now);
    let hottest = machine
        .as_ref()
        .and_then(|machine| machine.gpus().iter().filter_map(|gpu| gpu.temperature_celsius).reduce(f64::max));
    GpuFigures {
        utilization: gpu_usage(machine.as_ref()),
        vram_usage: vram,
        temperature: hottest.or_unknown(Reason::NotReported),
        history,
    }
}

async fn errors(parts: &Parts, (monitor, model): (&Monitor, &str), range: Range) -> Maybe<Vec<ErrorGroup>> {
    let filter = ListFilter {
        backend: Some((&*monitor.backend.name).into()),
        resource: Some(model.into()),
        ..ListFilter::default()
    };
    let query = ListQuery { range, filter, offset: 0, limit: ERRORS };
    parts.asked(move |reading| reading.errors(&query)).await.map(|found| {
        let mut groups: BTreeMap<&str, (&ListedError, u64)> = BTreeMap::new();
        for error in &found.entries {
            groups.entry(&error.what).or_insert((error, 0)).1 += 1;
        }
        let group = |(kind, (last, count)): (&str, (&ListedError, u64))| ErrorGroup {
            timestamp: Timestamp(last.at).to_string(),
            kind: kind.to_owned(),
            message: last.message.to_string(),
            count,
        };
        groups.into_iter().map(group).collect()
    })
}
