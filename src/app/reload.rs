//! Reloads the configuration on SIGHUP, and applies what can change while the program runs.
//!
//! Promises: all or nothing. The configuration and every file that it names are read and checked as a whole; if
//! anything is wrong the log says what and where, and nothing changes. Applying cannot fail. A key that needs a restart
//! is named, keeps its value, and does not hold back the rest. Exchanges in flight go on unchanged: new settings of the
//! backend hold for later exchanges, new settings for clients for later connections. Left out: watching the file for
//! changes.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Notify, watch};

use super::backends::WatchedBackends;
use super::components::Components;
use super::fleet;
use super::material::Material;
use super::process::Process;
use super::proxy::settings;
use crate::config::{BackendElement, Config, Reloaded};
use crate::fleet::Fleet;
use crate::history::journal::event::{Event, EventKind};
use crate::proxy::Settings;

/// The parts of the running program that a reload changes.
pub(super) struct Reloader {
    /// The configuration in force; the drain reads its time limit here.
    pub(super) config: watch::Sender<Config>,
    /// The certificates and passwords in force.
    pub(super) material: Material,
    pub(super) process: Arc<Process>,
    pub(super) components: Arc<Components>,
    pub(super) proxy: watch::Sender<Settings>,
    pub(super) fleet: watch::Sender<Arc<Fleet>>,
    pub(super) backends: WatchedBackends,
    /// The process's limit of open descriptors; `None` is no limit.
    pub(super) descriptors: Option<u64>,
    /// The backends that were discovered.
    pub(super) found: watch::Receiver<Vec<BackendElement>>,
}

impl Reloader {
    /// Reloads at each request, and takes up what is discovered. Dropping the future stops that.
    pub(super) async fn run(mut self, requests: Arc<Notify>) {
        loop {
            tokio::select! {
                () = requests.notified() => {}
                Ok(()) = self.found.changed() => {
                    self.take_up();
                    continue;
                }
            }
            let process = self.process.clone();
            // Files may lie on a disk that hangs.
            let loaded = tokio::task::spawn_blocking(move || (process.load)()).await;
            match loaded.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((config, material)) => self.apply(config, &material),
                Err(error) => {
                    self.components.metrics.config_loaded(false, SystemTime::now());
                    self.components.history.journal().event(Event::new(EventKind::ReloadFailed));
                    tracing::error!(
                        %error,
                        "the configuration was not reloaded and nothing has changed: correct it and send SIGHUP again"
                    );
                }
            }
        }
    }

    fn apply(&mut self, config: Config, material: &Material) {
        let mut reloaded = Reloaded::default();
        let (before, now) = {
            let mut before = Vec::new();
            self.config.send_modify(|running| {
                before = std::mem::take(&mut running.warnings);
                reloaded = running.adopt(config);
            });
            (before, self.config.borrow().clone())
        };
        (self.process.set_log_level)(&now.log_level);
        self.components.access_log.enable_lines(now.access_log);
        self.renew_material(material);
        self.proxy.send_replace(settings(&now, self.descriptors));
        self.renew_backends(&now, Some(material));
        self.components.metrics.config_loaded(true, SystemTime::now());
        log(&reloaded);
        self.report(&reloaded);
        for warning in now.warnings.iter().filter(|warning| !before.contains(warning)) {
            tracing::warn!("{warning}");
        }
    }

    /// Applies certificates and keys that were just read, or keeps those in use if none were.
    fn renew_backends(&mut self, now: &Config, material: Option<&Material>) {
        self.backends.configure(now, material.unwrap_or(&self.material));
        let fleet = fleet::build(now, &self.components);
        self.fleet.send_modify(|running| *running = Arc::new(fleet.succeeding(running)));
        fleet::expose(&self.components, &self.fleet);
        self.backends.follow(now);
    }

    /// Adds and drains backends as they were discovered.
    fn take_up(&mut self) {
        let found = self.found.borrow_and_update().clone();
        self.config.send_modify(|running| running.discovered = found);
        let now = self.config.borrow().clone();
        self.renew_backends(&now, None);
        let names: Vec<_> = now.members().iter().map(|member| member.backend.name.to_string()).collect();
        tracing::info!(backends = names.join(", "), "the discovered backends have changed");
    }

    fn report(&self, Reloaded { changed, restart }: &Reloaded) {
        let named = |event: Event, name, keys: &[&str]| {
            if keys.is_empty() { event } else { event.with(name, &*keys.join(", ")) }
        };
        let event = named(Event::new(EventKind::Reloaded), "changed", changed);
        self.components.history.journal().event(named(event, "restart", restart));
    }

    /// Those of backends go with their monitors.
    fn renew_material(&self, new: &Material) {
        let running = &self.material;
        running.admin.renew(&new.admin);
        if let (Some(running), Some(new)) = (&running.clients, &new.clients) {
            running.renew(new);
        }
    }
}

fn log(Reloaded { changed, restart }: &Reloaded) {
    match changed.as_slice() {
        [] => tracing::info!("the configuration was reloaded"),
        changed => tracing::info!(keys = changed.join(", "), "the configuration was reloaded: these have changed"),
    }
    if !restart.is_empty() {
        tracing::warn!(keys = restart.join(", "), "these have changed, and are what they were until a restart");
    }
}
