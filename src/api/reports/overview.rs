//! `/dashboard/overview`: everything at a glance.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::agents::{self, AgentCounts};
use super::alert::{AlertCounts, Issue};
use super::common::{Metadata, of_period};
use super::deployments::{self, DeploymentCounts};
use super::executions::{self, ExecutionCounts};
use super::hardware::{Utilization, gpus};
use super::models::{self, ByType};
use super::nodes;
use super::replicas::{Replicas, replicas};
use super::resources::{self, ResourceSummary};
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::range::Period;
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Sum, Totals, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::rollup::Measure;

/// Everything at a glance.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    timestamp: String,
    infrastructure: Infrastructure,
    workload: Workload,
    activity: Activity,
    health: Health,
    /// All replicas of this program, where `--prometheus-url` is set.
    replicas: Maybe<Replicas>,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OverviewInfrastructure)]
struct Infrastructure {
    nodes: NodeCounts,
    resources: ResourceSummary,
    hardware: Hardware,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewNodes)]
pub(crate) struct NodeCounts {
    total: usize,
    online: usize,
    offline: usize,
    maintenance: usize,
    by_role: RoleCounts,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = OverviewRoles)]
struct RoleCounts {
    controller: usize,
    worker: usize,
    proxy: usize,
    storage: usize,
}

/// Of this machine.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewHardware)]
struct Hardware {
    #[serde(flatten)]
    utilization: Utilization,
    gpus_active: Maybe<usize>,
    gpus_total: Maybe<usize>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OverviewWorkload)]
struct Workload {
    models: ModelCounts,
    deployments: DeploymentCounts,
    agents: Maybe<AgentCounts>,
    executions: Maybe<ExecutionCounts>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewModels)]
struct ModelCounts {
    /// Unknown until a backend has listed its models, as `active` and `inactive`.
    total: Maybe<usize>,
    active: Maybe<usize>,
    inactive: Maybe<usize>,
    downloading: usize,
    failed: usize,
    by_type: ByType,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewActivity)]
struct Activity {
    period: &'static str,
    api_requests: Maybe<u64>,
    /// Generations and embeddings.
    inference_requests: Maybe<u64>,
    /// Those of tenants, and of clients that name their product.
    agent_tasks: Maybe<u64>,
    /// Milliseconds, of generations.
    avg_response_time: Maybe<f64>,
    /// Percent of the generations and embeddings that completed or failed.
    success_rate: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OverviewHealth)]
struct Health {
    /// 100, less 40 for each critical alert, 10 for each warning and 2 for each for information; not below 0.
    system_health: usize,
    alerts: AlertCounts,
    issues: Vec<Issue>,
}

/// Everything at a glance.
#[utoipa::path(
    get,
    path = "/dashboard/overview",
    params(NoParameters),
    responses((status = 200, description = "Everything at a glance.", body = Overview), ApiError)
)]
pub(crate) async fn overview(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Overview> {
    let now = Instant::now();
    let (machine, view) = (parts.machine(now), parts.alerts.view());
    let (gpus_active, gpus_total) = gpus(machine.as_ref());
    let alerts = AlertCounts::of(&view.firing);
    let agents = agents::of_day(&parts, now).await;
    let body = Overview {
        timestamp: parts.text(now),
        infrastructure: Infrastructure {
            nodes: node_counts(&parts, now).await,
            resources: resources::summary(&resources::all(machine.as_ref(), &parts)),
            hardware: Hardware { utilization: Utilization::of(machine.as_ref()), gpus_active, gpus_total },
        },
        workload: Workload {
            models: model_counts(&parts, now).await,
            deployments: deployments::counts(&parts, &deployments::all(&parts, now).await),
            agents: agents.as_ref().map(|(counts, _)| *counts),
            executions: executions::counts_of(&parts, now).await,
        },
        activity: activity(&parts, agents.map(|(_, tasks)| tasks), now).await,
        health: Health {
            system_health: alerts.system_health(),
            alerts,
            issues: view.firing.iter().map(|alert| Issue::of(alert, &parts.node)).collect(),
        },
        replicas: replicas(&parts).await,
        metadata: of_period(&parts, Period::Day, now),
        unknown: Unknown::default(),
    };
    Reply::of(&body, OVERVIEW)
}

pub(crate) async fn node_counts(parts: &Parts, now: Instant) -> NodeCounts {
    let all = nodes::all(parts, now).await;
    let summary = nodes::summary(parts, &all, now);
    let roles = summary.by_role;
    NodeCounts {
        total: summary.total,
        online: summary.online,
        offline: summary.offline,
        maintenance: summary.maintenance,
        by_role: RoleCounts {
            controller: roles.controller.total,
            worker: roles.worker.total,
            proxy: roles.proxy.total,
            storage: roles.storage.total,
        },
    }
}

async fn model_counts(parts: &Parts, now: Instant) -> ModelCounts {
    let summary = models::summary_of(parts, now).await;
    ModelCounts {
        total: summary.total,
        active: summary.active,
        inactive: summary.inactive,
        downloading: summary.downloading,
        failed: summary.failed,
        by_type: summary.by_type,
    }
}

async fn activity(parts: &Parts, agent_tasks: Maybe<u64>, now: Instant) -> Activity {
    let totals = of_last(parts, DAY, now).await;
    let inference = totals.as_ref().map(Totals::inference);
    let mean = |totals: &Totals| {
        let seconds = totals.generations().mean(Measure::Duration);
        seconds.map(|seconds| seconds * 1e3).or_unknown(Reason::NoSamples)
    };
    let success = |sum: &Sum| sum.success_rate().map(|share| share * 100.0).or_unknown(Reason::NoSamples);
    Activity {
        period: Period::Day.as_str(),
        api_requests: totals.as_ref().map(|totals| totals.all().0.requests),
        inference_requests: inference.as_ref().map(|sum| sum.0.requests),
        agent_tasks,
        avg_response_time: totals.as_ref().and_then(mean),
        success_rate: inference.as_ref().and_then(success),
    }
}
