//! What is watched of one backend, and how often.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::sync::{Notify, watch};

use super::Backend;
use super::dial::Dialer;
use super::inventory::Inventory;
use super::status::Status;
use crate::tls::client::Client;

/// How often a backend is asked, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two probes.
    pub probe_every: Duration,
    /// For one probe.
    pub probe_limit: Duration,
    /// Between two listings of the models.
    pub list_every: Duration,
    /// For one question of a listing, or of a look.
    pub list_limit: Duration,
    /// Between two looks at what is in memory.
    pub look_every: Duration,
    /// So long after the last traffic an engine that may fall asleep is asked for its load no more.
    pub quiet_after: Duration,
}

impl Default for Pace {
    /// A probe as often as metrics are scraped; models come and go more slowly.
    fn default() -> Self {
        Self {
            probe_every: Duration::from_secs(5),
            probe_limit: Duration::from_secs(2),
            list_every: Duration::from_secs(30),
            list_limit: Duration::from_secs(10),
            look_every: Duration::from_secs(5),
            // Two looks that see the end of the last exchange; it puts sleep off by no more than that.
            quiet_after: Duration::from_secs(15),
        }
    }
}

/// One backend as it is watched. The prober writes, everybody reads.
#[derive(Debug)]
pub struct Monitor {
    /// Its name and address.
    pub backend: Backend,
    /// Opens connections to it; the proxy may share it.
    pub dialer: Arc<Dialer>,
    /// Whether it answers.
    pub status: Status,
    pub(super) pace: Pace,
    /// The `Host` of our own requests.
    host: RwLock<HeaderValue>,
    /// It answered after it had not.
    pub(super) came_up: Notify,
    /// Somebody wants to know what is in memory by now.
    pub(super) look: Notify,
    inventory: RwLock<Arc<Inventory>>,
}

impl Monitor {
    /// Watches nothing yet: see [`super::probe::run`] and [`super::survey::run`]. `host` is the `Host` of our own
    /// requests where the backend wants a certain one; else it is the backend's address.
    #[must_use]
    pub fn new(backend: Backend, host: Option<&str>, pace: Pace, now: Instant) -> Self {
        Self {
            dialer: Arc::new(Dialer::new(backend.address.clone())),
            status: Status::new(now),
            pace,
            host: RwLock::new(called(&backend, host)),
            came_up: Notify::new(),
            look: Notify::new(),
            inventory: RwLock::default(),
            backend,
        }
    }

    /// Speaks TLS like this where the backend's address asks for it.
    #[must_use]
    pub fn over(mut self, tls: Option<Client>) -> Self {
        self.dialer = Arc::new(Dialer::new(self.backend.address.clone()).over(tls));
        self
    }

    /// Asks it under another `Host` from now on; without one, under its address.
    pub fn call(&self, host: Option<&str>) {
        *self.host.write().unwrap_or_else(PoisonError::into_inner) = called(&self.backend, host);
    }

    /// The `Host` of our own requests.
    pub(super) fn host(&self) -> HeaderValue {
        self.host.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in memory has probably changed: it is asked soon, however many say so.
    pub fn look_soon(&self) {
        self.look.notify_one();
    }

    /// What it is and has, as it was last seen.
    #[must_use]
    pub fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// It was seen like this.
    pub(crate) fn see(&self, inventory: Inventory) {
        *self.inventory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(inventory);
    }
}

fn called(backend: &Backend, host: Option<&str>) -> HeaderValue {
    let authority = backend.address.authority();
    HeaderValue::from_str(host.unwrap_or(&authority)).unwrap_or_else(|_| HeaderValue::from_static("localhost"))
}

/// Completes when the program stops, also when whoever would say so is gone.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
