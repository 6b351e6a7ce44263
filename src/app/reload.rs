//! Reads the configuration anew on SIGHUP, and exchanges what can be exchanged while the program runs.
//!
//! Promises: all or nothing. The configuration and every file that it names are read and checked as a whole; if
//! anything is wrong the log says what and where, and nothing changes. Applying cannot fail. What cannot be exchanged is
//! named, keeps what is in force, and does not hold back the rest. Exchanges in flight are not touched: what is new for
//! the backend holds for those that begin afterwards, what is new for clients for connections that come afterwards. Left out: noticing by itself that a file has changed.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Notify, watch};

use super::material::Material;
use super::{Process, literal_host};
use crate::admin::access::Access;
use crate::backend::monitor::Monitor;
use crate::config::{Config, Reloaded};
use crate::fleet::Fleet;
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;
use crate::proxy;
use crate::tls::client::TlsClient;
use crate::tls::server::TlsServer;

/// What the running program is changed by.
pub(super) struct Reload {
    /// What is in force; the drain reads its time limit here.
    pub(super) config: watch::Sender<Config>,
    pub(super) process: Arc<Process>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) monitors: Vec<Arc<Monitor>>,
    pub(super) access_log: AccessLog,
    pub(super) admin: Access,
    pub(super) clients: Option<TlsServer>,
    pub(super) backend: Option<TlsClient>,
    pub(super) proxy: watch::Sender<proxy::Settings>,
    pub(super) fleet: watch::Sender<Arc<Fleet>>,
    /// The proxy's settings as a configuration has them.
    pub(super) settings: Box<dyn Fn(&Config) -> proxy::Settings + Send>,
}

impl Reload {
    /// Reloads whenever it is wished for. Dropping the future stops that.
    pub(super) async fn run(self, wished: Arc<Notify>) {
        loop {
            wished.notified().await;
            let process = self.process.clone();
            // Files may lie on a disk that hangs.
            let loaded = tokio::task::spawn_blocking(move || (process.load)()).await;
            match loaded.unwrap_or_else(|error| Err(error.to_string())) {
                Ok((config, material)) => self.apply(config, material),
                Err(error) => {
                    self.metrics.config_loaded(false, SystemTime::now());
                    tracing::error!(
                        %error,
                        "the configuration was not reloaded and nothing has changed: correct it and send SIGHUP again"
                    );
                }
            }
        }
    }

    fn apply(&self, config: Config, material: Material) {
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
        self.access_log.enable_lines(now.access_log);
        self.admin.renew(&material.admin);
        if let (Some(running), Some(new)) = (&self.clients, &material.clients) {
            running.renew(new);
        }
        // With another backend, these are for that one.
        if let (Some(running), Some(new), false) =
            (&self.backend, &material.backend, reloaded.restart.contains(&"backend"))
        {
            running.renew(new);
        }
        for monitor in &self.monitors {
            monitor.set_host(literal_host(&now));
        }
        self.proxy.send_replace((self.settings)(&now));
        self.fleet.send_modify(|fleet| *fleet = Arc::new(fleet.with(&now.backend)));
        self.metrics.config_loaded(true, SystemTime::now());
        let Reloaded { changed, restart } = reloaded;
        match changed.as_slice() {
            [] => tracing::info!("the configuration was reloaded"),
            changed => tracing::info!(keys = changed.join(", "), "the configuration was reloaded: these have changed"),
        }
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these have changed, and are what they were until a restart");
        }
        for warning in now.warnings.iter().filter(|warning| !before.contains(warning)) {
            tracing::warn!("{warning}");
        }
    }
}
