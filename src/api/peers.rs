//! What other programs of this kind say of their machines: written in the background, read by reports.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;

/// What a peer is asked for: the machines that it sees itself. Those that it has heard of are left out, so that two peers
/// of each other do not tell each other of machines that are gone.
pub const NODES: &str = "/dashboard/infrastructure/nodes?limit=100&peers=false";

/// Machines of a peer.
const MOST: usize = 100;

/// Longest name of a machine.
const MAX_NAME: usize = 256;

/// What peers have said. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Peers(Arc<Mutex<Vec<Peer>>>);

/// A program of this kind.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// What it is called here.
    pub(super) name: Arc<str>,
    /// Whether it has answered last.
    pub(super) answers: bool,
    /// When it did last.
    pub(super) heard: Option<SystemTime>,
    /// What it said then.
    pub(super) nodes: Arc<[PeerNode]>,
}

#[derive(Deserialize)]
struct Answer {
    nodes: Vec<PeerNode>,
}

/// A machine, as it answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerNode {
    pub(super) name: String,
    #[serde(default)]
    pub(super) role: Vec<String>,
    pub(super) status: String,
    pub(super) last_heartbeat: Option<String>,
    pub(super) hardware: PeerHardware,
    pub(super) resources: PeerResources,
    pub(super) uptime: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerHardware {
    pub(super) cpu_model: Option<String>,
    pub(super) cpu_cores: Option<u32>,
    pub(super) cpu_usage: Option<f64>,
    pub(super) ram_total: Option<f64>,
    pub(super) ram_usage: Option<f64>,
    pub(super) disk_total: Option<f64>,
    pub(super) disk_usage: Option<f64>,
    pub(super) gpus: Option<Vec<PeerGpu>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeerGpu {
    pub(super) device_id: String,
    pub(super) model: String,
    pub(super) memory_total: Option<f64>,
    pub(super) memory_free: Option<f64>,
    pub(super) utilization: Option<f64>,
    pub(super) temperature: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PeerResources {
    pub(super) containers: Option<usize>,
    #[serde(default)]
    pub(super) deployments: usize,
}

impl Peers {
    /// One that is asked from now on.
    pub fn add(&self, name: Arc<str>) {
        self.locked().push(Peer { name, answers: false, heard: None, nodes: Arc::default() });
    }

    /// What the peer of this name has answered to [`NODES`]. Returns whether that can be read.
    pub fn heard(&self, name: &str, body: &[u8], at: SystemTime) -> bool {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else { return false };
        let is_named = |node: &PeerNode| (1..=MAX_NAME).contains(&node.name.len());
        let nodes: Arc<[PeerNode]> = answer.nodes.into_iter().filter(is_named).take(MOST).collect();
        for peer in self.locked().iter_mut().filter(|peer| *peer.name == *name) {
            (peer.answers, peer.heard, peer.nodes) = (true, Some(at), nodes.clone());
        }
        true
    }

    /// The peer of this name has not answered.
    pub fn lost(&self, name: &str) {
        self.locked().iter_mut().filter(|peer| *peer.name == *name).for_each(|peer| peer.answers = false);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Peer> {
        self.locked().clone()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
