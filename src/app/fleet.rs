//! Builds the fleet: for now, of the only backend.

use std::sync::Arc;

use tokio::sync::watch;

use super::components::Components;
use crate::config::Config;
use crate::fleet::{Fleet, Member};

/// The proxy subscribes to the sender; a reload replaces the fleet.
pub(super) fn build(config: &Config, components: &Components) -> watch::Sender<Arc<Fleet>> {
    let monitor = components.monitors.first().expect("a configuration has a backend");
    let only = Member::new(monitor.backend.clone(), config.backend.clone(), monitor.dialer.clone());
    watch::Sender::new(Arc::new(Fleet::of_one(only)))
}
