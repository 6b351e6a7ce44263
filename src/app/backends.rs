//! Probes and surveys every backend.

use std::sync::Arc;

use tokio::sync::watch;

use super::components::Components;
use super::events::BackendEvents;
use super::fanout::Fanout;
use super::location::locate;
use crate::backend::quiet::{ReadTraffic, Traffic};
use crate::backend::report::Report;
use crate::backend::{probe, survey};
use crate::config::Config;

/// Starts a probe and a survey of each backend. They run until `stop` is true. `local` names the backends on this
/// machine.
pub(super) fn start(config: &Config, components: &Components, local: &[Arc<str>], stop: &watch::Receiver<bool>) {
    components.residency.on_change(poll_soon(components));
    for backend in &config.backends {
        let location = locate(config, backend, local.contains(&backend.name));
        components.metrics.set_backend_location(&backend.name, location);
    }
    for monitor in &components.monitors {
        let (name, catalogue) = (&monitor.backend.name, &components.catalogue);
        catalogue.set_pending(name);
        let fanout = Fanout {
            metrics: components.metrics.clone(),
            residency: components.residency.clone(),
            access_log: components.access_log.clone(),
        };
        let (journal, monitors) = (components.history.journal(), components.monitors.clone());
        let report: Arc<dyn Report> = Arc::new(BackendEvents::new(fanout, journal, monitors));
        tokio::spawn(probe::run(monitor.clone(), report.clone(), stop.clone()));
        let traffic = traffic(name.clone(), components);
        tokio::spawn(survey::run(monitor.clone(), catalogue.clone(), report, traffic, stop.clone()));
    }
}

/// Surveys the backend of this name soon, to see which models it holds in memory.
fn poll_soon(components: &Components) -> impl Fn(&str) + use<> {
    let monitors = components.monitors.clone();
    move |backend| monitors.iter().filter(|monitor| *monitor.backend.name == *backend).for_each(|it| it.poll_soon())
}

/// The traffic to a backend, so that a survey does not wake one that is idle.
fn traffic(backend: Arc<str>, components: &Components) -> ReadTraffic {
    let (metrics, in_flight) = (components.metrics.clone(), components.in_flight.clone());
    Box::new(move || Traffic { begun: metrics.exchanges_started(&backend), in_flight: in_flight.is_busy(&backend) })
}
