//! Builds the monitor of a backend.

use std::sync::Arc;
use std::time::Instant;

use super::material::Material;
use crate::backend::monitor::{Monitor, Pace};
use crate::backend::{Backend, HostHeader};
use crate::config::Config;

pub(super) fn build(config: &Config, backend: &Backend, material: &Material) -> Arc<Monitor> {
    let monitor = Monitor::new(backend.clone(), literal_host(config), Pace::default(), Instant::now());
    Arc::new(monitor.with_tls(material.backend.clone()))
}

/// The configured `Host` value for every request to the backend, our own included. `None` where the configuration names
/// a policy instead of a host.
pub(super) fn literal_host(config: &Config) -> Option<&str> {
    match &config.backend.host_header {
        HostHeader::Literal(host) => host.to_str().ok(),
        HostHeader::Preserve | HostHeader::Upstream => None,
    }
}
