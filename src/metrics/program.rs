//! The program itself: which build, since when, with which configuration, and what it had to leave out.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntGauge};

use super::Build;
use super::buckets;
use super::exposition::Registry;
use super::family::{Family, Register, Spec};

pub(super) struct Program {
    reload_successful: IntGauge,
    reload_success_time: Gauge,
    sink_dropped: Family<IntCounter>,
}

impl Program {
    /// The configuration counts as loaded at the start: a program with a bad one does not get here.
    pub(super) fn register(register: &Register<'_>, build: Build, started: SystemTime) -> Self {
        let Build { version, revision, rustc } = build;
        register.family::<IntGauge>(BUILD_INFO).child(&[version, revision, rustc]).set(1);
        register.family::<Gauge>(START_TIME).child(&[]).set(unix(started));
        let program = Self {
            reload_successful: register.family(RELOAD_SUCCESSFUL).child(&[]),
            reload_success_time: register.family(RELOAD_SUCCESS_TIME).child(&[]),
            sink_dropped: register.family(SINK_DROPPED),
        };
        program.config_loaded(true, started);
        register_process(register.registry);
        program
    }

    pub(super) fn config_loaded(&self, successful: bool, at: SystemTime) {
        self.reload_successful.set(i64::from(successful));
        if successful {
            self.reload_success_time.set(unix(at));
        }
    }

    pub(super) fn sink_dropped(&self, sink: &'static str) -> IntCounter {
        self.sink_dropped.child(&[sink])
    }
}

/// Series refused by metric name. It counts the other families' refusals, so it has no cap: there are as many series
/// as families.
pub(super) fn series_dropped(registry: &Registry) -> Family<IntCounter> {
    Family::register(registry, SERIES_DROPPED, usize::MAX, None)
}

/// The library reads `/proc`: Linux only, elsewhere these are absent.
#[cfg(target_os = "linux")]
mod process {
    use prometheus::core::Collector;
    use prometheus::process_collector::ProcessCollector;
    use prometheus::proto::MetricType;

    use crate::metrics::exposition::{Expose, Kind, Page};

    pub(super) struct Process(pub(super) ProcessCollector);

    impl Expose for Process {
        fn name(&self) -> &'static str {
            "process_"
        }

        fn expose(&self, page: &mut Page) {
            let mut families = self.0.collect();
            families.sort_by(|one, other| one.name().cmp(other.name()));
            for family in families {
                let counts = family.get_field_type() == MetricType::COUNTER;
                page.family(family.name(), family.help(), if counts { Kind::Counter } else { Kind::Gauge });
                for metric in family.get_metric() {
                    let value = if counts { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
                    page.sample(family.name(), "", value);
                }
            }
        }
    }
}

fn register_process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    registry.add(Box::new(process::Process(prometheus::process_collector::ProcessCollector::for_self())));
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

/// Seconds since the epoch; 0 before it.
fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

const BUILD_INFO: Spec = Spec {
    name: "ollama_proxy_build_info",
    help: "Always 1; the labels say what was built.",
    labels: &["version", "revision", "rustc"],
    buckets: buckets::NONE,
};
const START_TIME: Spec = Spec {
    name: "ollama_proxy_start_time_seconds",
    help: "When the program started, in seconds since the epoch.",
    labels: &[],
    buckets: buckets::NONE,
};
const RELOAD_SUCCESSFUL: Spec = Spec {
    name: "ollama_proxy_config_last_reload_successful",
    help: "Whether the last attempt to load the configuration succeeded.",
    labels: &[],
    buckets: buckets::NONE,
};
const RELOAD_SUCCESS_TIME: Spec = Spec {
    name: "ollama_proxy_config_last_reload_success_timestamp_seconds",
    help: "When the configuration was last loaded, in seconds since the epoch.",
    labels: &[],
    buckets: buckets::NONE,
};
const SINK_DROPPED: Spec = Spec {
    name: "ollama_proxy_sink_dropped_total",
    help: "Facts that a receiver could not take in time.",
    labels: &["sink"],
    buckets: buckets::NONE,
};
const SERIES_DROPPED: Spec = Spec {
    name: "ollama_proxy_series_dropped_total",
    help: "Label sets refused because a metric had reached its cap.",
    labels: &["metric"],
    buckets: buckets::NONE,
};
