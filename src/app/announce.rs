//! Logs at start where the program listens, and what to look at in its configuration.

use std::net::SocketAddr;

use super::material::Material;
use crate::cli::VERSION;
use crate::config::Config;

/// Logs the addresses of the listeners, of the page where it is shown to anybody, and every warning about the configuration. The backend is logged by its first
/// probe.
pub(super) fn announce(config: &Config, material: &Material, clients: SocketAddr, admin: SocketAddr) {
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    let looked_at = format!("{}://{admin}", scheme(material.admin.speaks_tls()));
    tracing::info!(
        version = VERSION,
        clients = %format_args!("{}://{clients}", scheme(material.clients.is_some())),
        metrics = %format_args!("{looked_at}/metrics"),
        "inferometer is listening: point clients at the first address, Prometheus at the second"
    );
    if material.admin.shows_page(admin) {
        tracing::info!(page = %format_args!("{looked_at}/"), "look here: what is in flight, which models are in memory");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
