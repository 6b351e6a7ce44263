//! Probes and surveys every backend, also those that a reload brings.

use std::sync::Arc;

use tokio::sync::watch;

use super::components::Components;
use super::events::BackendEvents;
use super::fanout::Fanout;
use super::location::{locate, on_this_machine};
use super::material::Material;
use super::monitor::{self, literal_host};
use crate::backend::monitor::Monitor;
use crate::backend::quiet::{ReadTraffic, Traffic};
use crate::backend::report::Report;
use crate::backend::{Backend, probe, survey};
use crate::config::Config;
use crate::fleet::Fleet;

/// The backends that are watched now. Dropping it stops that.
pub(super) struct WatchedBackends {
    components: Arc<Components>,
    fleet: watch::Receiver<Arc<Fleet>>,
    /// Dropping a sender stops the tasks of its backend.
    running: Vec<(Backend, watch::Sender<bool>)>,
}

impl WatchedBackends {
    /// Starts a probe and a survey of each backend.
    pub(super) fn start(config: &Config, components: &Arc<Components>, fleet: watch::Receiver<Arc<Fleet>>) -> Self {
        components.residency.on_change(poll_soon(components));
        let mut watched = Self { components: components.clone(), fleet, running: Vec::new() };
        watched.locate(config);
        components.monitors.all().iter().for_each(|monitor| watched.watch(monitor));
        watched
    }

    /// Replaces the monitors by those of a new configuration: backends of the same name and address keep theirs. To be
    /// followed by a new fleet and then by [`WatchedBackends::follow`].
    pub(super) fn configure(&self, config: &Config, material: &Material) {
        let before = self.components.monitors.all();
        let monitors = config.members().into_iter().map(|member| {
            let Some(known) = before.iter().find(|monitor| monitor.backend == member.backend) else {
                return monitor::build(&member, material);
            };
            known.set_host(literal_host(&member));
            if let (Some(running), Some(new)) = (known.dialer.tls(), material.of_backend(&member.backend.name)) {
                running.renew(new);
            }
            known.clone()
        });
        self.components.monitors.set(monitors.collect());
    }

    /// Watches the backends that have come, and forgets those that have gone.
    pub(super) fn follow(&mut self, config: &Config) {
        let monitors = self.components.monitors.all();
        let is_there = |backend: &Backend| monitors.iter().any(|monitor| monitor.backend == *backend);
        let gone: Vec<_> = self.running.extract_if(.., |(backend, _)| !is_there(backend)).collect();
        for (backend, stop) in gone {
            drop(stop);
            self.components.catalogue.forget(&backend.name);
            self.components.metrics.forget_backend(&backend.name);
        }
        self.locate(config);
        let is_new = |monitor: &&Arc<Monitor>| !self.running.iter().any(|(known, _)| *known == monitor.backend);
        let new: Vec<_> = monitors.iter().filter(is_new).cloned().collect();
        new.iter().for_each(|monitor| self.watch(monitor));
    }

    fn locate(&self, config: &Config) {
        let members = config.members();
        let local = on_this_machine(members.iter().map(|member| &member.backend));
        for member in &members {
            let location = locate(member, local.contains(&member.backend.name));
            self.components.metrics.set_backend_location(&member.backend.name, location);
        }
        self.components.metrics.set_local_backends(local);
    }

    fn watch(&mut self, monitor: &Arc<Monitor>) {
        let Self { components, fleet, running } = self;
        let (stop, stopped) = watch::channel(false);
        running.push((monitor.backend.clone(), stop));
        let (name, catalogue) = (&monitor.backend.name, &components.catalogue);
        catalogue.set_pending(name);
        let fanout = Fanout {
            metrics: components.metrics.clone(),
            residency: components.residency.clone(),
            access_log: components.access_log.clone(),
            fleet: fleet.clone(),
        };
        let (journal, monitors) = (components.history.journal(), components.monitors.clone());
        let report: Arc<dyn Report> = Arc::new(BackendEvents::new(fanout, journal, monitors));
        let traffic = traffic(name.clone(), components);
        tokio::spawn(probe::run(monitor.clone(), report.clone(), stopped.clone()));
        tokio::spawn(survey::run(monitor.clone(), catalogue.clone(), report, traffic, stopped));
    }
}

/// Surveys the backend of this name soon, to see which models it holds in memory.
fn poll_soon(components: &Components) -> impl Fn(&str) + use<> {
    let monitors = components.monitors.clone();
    move |backend| {
        monitors.all().iter().filter(|monitor| *monitor.backend.name == *backend).for_each(|it| it.poll_soon())
    }
}

/// The traffic to a backend, so that a survey does not wake one that is idle.
fn traffic(backend: Arc<str>, components: &Components) -> ReadTraffic {
    let (metrics, in_flight) = (components.metrics.clone(), components.in_flight.clone());
    Box::new(move || Traffic { begun: metrics.exchanges_started(&backend), in_flight: in_flight.is_busy(&backend) })
}
