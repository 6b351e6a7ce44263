//! Builds the fleet of the configured backends, whose monitors exist.

use std::time::Instant;

use super::components::Components;
use crate::config::Config;
use crate::fleet::{Fleet, Knowledge, Member};

pub(super) fn build(config: &Config, components: &Components) -> Fleet {
    let (monitors, now) = (components.monitors.all(), Instant::now());
    let members = config.members().into_iter().filter_map(|member| {
        let monitor = monitors.iter().find(|monitor| monitor.backend == member.backend)?;
        Some(Member::new(member.backend, member.settings, member.share, monitor.dialer.clone(), now))
    });
    let knowledge = Knowledge { catalogue: components.catalogue.clone(), residency: components.residency.clone() };
    Fleet::new(members.collect(), &config.fleet, knowledge)
}
