//! Passes to the dashboard API what it shows.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::components::Components;
use super::descriptors;
use super::material::Material;
use crate::access::Gate;
use crate::api::settings::{ReadSettings, Settings};
use crate::api::{AskPrometheus, AskReplicas, Parts, ReadHost};
use crate::clock::Clock;
use crate::config::{Config, MaxConnections};
use crate::fleet::Fleet;
use crate::host::Host;
use crate::metrics::replicas::QUERY;
use crate::proxy::Stops;
use crate::remote::Remote;

/// Questions to Prometheus at once.
const QUESTIONS: usize = 8;

/// `host` reads the machine; `None` where that is switched off.
pub(super) fn parts(
    components: &Components,
    host: Option<Arc<Host>>,
    clients: SocketAddr,
    settings: ReadSettings,
    material: &Material,
    (stops, fleet): (Stops, watch::Receiver<Arc<Fleet>>),
    stop: watch::Receiver<bool>,
) -> Parts {
    let prometheus = material.prometheus.clone().map(ask);
    Parts {
        clock: Clock::start(),
        clients,
        gate: Arc::new(Gate::new(material.admin.rules(), components.history.journal())),
        settings,
        host: host.map(|host| Arc::new(move |now| host.snapshot(now)) as ReadHost),
        fleet,
        backends: components.monitors.clone(),
        in_flight: components.in_flight.clone(),
        stop_exchange: Arc::new(move |exchange| {
            let stops = stops.clone();
            Box::pin(async move { stops.stop(exchange).await })
        }),
        recent: components.recent.clone(),
        history: components.history.state(),
        readers: components.readers.clone(),
        recent_machine: components.history.recent_machine(),
        stop,
        alerts: components.alerts.clone(),
        peers: components.peers.clone(),
        machines: components.machines.clone(),
        replicas: prometheus.clone().map(ask_for_replicas),
        prometheus,
        knows_silences: material.alertmanager.is_some(),
        node: crate::host::node(),
        processor: crate::host::processor(),
        journal: components.history.journal(),
    }
}

/// Asks a service, a few questions at a time.
fn ask(remote: Arc<Remote>) -> AskPrometheus {
    let places = Arc::new(Semaphore::new(QUESTIONS));
    Arc::new(move |target| {
        let (remote, places) = (remote.clone(), places.clone());
        Box::pin(async move {
            let _place = places.try_acquire_owned().map_err(|_| "too many questions wait for it".to_owned())?;
            remote.get(&target).await.map_err(|error| error.to_string())
        })
    })
}

fn ask_for_replicas(ask: AskPrometheus) -> AskReplicas {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    let target = format!("/api/v1/query?{}", pairs.append_pair("query", QUERY).finish());
    Arc::new(move || ask(target.clone()))
}

/// Reads the settings in force. `descriptors` is the process's limit, `None` for no limit.
pub(super) fn settings(config: watch::Receiver<Config>, material: &Material, descriptors: Option<u64>) -> ReadSettings {
    let (access, clients_speak_tls) = (material.admin.clone(), material.clients.is_some());
    Arc::new(move || {
        let config = config.borrow();
        Settings {
            keys: config.keys(),
            max_connections: match config.max_connections {
                MaxConnections::Auto => descriptors.map(descriptors::max_clients),
                MaxConnections::Unlimited => None,
                MaxConnections::AtMost(most) => Some(most as u64),
            },
            clients_speak_tls,
            admin_speaks_tls: access.speaks_tls(),
            certificate_expires: access.certificate_expires(),
        }
    })
}
