//! `/dashboard/workload/executions`: pulls, pushes and creates of models, and the generations in flight.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_period, paged};
use crate::api::error::{ApiError, Code};
use crate::api::export::Table;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing, NOW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::in_flight::InFlightExchange;
use crate::history::journal::job::{Job, JobKind, JobState};
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::timestamp::Timestamp;

/// Jobs that are looked at.
const MOST: usize = 1_000;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ExecutionStatus)]
enum Status {
    Completed,
    Running,
    Failed,
    Pending,
}

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct ExecutionsQuery {
        /// The time up to now in which jobs began; 24h without one.
        #[param(inline)]
        period: Option<Period>,
        #[param(inline)]
        status: Option<Status>,
    }
}

/// Pulls, pushes and creates of models, and the generations in flight.
#[derive(Serialize, ToSchema)]
pub(crate) struct Executions {
    timestamp: String,
    /// Of all in the period, whatever else is asked for.
    summary: ExecutionSummary,
    /// Those that began last first.
    executions: Vec<Execution>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ExecutionSummary {
    #[serde(flatten)]
    counts: ExecutionCounts,
    by_type: ByType,
    performance: Performance,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct ExecutionCounts {
    total: usize,
    completed: usize,
    running: usize,
    /// What failed, was cancelled, or was lost with the program.
    failed: usize,
    /// Requests that wait for a backend: there is no queue.
    pending: usize,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionsByType)]
struct ByType {
    model_download: usize,
    deployment_create: usize,
    model_upload: usize,
    inference: usize,
    /// There are none.
    multi_step: usize,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionPerformance)]
struct Performance {
    /// Seconds, of those that are over.
    avg_duration: Maybe<f64>,
    /// Percent of those that are over.
    success_rate: Maybe<f64>,
    /// Not counted.
    retry_rate: Maybe<f64>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Execution {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    /// `model.download`, `model.upload`, `deployment.create` or `inference`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `running`, `completed`, `failed`, `cancelled` or `lost`.
    status: String,
    /// Percent.
    progress: Maybe<f64>,
    /// In the backend's own words; of a generation its phase.
    current_step: Maybe<String>,
    started_at: String,
    estimated_completion: Maybe<String>,
    completed_at: Maybe<String>,
    model: Maybe<String>,
    backend: Maybe<String>,
    bytes_done: Maybe<u64>,
    bytes_total: Maybe<u64>,
    bytes_per_second: Maybe<u64>,
    error: Maybe<String>,
    #[serde(skip)]
    #[schema(ignore)]
    seconds: Option<f64>,
}

impl Table for Executions {
    const COLUMNS: &'static [&'static str] = &["id", "name", "type", "status", "started_at", "completed_at"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Execution| {
            let completed = it.completed_at.known().cloned().unwrap_or_default();
            vec![
                it.id.clone(),
                it.name.clone(),
                it.kind.to_owned(),
                it.status.clone(),
                it.started_at.clone(),
                completed,
            ]
        };
        self.executions.iter().map(row).collect()
    }
}

/// Pulls, pushes and creates of models, and the generations in flight.
#[utoipa::path(
    get,
    path = "/dashboard/workload/executions",
    params(ExecutionsQuery),
    responses((status = 200, description = "Jobs, and the generations in flight.", body = Executions), ApiError)
)]
pub(crate) async fn executions(
    Parameters(query): Parameters<ExecutionsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Executions>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let period = query.period.unwrap_or(Period::Day);
    let mut all = all(&parts, period, now).await?;
    let summary = summary(&all);
    all.retain(|it| {
        query.status.is_none_or(|status| match status {
            Status::Completed => it.status == "completed",
            Status::Running => it.status == "running",
            Status::Failed => is_failed(it),
            Status::Pending => false,
        })
    });
    let (executions, pagination) = paged(all, pages);
    let body = Executions {
        timestamp: parts.text(now),
        summary,
        executions,
        pagination,
        metadata: of_period(&parts, period, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneExecution {
    timestamp: String,
    #[serde(flatten)]
    execution: Execution,
    metadata: Metadata,
    unknown: Unknown,
}

/// A pull, push or create of the last 30 days, or a generation in flight.
#[utoipa::path(
    get,
    path = "/dashboard/workload/executions/{id}",
    params(("id" = String, Path, description = "As the list has it."), NoParameters),
    responses(
        (status = 200, description = "One job, or one generation in flight.", body = OneExecution),
        (status = 404, description = "There is no such execution."),
        ApiError,
    )
)]
pub(crate) async fn execution(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<OneExecution>, ApiError> {
    let now = Instant::now();
    let all = all(&parts, Period::Month, now).await?;
    let missing =
        || ApiError::new(Code::NotFound, "there is no such execution; a generation that is over is an exchange");
    let execution = all.into_iter().find(|it| it.id == id).ok_or_else(missing)?;
    let metadata = of_period(&parts, Period::Month, now);
    let body = OneExecution { timestamp: parts.text(now), execution, metadata, unknown: Unknown::default() };
    Ok(Reply::of(&body, NOW))
}

/// The counts of the last 24 hours.
pub(super) async fn counts_of(parts: &Parts, now: Instant) -> Maybe<ExecutionCounts> {
    match all(parts, Period::Day, now).await {
        Ok(all) => Maybe::Known(counts(&all)),
        Err(_) => Maybe::Unknown(Reason::CollectorFailed),
    }
}

fn is_failed(it: &Execution) -> bool {
    matches!(&*it.status, "failed" | "cancelled" | "lost")
}

fn counts(all: &[Execution]) -> ExecutionCounts {
    let of = |status: &str| all.iter().filter(|it| it.status == status).count();
    ExecutionCounts {
        total: all.len(),
        completed: of("completed"),
        running: of("running"),
        failed: all.iter().filter(|it| is_failed(it)).count(),
        pending: 0,
    }
}

fn summary(all: &[Execution]) -> ExecutionSummary {
    let (counts, of) = (counts(all), |kind: &str| all.iter().filter(|it| it.kind == kind).count());
    let lasted: Vec<f64> = all.iter().filter_map(|it| it.seconds).collect();
    let over = counts.completed + counts.failed;
    ExecutionSummary {
        counts,
        by_type: ByType {
            model_download: of("model.download"),
            deployment_create: of("deployment.create"),
            model_upload: of("model.upload"),
            inference: of("inference"),
            multi_step: 0,
        },
        performance: Performance {
            avg_duration: (!lasted.is_empty())
                .then(|| lasted.iter().sum::<f64>() / lasted.len() as f64)
                .or_unknown(Reason::NoSamples),
            success_rate: (over > 0)
                .then(|| counts.completed as f64 / over as f64 * 100.0)
                .or_unknown(Reason::NoSamples),
            retry_rate: Maybe::Unknown(Reason::NotReported),
        },
    }
}

/// Jobs that began in the period, and the generations in flight; those that began last first.
async fn all(parts: &Parts, period: Period, now: Instant) -> Result<Vec<Execution>, ApiError> {
    let range = range(Some(period), (None, None), (period, parts.millis(now)))?;
    let query = ListQuery { range, filter: ListFilter::default(), offset: 0, limit: MOST };
    let kept = match parts.required(move |reading| reading.jobs(&query)).await? {
        Maybe::Known(found) => found.entries,
        Maybe::Unknown(_) => Vec::new(),
    };
    let running = parts.journal.jobs().snapshot();
    let over = kept.into_iter().filter(|job| !running.iter().any(|it| it.id == job.id));
    let mut all: Vec<(i64, Execution)> =
        running.iter().cloned().chain(over).map(|job| (job.started, of_job(&job, parts, now))).collect();
    let jobs = [JobKind::Pull, JobKind::Push, JobKind::Create].map(JobKind::as_str);
    for exchange in parts.in_flight.snapshot().iter().filter(|it| !jobs.contains(&it.operation)) {
        all.push((parts.millis(exchange.started), of_exchange(exchange, parts)));
    }
    all.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
    Ok(all.into_iter().map(|(_, execution)| execution).collect())
}

fn of_job(job: &Job, parts: &Parts, now: Instant) -> Execution {
    let is_running = &*job.state == JobState::Running.as_str();
    let absent = if is_running { Reason::NotYet } else { Reason::NotReported };
    let over = if is_running { Reason::NotYet } else { Reason::NotApplicable };
    let left = job.bytes_total.zip(job.bytes_done).map(|(total, done)| total.saturating_sub(done));
    let seconds = left.zip(job.rate.filter(|rate| *rate > 0)).map(|(left, rate)| left / rate).filter(|_| is_running);
    let end =
        seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(parts.millis(now)));
    Execution {
        id: format!("job_{}", job.id),
        name: job.model.as_ref().map_or_else(|| job.kind.to_string(), |model| format!("{} {model}", job.kind)),
        kind: match &*job.kind {
            "pull" => "model.download",
            "push" => "model.upload",
            _ => "deployment.create",
        },
        status: job.state.to_string(),
        progress: job.progress().map(|share| share * 100.0).or_unknown(absent),
        current_step: job.step.as_deref().map(str::to_owned).or_unknown(absent),
        started_at: Timestamp(job.started).to_string(),
        estimated_completion: end.map(|at| Timestamp(at).to_string()).or_unknown(over),
        completed_at: job.ended.map(|at| Timestamp(at).to_string()).or_unknown(absent),
        model: job.model.as_deref().map(str::to_owned).or_unknown(absent),
        backend: job.backend.as_deref().map(str::to_owned).or_unknown(absent),
        bytes_done: job.bytes_done.or_unknown(absent),
        bytes_total: job.bytes_total.or_unknown(absent),
        bytes_per_second: job.rate.or_unknown(absent),
        error: job.error.as_deref().map(str::to_owned).or_unknown(over),
        seconds: job.ended.map(|ended| (ended - job.started) as f64 / 1e3),
    }
}

fn of_exchange(exchange: &InFlightExchange, parts: &Parts) -> Execution {
    let model = exchange.model.as_deref().map(str::to_owned);
    Execution {
        id: format!("exchange_{}", exchange.id),
        name: model
            .as_ref()
            .map_or_else(|| exchange.operation.to_owned(), |model| format!("{} {model}", exchange.operation)),
        kind: "inference",
        status: "running".to_owned(),
        progress: Maybe::Unknown(Reason::NotApplicable),
        current_step: Maybe::Known(exchange.phase.as_str().to_owned()),
        started_at: parts.text(exchange.started),
        estimated_completion: Maybe::Unknown(Reason::NotApplicable),
        completed_at: Maybe::Unknown(Reason::NotYet),
        model: model.or_unknown(Reason::NotYet),
        backend: exchange.backend.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
        bytes_done: Maybe::Unknown(Reason::NotApplicable),
        bytes_total: Maybe::Unknown(Reason::NotApplicable),
        bytes_per_second: Maybe::Unknown(Reason::NotApplicable),
        error: Maybe::Unknown(Reason::NotYet),
        seconds: None,
    }
}
