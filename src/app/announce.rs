//! Logs at start where the program listens, and what to look at in its configuration.

use std::net::SocketAddr;

use super::material::Material;
use crate::cli::VERSION;
use crate::config::Config;

/// Logs the addresses as URLs, and every warning.
pub(super) fn announce(config: &Config, material: &Material, clients: SocketAddr, admin: SocketAddr) {
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    for backend in &config.backends {
        tracing::info!(
            version = VERSION,
            clients = %format_args!("{}://{clients}", scheme(material.clients.is_some())),
            metrics = %format_args!("{}://{admin}/metrics", scheme(material.admin.speaks_tls())),
            backend = %format_args!("{} ({})", backend.name, backend.address),
            "inferometer is listening: point clients at the first address, Prometheus at the second"
        );
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
