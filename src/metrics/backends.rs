//! Whether backends answer. Absent until the first probe.

use std::time::Duration;

use prometheus::{Gauge, IntGauge};

use super::declare::families;
use super::family::Family;
use super::number;

families! {
    /// The result of the last probe of each backend.
    pub(super) struct Backends {
        up: Family<IntGauge> = "ollama_proxy_backend_up" ["backend"] "Whether the backend answered the last probe.";
        probe_duration: Family<Gauge> = "ollama_proxy_backend_probe_duration_seconds" ["backend"]
            "How long the last probe of the backend took.";
    }
}

impl Backends {
    pub(super) fn probed(&self, backend: &str, up: bool, duration: Duration) {
        self.up.child(&[backend]).set(i64::from(up));
        if let Some(seconds) = number::seconds(duration) {
            self.probe_duration.child(&[backend]).set(seconds);
        }
    }
}
