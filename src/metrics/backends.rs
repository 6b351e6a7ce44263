//! Whether backends answer. Absent until the first probe.

use std::time::Duration;

use super::declare::families;
use super::number;
use super::table::Table;

families! {
    /// The result of the last probe of each backend.
    pub(super) struct Backends {
        up: Table = "ollama_proxy_backend_up" ["backend"] "Whether the backend answered the last probe.";
        probe_duration: Table = "ollama_proxy_backend_probe_duration_seconds" ["backend"]
            "How long the last probe of the backend took.";
    }
}

impl Backends {
    pub(super) fn probed(&self, backend: &str, up: bool, duration: Duration) {
        self.up.replace(backend, [([backend], f64::from(u8::from(up)))]);
        if let Some(seconds) = number::seconds(duration) {
            self.probe_duration.replace(backend, [([backend], seconds)]);
        }
    }

    /// The backend is no longer configured.
    pub(super) fn forget(&self, backend: &str) {
        self.up.remove(backend);
        self.probe_duration.remove(backend);
    }
}
