//! `/dashboard/workload/agents/{id}/performance`: how a tenant, or a client's product, does.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::agents::{Performance, conversations, ever, performance, tasks_of};
use super::common::{Length, Metadata, of_period, series, timestamps, total, values};
use crate::api::error::{ApiError, Code};
use crate::api::export::{Format, Table, intervals};
use crate::api::parameters::Parameters;
use crate::api::range::Period;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Sum, last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::query::askers::Asker;
use crate::history::query::{Exchange, PageQuery, Range};
use crate::history::rollup::Measure;
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// Tasks that are listed of one agent.
const TASKS: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct PerformanceQuery {
    /// Of the timeline; 24h without one.
    #[param(inline)]
    period: Option<Period>,
    /// Of the timeline, `1m` and `5m` for a period of `24h` at most; without one it fits the period.
    #[param(inline)]
    interval: Option<Length>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// How an agent does.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentPerformance {
    timestamp: String,
    agent_id: String,
    name: String,
    performance: Spans,
    timeline: Timeline,
    /// The newest first.
    recent_tasks: Vec<Task>,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentSpans)]
struct Spans {
    all_time: Performance,
    last24h: Span,
    last7d: Span,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentSpan)]
struct Span {
    tasks: u64,
    completed: u64,
    failed: u64,
    /// Milliseconds.
    avg_response_time: Maybe<f64>,
    /// Different ones that requests name, of the exchanges that are kept; at most 100,000 are counted.
    conversations: Maybe<u64>,
    /// In the requests of chats: each has those of before as well.
    messages: Maybe<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentTimeline)]
struct Timeline {
    period: &'static str,
    interval: &'static str,
    /// Where each interval begins.
    timestamps: Vec<String>,
    tasks: Vec<Maybe<f64>>,
    /// Milliseconds.
    response_time: Vec<Maybe<f64>>,
}

/// A generation or embedding.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentTask)]
struct Task {
    /// The trace of the request.
    task_id: String,
    /// The operation.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The outcome.
    status: &'static str,
    /// Milliseconds.
    duration: Maybe<f64>,
    timestamp: String,
}

/// How a tenant, or a client's product, does.
#[utoipa::path(
    get,
    path = "/dashboard/workload/agents/{id}/performance",
    params(("id" = String, Path, description = "The name of a tenant, or the product of clients."), PerformanceQuery),
    responses(
        (status = 200, description = "How an agent does.", body = AgentPerformance),
        (status = 404, description = "Nobody of this name has asked."),
        ApiError,
    )
)]
pub(crate) async fn agent_performance(
    Path(id): Path<String>,
    Parameters(query): Parameters<PerformanceQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<AgentPerformance>, ApiError> {
    let now = Instant::now();
    let ever = ever(&parts, now);
    let ranges = (last(&parts, DAY, now), last(&parts, DAY * 7, now));
    let name = id.clone();
    let found = parts.ask(move |reading| one(reading, &name, (ever, ranges.0, ranges.1))).await?;
    let missing =
        || ApiError::new(Code::NotFound, "nobody of this name has asked; /dashboard/workload/agents lists them");
    let One { asker, all, day, week, recent_tasks } = found.ok_or_else(missing)?;
    let period = query.period.unwrap_or(Period::Day);
    let length = query.interval.unwrap_or_else(|| Length::fitting(period));
    // Side by side, as the conversations of a week take as long as all the rest.
    let (series, of_day, of_week) = tokio::join!(
        series(&parts, (period, length), tasks_of(&asker), now),
        conversations(&parts, ranges.0, Some(asker.clone())),
        conversations(&parts, ranges.1, Some(asker.clone())),
    );
    let series = series?;
    let span = |sum: &Sum, conversations| {
        let Performance { total_tasks, completed, failed, avg_response_time, .. } = performance(sum);
        let messages = sum.0.messages.or_unknown(Reason::NotReported);
        Span { tasks: total_tasks, completed, failed, avg_response_time, conversations, messages }
    };
    let body = AgentPerformance {
        timestamp: parts.text(now),
        agent_id: id.clone(),
        name: id,
        performance: Spans { all_time: performance(&all), last24h: span(&day, of_day), last7d: span(&week, of_week) },
        timeline: Timeline {
            period: period.as_str(),
            interval: length.as_str(),
            timestamps: timestamps(&series),
            tasks: values(&series, |sum| Some(sum.0.requests as f64)),
            response_time: values(&series, |sum| sum.mean(Measure::Duration).map(|seconds| seconds * 1e3)),
        },
        recent_tasks,
        metadata: of_period(&parts, period, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// The timeline, an interval a line.
impl Table for AgentPerformance {
    const COLUMNS: &'static [&'static str] = &["at", "tasks", "response_time_ms"];

    fn rows(&self) -> Vec<Vec<String>> {
        intervals(&self.timeline.timestamps, &[&self.timeline.tasks, &self.timeline.response_time])
    }
}

struct One {
    asker: Asker,
    all: Sum,
    day: Sum,
    week: Sum,
    recent_tasks: Vec<Task>,
}

fn one(reading: &Reading, name: &str, (ever, day, week): (Range, Range, Range)) -> Result<Option<One>, StoreError> {
    let Some(asker) = reading.askers(ever)?.into_iter().find(|asker| *asker.name == *name) else { return Ok(None) };
    let filter = tasks_of(&asker);
    let page = reading.newest(&PageQuery { range: ever, filter: filter.clone(), offset: 0, limit: TASKS })?;
    let task = |it: &Exchange| Task {
        task_id: it.row.trace.to_string(),
        kind: it.row.operation.as_str(),
        status: it.row.outcome.as_str(),
        duration: it.row.duration.micros().map(|micros| micros as f64 / 1e3).or_unknown(Reason::NotReported),
        timestamp: Timestamp(it.id.millis()).to_string(),
    };
    Ok(Some(One {
        all: total(reading, ever, &filter)?,
        day: total(reading, day, &filter)?,
        week: total(reading, week, &filter)?,
        recent_tasks: page.exchanges.iter().map(task).collect(),
        asker,
    }))
}
