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
//! | `cold_starts` | models that had to be loaded, and why |
//! | `failures` | errors, cancellations, waste, missing usage, defects |
//! | `backends` | whether they answer |
//! | `host` | the machine underneath |
//! | `models` | what backends say of themselves, of their models and of their load |
//! | `program` | build, start, configuration, what was dropped, the process |
//! | `gpu` | what GPUs tell beyond what every machine does; DCGM's names |
//! | `energy` | energy by model, and the price of it |
//!
//! `family` (series that exchanges feed), `table` (gauges replaced as a whole), `histogram` and `traced` (histograms with
//! exemplars) hold the numbers; `exposition` writes them, `openmetrics` knows what that format wants otherwise.
//!
//! Left out: who serves the exposition.

mod backends;
mod buckets;
mod cold_starts;
pub mod energy;
mod exposition;
mod failures;
mod families;
mod family;
mod gathered;
pub mod gpu;
mod histogram;
pub mod host;
mod labels;
mod models;
mod number;
mod openmetrics;
mod per_model;
mod program;
mod remembered;
mod requests;
mod table;
mod tokens;
mod traced;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use prometheus::IntCounter;

pub use buckets::Buckets;
pub use exposition::Format;
use exposition::Registry;
use families::Families;
use family::Register;
use gathered::Gathered;
use watch::ExchangeWatch;

use crate::backend::Place;
use crate::backend::catalogue::Catalogue;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::Inventory;
use crate::backend::report::Report;
use crate::backend::track::Change;
use crate::clock::Clock;
use crate::exchange::outcome::Malformed;
use crate::exchange::record::Start;
use crate::exchange::sink::Sink;
use crate::exchange::vocabulary::Dialect;
use crate::host::HostSnapshot;
use crate::host::energy::Meter;

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
        Self::with_buckets(settings, &Buckets::default(), backends, catalogue)
    }

    /// As [`Metrics::new`], with bounds of histograms that were configured.
    #[must_use]
    pub fn with_buckets(
        settings: Settings,
        buckets: &Buckets,
        backends: &[Arc<str>],
        catalogue: Arc<Catalogue>,
    ) -> Arc<Self> {
        let registry = Registry::default();
        let register = Register {
            registry: &registry,
            max_histograms: settings.max_histograms,
            max_series: settings.max_series,
            dropped: program::series_dropped(&registry),
            buckets: &buckets::Effective::new(buckets),
        };
        let families = Arc::new(Families {
            models: models::Models::register(&register, catalogue.clone()),
            catalogue,
            per_model: per_model::PerModel::register(&register, backends),
            requests: requests::Requests::register(&register),
            tokens: tokens::TokenCounts::register(&register),
            failures: failures::Failures::register(&register, backends),
            cold_starts: cold_starts::ColdStarts::register(&register),
            backends: backends::Backends::register(&register),
            program: program::Program::register(&register, settings.build, settings.started),
            shares: OnceLock::new(),
        });
        Arc::new(Self { registry, families })
    }

    /// So many prompts for this model, of exchanges that have ended, are found to have been cut by now.
    pub fn truncation_suspected(&self, backend: &str, model: &str, prompts: u64) {
        let families = &self.families;
        if let Some(label) = families.catalogue.label(backend, Dialect::Unknown, model) {
            families.failures.truncation_suspected(&label, backend, prompts);
        }
    }

    /// Where a backend stands. To be said before it is asked for the first time.
    pub fn backend_stands(&self, backend: &Arc<str>, place: Place) {
        self.families.models.stands(backend, place);
    }

    /// How many exchanges with this backend began.
    #[must_use]
    pub fn begun(&self, backend: &str) -> u64 {
        self.families.requests.begun(backend)
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
        let registry = prometheus::Registry::new();
        host::HostMetrics::register(&registry, clock, move |now| take(now));
        gpu::GpuMetrics::register(&registry, move |now| again(now));
        self.registry.add(Box::new(Gathered { name: "machine", registry }));
    }

    /// Tells the meter which exchanges are in flight, and exposes what energy was spent for. `local` are the names of the
    /// backends on this machine; the price of a kilowatt-hour is absent where none is configured. Only the first call
    /// counts.
    pub fn watch_energy(&self, meter: Arc<Meter>, local: Vec<Arc<str>>, price: Option<f64>) {
        if self.families.shares.set(energy::Shares::new(Arc::clone(&meter), local)).is_err() {
            return;
        }
        let registry = prometheus::Registry::new();
        energy::EnergyMetrics::register(&registry, meter, price);
        self.registry.add(Box::new(Gathered { name: "energy", registry }));
    }

    /// Everything that is known, in a format.
    #[must_use]
    pub fn encode(&self, format: Format) -> Vec<u8> {
        self.registry.write(format).into_bytes()
    }
}

impl Sink for Metrics {
    type Watch = ExchangeWatch;

    fn started(&self, start: &Start) -> ExchangeWatch {
        ExchangeWatch::new(Arc::clone(&self.families), start)
    }

    fn refused(&self, why: Malformed) {
        self.families.requests.refused(why);
    }
}

impl Report for Metrics {
    fn probed(&self, backend: &Arc<str>, up: bool, took: Duration) {
        self.families.backends.probed(backend, up, took);
    }

    fn listed(&self, backend: &Arc<str>, inventory: &Inventory) {
        self.families.models.listed(backend, inventory);
    }

    fn resident(&self, backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        self.families.models.resident(backend, inventory, changes);
    }

    fn load(&self, backend: &Arc<str>, load: &[EngineLoad]) {
        self.families.models.load(backend, load);
    }
}
