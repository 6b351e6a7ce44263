//! Builds the fleet of the configured backends, whose monitors exist.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::components::Components;
use crate::config::Config;
use crate::fleet::{Fleet, Knowledge, Member, Share};
use crate::metrics::HeldBytes;

pub(super) fn build(config: &Config, components: &Components) -> Fleet {
    let (monitors, now) = (components.monitors.all(), Instant::now());
    let members = config.members().into_iter().filter_map(|member| {
        let monitor = monitors.iter().find(|monitor| monitor.backend == member.backend)?;
        let share = Share { zone: member.zone, ..member.share };
        Some(Member::new(member.backend, member.settings, share, monitor.dialer.clone(), now))
    });
    let knowledge = Knowledge { catalogue: components.catalogue.clone(), residency: components.residency.clone() };
    Fleet::new(members.collect(), &config.fleet, knowledge)
}

/// Exposes choices among the backends and their states, once there are several.
pub(super) fn expose(components: &Components, fleet: &watch::Sender<Arc<Fleet>>) {
    if !fleet.borrow().has_several() {
        return;
    }
    let (current, held) = (fleet.subscribe(), components.held.clone());
    let held = move || HeldBytes { now: held.bytes(), overflows: held.overflows() };
    components.metrics.watch_fleet(move || current.borrow().clone(), held);
}
