//! `/dashboard/workload/executions/{id}`, and what is shown of one execution: a pull, push or create, or a generation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::common::{Metadata, kept_where, of_now};
use crate::api::error::{ApiError, Code};
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{NOW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::exchange::outcome::Outcome;
use crate::exchange::trace::TraceId;
use crate::exchange::vocabulary::Operation;
use crate::history::Coded as _;
use crate::history::id::RowId;
use crate::history::in_flight::InFlightExchange;
use crate::history::journal::job::{Job, JobState};
use crate::history::query::lists::{ListFilter, ListQuery, MAX_LIST};
use crate::history::query::{Exchange, Range};
use crate::history::timestamp::Timestamp;

/// What the id of a pull, push or create begins with.
const JOB: &str = "job_";

/// What the id of a generation begins with. Then come its trace, and its number among the exchanges of its process: both
/// are the same while it goes on and once it is over.
const EXCHANGE: &str = "exchange_";

/// How often a generation is looked for, and the time between: one that has just ended is written within a moment.
const LOOKS: u32 = 6;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Days in whose files one that has just ended may be: midnight may have passed.
const NEW: usize = 2;

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execution {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) name: String,
    /// `model.download`, `model.upload`, `deployment.create` or `inference`.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// `running`, `completed`, `failed`, `cancelled` or `lost`.
    pub(super) status: String,
    /// Percent.
    progress: Maybe<f64>,
    /// In the backend's own words; of a generation its phase, or the one in which it ended.
    current_step: Maybe<String>,
    pub(super) started_at: String,
    estimated_completion: Maybe<String>,
    pub(super) completed_at: Maybe<String>,
    model: Maybe<String>,
    backend: Maybe<String>,
    bytes_done: Maybe<u64>,
    bytes_total: Maybe<u64>,
    bytes_per_second: Maybe<u64>,
    error: Maybe<String>,
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

/// A pull, push or create, or a generation, as long as it is kept.
#[utoipa::path(
    get,
    path = "/dashboard/workload/executions/{id}",
    params(("id" = String, Path, description = "As the list has it."), NoParameters),
    responses(
        (status = 200, description = "One job, or one generation.", body = OneExecution),
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
    let missing = || ApiError::new(Code::NotFound, "there is no such execution");
    let number = |prefix: &str| id.strip_prefix(prefix)?.parse::<u64>().ok();
    let execution = match (number(JOB), named(&id), number(EXCHANGE)) {
        (Some(number), ..) => job(&parts, number, now).await?,
        (None, Some((trace, number)), _) => exchange_of(&parts, trace, number).await?,
        // As other lists have it: in flight, or in the history.
        (None, None, Some(number)) => exchange(&parts, number).await?,
        (None, None, None) => None,
    };
    let body = OneExecution {
        timestamp: parts.text(now),
        execution: execution.ok_or_else(missing)?,
        metadata: Metadata { source: kept_where(&parts), ..of_now(&parts, now) },
        unknown: Unknown::default(),
    };
    Ok(Reply::of(&body, NOW))
}

async fn job(parts: &Parts, number: u64, now: Instant) -> Result<Option<Execution>, ApiError> {
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    let running = parts.journal.jobs().snapshot().into_iter().find(|job| job.id == number);
    if let Some(job) = running {
        return Ok(Some(of_job(&job, parts, now)));
    }
    // A job's number begins with the millisecond of its beginning.
    let from = RowId(number).millis();
    let query =
        ListQuery { range: Range { from, to: from + 1 }, filter: ListFilter::default(), offset: 0, limit: MAX_LIST };
    let kept = parts.required(move |reading| reading.jobs(&query)).await?;
    let found = kept.known().and_then(|found| found.entries.iter().find(|job| job.id == number));
    Ok(found.map(|job| of_job(job, parts, now)))
}

/// The id of a generation.
fn name_of(trace: TraceId, number: u32) -> String {
    format!("{EXCHANGE}{trace}_{number}")
}

/// The trace and the number that an id names.
fn named(id: &str) -> Option<(TraceId, u32)> {
    let (trace, number) = id.strip_prefix(EXCHANGE)?.split_once('_')?;
    Some((TraceId::parse(trace)?, number.parse().ok()?))
}

/// The number of one in flight, as a row has it.
fn number_of(exchange: &InFlightExchange) -> u32 {
    exchange.id as u32
}

async fn exchange_of(parts: &Parts, trace: TraceId, number: u32) -> Result<Option<Execution>, ApiError> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let is_named = |it: &InFlightExchange| it.trace == trace && number_of(it) == number;
        let going_on = parts.in_flight.snapshot().into_iter().find(is_named);
        if let Some(exchange) = going_on {
            return Ok(infers(&exchange).then(|| in_flight(&exchange, parts)));
        }
        // Where it is not kept from before it can only be new.
        let days = if look == 0 { usize::MAX } else { NEW };
        let kept = parts.required(move |reading| reading.exchange_of(trace, number, days)).await?;
        match kept {
            Maybe::Known(Some(exchange)) => {
                return Ok(Some(exchange).filter(|it| it.row.operation.infers()).as_ref().map(over));
            }
            Maybe::Known(None) => {}
            Maybe::Unknown(_) => break,
        }
    }
    Ok(None)
}

async fn exchange(parts: &Parts, number: u64) -> Result<Option<Execution>, ApiError> {
    let going_on = parts.in_flight.snapshot().into_iter().find(|exchange| exchange.id == number);
    if let Some(exchange) = going_on {
        return Ok(Some(in_flight(&exchange, parts)));
    }
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    let kept = parts.required(move |reading| reading.exchange(RowId(number))).await?;
    Ok(kept.known().and_then(Option::as_ref).filter(|exchange| exchange.row.operation.infers()).map(over))
}

/// Whether it is a generation or an embedding.
pub(super) fn infers(exchange: &InFlightExchange) -> bool {
    Operation::CODES.iter().any(|(_, it)| it.infers() && it.as_str() == exchange.operation)
}

/// A pull, push or create.
pub(super) fn of_job(job: &Job, parts: &Parts, now: Instant) -> Execution {
    let is_running = &*job.state == JobState::Running.as_str();
    let absent = if is_running { Reason::NotYet } else { Reason::NotReported };
    let over = if is_running { Reason::NotYet } else { Reason::NotApplicable };
    let left = job.bytes_total.zip(job.bytes_done).map(|(total, done)| total.saturating_sub(done));
    let seconds = left.zip(job.rate.filter(|rate| *rate > 0)).map(|(left, rate)| left / rate).filter(|_| is_running);
    let end =
        seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(parts.millis(now)));
    Execution {
        id: format!("{JOB}{}", job.id),
        name: job.model.as_ref().map_or_else(|| job.kind.to_string(), |model| format!("{} {model}", job.kind)),
        kind: kind_of(&job.kind),
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
    }
}

/// A generation or an embedding that goes on.
pub(super) fn in_flight(exchange: &InFlightExchange, parts: &Parts) -> Execution {
    let model = exchange.model.as_deref().map(str::to_owned);
    Execution {
        id: name_of(exchange.trace, number_of(exchange)),
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
    }
}

/// A generation or an embedding that is over.
pub(super) fn over(exchange: &Exchange) -> Execution {
    let row = &exchange.row;
    let (model, ended) = (exchange.model.as_deref().map(str::to_owned), exchange.id.millis());
    let lasted = row.duration.micros().map_or(0, |micros| i64::try_from(micros / 1_000).unwrap_or(0));
    let operation = row.operation.as_str();
    Execution {
        id: name_of(row.trace, row.number),
        name: model.as_ref().map_or_else(|| operation.to_owned(), |model| format!("{operation} {model}")),
        kind: "inference",
        status: match row.outcome {
            Outcome::Completed => "completed",
            Outcome::ClientCancelled => "cancelled",
            _ => "failed",
        }
        .to_owned(),
        progress: Maybe::Unknown(Reason::NotApplicable),
        current_step: Maybe::Known(row.phase.as_str().to_owned()),
        started_at: Timestamp(ended - lasted).to_string(),
        estimated_completion: Maybe::Unknown(Reason::NotApplicable),
        completed_at: Maybe::Known(Timestamp(ended).to_string()),
        model: model.or_unknown(Reason::NotReported),
        backend: exchange.backend.as_deref().map(str::to_owned).or_unknown(Reason::NotApplicable),
        bytes_done: Maybe::Unknown(Reason::NotApplicable),
        bytes_total: Maybe::Unknown(Reason::NotApplicable),
        bytes_per_second: Maybe::Unknown(Reason::NotApplicable),
        error: row.error.map(|error| error.as_str().to_owned()).or_unknown(Reason::NotApplicable),
    }
}

/// The type of a job of this kind.
pub(super) fn kind_of(kind: &str) -> &'static str {
    match kind {
        "pull" => "model.download",
        "push" => "model.upload",
        _ => "deployment.create",
    }
}
