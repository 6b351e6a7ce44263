//! Serves the second listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::components::Components;
use super::descriptors;
use super::material::Material;
use super::process::Process;
use crate::access::Gate;
use crate::admin::{self, Encode, ExpositionFormat};
use crate::api;
use crate::cli::{REVISION, VERSION};
use crate::metrics::Format;

/// Where to serve.
pub(super) struct Listeners {
    pub(super) all: Vec<TcpListener>,
    /// The process's limit of open descriptors, `None` for no limit.
    pub(super) descriptors: Option<u64>,
}

impl Listeners {
    /// Most connections that each may have, as far as descriptors go.
    fn max_connections(&self) -> usize {
        let most = self.descriptors.map(|descriptors| descriptors::max_watchers(descriptors, self.all.len() as u64));
        most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
    }
}

/// Serves on each of these until `stop` is true. `clients` is the address of the first listener.
///
/// # Errors
/// When the system cannot watch a listener.
pub(super) fn serve(
    listeners: Listeners,
    clients: SocketAddr,
    components: &Components,
    api: api::Parts,
    material: &Material,
    process: Arc<Process>,
    stop: watch::Receiver<bool>,
) -> io::Result<JoinSet<()>> {
    let parts = admin::Parts {
        version: VERSION,
        revision: REVISION,
        started: Instant::now(),
        max_connections: listeners.max_connections(),
        clients,
        clients_speak_tls: material.clients.is_some(),
        access: material.admin.clone(),
        gate: api.gate.clone(),
        readiness: components.readiness.clone(),
        metrics: encoder(components, process, api.gate.clone()),
        backends: components.monitors.clone(),
        in_flight: components.in_flight.clone(),
        history: components.history.state(),
        readers: components.readers.clone(),
        api: api::router(api),
    };
    let mut served = JoinSet::new();
    for listener in listeners.all {
        // Watched by the runtime that serves it.
        let listener = TcpListener::from_std(listener.into_std()?)?;
        served.spawn(admin::serve(listener, parts.clone(), stop.clone()));
    }
    Ok(served)
}

fn encoder(components: &Components, process: Arc<Process>, gate: Arc<Gate>) -> Encode {
    let metrics = components.metrics.clone();
    let dropped = metrics.sink_dropped("log");
    let (lost, history) = (metrics.sink_dropped("history"), components.history.state());
    Arc::new(move |format| {
        dropped.inc_by((process.log_drops)().saturating_sub(dropped.get()));
        lost.inc_by(history.health().lost().saturating_sub(lost.get()));
        for (reason, count) in gate.refused() {
            let refused = metrics.access_refused(reason);
            refused.inc_by(count.saturating_sub(refused.get()));
        }
        metrics.encode(match format {
            ExpositionFormat::Text => Format::Text,
            ExpositionFormat::OpenMetrics => Format::OpenMetrics,
        })
    })
}
