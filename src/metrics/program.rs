//! The program itself: its build, start, configuration and process, and what it had to drop.

#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use prometheus::core::{Collector, Desc};
#[cfg(target_os = "linux")]
use prometheus::proto::{Counter, MetricFamily};
use prometheus::{Gauge, IntCounter, IntGauge};
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

use super::declare::{Registrar, families};
use super::exposition::Registry;
use super::family::Family;
#[cfg(target_os = "linux")]
use super::scraped::ScrapedFamilies;

families! {
    /// The build, the configuration, and what receivers dropped.
    pub(super) struct Program {
        build_info: Family<IntGauge> = "ollama_proxy_build_info" ["version", "revision", "rustc"]
            "Always 1; the labels say what was built.";
        start_time: Gauge = "ollama_proxy_start_time_seconds" []
            "When the program started, in seconds since the epoch.";
        reload_successful: IntGauge = "ollama_proxy_config_last_reload_successful" []
            "Whether the last attempt to load the configuration succeeded.";
        reload_success_time: Gauge = "ollama_proxy_config_last_reload_success_timestamp_seconds" []
            "When the configuration was last loaded, in seconds since the epoch.";
        sink_dropped: Family<IntCounter> = "ollama_proxy_sink_dropped_total" ["sink"]
            "Facts that a receiver could not take in time.";
        access_refused: Family<IntCounter> = "ollama_proxy_access_refused_total" ["reason"]
            "Requests to the second listener that were refused for their credentials or their number.";
    }
}

families! {
    /// What the caps of all families refuse.
    pub(super) static REFUSALS = [] {
        SERIES_DROPPED: Counter = "ollama_proxy_series_dropped_total" ["metric"]
            "Label sets refused because a metric had reached its cap.";
    }
}

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

impl Program {
    /// The configuration counts as loaded at the start: a program whose configuration is refused does not get here.
    pub(super) fn new(registrar: &Registrar<'_>, build: Build, started: SystemTime) -> Self {
        let program = Self::register(registrar);
        let Build { version, revision, rustc } = build;
        program.build_info.child(&[version, revision, rustc]).set(1);
        program.start_time.set(seconds_since_epoch(started));
        program.config_loaded(true, started);
        register_process(registrar.registry);
        program
    }

    pub(super) fn config_loaded(&self, successful: bool, at: SystemTime) {
        self.reload_successful.set(i64::from(successful));
        if successful {
            self.reload_success_time.set(seconds_since_epoch(at));
        }
    }

    pub(super) fn access_refused(&self, reason: &'static str) -> IntCounter {
        self.access_refused.child(&[reason])
    }

    pub(super) fn sink_dropped(&self, sink: &'static str) -> IntCounter {
        self.sink_dropped.child(&[sink])
    }
}

/// The counter of refused series, by metric name. It has no cap of its own: there are as many series as families.
pub(super) fn series_dropped(registry: &Registry) -> Family<IntCounter> {
    Family::register(registry, &SERIES_DROPPED, &[], usize::MAX, None)
}

/// `process_*` as the prometheus crate names and reads them from `/proc`; absent outside Linux.
fn register_process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    {
        let process = prometheus::Registry::new();
        process.register(Box::new(ProcessCollector::default())).expect("its names are valid");
        registry.add(Box::new(ScrapedFamilies { name: "process_", registry: process }));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

/// The prometheus crate's collector, with the CPU time that the kernel counts in nanoseconds: the crate counts whole seconds,
/// of which a rate over half a minute jumps by a thirtieth of a core.
#[cfg(target_os = "linux")]
struct ProcessCollector(prometheus::process_collector::ProcessCollector);

#[cfg(target_os = "linux")]
impl Default for ProcessCollector {
    fn default() -> Self {
        Self(prometheus::process_collector::ProcessCollector::for_self())
    }
}

#[cfg(target_os = "linux")]
impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.collect();
        for family in families.iter_mut().filter(|family| family.name() == "process_cpu_seconds_total") {
            for metric in family.mut_metric() {
                let mut counter = Counter::default();
                counter.set_value(cpu_seconds());
                metric.set_counter(counter);
            }
        }
        families
    }
}

/// CPU time of all threads of this process, of those that ended too, in seconds.
#[cfg(target_os = "linux")]
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).map_or(0.0, |used| used.as_secs_f64())
}

/// Seconds since the epoch; 0 before it.
fn seconds_since_epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
