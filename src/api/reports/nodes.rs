//! `/dashboard/infrastructure/nodes`: this machine and those of the backends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Length, Metadata, Pagination, of_now, page, paged};
use super::deployments::{self, Deployment};
use super::hardware::{Hardware, Utilization};
use super::places::place;
use super::resources::{self, Resource};
use crate::api::error::{ApiError, Code};
use crate::api::export::{Format, Table};
use crate::api::parameters::Parameters;
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing, Reply};
use crate::api::state::{Parts, wall};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::backend::monitor::Monitor;
use crate::history::machine::Fact;
use crate::history::rollup::Step;

/// The id of this machine beside its name.
const LOCAL: &str = "local";

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NodeStatusFilter)]
enum NodeStatus {
    Online,
    Offline,
    Maintenance,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NodeRoleFilter)]
enum NodeRole {
    Controller,
    Worker,
    Proxy,
    Storage,
}

impl NodeRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Worker => "worker",
            Self::Proxy => "proxy",
            Self::Storage => "storage",
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct NodesQuery {
    #[param(inline)]
    status: Option<NodeStatus>,
    #[param(inline)]
    role: Option<NodeRole>,
    /// From 1.
    #[param(minimum = 1, maximum = 100_000)]
    page: Option<u64>,
    /// Entries of a page; 10 without one.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// This machine and those of the backends.
#[derive(Serialize, ToSchema)]
pub(crate) struct Nodes {
    timestamp: String,
    /// Of all nodes, whatever is asked for.
    summary: NodeSummary,
    nodes: Vec<Node>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeSummary {
    pub(super) total: usize,
    pub(super) online: usize,
    pub(super) offline: usize,
    pub(super) maintenance: Maybe<usize>,
    pub(super) by_role: ByRole,
    /// Of this machine.
    pub(super) resources: Utilization,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = NodesByRole)]
pub(super) struct ByRole {
    pub(super) controller: RoleCount,
    pub(super) worker: RoleCount,
    pub(super) proxy: RoleCount,
    pub(super) storage: RoleCount,
}

#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = NodeRoleCount)]
pub(super) struct RoleCount {
    pub(super) total: usize,
    pub(super) online: usize,
}

/// A machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    role: Vec<&'static str>,
    /// `online` or `offline`.
    status: &'static str,
    websocket_connected: Maybe<bool>,
    /// The last good look at it.
    last_heartbeat: Maybe<String>,
    hardware: Hardware,
    resources: NodeResources,
    /// Of the machine, in seconds.
    uptime: Maybe<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct NodeResources {
    /// None can be seen from inside.
    vms: Maybe<usize>,
    containers: Maybe<usize>,
    deployments: usize,
}

impl Table for Nodes {
    const COLUMNS: &'static [&'static str] = &["name", "role", "status", "last_heartbeat"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |node: &Node| {
            let heartbeat = node.last_heartbeat.known().cloned().unwrap_or_default();
            vec![node.name.clone(), node.role.join(" "), node.status.to_owned(), heartbeat]
        };
        self.nodes.iter().map(row).collect()
    }
}

/// This machine and those of the backends.
#[utoipa::path(
    get,
    path = "/dashboard/infrastructure/nodes",
    params(NodesQuery),
    responses((status = 200, description = "This machine and those of the backends.", body = Nodes), ApiError)
)]
pub(crate) async fn nodes(
    Parameters(query): Parameters<NodesQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Nodes>, ApiError> {
    let now = Instant::now();
    let pages = page(query.page, query.limit)?;
    let mut nodes = all(&parts, now).await;
    let summary = summary(&parts, &nodes, now);
    nodes.retain(|node| {
        query.role.is_none_or(|role| node.role.contains(&role.as_str()))
            && query.status.is_none_or(|status| match status {
                NodeStatus::Online => node.status == "online",
                NodeStatus::Offline => node.status == "offline",
                NodeStatus::Maintenance => false,
            })
    });
    let (nodes, pagination) = paged(nodes, pages);
    let body = Nodes {
        timestamp: parts.text(now),
        summary,
        nodes,
        pagination,
        metadata: of_now(&parts, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// Every node, this machine first.
pub(super) async fn all(parts: &Parts, now: Instant) -> Vec<Node> {
    let deployments = deployments::all(parts, now).await;
    let machine = parts.machine(now);
    let mut places: BTreeMap<String, Vec<Arc<Monitor>>> = BTreeMap::new();
    for monitor in &*parts.monitors() {
        places.entry(place(parts, &monitor.backend.address)).or_default().push(monitor.clone());
    }
    let own = places.remove(&*parts.node).unwrap_or_default();
    let count = |node: &str| deployments.iter().filter(|it| it.node_id == node).count();
    let mut nodes = vec![Node {
        id: parts.node.to_string(),
        name: parts.node.to_string(),
        role: if own.is_empty() { vec!["proxy"] } else { vec!["proxy", "worker"] },
        status: "online",
        websocket_connected: Maybe::Unknown(Reason::NotApplicable),
        last_heartbeat: Maybe::Known(parts.text(now)),
        hardware: Hardware::of(machine.as_ref(), parts.processor.as_deref()),
        resources: NodeResources {
            vms: Maybe::Unknown(Reason::NotReported),
            containers: resources::all(machine.as_ref(), parts).map(|all| all.len()),
            deployments: count(&parts.node),
        },
        uptime: uptime().or_unknown(Reason::NotReported),
    }];
    for (name, monitors) in places {
        let up = monitors.iter().any(|monitor| monitor.status.snapshot().state.is_up() == Some(true));
        let seen = monitors.iter().filter_map(|monitor| monitor.refreshed()).max();
        nodes.push(Node {
            id: name.clone(),
            role: vec!["worker"],
            status: if up { "online" } else { "offline" },
            websocket_connected: Maybe::Unknown(Reason::NotApplicable),
            last_heartbeat: seen.map(wall).or_unknown(Reason::NotYet),
            hardware: Hardware::elsewhere(),
            resources: NodeResources {
                vms: Maybe::Unknown(Reason::NotReported),
                containers: Maybe::Unknown(Reason::NotLocal),
                deployments: count(&name),
            },
            uptime: Maybe::Unknown(Reason::NotLocal),
            name,
        });
    }
    nodes
}

pub(super) fn summary(parts: &Parts, nodes: &[Node], now: Instant) -> NodeSummary {
    let of_role = |role: &str| {
        let all = || nodes.iter().filter(|node| node.role.contains(&role));
        RoleCount { total: all().count(), online: all().filter(|node| node.status == "online").count() }
    };
    let online = nodes.iter().filter(|node| node.status == "online").count();
    NodeSummary {
        total: nodes.len(),
        online,
        offline: nodes.len() - online,
        maintenance: Maybe::Unknown(Reason::NotReported),
        // Roles that no machine has here.
        by_role: ByRole {
            controller: RoleCount::default(),
            worker: of_role("worker"),
            proxy: of_role("proxy"),
            storage: RoleCount::default(),
        },
        resources: Utilization::of(parts.machine(now).as_ref()),
    }
}

/// Of this machine, in seconds.
fn uptime() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return u64::try_from(rustix::system::sysinfo().uptime).ok();
    #[cfg(not(target_os = "linux"))]
    None
}

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
    let fact = |fact: Fact, unit: f64| {
        let value = |point: &crate::history::query::MachinePoint| point.means.means()[fact as usize];
        points.iter().map(|point| value(point).map(|it| it * unit).or_unknown(Reason::NotReported)).collect::<Vec<_>>()
    };
    let mean = |fact_of: Fact| {
        let known: Vec<f64> = fact(fact_of, 8e-6).iter().filter_map(|value| value.known().copied()).collect();
        let absent = if is_local { Reason::NotYet } else { Reason::NotLocal };
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64).or_unknown(absent)
    };
    let begin = |point: &crate::history::query::MachinePoint| {
        crate::history::timestamp::Timestamp(point.at * 1_000).to_string()
    };
    Ok(NodeMetrics {
        period: period.as_str(),
        interval: if step == Step::Minute { "1m" } else { "1h" },
        timestamps: points.iter().map(begin).collect(),
        cpu_history: fact(Fact::Cpu, 100.0),
        ram_history: fact(Fact::Memory, 1.0 / crate::api::endpoints::machine::GIB),
        gpu_history: fact(Fact::Gpu, 100.0),
        network_in: mean(Fact::NetReceived),
        network_out: mean(Fact::NetSent),
    })
}
