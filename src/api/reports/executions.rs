//! `/dashboard/workload/executions`: pulls, pushes and creates of models, and generations.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_period};
use super::execution::{Execution, in_flight, infers, kind_of, of_job, over};
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::Totals;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::exchange::outcome::Outcome;
use crate::exchange::vocabulary::Operation;
use crate::history::journal::job::{Job, JobState, JobTally};
use crate::history::query::lists::{ListFilter, ListQuery, MAX_LIST};
use crate::history::query::{Filter, PageQuery, Range};
use crate::history::rollup::Measure;
use crate::history::{Reading, StoreError};

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
        /// The time up to now in which jobs began and generations ended; 24h without one.
        #[param(inline)]
        period: Option<Period>,
        #[param(inline)]
        status: Option<Status>,
    }
}

/// Pulls, pushes and creates of models, and generations.
#[derive(Serialize, ToSchema)]
pub(crate) struct Executions {
    timestamp: String,
    /// Of all in the period, whatever else is asked for.
    summary: ExecutionSummary,
    /// What runs, then pulls, pushes and creates that are over, then generations that are over: however many there are of these,
    /// the others come first. Of each the newest first.
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
    total: Maybe<u64>,
    completed: Maybe<u64>,
    running: u64,
    /// What failed, was refused or cancelled, or was lost with the program.
    failed: Maybe<u64>,
    /// Requests that wait for a backend: there is no queue.
    pending: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionsByType)]
struct ByType {
    model_download: Maybe<u64>,
    deployment_create: Maybe<u64>,
    model_upload: Maybe<u64>,
    /// Generations and embeddings.
    inference: Maybe<u64>,
    /// There are none.
    multi_step: u64,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionPerformance)]
struct Performance {
    /// Seconds, of jobs that are over and of generations that were answered.
    avg_duration: Maybe<f64>,
    /// Percent of those that are over.
    success_rate: Maybe<f64>,
    /// Percent of those that are over which were sent to another backend, as no connection to the first could be opened.
    retry_rate: Maybe<f64>,
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

/// Pulls, pushes and creates of models, and generations.
#[utoipa::path(
    get,
    path = "/dashboard/workload/executions",
    params(ExecutionsQuery),
    responses((status = 200, description = "Jobs and generations.", body = Executions), ApiError)
)]
pub(crate) async fn executions(
    Parameters(query): Parameters<ExecutionsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Executions>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let period = query.period.unwrap_or(Period::Day);
    let tally = tally(&parts, period, now).await?;
    let summary = tally.summary();
    let (executions, pagination) = tally.page(&parts, query.status, pages, now).await?;
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

/// The counts of the last 24 hours.
pub(super) async fn counts_of(parts: &Parts, now: Instant) -> Maybe<ExecutionCounts> {
    match tally(parts, Period::Day, now).await {
        Ok(tally) => Maybe::Known(tally.counts()),
        Err(_) => Maybe::Unknown(Reason::CollectorFailed),
    }
}

/// What there is in a period: what runs now, and how much is over.
struct Tally {
    range: Range,
    /// Jobs first, the newest of each first.
    running: Vec<Execution>,
    /// Unknown without a history.
    over: Maybe<Over>,
}

/// What is over in a period.
struct Over {
    jobs: Vec<JobTally>,
    /// Generations, and those of them that completed.
    generations: [u64; 2],
    /// How many generations were answered, and how many seconds they took.
    answered: (u64, f64),
    /// Requests of jobs and generations, and those of them that were sent to another backend.
    retried: (u64, u64),
}

async fn tally(parts: &Parts, period: Period, now: Instant) -> Result<Tally, ApiError> {
    let range = range(Some(period), (None, None), (period, parts.millis(now)))?;
    let found = parts.required(move |reading| Over::read(reading, range)).await?;
    let (over, kept) = match found {
        Maybe::Known((over, running)) => (Maybe::Known(over), running),
        Maybe::Unknown(why) => (Maybe::Unknown(why), Vec::new()),
    };
    let mut jobs = parts.journal.jobs().snapshot();
    // Those of other replicas.
    let others = kept.into_iter().filter(|job| !jobs.iter().any(|own| own.id == job.id)).collect::<Vec<_>>();
    jobs.extend(others);
    jobs.sort_by_key(|job| std::cmp::Reverse(job.started));
    let generations = parts.in_flight.snapshot();
    let running = jobs.iter().map(|job| of_job(job, parts, now));
    let running =
        running.chain(generations.iter().rev().filter(|it| infers(it)).map(|it| in_flight(it, parts))).collect();
    Ok(Tally { range, running, over })
}

impl Over {
    /// With the jobs that run, as far as that is kept.
    fn read(reading: &Reading, range: Range) -> Result<(Self, Vec<Job>), StoreError> {
        let of = |outcome| PageQuery { range, filter: Filter { outcome, ..inference() }, offset: 0, limit: 0 };
        let total = |outcome| Ok(reading.page(&of(outcome))?.total.unwrap_or(0));
        let totals = Totals::read(reading, range)?;
        let executed = totals.of(|total| total.operation.is_some_and(is_execution)).0;
        let inference = totals.inference();
        let duration = inference.0.sketch(Measure::Duration);
        let mut jobs = reading.job_tallies(range)?;
        jobs.retain(|tally| &*tally.state != RUNNING);
        let filter = ListFilter { state: Some(RUNNING.into()), ..ListFilter::default() };
        let running = reading.jobs(&ListQuery { range, filter, offset: 0, limit: MAX_LIST })?.entries;
        let generations = [total(None)?, total(Some(Outcome::Completed))?];
        let answered = (duration.count(), duration.sum().unwrap_or(0.0));
        Ok((Self { jobs, generations, answered, retried: (executed.requests, executed.retried) }, running))
    }

    fn jobs(&self, fits: impl Fn(&JobTally) -> bool) -> u64 {
        self.jobs.iter().filter(|tally| fits(tally)).map(|tally| tally.count).sum()
    }

    /// How many have this status.
    fn count(&self, status: Option<Status>) -> u64 {
        let (jobs, generations) = self.with(status);
        jobs + generations
    }

    /// Jobs and generations with this status.
    fn with(&self, status: Option<Status>) -> (u64, u64) {
        let [all, completed] = self.generations;
        let states = states_of(status);
        let generations = match status {
            None => all,
            Some(Status::Completed) => completed,
            Some(Status::Failed) => all.saturating_sub(completed),
            Some(Status::Running | Status::Pending) => 0,
        };
        (self.jobs(|tally| states.contains(&&*tally.state)), generations)
    }
}

impl Tally {
    fn counts(&self) -> ExecutionCounts {
        let of = |status| self.over.as_ref().map(|over| over.count(status));
        let running = self.running.len() as u64;
        ExecutionCounts {
            total: of(None).map(|over| running + over),
            completed: of(Some(Status::Completed)),
            running,
            failed: of(Some(Status::Failed)),
            pending: 0,
        }
    }

    fn summary(&self) -> ExecutionSummary {
        let counts = self.counts();
        let of = |kind: &str| {
            let running = self.running.iter().filter(|it| it.kind == kind).count() as u64;
            let over = |over: &Over| over.jobs(|tally| kind_of(&tally.kind) == kind);
            let generations = |over: &Over| if kind == "inference" { over.generations[0] } else { 0 };
            self.over.as_ref().map(|it| running + over(it) + generations(it))
        };
        let mean = |over: &Over| {
            let (answered, seconds) = over.answered;
            let ended: u64 = over.jobs.iter().map(|tally| tally.ended).sum();
            let millis: u64 = over.jobs.iter().map(|tally| tally.millis).sum();
            let lasted = answered + ended;
            (lasted > 0).then(|| (seconds + millis as f64 / 1e3) / lasted as f64).or_unknown(Reason::NoSamples)
        };
        let success = |over: &Over| {
            let (completed, over) = (over.count(Some(Status::Completed)), over.count(None));
            (over > 0).then(|| completed as f64 / over as f64 * 100.0).or_unknown(Reason::NoSamples)
        };
        let retries = |over: &Over| {
            let (all, retried) = over.retried;
            (all > 0).then(|| retried as f64 / all as f64 * 100.0).or_unknown(Reason::NoSamples)
        };
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
                avg_duration: self.over.as_ref().and_then(mean),
                success_rate: self.over.as_ref().and_then(success),
                retry_rate: self.over.as_ref().and_then(retries),
            },
        }
    }

    /// A page of what fits: what runs, the jobs that are over, the generations that are over.
    async fn page(
        self,
        parts: &Parts,
        status: Option<Status>,
        (page, limit): (u64, u64),
        now: Instant,
    ) -> Result<(Vec<Execution>, Pagination), ApiError> {
        let has_running = status.is_none_or(|status| status == Status::Running);
        let running = if has_running { self.running } else { Vec::new() };
        let counted = match (status, &self.over) {
            (Some(Status::Running | Status::Pending), _) => Maybe::Known((0, 0)),
            (_, over) => over.as_ref().map(|over| over.with(status)),
        };
        let (jobs, generations) = counted.known().copied().unwrap_or((0, 0));
        let first = running.len() as u64;
        let total = first + jobs + generations;
        let offset = (page - 1) * limit;
        let mut shown: Vec<_> = running.into_iter().skip(index(offset)).take(index(limit)).collect();
        let left = |shown: &Vec<Execution>| index(limit) - shown.len();
        if left(&shown) > 0 && jobs > 0 && offset < first + jobs {
            let filter = ListFilter { states: Some(states_of(status).to_vec()), ..ListFilter::default() };
            let offset = index(offset.saturating_sub(first));
            let query = ListQuery { range: self.range, filter, offset, limit: left(&shown) };
            let found = parts.required(move |reading| reading.jobs(&query)).await?;
            shown.extend(found.known().into_iter().flat_map(|found| &found.entries).map(|job| of_job(job, parts, now)));
        }
        let mut has_more = offset + (shown.len() as u64) < total;
        if left(&shown) > 0 && generations > 0 {
            let offset = index(offset.saturating_sub(first + jobs));
            let outcome = (status == Some(Status::Completed)).then_some(Outcome::Completed);
            let filter = Filter { outcome, failed: status == Some(Status::Failed), ..inference() };
            let query = PageQuery { range: self.range, filter, offset, limit: left(&shown) };
            let found = parts.required(move |reading| reading.page(&query)).await?;
            shown.extend(found.known().into_iter().flat_map(|found| &found.exchanges).map(over));
            // Where rows were left out because too many came, there are fewer than were counted.
            has_more = found.known().is_some_and(|found| found.has_more);
        }
        Ok((shown, Pagination { page, limit, total: counted.map(|_| total), has_more }))
    }
}

const RUNNING: &str = JobState::Running.as_str();

/// The states of jobs that are over and have this status.
const fn states_of(status: Option<Status>) -> &'static [&'static str] {
    const OVER: [&str; 4] = [
        JobState::Completed.as_str(),
        JobState::Failed.as_str(),
        JobState::Cancelled.as_str(),
        JobState::Lost.as_str(),
    ];
    match status {
        None => &OVER,
        Some(Status::Completed) => OVER.split_at(1).0,
        Some(Status::Failed) => OVER.split_at(1).1,
        Some(Status::Running | Status::Pending) => &[],
    }
}

/// Whether a request for it is a job or a generation.
fn is_execution(operation: Operation) -> bool {
    operation.infers() || matches!(operation, Operation::Pull | Operation::Push | Operation::Create)
}

fn inference() -> Filter {
    Filter { inference: true, ..Filter::default() }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
