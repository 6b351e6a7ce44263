//! What backends report of themselves, of their models and of their load.
//!
//! The gauges of a backend are replaced together at each report, so a model that vanished has no series. A model has
//! series once its name is a label of its own. Absent means that the backend does not report it, or is not reached; its
//! server and its list of models stay as last reported.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::UNIX_EPOCH;

use prometheus::IntCounter;

use super::declare::{Registrar, families};
use super::family::Family;
use super::number;
use super::number::{MAX_BYTES, MAX_TOKENS, whole};
use super::table::Table;
use crate::backend::BackendLocation;
use crate::backend::catalogue::Catalogue;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, Resident};
use crate::backend::track::Change;
use crate::exchange::vocabulary::Dialect;

/// Hexadecimal digits of a revision that the label has: as many as `ollama list` shows.
const REVISION_DIGITS: usize = 12;

families! {
    /// What backends report, and what changed between two reports.
    pub(super) struct Reported {
        backend_info: Table = "ollama_proxy_backend_info" ["backend", "runtime", "version", "node", "zone"]
            "Always 1; the labels say which server the backend is, and where it stands.";
        model_info: Table = "ollama_proxy_model_info" ["model", "backend", "revision", "quant", "family", "parameter_size", "format"]
            "Always 1; the labels say what a listed model is.";
        loaded: Table = "ollama_proxy_model_loaded" ["model", "backend"] "Whether a listed model is in memory.";
        vram: Table = "ollama_proxy_model_vram_bytes" ["model", "backend"] "Memory of GPUs that a loaded model takes.";
        size: Table = "ollama_proxy_model_size_bytes" ["model", "backend"]
            "Memory that a loaded model takes on all devices.";
        context: Table = "ollama_proxy_model_context_length" ["model", "backend"]
            "Tokens of context that a loaded model was given.";
        expires: Table = "ollama_proxy_model_expires_timestamp_seconds" ["model", "backend"]
            "When a loaded model leaves memory unless it is used; absent where it never does.";
        waiting: Table = "ollama_proxy_backend_requests_waiting" ["backend", "model"]
            "Requests that wait in the backend, by its own count.";
        running: Table = "ollama_proxy_backend_requests_running" ["backend", "model"]
            "Requests that the backend works on, by its own count.";
        kv_cache: Table = "ollama_proxy_backend_kv_cache_usage_ratio" ["backend", "model"]
            "Used share of the backend's key-value cache, by its own account.";
        loads: Family<IntCounter> = "ollama_proxy_model_loads_total" ["model", "backend"]
            "Times that a model was seen to have come into memory; a lower bound, since what comes and goes between \
             two looks is not seen.";
        evictions: Family<IntCounter> = "ollama_proxy_model_evictions_total" ["model", "backend"]
            "Times that a model was seen to have left memory; a lower bound, since what comes and goes between two \
             looks is not seen.";
    }
}

/// Turns reports of backends into series.
pub(super) struct Models {
    catalogue: Arc<Catalogue>,
    locations: RwLock<BTreeMap<Arc<str>, BackendLocation>>,
    reported: Reported,
}

impl Models {
    pub(super) fn new(registrar: &Registrar<'_>, catalogue: Arc<Catalogue>) -> Self {
        Self { catalogue, locations: RwLock::default(), reported: Reported::register(registrar) }
    }

    /// Sets the node and the zone that `backend_info` has from the backend's next listing on.
    pub(super) fn set_location(&self, backend: &Arc<str>, place: BackendLocation) {
        self.locations.write().unwrap_or_else(PoisonError::into_inner).insert(backend.clone(), place);
    }

    /// The backend is no longer configured.
    pub(super) fn forget(&self, backend: &str) {
        let Reported {
            backend_info, model_info, loaded, vram, size, context, expires, waiting, running, kv_cache, ..
        } = &self.reported;
        for table in [backend_info, model_info, loaded, vram, size, context, expires, waiting, running, kv_cache] {
            table.remove(backend);
        }
    }

    pub(super) fn listed(&self, backend: &str, inventory: &Inventory) {
        let (runtime, version) = (inventory.runtime.as_str(), inventory.version.as_deref().unwrap_or_default());
        let place = self.locations.read().unwrap_or_else(PoisonError::into_inner).get(backend).cloned();
        let BackendLocation { node, zone } = place.unwrap_or_default();
        self.reported.backend_info.replace(backend, [([backend, runtime, version, &*node, &*zone], 1.0)]);
        let labels: Vec<Arc<str>> = inventory.models.iter().map(|model| self.label(backend, &model.name)).collect();
        // One row a model: Prometheus refuses a join on the model that matches two series.
        let mut seen = HashSet::new();
        let models = inventory.models.iter().zip(&labels).filter(|(_, label)| !label.is_empty() && seen.insert(*label));
        let rows = models.map(|(model, label)| {
            let text = |value: &'_ Option<Box<str>>| value.clone().unwrap_or_default();
            let revision = text(&model.revision).chars().take(REVISION_DIGITS).collect::<String>();
            [label.to_string(), revision]
                .into_iter()
                .chain([&model.quant, &model.family, &model.parameter_size, &model.format].map(|it| text(it).into()))
                .collect::<Vec<String>>()
        });
        let rows: Vec<_> = rows.collect();
        self.reported.model_info.replace(
            backend,
            rows.iter().map(|row| ([&*row[0], backend, &*row[1], &*row[2], &*row[3], &*row[4], &*row[5]], 1.0)),
        );
    }

    pub(super) fn resident(&self, backend: &str, inventory: &Inventory, changes: &[Change]) {
        let Reported { loaded, vram, size, context, expires, loads, evictions, .. } = &self.reported;
        let Some(resident) = &inventory.resident else {
            for table in [loaded, vram, size, context, expires] {
                table.remove(backend);
            }
            return;
        };
        let held: Vec<(Arc<str>, &Resident)> =
            resident.iter().map(|held| (self.label(backend, &held.name), held)).collect();
        let listed: Vec<Arc<str>> = inventory.models.iter().map(|model| self.label(backend, &model.name)).collect();
        // Of two rows with the same labels the last counts, so the models in memory follow the listed ones.
        let rows = listed.iter().map(|label| (label, 0.0)).chain(held.iter().map(|(label, _)| (label, 1.0)));
        let rows: Vec<_> = rows.filter(|(label, _)| !label.is_empty()).collect();
        loaded.replace(backend, rows.iter().map(|(label, value)| ([&***label, backend], *value)));
        for (label, _) in &rows {
            // Created at 0, so that the first one shows in a rate.
            drop((loads.child(&[label, backend]), evictions.child(&[label, backend])));
        }
        let fill = |table: &Table, value: fn(&Resident) -> Option<f64>| {
            let rows = held.iter().filter(|(label, _)| !label.is_empty());
            table.replace(backend, rows.filter_map(|(label, held)| Some(([&**label, backend], value(held)?))));
        };
        fill(vram, |held| Some(whole(held.vram?, MAX_BYTES)? as f64));
        fill(size, |held| Some(whole(held.size?, MAX_BYTES)? as f64));
        fill(context, |held| Some(whole(held.context?, MAX_TOKENS)? as f64));
        fill(expires, expiry);
        self.count_changes(backend, changes);
    }

    fn count_changes(&self, backend: &str, changes: &[Change]) {
        for change in changes {
            let (family, name) = match change {
                Change::Loaded(name) => (&self.reported.loads, name),
                Change::Evicted(name) => (&self.reported.evictions, name),
            };
            let label = self.label(backend, name);
            if !label.is_empty() {
                family.child(&[&label, backend]).inc();
            }
        }
    }

    pub(super) fn load(&self, backend: &str, load: &[EngineLoad]) {
        // Where the engine names no model, or one without a label, the load has an empty one: that of the whole backend.
        let labels: Vec<Arc<str>> = load
            .iter()
            .map(|load| load.model.as_deref().map_or_else(|| "".into(), |name| self.label(backend, name)))
            .collect();
        let fill = |table: &Table, value: fn(&EngineLoad) -> Option<f64>| {
            let rows = load.iter().zip(&labels);
            table.replace(backend, rows.filter_map(|(load, label)| Some(([backend, &**label], value(load)?))));
        };
        fill(&self.reported.waiting, |load| number::rate(load.waiting?));
        fill(&self.reported.running, |load| number::rate(load.running?));
        fill(&self.reported.kv_cache, |load| load.kv_cache.filter(|share| (0.0..=1.0).contains(share)));
    }

    /// The label of a model; empty where the name has none of its own.
    fn label(&self, backend: &str, name: &str) -> Arc<str> {
        self.catalogue.label(backend, Dialect::Unknown, name).unwrap_or_else(|| "".into())
    }
}

/// When the model leaves memory, in seconds since the epoch; absent where it never does or the backend does not say.
fn expiry(held: &Resident) -> Option<f64> {
    match held.expires? {
        Expiry::At(at) => Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs_f64()),
        Expiry::Never => None,
    }
}
