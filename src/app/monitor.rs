//! Builds the monitor of a backend.

use std::sync::Arc;
use std::time::Instant;

use super::material::Material;
use crate::backend::HostHeader;
use crate::backend::monitor::{Monitor, Pace};
use crate::config::Member;

pub(super) fn build(member: &Member, material: &Material) -> Arc<Monitor> {
    let monitor = Monitor::new(member.backend.clone(), literal_host(member), Pace::default(), Instant::now());
    Arc::new(monitor.with_tls(material.of_backend(&member.backend.name).cloned()))
}

/// The configured `Host` value for every request to the backend, our own included. `None` where the configuration names
/// a policy instead of a host.
pub(super) fn literal_host(member: &Member) -> Option<&str> {
    match &member.settings.host_header {
        HostHeader::Literal(host) => host.to_str().ok(),
        HostHeader::Preserve | HostHeader::Upstream => None,
    }
}
