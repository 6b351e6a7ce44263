//! `/dashboard/workload/agents`: who asks: tenants, and the products of clients without one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_period, paged, total};
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::range::Period;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Sum, last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::exchange::outcome::Outcome;
use crate::history::StoreError;
use crate::history::in_flight::InFlightExchange;
use crate::history::query::askers::{Asker, ConversationsQuery};
use crate::history::query::{Filter, PageQuery, Range};
use crate::history::rollup::Measure;
use crate::history::timestamp::Timestamp;

/// How long after a request an agent counts as active.
const LATELY: Duration = Duration::from_secs(15 * 60);

/// As far back as sums are kept, and further.
const ALL_TIME: Duration = Duration::from_secs(3_650 * 86_400);

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AgentStatus {
    Active,
    Busy,
    Inactive,
}

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct AgentsQuery {
        #[param(inline)]
        status: Option<AgentStatus>,
    }
}

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Agents {
    timestamp: String,
    /// Of all, whatever is asked for.
    summary: AgentSummary,
    agents: Vec<Agent>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgentSummary {
    #[serde(flatten)]
    counts: AgentCounts,
    performance: Performance,
    activity24h: Activity,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct AgentCounts {
    total: usize,
    /// A request in the last 15 minutes.
    active: usize,
    /// A request in flight on this process, of a client without a tenant.
    busy: usize,
    inactive: usize,
}

/// Generations and embeddings are tasks. As far back as sums are kept.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentPerformanceSums)]
pub(super) struct Performance {
    pub(super) total_tasks: u64,
    pub(super) completed: u64,
    /// What failed; answers from 400 to 499 do not count.
    pub(super) failed: u64,
    /// Percent of what completed or failed.
    success_rate: Maybe<f64>,
    /// Milliseconds.
    pub(super) avg_response_time: Maybe<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AgentActivity)]
struct Activity {
    tasks_executed: u64,
    /// Different ones that requests name, of the exchanges that are kept; at most 100,000 are counted.
    conversations: Maybe<u64>,
    /// In the requests of chats: each has those of before as well.
    messages: Maybe<u64>,
}

/// A tenant, or the product of clients without one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Agent {
    #[serde(rename = "_id")]
    id: String,
    agent_id: String,
    name: String,
    /// `tenant` or `client`.
    kind: &'static str,
    /// `busy`, `active` or `inactive`.
    status: &'static str,
    total_tasks: u64,
    completed_tasks: u64,
    failed_tasks: u64,
    /// Those that their client left.
    cancelled_tasks: u64,
    /// Those that were answered from 400 to 499: an unknown model, a wrong request.
    refused_tasks: u64,
    /// Milliseconds.
    avg_response_time: Maybe<f64>,
    /// The end of the last one that is kept.
    last_task: Maybe<String>,
}

impl Table for Agents {
    const COLUMNS: &'static [&'static str] = &["name", "kind", "status", "tasks", "completed", "failed", "last_task"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Agent| {
            vec![
                it.name.clone(),
                it.kind.to_owned(),
                it.status.to_owned(),
                it.total_tasks.to_string(),
                it.completed_tasks.to_string(),
                it.failed_tasks.to_string(),
                it.last_task.known().cloned().unwrap_or_default(),
            ]
        };
        self.agents.iter().map(row).collect()
    }
}

/// Who asks: tenants, and the products of clients without one.
#[utoipa::path(
    get,
    path = "/dashboard/workload/agents",
    params(AgentsQuery),
    responses((status = 200, description = "Who asks.", body = Agents), ApiError)
)]
pub(crate) async fn agents(
    Parameters(query): Parameters<AgentsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Agents>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let (found, all, day) = find(&parts, now).await?;
    let mut agents: Vec<Agent> = found.iter().map(|found| agent(&parts, found)).collect();
    let summary = AgentSummary {
        counts: counts(&agents),
        performance: performance(&all),
        activity24h: Activity {
            tasks_executed: day.0.requests,
            conversations: conversations(&parts, last(&parts, DAY, now), None).await,
            messages: day.0.messages.or_unknown(Reason::NotReported),
        },
    };
    agents.retain(|it| {
        query.status.is_none_or(|status| match status {
            AgentStatus::Active => it.status == "active",
            AgentStatus::Busy => it.status == "busy",
            AgentStatus::Inactive => it.status == "inactive",
        })
    });
    let (agents, pagination) = paged(agents, pages);
    let body = Agents {
        timestamp: parts.text(now),
        summary,
        agents,
        pagination,
        metadata: Metadata { period: Maybe::Unknown(Reason::NotApplicable), ..of_period(&parts, Period::Day, now) },
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// The counts of every agent, and their tasks in the last day.
pub(super) async fn of_day(parts: &Parts, now: Instant) -> Maybe<(AgentCounts, u64)> {
    if parts.readers.is_none() {
        return Maybe::Unknown(Reason::NotConfigured);
    }
    match find(parts, now).await {
        Ok((found, _, day)) => {
            let agents = found.iter().map(|found| agent(parts, found)).collect::<Vec<_>>();
            Maybe::Known((counts(&agents), day.0.requests))
        }
        Err(_) => Maybe::Unknown(Reason::CollectorFailed),
    }
}

fn counts(agents: &[Agent]) -> AgentCounts {
    let of = |status: &str| agents.iter().filter(|agent| agent.status == status).count();
    AgentCounts { total: agents.len(), active: of("active"), busy: of("busy"), inactive: of("inactive") }
}

/// All that is kept, up to now.
pub(super) fn ever(parts: &Parts, now: Instant) -> Range {
    let range = last(parts, ALL_TIME, now);
    Range { from: range.from.max(0), to: range.to + 1 }
}

/// Its generations and embeddings.
pub(super) fn tasks_of(asker: &Asker) -> Filter {
    Filter { inference: true, ..asker.filter() }
}

/// How many conversations an agent has had, or all of them.
pub(super) async fn conversations(parts: &Parts, range: Range, of: Option<Asker>) -> Maybe<u64> {
    let query = ConversationsQuery { range, of };
    let found = parts.asked(move |reading| reading.conversations(&query)).await;
    found.and_then(|count| count.or_unknown(Reason::NotReported))
}

/// What the history has of an agent.
struct Found {
    asker: Asker,
    all: Sum,
    lately: u64,
    last: Option<i64>,
}

/// Every agent, with the sums of all and of the last day.
async fn find(parts: &Parts, now: Instant) -> Result<(Vec<Found>, Sum, Sum), ApiError> {
    let (ever, day, lately) = (ever(parts, now), last(parts, DAY, now), last(parts, LATELY, now));
    parts
        .ask(move |reading| {
            let one = |asker: Asker| -> Result<Found, StoreError> {
                let filter = tasks_of(&asker);
                let newest = PageQuery { range: ever, filter: filter.clone(), offset: 0, limit: 1 };
                Ok(Found {
                    all: total(reading, ever, &filter)?,
                    lately: total(reading, lately, &asker.filter())?.0.requests,
                    last: reading.newest(&newest)?.exchanges.first().map(|exchange| exchange.id.millis()),
                    asker,
                })
            };
            let found = reading.askers(ever)?.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
            let (mut all, mut of_day) = (Sum::default(), Sum::default());
            for it in &found {
                all.0.merge(&it.all.0);
                of_day.0.merge(&total(reading, day, &tasks_of(&it.asker))?.0);
            }
            Ok((found, all, of_day))
        })
        .await
}

fn agent(parts: &Parts, Found { asker, all, lately, last }: &Found) -> Agent {
    // What is in flight names its client alone; a tenant of that name is another.
    let asks = |it: &InFlightExchange| !asker.is_tenant && it.client.as_deref() == Some(&*asker.name);
    let busy = parts.in_flight.snapshot().iter().any(asks);
    let sums = performance(all);
    let cancelled = all.outcome(Outcome::ClientCancelled);
    Agent {
        id: asker.name.to_string(),
        agent_id: asker.name.to_string(),
        name: asker.name.to_string(),
        kind: if asker.is_tenant { "tenant" } else { "client" },
        status: match (busy, *lately > 0) {
            (true, _) => "busy",
            (false, true) => "active",
            (false, false) => "inactive",
        },
        total_tasks: sums.total_tasks,
        completed_tasks: sums.completed,
        failed_tasks: sums.failed,
        cancelled_tasks: cancelled,
        refused_tasks: sums.total_tasks.saturating_sub(sums.completed + sums.failed + cancelled),
        avg_response_time: sums.avg_response_time,
        last_task: last.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NoSamples),
    }
}

pub(super) fn performance(sum: &Sum) -> Performance {
    Performance {
        total_tasks: sum.0.requests,
        completed: sum.outcome(Outcome::Completed),
        failed: sum.0.failed(),
        success_rate: sum.success_rate().map(|share| share * 100.0).or_unknown(Reason::NoSamples),
        avg_response_time: sum.mean(Measure::Duration).map(|it| it * 1e3).or_unknown(Reason::NoSamples),
    }
}
