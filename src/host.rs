//! The machine underneath: what its processors, memory, disks and GPUs do, read beside the traffic.
//!
//! Promises: each source has a thread of its own, named after it, so that one that is slow or hangs is felt by nobody
//! else; [`Host::snapshot`] never waits for a source; what is unknown or stale is absent, never zero. Left out: names
//! of metrics, and everything that needs privileges (that is the helper's, of which only a client is here).
//!
//! A new collector is
//! 1. a file here with its part and an `impl` of [`collector::Collector`];
//! 2. a field in [`HostSnapshot`] and in [`Host`];
//! 3. a line each in [`Host::start`], [`Host::snapshot`] and its list of health.

pub mod collector;
pub mod gpu;
pub mod source;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::Health;
use gpu::Gpu;

/// What is to be read, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two readings of a source.
    pub period: Duration,
}

/// All that is known of the machine at one instant. `None` is unknown, not there, or too old.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// NVIDIA's GPUs.
    pub nvidia: Option<Arc<Vec<Gpu>>>,
    /// How each source does.
    pub collectors: Vec<Health>,
}

/// The sources. Dropping it ends their threads.
#[derive(Debug)]
pub struct Host {}

impl Host {
    /// Starts a thread for each source.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(_settings: &Settings) -> io::Result<Self> {
        Ok(Self {})
    }

    /// What is known now. Waits for nobody.
    #[must_use]
    pub fn snapshot(&self, _now: Instant) -> HostSnapshot {
        HostSnapshot::default()
    }
}
