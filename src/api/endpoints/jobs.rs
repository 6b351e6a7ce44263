//! `/dashboard/jobs`: pulls, pushes and creates of models.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::api::values::{Span, UpTo, since};
use crate::exchange::outcome::{ErrorType, Outcome};
use crate::history::Reading;
use crate::history::journal::job::{Job, JobState};
use crate::history::query::errors::of_exchange;
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::state::Activity;
use crate::history::timestamp::Timestamp;

/// Most jobs of an answer.
const MOST: usize = 1_000;

/// Jobs that are over, where nothing else is asked for.
pub(crate) const USUAL: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobsQuery {
    /// Jobs that began in the last time, such as `1d`.
    #[param(value_type = Option<String>, pattern = "^[1-9][0-9]{0,3}[smhdw]$", example = "1d")]
    since: Option<Span>,
    /// How many jobs that are over.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50)]
    limit: Option<UpTo<MOST>>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

/// Pulls, pushes and creates of models.
#[derive(Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// Those that run.
    active_jobs: Vec<ActiveJob>,
    /// Those that are over, the newest first.
    completed_jobs: Maybe<Vec<EndedJob>>,
    /// Those of the history that began in the time asked for, however many are listed; also those that run.
    total_count: Maybe<u64>,
    /// The program's own.
    scheduled_jobs: Vec<ScheduledJob>,
    queue_stats: Queue,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct ActiveJob {
    id: String,
    /// What is done to which model.
    name: String,
    /// `pull`, `push` or `create`.
    #[serde(rename = "type")]
    kind: String,
    status: String,
    /// The part that is done, 0 to 1.
    progress: Maybe<f64>,
    started_at: String,
    estimated_completion: Maybe<String>,
    /// The backend does the work.
    resource_usage: JobUsage,
    model: Maybe<String>,
    backend: Maybe<String>,
    bytes_done: Maybe<u64>,
    bytes_total: Maybe<u64>,
    bytes_per_second: Maybe<u64>,
    /// What the backend does, in its own words.
    step: Maybe<String>,
}

#[derive(Serialize, ToSchema)]
struct JobUsage {
    cpu_percent: Maybe<f64>,
    memory_mb: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct EndedJob {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    model: Maybe<String>,
    backend: Maybe<String>,
    /// `completed`, `failed`, `cancelled`, or `lost` (the program was killed while it ran).
    status: String,
    started_at: String,
    completed_at: Maybe<String>,
    results: Results,
}

/// A job is one item.
#[derive(Serialize, ToSchema)]
struct Results {
    processed_items: u64,
    success_rate: Maybe<f64>,
    errors: u64,
    bytes: Maybe<u64>,
    /// Why it failed: a word of `errors_total` or an outcome, with what it means.
    error: Maybe<String>,
    /// The status that its client got.
    status: Maybe<u16>,
}

#[derive(Serialize, ToSchema)]
struct ScheduledJob {
    id: &'static str,
    name: &'static str,
    schedule: &'static str,
    /// RFC 3339 in UTC. Unknown while the history is off or paused.
    next_run: Maybe<String>,
    enabled: bool,
}

/// Requests that wait for a backend.
#[derive(Serialize, ToSchema)]
struct Queue {
    pending_jobs: Maybe<u64>,
    max_concurrent: Maybe<u64>,
    average_wait_time_minutes: Maybe<f64>,
}

/// Pulls, pushes and creates of models.
#[utoipa::path(
    get,
    path = "/dashboard/jobs",
    params(JobsQuery),
    responses((status = 200, description = "Pulls, pushes and creates of models.", body = Jobs), ApiError)
)]
pub(crate) async fn jobs(
    Parameters(query): Parameters<JobsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Jobs>, ApiError> {
    let limit = query.limit.map_or(USUAL, |limit| limit.0);
    let body = read(&parts, query.since, limit, Instant::now()).await?;
    Ok(Listing::of(body, LIST, query.format))
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, span: Option<Span>, limit: usize, now: Instant) -> Result<Jobs, ApiError> {
    let range = since(parts, span, now);
    // Those that run are written too, as they were some seconds ago.
    let ask = ListQuery { range, filter: ListFilter::default(), offset: 0, limit: (limit + 256).min(MOST) };
    let ended = parts.required(move |reading: &Reading| reading.jobs(&ask)).await?;
    let over = |job: &Job| &*job.state != JobState::Running.as_str();
    Ok(Jobs {
        active_jobs: parts.journal.jobs().snapshot().iter().map(|job| active(job, parts)).collect(),
        total_count: ended.as_ref().map(|found| found.total),
        completed_jobs: ended.map(|found| found.entries.iter().filter(|job| over(job)).take(limit).map(end).collect()),
        scheduled_jobs: vec![ScheduledJob {
            id: "history_retention",
            name: "history retention",
            schedule: "* * * * *",
            next_run: next_removal(parts),
            enabled: parts.readers.is_some(),
        }],
        queue_stats: Queue {
            pending_jobs: Maybe::Unknown(Reason::NotConfigured),
            max_concurrent: Maybe::Unknown(Reason::NotConfigured),
            average_wait_time_minutes: Maybe::Unknown(Reason::NotConfigured),
        },
        unknown: Unknown::default(),
    })
}

fn next_removal(parts: &Parts) -> Maybe<String> {
    let health = parts.history.health();
    match health.activity {
        _ if parts.readers.is_none() => Maybe::Unknown(Reason::NotConfigured),
        Activity::Paused(..) => Maybe::Unknown(Reason::CollectorFailed),
        _ => health.removes.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotYet),
    }
}

fn name(job: &Job) -> String {
    job.model.as_ref().map_or_else(|| job.kind.to_string(), |model| format!("{} {model}", job.kind))
}

fn active(job: &Job, parts: &Parts) -> ActiveJob {
    let left = job.bytes_total.zip(job.bytes_done).map(|(total, done)| total.saturating_sub(done));
    let seconds = left.zip(job.rate.filter(|rate| *rate > 0)).map(|(left, rate)| left / rate);
    let now = parts.millis(Instant::now());
    let end = seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(now));
    ActiveJob {
        id: format!("job_{}", job.id),
        name: name(job),
        kind: job.kind.to_string(),
        status: job.state.to_string(),
        progress: job.progress().or_unknown(Reason::NotYet),
        started_at: Timestamp(job.started).to_string(),
        estimated_completion: end.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotYet),
        resource_usage: JobUsage {
            cpu_percent: Maybe::Unknown(Reason::SharedProcess),
            memory_mb: Maybe::Unknown(Reason::SharedProcess),
        },
        model: job.model.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
        backend: job.backend.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
        bytes_done: job.bytes_done.or_unknown(Reason::NotYet),
        bytes_total: job.bytes_total.or_unknown(Reason::NotYet),
        bytes_per_second: job.rate.or_unknown(Reason::NotYet),
        step: job.step.as_deref().map(str::to_owned).or_unknown(Reason::NotYet),
    }
}

/// A word with its meaning.
fn why(word: &str) -> String {
    match ErrorType::ALL.iter().find(|error| error.as_str() == word) {
        Some(error) => format!("{word}: {}", of_exchange(*error).1),
        None if word == Outcome::HttpError.as_str() => format!("{word}: the backend refused it"),
        None => word.to_owned(),
    }
}

fn end(job: &Job) -> EndedJob {
    let succeeded = &*job.state == JobState::Completed.as_str();
    let is_lost = &*job.state == JobState::Lost.as_str();
    EndedJob {
        id: format!("job_{}", job.id),
        name: name(job),
        kind: job.kind.to_string(),
        model: job.model.as_deref().map(str::to_owned).or_unknown(Reason::NotReported),
        backend: job.backend.as_deref().map(str::to_owned).or_unknown(Reason::NotReported),
        status: job.state.to_string(),
        started_at: Timestamp(job.started).to_string(),
        completed_at: job.ended.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotReported),
        results: Results {
            processed_items: 1,
            success_rate: (!is_lost).then(|| f64::from(u8::from(succeeded))).or_unknown(Reason::NotReported),
            errors: u64::from(!succeeded && !is_lost),
            bytes: job.bytes_done.or_unknown(Reason::NotReported),
            error: job.error.as_deref().map(why).or_unknown(Reason::NotApplicable),
            status: job.status.or_unknown(Reason::NotReported),
        },
    }
}

impl Table for Jobs {
    const COLUMNS: &'static [&'static str] = &["id", "name", "type", "status", "started_at", "completed_at", "bytes"];

    fn rows(&self) -> Vec<Vec<String>> {
        let number = |bytes: &Maybe<u64>| bytes.known().map_or(String::new(), u64::to_string);
        let active = self.active_jobs.iter().map(|job| {
            let ActiveJob { id, name, kind, status, started_at, bytes_done, .. } = job;
            [id, name, kind, status, started_at, "", &number(bytes_done)].map(str::to_owned).to_vec()
        });
        let ended = self.completed_jobs.known().into_iter().flatten().map(|job| {
            let EndedJob { id, name, kind, status, started_at, completed_at, results, .. } = job;
            let completed = completed_at.known().cloned().unwrap_or_default();
            [id, name, kind, status, started_at, &*completed, &number(&results.bytes)].map(str::to_owned).to_vec()
        });
        active.chain(ended).collect()
    }
}
