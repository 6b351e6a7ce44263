//! `/dashboard/infrastructure/nodes/{id}`: one machine, what runs on it and how it did.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Length, Metadata, of_now};
use super::deployments::{self, Deployment};
use super::hardware::Hardware;
use super::nodes::{Node, all};
use super::places::place;
use super::resources::{self, Resource};
use crate::api::endpoints::machine::GIB;
use crate::api::error::{ApiError, Code};
use crate::api::parameters::Parameters;
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::machine::Fact;
use crate::history::query::MachinePoint;
use crate::history::rollup::Step;
use crate::history::timestamp::Timestamp;

/// Megabits in a byte: the API gives networks in megabits a second, the history has bytes a second.
const MEGABITS: f64 = 8.0 / 1e6;

/// The id of this machine beside its name.
const LOCAL: &str = "local";

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct NodeQuery {
    /// Of the metrics; 1h without one.
    #[param(inline)]
    period: Option<Period>,
}

/// One machine.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OneNode {
    timestamp: String,
    #[serde(flatten)]
    node: NodeHead,
    services: Vec<Service>,
    resources: OwnResources,
    metrics: NodeMetrics,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NodeHead {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    role: Vec<&'static str>,
    status: &'static str,
    websocket_connected: Maybe<bool>,
    last_heartbeat: Maybe<String>,
    hardware: Hardware,
    uptime: Maybe<u64>,
}

/// A program on it.
#[derive(Serialize, ToSchema)]
#[schema(as = NodeService)]
struct Service {
    name: String,
    status: &'static str,
    /// In seconds.
    uptime: Maybe<u64>,
    pid: Maybe<u32>,
}

#[derive(Serialize, ToSchema)]
struct OwnResources {
    /// None can be seen from inside.
    vms: Maybe<Vec<Resource>>,
    containers: Maybe<Vec<Resource>>,
    deployments: Vec<Deployment>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NodeMetrics {
    period: &'static str,
    interval: &'static str,
    /// Where each interval begins.
    timestamps: Vec<String>,
    /// Percent.
    cpu_history: Vec<Maybe<f64>>,
    /// GiB.
    ram_history: Vec<Maybe<f64>>,
    /// Percent.
    gpu_history: Vec<Maybe<f64>>,
    /// Megabits a second, on average over the period.
    network_in: Maybe<f64>,
    /// Megabits a second, on average over the period.
    network_out: Maybe<f64>,
}

/// One machine; `local` is this one.
#[utoipa::path(
    get,
    path = "/dashboard/infrastructure/nodes/{id}",
    params(("id" = String, Path, description = "The name of a node, or `local`."), NodeQuery),
    responses(
        (status = 200, description = "One machine.", body = OneNode),
        (status = 404, description = "There is no node of this name."),
        ApiError,
    )
)]
pub(crate) async fn node(
    Path(id): Path<String>,
    Parameters(query): Parameters<NodeQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<OneNode>, ApiError> {
    let now = Instant::now();
    let id = if id == LOCAL { parts.node.to_string() } else { id };
    let missing = || ApiError::new(Code::NotFound, "there is no node of this name");
    let node = all(&parts, now).await.into_iter().find(|node| node.id == id).ok_or_else(missing)?;
    let is_local = *id == *parts.node;
    let machine = parts.machine(now).filter(|_| is_local);
    let deployments = deployments::all(&parts, now).await.into_iter().filter(|it| it.node_id == id).collect();
    let Node { id, name, role, status, websocket_connected, last_heartbeat, hardware, uptime, .. } = node;
    let body = OneNode {
        timestamp: parts.text(now),
        services: services(&parts, &id, is_local, now),
        node: NodeHead { id, name, role, status, websocket_connected, last_heartbeat, hardware, uptime },
        resources: OwnResources {
            vms: Maybe::Unknown(Reason::NotReported),
            containers: if is_local {
                resources::all(machine.as_ref(), &parts)
            } else {
                Maybe::Unknown(Reason::NotLocal)
            },
            deployments,
        },
        metrics: metrics(&parts, query.period.unwrap_or(Period::Hour), is_local, now).await?,
        metadata: of_now(&parts, now),
        unknown: Unknown::default(),
    };
    Ok(Reply::of(&body, LIST))
}

/// This program, and the backends of the machine.
fn services(parts: &Parts, node: &str, is_local: bool, now: Instant) -> Vec<Service> {
    let own = is_local.then(|| Service {
        name: "inferometer".to_owned(),
        status: "running",
        uptime: Maybe::Known(now.saturating_duration_since(parts.clock.started()).as_secs()),
        pid: Maybe::Known(std::process::id()),
    });
    let monitors = parts.monitors();
    let here = monitors.iter().filter(|monitor| place(parts, &monitor.backend.address) == node);
    let backends = here.map(|monitor| Service {
        name: monitor.backend.name.to_string(),
        status: match monitor.status.snapshot().state.is_up() {
            Some(true) if parts.drains(&monitor.backend.name) => "draining",
            Some(true) => "running",
            Some(false) => "stopped",
            None => "unknown",
        },
        uptime: Maybe::Unknown(Reason::NotReported),
        pid: Maybe::Unknown(Reason::NotReported),
    });
    own.into_iter().chain(backends).collect()
}

async fn metrics(parts: &Parts, period: Period, is_local: bool, now: Instant) -> Result<NodeMetrics, ApiError> {
    let length = Length::fitting(period);
    let step = if length == Length::Minute { Step::Minute } else { Step::Hour };
    let range = range(Some(period), (None, None), (period, parts.millis(now)))?;
    let node = parts.node.clone();
    let points = if is_local {
        parts.asked(move |reading| reading.machine(step, range)).await
    } else {
        Maybe::Unknown(Reason::NotLocal)
    };
    let points: Vec<_> = match points {
        Maybe::Known(points) => points.into_iter().filter(|point| point.node == node).collect(),
        Maybe::Unknown(_) => Vec::new(),
    };
    Ok(NodeMetrics::of(&points, (period, step), if is_local { Reason::NotYet } else { Reason::NotLocal }))
}

impl NodeMetrics {
    /// Of these intervals; `absent` is why there may be none.
    fn of(points: &[MachinePoint], (period, step): (Period, Step), absent: Reason) -> Self {
        let fact = |fact: Fact, unit: f64| {
            let value = |point: &MachinePoint| point.means.means()[fact as usize];
            let known = |point: &MachinePoint| value(point).map(|it| it * unit).or_unknown(Reason::NotReported);
            points.iter().map(known).collect::<Vec<_>>()
        };
        let mean = |of: Fact| {
            let known: Vec<f64> = fact(of, MEGABITS).iter().filter_map(|value| value.known().copied()).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64).or_unknown(absent)
        };
        let begin = |point: &MachinePoint| Timestamp(point.at * 1_000).to_string();
        Self {
            period: period.as_str(),
            interval: if step == Step::Minute { "1m" } else { "1h" },
            timestamps: points.iter().map(begin).collect(),
            cpu_history: fact(Fact::Cpu, 100.0),
            ram_history: fact(Fact::Memory, 1.0 / GIB),
            gpu_history: fact(Fact::Gpu, 100.0),
            network_in: mean(Fact::NetReceived),
            network_out: mean(Fact::NetSent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::machine::Means;

    #[test]
    fn facts_are_in_percent_gibibytes_and_megabits_a_second() {
        let point = |received: Option<f64>| {
            let mut means = Means::default();
            let mut facts = [None; Fact::ALL.len()];
            facts[Fact::Cpu as usize] = Some(0.5);
            facts[Fact::Memory as usize] = Some(2.0 * GIB);
            facts[Fact::NetReceived as usize] = received;
            facts[Fact::NetSent as usize] = Some(1_250_000.0);
            means.add(&facts);
            MachinePoint { at: 60, node: "a".into(), means }
        };
        let points = [point(Some(12_500_000.0)), point(None), point(Some(37_500_000.0))];
        let metrics = NodeMetrics::of(&points, (Period::Hour, Step::Minute), Reason::NotYet);
        assert_eq!((metrics.network_in, metrics.network_out), (Maybe::Known(200.0), Maybe::Known(10.0)));
        assert_eq!((metrics.cpu_history[0], metrics.ram_history[0]), (Maybe::Known(50.0), Maybe::Known(2.0)));
        assert_eq!(metrics.gpu_history[0], Maybe::Unknown(Reason::NotReported));
        let nothing = NodeMetrics::of(&[], (Period::Hour, Step::Minute), Reason::NotYet);
        assert_eq!(nothing.network_in, Maybe::Unknown(Reason::NotYet));
    }
}
