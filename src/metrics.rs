//! Every Prometheus family: what exchanges, backends and the program itself are, as numbers.
//!
//! Promises: its own registry and nothing global; label values are members of closed or capped sets, so neither memory
//! nor a scrape grows without bound; a token costs a few atomic operations; a scrape keeps no exchange waiting; one
//! strange number or name never costs a scrape. Each metric name stands once, in the file of its subject:
//!
//! | file | subject |
//! |---|---|
//! | `requests` | how many requests, how long, how large; the proxy's own cost |
//! | `per_model` | everything by model and backend alone: in flight, latencies, rates, stalls |
//! | `tokens` | counts of tokens with their source |
//! | `failures` | errors, cancellations, waste, missing usage, defects |
//! | `backends` | whether they answer |
//! | `host` | the machine underneath |
//! | `program` | build, start, configuration, what was dropped, the process |
//! | `gpu` | what GPUs tell beyond what every machine does; DCGM's names |
//! | `energy` | energy by model, and the price of it |
//!
//! Left out: who serves the exposition, and OpenMetrics.

mod backends;
mod buckets;
pub mod energy;
mod failures;
mod families;
mod family;
pub mod gpu;
pub mod host;
mod labels;
mod number;
mod per_model;
mod program;
mod requests;
mod tokens;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use prometheus::{IntCounter, Registry, TextEncoder};

use families::Families;
use family::Register;
use watch::ExchangeWatch;

use crate::backend::catalogue::Catalogue;
use crate::clock::Clock;
use crate::exchange::outcome::Malformed;
use crate::exchange::record::Start;
use crate::exchange::sink::{Sink, Watch};
use crate::host::HostSnapshot;
use crate::host::energy::Meter;

/// The content type of [`Metrics::encode`]. Prometheus 3 refuses a scrape without one.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Most histograms of one name: each is some twenty series.
pub const DEFAULT_MAX_HISTOGRAMS: usize = 2_000;

/// Most counters or gauges of one name.
pub const DEFAULT_MAX_SERIES: usize = 10_000;

/// What was built.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    /// The release.
    pub version: &'static str,
    /// The commit; empty where it is not known.
    pub revision: &'static str,
    /// The compiler; empty where it is not known.
    pub rustc: &'static str,
}

/// What the metrics need to be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What was built.
    pub build: Build,
    /// When the program started.
    pub started: SystemTime,
    /// Most histograms of one name; see [`DEFAULT_MAX_HISTOGRAMS`].
    pub max_histograms: usize,
    /// Most counters or gauges of one name; see [`DEFAULT_MAX_SERIES`].
    pub max_series: usize,
}

/// All metrics of this process.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
}

impl Metrics {
    /// Registers every family. What can be listed beforehand starts at 0.
    #[must_use]
    pub fn new(settings: Settings, backends: &[Arc<str>], catalogue: Arc<Catalogue>) -> Arc<Self> {
        let registry = Registry::new();
        let register = Register {
            registry: &registry,
            max_histograms: settings.max_histograms,
            max_series: settings.max_series,
            dropped: program::series_dropped(&registry),
        };
        let families = Arc::new(Families {
            catalogue,
            per_model: per_model::PerModel::register(&register, backends),
            requests: requests::Requests::register(&register),
            tokens: tokens::TokenCounts::register(&register),
            failures: failures::Failures::register(&register, backends),
            backends: backends::Backends::register(&register),
            program: program::Program::register(&register, settings.build, settings.started),
        });
        Arc::new(Self { registry, families })
    }

    /// A probe of a backend ended.
    pub fn backend_probe(&self, backend: &str, up: bool, duration: Duration) {
        self.families.backends.probed(backend, up, duration);
    }

    /// The configuration was loaded again, or could not be.
    pub fn config_loaded(&self, successful: bool, at: SystemTime) {
        self.families.program.config_loaded(successful, at);
    }

    /// The counter of facts that a receiver (logs, history, …) could not take in time. It starts at 0.
    #[must_use]
    pub fn sink_dropped(&self, sink: &'static str) -> IntCounter {
        self.families.program.sink_dropped(sink)
    }

    /// Exposes the machine and its GPUs too. `take` is asked twice a scrape and must not wait.
    pub fn watch_host(&self, clock: Clock, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let take = Arc::new(take);
        let again = Arc::clone(&take);
        host::HostMetrics::register(&self.registry, clock, move |now| take(now));
        gpu::GpuMetrics::register(&self.registry, move |now| again(now));
    }

    /// Exposes what energy was spent for, and the price of a kilowatt-hour where one is configured.
    pub fn watch_energy(&self, meter: Arc<Meter>, price: Option<f64>) {
        energy::EnergyMetrics::register(&self.registry, meter, price);
    }

    /// Everything in the text format 0.0.4. A family that cannot be written is left out, and the rest stays.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let encoder = TextEncoder::new();
        let mut text = String::new();
        for family in self.registry.gather() {
            let whole = text.len();
            if encoder.encode_utf8(&[family], &mut text).is_err() {
                text.truncate(whole);
            }
        }
        text.into_bytes()
    }
}

impl Sink for Metrics {
    fn started(&self, start: &Start) -> Box<dyn Watch> {
        Box::new(ExchangeWatch::new(Arc::clone(&self.families), start))
    }

    fn refused(&self, why: Malformed) {
        self.families.requests.refused(why);
    }
}
