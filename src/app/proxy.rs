//! Starts the proxy.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

use super::components::Components;
use super::descriptors;
use super::material::Material;
use crate::config::{Config, MaxConnections};
use crate::fleet::Fleet;
use crate::proxy::{Life, Proxy, Settings, Shared};

/// Starts the worker threads. `descriptors` is the process's limit of open descriptors, `None` for no limit.
pub(super) fn start(
    config: &Config,
    descriptors: Option<u64>,
    components: &Components,
    material: &Material,
    fleet: watch::Receiver<Arc<Fleet>>,
    life: watch::Receiver<Life>,
) -> io::Result<Proxy> {
    // The history comes after the metrics: these confirm the names of models.
    let observers = ((components.in_flight.clone(), components.access_log.clone()), components.history.recorder());
    let observers = (observers, components.recent.clone());
    let shared = Shared {
        fleet,
        sink: Arc::new((components.metrics.clone(), observers)),
        tls: material.clients.clone(),
        residency: components.residency.clone(),
        names: components.catalogue.clone(),
        held: components.held.clone(),
    };
    Proxy::start(settings(config, descriptors), shared, life)
}

/// The proxy's settings as this configuration and this machine make them.
pub(super) fn settings(config: &Config, descriptors: Option<u64>) -> Settings {
    let threads = config.worker_threads.or_else(|| std::thread::available_parallelism().ok());
    Settings {
        max_connections: match config.max_connections {
            MaxConnections::Auto => descriptors.map_or(u64::MAX, descriptors::max_clients),
            MaxConnections::Unlimited => u64::MAX,
            MaxConnections::AtMost(most) => most as u64,
        },
        threads: threads.unwrap_or(NonZeroUsize::MIN),
        ..config.proxy.clone()
    }
}
