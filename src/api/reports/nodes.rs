//! `/dashboard/infrastructure/nodes`: this machine, those of the backends, and those that peers tell of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

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
use crate::api::peers::{Peer, PeerNode};
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

impl NodeStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Maintenance => "maintenance",
        }
    }
}

impl NodeRole {
    const ALL: [Self; 4] = [Self::Controller, Self::Worker, Self::Proxy, Self::Storage];

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
        /// Whether those that only peers see are among them; they are without it.
        peers: Option<bool>,
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

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
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
    let mut nodes = own(&parts, now).await;
    if query.peers.unwrap_or(true) {
        add_peers(&mut nodes, &parts.peers.all());
    }
    let summary = summary(&parts, &nodes, now);
    nodes.retain(|node| {
        query.role.is_none_or(|role| node.role.contains(&role.as_str()))
            && query.status.is_none_or(|status| node.status == status.as_str())
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
    let mut nodes = own(parts, now).await;
    add_peers(&mut nodes, &parts.peers.all());
    nodes
}

/// Adds the machines that peers tell of: of those that are here already, what only they can know.
fn add_peers(nodes: &mut Vec<Node>, peers: &[Peer]) {
    let own = nodes.len();
    for peer in peers {
        if peer.nodes.is_empty() && nodes.iter().all(|node| *node.name != *peer.name) {
            nodes.push(silent(peer));
        }
        for told in &*peer.nodes {
            match nodes.iter().position(|node| node.name == told.name) {
                // This machine, or one that another peer has told of.
                Some(0) => {}
                Some(at) if at >= own => {}
                Some(at) if peer.answers => {
                    nodes[at].hardware = Hardware::told(&told.hardware);
                    nodes[at].resources.containers = told.resources.containers.or_unknown(Reason::NotReported);
                    nodes[at].uptime = told.uptime.or_unknown(Reason::NotReported);
                }
                Some(_) => {}
                None => nodes.push(of_peer(peer, told)),
            }
        }
    }
}

/// The machine of a peer that has not said anything yet.
fn silent(peer: &Peer) -> Node {
    Node {
        id: peer.name.to_string(),
        name: peer.name.to_string(),
        role: vec![NodeRole::Proxy.as_str()],
        status: "offline",
        websocket_connected: Maybe::Unknown(Reason::NotApplicable),
        last_heartbeat: Maybe::Unknown(Reason::NotYet),
        hardware: Hardware::elsewhere(Reason::NotLocal),
        resources: NodeResources {
            vms: Maybe::Unknown(Reason::NotReported),
            containers: Maybe::Unknown(Reason::NotLocal),
            deployments: 0,
        },
        uptime: Maybe::Unknown(Reason::NotLocal),
    }
}

/// A machine from the last answer of a peer; offline once the peer answers no more.
fn of_peer(peer: &Peer, told: &PeerNode) -> Node {
    let status = [NodeStatus::Online, NodeStatus::Maintenance].map(NodeStatus::as_str);
    let status = status.into_iter().find(|word| *word == told.status && peer.answers);
    let known = NodeRole::ALL.map(NodeRole::as_str);
    let role = told.role.iter().filter_map(|told| known.into_iter().find(|known| known == told));
    let heard = peer.heard.map(wall).or_unknown(Reason::NotYet);
    Node {
        id: told.name.clone(),
        name: told.name.clone(),
        role: role.collect(),
        status: status.unwrap_or(NodeStatus::Offline.as_str()),
        websocket_connected: Maybe::Unknown(Reason::NotApplicable),
        last_heartbeat: told.last_heartbeat.clone().map_or(heard, Maybe::Known),
        hardware: Hardware::told(&told.hardware),
        resources: NodeResources {
            vms: Maybe::Unknown(Reason::NotReported),
            containers: told.resources.containers.or_unknown(Reason::NotReported),
            deployments: told.resources.deployments,
        },
        uptime: told.uptime.or_unknown(Reason::NotReported),
    }
}

/// The nodes that this program sees itself, this machine first.
async fn own(parts: &Parts, now: Instant) -> Vec<Node> {
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
        let (hardware, uptime) = match parts.machines.of(&name) {
            Ok(told) => {
                let uptime = told.uptime(SystemTime::now());
                (Hardware::told(&told.hardware), uptime.or_unknown(Reason::NotReported))
            }
            Err(reason) => (Hardware::elsewhere(reason), Maybe::Unknown(reason)),
        };
        nodes.push(Node {
            id: name.clone(),
            role: vec!["worker"],
            status: status_of(up, drains).as_str(),
            websocket_connected: Maybe::Unknown(Reason::NotApplicable),
            last_heartbeat: seen.map(wall).or_unknown(Reason::NotYet),
            hardware,
            resources: NodeResources {
                vms: Maybe::Unknown(Reason::NotReported),
                containers: Maybe::Unknown(Reason::NotLocal),
                deployments: count(&name),
            },
            uptime,
            name,
        });
    }
    nodes
}

/// Of a machine with backends: whether one of them is up, and whether each of them drains.
const fn status_of(is_up: bool, drains: bool) -> NodeStatus {
    match (is_up, drains) {
        (false, _) => NodeStatus::Offline,
        (true, true) => NodeStatus::Maintenance,
        (true, false) => NodeStatus::Online,
    }
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
        by_role: ByRole {
            controller: of_role("controller"),
            worker: of_role("worker"),
            proxy: of_role("proxy"),
            storage: of_role("storage"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_which_every_backend_drains_is_in_maintenance_while_one_is_up() {
        let words = [(true, false), (true, true), (false, true), (false, false)]
            .map(|(up, drains)| status_of(up, drains).as_str());
        assert_eq!(words, ["online", "maintenance", "offline", "offline"]);
    }
}
