//! Every Prometheus family: exchanges, backends, the machine and the program itself, as numbers.
//!
//! Promises: its own registry and nothing global; label values are members of closed or capped sets, so neither memory
//! nor a scrape grows without bound; a token costs a few atomic operations; a scrape never blocks an exchange; a strange
//! number or name never fails a scrape. Each metric name stands once, in the file of its subject:
//!
//! | file | subject |
//! |---|---|
//! | `requests` | number, duration and size of requests; the proxy's own cost |
//! | `per_model` | what has the labels model and backend alone: in flight, latencies, rates, stalls |
//! | `tokens` | counts of tokens with their source |
//! | `cold_starts` | requests that waited for a load, by its cause |
//! | `failures` | errors, cancellations, waste, missing usage, defects |
//! | `backends` | results of probes |
//! | `router` | how one of several backends is chosen, and in which state each is |
//! | `host` | the machine, and what every maker's GPUs report |
//! | `models` | what backends report of themselves, of their models and of their load |
//! | `history` | what the history writes, keeps and loses |
//! | `replicas` | what a Prometheus is asked for that scrapes several of this program |
//! | `program` | build, start, configuration, what was dropped |
//! | `gpu/neutral`, `gpu/dcgm` | what NVIDIA's GPUs report beyond what every GPU does; the same under DCGM's names |
//! | `energy` | energy by model, and its price |
//!
//! `declare` has the one way to declare a family, a line each; what follows from the line is derived. `spec` is what a line
//! declares, `subjects` the list of all. `family` (series that exchanges feed), `table` (gauges replaced together),
//! `histogram` and `traced` (histograms with exemplars) hold values between scrapes; `scraped` makes families at each
//! scrape. `exposition` writes the page, `openmetrics` knows where that format differs.
//!
//! # To add a metric
//! `CONTRIBUTING.md` has each kind with its tests. For a gauge of the machine, the file of its subject, `host.rs`, is
//! all that needs to be read:
//!
//! 1. In `families!`, add a line: identifier, kind, name (its unit last), labels, help text.
//!    `DIRTY: Gauge = "ollama_proxy_memory_dirty_bytes" [] "Memory that waits to be written to disks.";`
//! 2. Below, where a part of the snapshot becomes series, give it its value; `None` leaves the series out.
//!    `batch.add(&DIRTY, &[], memory.dirty_bytes.map(as_f64));`
//! 3. The tests ask for the rest and say how: a row in `docs/metrics.md`, and a golden exposition (`make golden`).
//!
//! A family that exchanges feed is a line too. In `per_model!` it makes a handle for each model on each backend
//! (`series.stream_stalls().inc()`), in another subject's `families!` a field (`self.started.child(&[…]).inc()`). A
//! histogram names a [`BucketLayout`] after its labels: `buckets Duration`. What an exchange's end touches is cached in
//! `handle_cache`. Values are held by `IntCounter`, `IntGauge`, `Gauge`, `Histogram`, `TracedHistogram` or `Table`;
//! another holder is an `impl Child` in `family`. A new file with families is listed in `subjects`.
//!
//! Left out: serving the page.

mod backends;
mod buckets;
mod cold_starts;
mod declare;
pub mod energy;
mod exposition;
mod failures;
mod family;
pub mod gpu;
mod handle_cache;
mod histogram;
pub mod history;
pub mod host;
mod labels;
pub mod machines;
mod models;
mod number;
mod openmetrics;
mod per_model;
mod program;
pub mod replicas;
mod requests;
mod router;
mod scraped;
mod spec;
mod subjects;
mod table;
mod tokens;
mod traced;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use prometheus::IntCounter;

use buckets::EffectiveBounds;
pub use buckets::{BucketLayout, Buckets};
use declare::Registrar;
use energy::{EnergyAttribution, EnergyMetrics, Price};
pub use exposition::Format;
use exposition::Registry;
use family::Family;
pub use program::Build;
use program::Program;
pub use router::HeldBytes;
use router::Router;
use scraped::ScrapedFamilies;
pub use spec::{Kind, Spec};
use subjects::Subjects;
pub use subjects::families;
pub use watch::ExchangeWatch;

use crate::backend::BackendLocation;
use crate::backend::catalogue::Catalogue;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::Inventory;
use crate::backend::report::Report;
use crate::backend::track::Change;
use crate::clock::Clock;
use crate::exchange::outcome::{ColdCause, Malformed};
use crate::exchange::record::Start;
use crate::exchange::sink::Sink;
use crate::exchange::vocabulary::Dialect;
use crate::fleet::Fleet;
use crate::history::state::HistoryState;
use crate::host::HostSnapshot;
use crate::host::energy::Meter;

/// Most histograms of one name: each is some twenty series.
pub const DEFAULT_MAX_HISTOGRAMS: usize = 2_000;

/// Most counters or gauges of one name.
pub const DEFAULT_MAX_SERIES: usize = 10_000;

/// What the metrics are made with.
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
    subjects: Arc<Subjects>,
    /// For families that are registered once they are needed.
    settings: Settings,
    bounds: EffectiveBounds,
    dropped: Family<IntCounter>,
}

impl Metrics {
    /// Registers every family. Series whose labels are known in advance start at 0.
    #[must_use]
    pub fn new(settings: Settings, backends: &[Arc<str>], catalogue: Arc<Catalogue>) -> Arc<Self> {
        Self::with_buckets(settings, &Buckets::default(), backends, catalogue)
    }

    /// As [`Metrics::new`], with configured bounds of histograms.
    #[must_use]
    pub fn with_buckets(
        settings: Settings,
        buckets: &Buckets,
        backends: &[Arc<str>],
        catalogue: Arc<Catalogue>,
    ) -> Arc<Self> {
        let registry = Registry::default();
        let (dropped, bounds) = (program::series_dropped(&registry), EffectiveBounds::new(buckets));
        let registrar = Registrar {
            registry: &registry,
            max_histograms: settings.max_histograms,
            max_series: settings.max_series,
            dropped: dropped.clone(),
            bounds: &bounds,
        };
        let program = Program::new(&registrar, settings.build, settings.started);
        let subjects = Arc::new(Subjects::new(&registrar, program, backends, catalogue));
        Arc::new(Self { registry, subjects, settings, bounds, dropped })
    }

    /// Counts choices among several backends, and exposes their states. Both are called at each scrape and must not block.
    /// Further calls have no effect.
    pub fn watch_fleet(
        &self,
        fleet: impl Fn() -> Arc<Fleet> + Send + Sync + 'static,
        held: impl Fn() -> HeldBytes + Send + Sync + 'static,
    ) {
        let registrar = || Registrar {
            registry: &self.registry,
            max_histograms: self.settings.max_histograms,
            max_series: self.settings.max_series,
            dropped: self.dropped.clone(),
            bounds: &self.bounds,
        };
        let mut is_first = false;
        self.subjects.router.get_or_init(|| {
            is_first = true;
            Router::register(&registrar())
        });
        if is_first {
            let registry = prometheus::Registry::new();
            router::FleetMetrics::register(&registry, fleet, held);
            self.registry.add(Box::new(ScrapedFamilies { name: "fleet", registry }));
        }
    }

    /// Counts prompts for this model that are suspected to have been truncated after their exchanges have ended.
    pub fn truncation_suspected(&self, backend: &str, model: &str, prompts: u64) {
        let subjects = &self.subjects;
        if let Some(label) = subjects.catalogue.label(backend, Dialect::Unknown, model) {
            subjects.failures.truncation_suspected(&label, backend, prompts);
        }
    }

    /// Counts a cold start of this model that was certain only after its exchange had ended.
    pub fn cold_start_confirmed(&self, backend: &str, model: &str, cause: ColdCause) {
        if let Some(label) = self.subjects.catalogue.label(backend, Dialect::Unknown, model) {
            self.subjects.cold_starts.confirmed(&label, backend, cause);
        }
    }

    /// Sets the node and the zone of a backend. They show from its next listing on, so call this before the first.
    pub fn set_backend_location(&self, backend: &Arc<str>, place: BackendLocation) {
        self.subjects.models.set_location(backend, place);
    }

    /// Sets which backends are on this machine, as in [`Metrics::watch_energy`].
    pub fn set_local_backends(&self, local: Vec<Arc<str>>) {
        if let Some(energy) = self.subjects.energy.get() {
            energy.set_local(local);
        }
    }

    /// Withdraws what is known of a backend that is no longer configured. What was counted stays.
    pub fn forget_backend(&self, backend: &str) {
        self.subjects.backends.forget(backend);
        self.subjects.models.forget(backend);
    }

    /// How many exchanges this backend was chosen for since the start.
    #[must_use]
    pub fn exchanges_started(&self, backend: &str) -> u64 {
        self.subjects.requests.started_on(backend)
    }

    /// Records an attempt to load the configuration.
    pub fn config_loaded(&self, successful: bool, at: SystemTime) {
        self.subjects.program.config_loaded(successful, at);
    }

    /// The counter of requests to the second listener that were refused for this reason. It starts at 0.
    #[must_use]
    pub fn access_refused(&self, reason: &'static str) -> IntCounter {
        self.subjects.program.access_refused(reason)
    }

    /// The counter of facts that a receiver (logs, history, …) dropped because it was too slow. It starts at 0.
    #[must_use]
    pub fn sink_dropped(&self, sink: &'static str) -> IntCounter {
        self.subjects.program.sink_dropped(sink)
    }

    /// Exposes the machine and its GPUs too. `take` is called twice a scrape and must not block.
    pub fn watch_host(&self, clock: Clock, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let take = Arc::new(take);
        let take_for_gpus = Arc::clone(&take);
        let registry = prometheus::Registry::new();
        host::HostMetrics::register(&registry, clock, move |now| take(now));
        gpu::GpuMetrics::register(&registry, move |now| take_for_gpus(now));
        self.registry.add(Box::new(ScrapedFamilies { name: "machine", registry }));
    }

    /// Exposes how the history is doing, unless it is off.
    pub fn watch_history(&self, state: Arc<HistoryState>) {
        let registry = prometheus::Registry::new();
        history::HistoryMetrics::register(&registry, state);
        self.registry.add(Box::new(ScrapedFamilies { name: "history", registry }));
    }

    /// Attributes the meter's energy to exchanges in flight, and exposes it by model. `local` are the names of the backends
    /// on this machine; the price of a kilowatt-hour is absent where none is configured. Further calls have no effect.
    pub fn watch_energy(&self, meter: Arc<Meter>, local: Vec<Arc<str>>, price: Option<Price>) {
        if self.subjects.energy.set(EnergyAttribution::new(Arc::clone(&meter), local)).is_err() {
            return;
        }
        let registry = prometheus::Registry::new();
        EnergyMetrics::register(&registry, meter, price);
        self.registry.add(Box::new(ScrapedFamilies { name: "energy", registry }));
    }

    /// The whole page, in a format.
    #[must_use]
    pub fn encode(&self, format: Format) -> Vec<u8> {
        self.registry.write(format).into_bytes()
    }
}

impl Sink for Metrics {
    type Watch = ExchangeWatch;

    fn started(&self, start: &Start) -> ExchangeWatch {
        ExchangeWatch::new(Arc::clone(&self.subjects), start)
    }

    fn refused(&self, why: Malformed) {
        self.subjects.requests.refused(why);
    }
}

impl Report for Metrics {
    fn probed(&self, backend: &Arc<str>, up: bool, took: Duration) {
        self.subjects.backends.probed(backend, up, took);
    }

    fn listed(&self, backend: &Arc<str>, inventory: &Inventory) {
        self.subjects.models.listed(backend, inventory);
        self.subjects.per_model.listed(&self.subjects.catalogue, backend, inventory);
        self.subjects.cold_starts.listed(&self.subjects.catalogue, backend, inventory);
    }

    fn resident(&self, backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        self.subjects.models.resident(backend, inventory, changes);
    }

    fn load(&self, backend: &Arc<str>, load: &[EngineLoad]) {
        self.subjects.models.load(backend, load);
    }
}
