//! How others learn what was found out about backends.

use std::sync::Arc;
use std::time::Duration;

use super::engine::EngineLoad;
use super::inventory::Inventory;
use super::track::Change;

/// Learns of everything that is found out. Must not block.
pub trait Report: Send + Sync {
    /// A probe of this backend ended.
    fn probed(&self, _backend: &Arc<str>, _up: bool, _took: Duration) {}

    /// It was asked which server it is and what it can serve.
    fn listed(&self, _backend: &Arc<str>, _inventory: &Inventory) {}

    /// It is about to be asked what is in memory.
    fn looks(&self, _backend: &Arc<str>) {}

    /// It refuses connections: what serves there next has nothing in memory.
    fn refuses(&self, _backend: &Arc<str>) {}

    /// It was asked what is in memory, or cannot be asked any more; with what changed since it was last asked.
    fn resident(&self, _backend: &Arc<str>, _inventory: &Inventory, _changes: &[Change]) {}

    /// Its engines were asked for their load. Empty where they do not say, or are not reached.
    fn load(&self, _backend: &Arc<str>, _load: &[EngineLoad]) {}
}
