//! Whether backends answer. Absent until they were asked.

use std::time::Duration;

use prometheus::{Gauge, IntGauge};

use super::family::{Family, Register, Spec};
use super::{buckets, number};

pub(super) struct Backends {
    up: Family<IntGauge>,
    probe_duration: Family<Gauge>,
}

impl Backends {
    pub(super) fn register(register: &Register<'_>) -> Self {
        Self { up: register.family(UP), probe_duration: register.family(PROBE_DURATION) }
    }

    pub(super) fn probed(&self, backend: &str, up: bool, duration: Duration) {
        self.up.child(&[backend]).set(i64::from(up));
        if let Some(seconds) = number::seconds(duration) {
            self.probe_duration.child(&[backend]).set(seconds);
        }
    }
}

const UP: Spec = Spec {
    name: "ollama_proxy_backend_up",
    help: "Whether the backend answered the last probe.",
    labels: &["backend"],
    buckets: buckets::NONE,
};
const PROBE_DURATION: Spec = Spec {
    name: "ollama_proxy_backend_probe_duration_seconds",
    help: "How long the last probe of the backend took.",
    labels: &["backend"],
    buckets: buckets::NONE,
};
