//! The program itself: its build, start, configuration and process, and what it had to drop.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntGauge};

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
        let collector = prometheus::process_collector::ProcessCollector::for_self();
        process.register(Box::new(collector)).expect("its names are valid");
        registry.add(Box::new(ScrapedFamilies { name: "process_", registry: process }));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

/// Seconds since the epoch; 0 before it.
fn seconds_since_epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
