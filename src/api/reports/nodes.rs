//! `/dashboard/infrastructure/nodes`: this machine and those of the backends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_now, paged};
use super::deployments;
use super::hardware::{Hardware, Utilization};
use super::places::place;
use super::resources;
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::{Parts, wall};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::backend::monitor::Monitor;

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

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct NodesQuery {
        #[param(inline)]
        status: Option<NodeStatus>,
        #[param(inline)]
        role: Option<NodeRole>,
    }
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
    pub(super) maintenance: usize,
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
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Vec<&'static str>,
    /// `online`, `offline`, or `maintenance`: every backend on it drains.
    pub(super) status: &'static str,
    pub(super) websocket_connected: Maybe<bool>,
    /// The last good look at it.
    pub(super) last_heartbeat: Maybe<String>,
    pub(super) hardware: Hardware,
    resources: NodeResources,
    /// Of the machine, in seconds.
    pub(super) uptime: Maybe<u64>,
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
    let pages = query.pages()?;
    let mut nodes = all(&parts, now).await;
    let summary = summary(&parts, &nodes, now);
    nodes.retain(|node| {
        query.role.is_none_or(|role| node.role.contains(&role.as_str()))
            && query.status.is_none_or(|status| match status {
                NodeStatus::Online => node.status == "online",
                NodeStatus::Offline => node.status == "offline",
                NodeStatus::Maintenance => node.status == "maintenance",
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
        let drains = monitors.iter().all(|monitor| parts.drains(&monitor.backend.name));
        let seen = monitors.iter().filter_map(|monitor| monitor.refreshed()).max();
        nodes.push(Node {
            id: name.clone(),
            role: vec!["worker"],
            status: match (up, drains) {
                (false, _) => "offline",
                (true, true) => "maintenance",
                (true, false) => "online",
            },
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
    let of_status = |status: &str| nodes.iter().filter(|node| node.status == status).count();
    NodeSummary {
        total: nodes.len(),
        online: of_status("online"),
        offline: of_status("offline"),
        maintenance: of_status("maintenance"),
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
