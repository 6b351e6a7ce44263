//! What is monitored of one backend, and how often.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;
use tokio::sync::{Notify, watch};

use super::Backend;
use super::dial::Dialer;
use super::engine::EngineLoad;
use super::inventory::Inventory;
use super::status::Status;
use crate::tls::client::TlsClient;

/// The interval of probes.
pub const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The intervals and time limits of the monitoring.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The interval of probes.
    pub probe_every: Duration,
    /// The time limit of a probe.
    pub probe_limit: Duration,
    /// The interval of model listings.
    pub list_every: Duration,
    /// The time limit of each request of a listing or a poll.
    pub list_limit: Duration,
    /// The interval of polls for the models in memory and the load.
    pub poll_every: Duration,
    /// How long after the last traffic an engine that may fall asleep is still polled for its load.
    pub quiet_after: Duration,
}

impl Default for Pace {
    /// Probes as often as metrics are scraped; model listings change more slowly.
    fn default() -> Self {
        Self {
            probe_every: PROBE_EVERY,
            probe_limit: Duration::from_secs(2),
            list_every: Duration::from_secs(30),
            list_limit: Duration::from_secs(10),
            poll_every: Duration::from_secs(5),
            // Long enough for two polls after the last exchange; sleep is delayed by no more than that.
            quiet_after: Duration::from_secs(15),
        }
    }
}

/// The monitors of all backends, which a reload replaces. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Monitors(Arc<RwLock<Arc<[Arc<Monitor>]>>>);

impl Monitors {
    /// These.
    #[must_use]
    pub fn new(monitors: Vec<Arc<Monitor>>) -> Self {
        Self(Arc::new(RwLock::new(monitors.into())))
    }

    /// Those in force, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> Arc<[Arc<Monitor>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces them.
    pub fn set(&self, monitors: Vec<Arc<Monitor>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = monitors.into();
    }
}

/// The monitored state of one backend. Written by the probe and the survey, read by all.
#[derive(Debug)]
pub struct Monitor {
    /// The name and address.
    pub backend: Backend,
    /// Opens connections to it, also for the proxy.
    pub dialer: Arc<Dialer>,
    /// Whether it answers.
    pub status: Status,
    pub(super) pace: Pace,
    /// The `Host` of the monitoring's requests.
    host: RwLock<HeaderValue>,
    /// Notified when it answers after it was down.
    pub(super) came_up: Notify,
    /// Notified when the models in memory have probably changed.
    pub(super) poll_requested: Notify,
    inventory: RwLock<Arc<Inventory>>,
    /// When the inventory was last replaced.
    refreshed: RwLock<Option<SystemTime>>,
    /// What the engine last said of its load; empty where it says nothing.
    load: RwLock<Arc<[EngineLoad]>>,
}

impl Monitor {
    /// An empty state, filled by [`super::probe::run`] and [`super::survey::run`]. `host` is the `Host` of the
    /// monitoring's requests; `None` uses the backend's address.
    #[must_use]
    pub fn new(backend: Backend, host: Option<&str>, pace: Pace, now: Instant) -> Self {
        Self {
            dialer: Arc::new(Dialer::new(backend.address.clone())),
            status: Status::new(now),
            pace,
            host: RwLock::new(host_value(&backend, host)),
            came_up: Notify::new(),
            poll_requested: Notify::new(),
            inventory: RwLock::default(),
            refreshed: RwLock::default(),
            load: RwLock::default(),
            backend,
        }
    }

    /// Uses this TLS configuration if the backend's address is `https://`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<TlsClient>) -> Self {
        self.dialer = Arc::new(Dialer::new(self.backend.address.clone()).with_tls(tls));
        self
    }

    /// Changes the `Host` of the monitoring's requests; `None` uses the backend's address.
    pub fn set_host(&self, host: Option<&str>) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = host_value(&self.backend, host);
    }

    /// The `Host` of the monitoring's requests.
    pub(super) fn host(&self) -> HeaderValue {
        self.host.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests a poll soon: the models in memory have probably changed. Several requests may share one poll.
    pub fn poll_soon(&self) {
        self.poll_requested.notify_one();
    }

    /// The last known inventory.
    #[must_use]
    pub fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the inventory.
    pub(crate) fn set_inventory(&self, inventory: Inventory) {
        *self.inventory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(inventory);
        *self.refreshed.write().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }

    /// When the inventory was last read; `None` before the first time.
    #[must_use]
    pub fn refreshed(&self) -> Option<SystemTime> {
        *self.refreshed.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine last said of its load; empty where it says nothing.
    #[must_use]
    pub fn load(&self) -> Arc<[EngineLoad]> {
        self.load.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_load(&self, load: Vec<EngineLoad>) {
        *self.load.write().unwrap_or_else(PoisonError::into_inner) = load.into();
    }
}

fn host_value(backend: &Backend, host: Option<&str>) -> HeaderValue {
    let authority = backend.address.authority();
    HeaderValue::from_str(host.unwrap_or(&authority)).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

/// Completes when the program stops, or the sender of that signal was dropped.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
