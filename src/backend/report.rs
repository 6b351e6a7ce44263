//! The interface through which metrics and others learn about backends.

use std::sync::Arc;
use std::time::Duration;

use super::engine::EngineLoad;
use super::inventory::Inventory;
use super::track::Change;

/// Receives every result of the monitoring. Must not block.
pub trait Report: Send + Sync {
    /// A probe of this backend ended.
    fn probed(&self, _backend: &Arc<str>, _up: bool, _took: Duration) {}

    /// It was recognised and its models listed.
    fn listed(&self, _backend: &Arc<str>, _inventory: &Inventory) {}

    /// It is about to be polled for the models in memory.
    fn poll_begun(&self, _backend: &Arc<str>) {}

    /// It refused a connection: the server that starts next has no model in memory.
    fn connection_refused(&self, _backend: &Arc<str>) {}

    /// The models in memory were polled, or are unknown from now on; `changes` are those since the last poll.
    fn resident(&self, _backend: &Arc<str>, _inventory: &Inventory, _changes: &[Change]) {}

    /// The load of its engines was polled. Empty where they do not expose it, or are unreachable.
    fn load(&self, _backend: &Arc<str>, _load: &[EngineLoad]) {}
}
