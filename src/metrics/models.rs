//! What backends say of themselves, of their models and of their load.
//!
//! Gauges are replaced as a whole whenever a backend is asked, so a model that vanished leaves no series behind. A model
//! has series once its name is a label of its own. Absent means that the backend does not say, or is not reached; which
//! server it is and what it lists stays as it was last seen.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::UNIX_EPOCH;

use prometheus::IntCounter;

use super::family::{Family, Register, Spec};
use super::number::{MAX_BYTES, MAX_TOKENS, whole};
use super::table::Table;
use super::{buckets, number};
use crate::backend::Place;
use crate::backend::catalogue::Catalogue;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, Resident};
use crate::backend::track::Change;
use crate::exchange::vocabulary::Dialect;

/// Digits of a revision that are shown, as `ollama list` does: enough to tell them apart.
const REVISION: usize = 12;

pub(super) struct Models {
    catalogue: Arc<Catalogue>,
    places: RwLock<BTreeMap<Arc<str>, Place>>,
    backend_info: Table,
    model_info: Table,
    loaded: Table,
    vram: Table,
    size: Table,
    context: Table,
    expires: Table,
    waiting: Table,
    running: Table,
    kv_cache: Table,
    loads: Family<IntCounter>,
    evictions: Family<IntCounter>,
}

impl Models {
    pub(super) fn register(register: &Register<'_>, catalogue: Arc<Catalogue>) -> Self {
        Self {
            catalogue,
            places: RwLock::default(),
            backend_info: register.table(BACKEND_INFO),
            model_info: register.table(MODEL_INFO),
            loaded: register.table(LOADED),
            vram: register.table(VRAM),
            size: register.table(SIZE),
            context: register.table(CONTEXT),
            expires: register.table(EXPIRES),
            waiting: register.table(WAITING),
            running: register.table(RUNNING),
            kv_cache: register.table(KV_CACHE),
            loads: register.family(LOADS),
            evictions: register.family(EVICTIONS),
        }
    }

    /// The backend stands there; it shows from the next listing on.
    pub(super) fn stands(&self, backend: &Arc<str>, place: Place) {
        self.places.write().unwrap_or_else(PoisonError::into_inner).insert(backend.clone(), place);
    }

    pub(super) fn listed(&self, backend: &str, inventory: &Inventory) {
        let (runtime, version) = (inventory.runtime.as_str(), inventory.version.as_deref().unwrap_or_default());
        let place = self.places.read().unwrap_or_else(PoisonError::into_inner).get(backend).cloned();
        let Place { node, zone } = place.unwrap_or_default();
        self.backend_info.replace(backend, [([backend, runtime, version, &*node, &*zone], 1.0)]);
        let labels: Vec<Arc<str>> = inventory.models.iter().map(|model| self.label(backend, &model.name)).collect();
        // One row a model: with two, what joins the labels to a series would find neither.
        let mut told = HashSet::new();
        let models = inventory.models.iter().zip(&labels).filter(|(_, label)| !label.is_empty() && told.insert(*label));
        let rows = models.map(|(model, label)| {
            let text = |value: &'_ Option<Box<str>>| value.clone().unwrap_or_default();
            let revision = text(&model.revision).chars().take(REVISION).collect::<String>();
            [label.to_string(), revision]
                .into_iter()
                .chain([&model.quant, &model.family, &model.parameter_size, &model.format].map(|it| text(it).into()))
                .collect::<Vec<String>>()
        });
        let rows: Vec<_> = rows.collect();
        self.model_info.replace(
            backend,
            rows.iter().map(|row| ([&*row[0], backend, &*row[1], &*row[2], &*row[3], &*row[4], &*row[5]], 1.0)),
        );
    }

    pub(super) fn resident(&self, backend: &str, inventory: &Inventory, changes: &[Change]) {
        let Some(resident) = &inventory.resident else {
            for table in [&self.loaded, &self.vram, &self.size, &self.context, &self.expires] {
                table.clear(backend);
            }
            return;
        };
        let held: Vec<(Arc<str>, &Resident)> =
            resident.iter().map(|held| (self.label(backend, &held.name), held)).collect();
        let listed: Vec<Arc<str>> = inventory.models.iter().map(|model| self.label(backend, &model.name)).collect();
        // The last of two rows with the same labels counts: what is in memory comes after what is listed.
        let loaded = listed.iter().map(|label| (label, 0.0)).chain(held.iter().map(|(label, _)| (label, 1.0)));
        let loaded: Vec<_> = loaded.filter(|(label, _)| !label.is_empty()).collect();
        self.loaded.replace(backend, loaded.iter().map(|(label, value)| ([&***label, backend], *value)));
        for (label, _) in &loaded {
            // From 0 on, so that the first one shows in a rate.
            drop((self.loads.child(&[label, backend]), self.evictions.child(&[label, backend])));
        }
        let fill = |table: &Table, value: fn(&Resident) -> Option<f64>| {
            let rows = held.iter().filter(|(label, _)| !label.is_empty());
            table.replace(backend, rows.filter_map(|(label, held)| Some(([&**label, backend], value(held)?))));
        };
        fill(&self.vram, |held| Some(whole(held.vram?, MAX_BYTES)? as f64));
        fill(&self.size, |held| Some(whole(held.size?, MAX_BYTES)? as f64));
        fill(&self.context, |held| Some(whole(held.context?, MAX_TOKENS)? as f64));
        fill(&self.expires, expiry);
        self.count(backend, changes);
    }

    fn count(&self, backend: &str, changes: &[Change]) {
        for change in changes {
            let (family, name) = match change {
                Change::Loaded(name) => (&self.loads, name),
                Change::Evicted(name) => (&self.evictions, name),
            };
            let label = self.label(backend, name);
            if !label.is_empty() {
                family.child(&[&label, backend]).inc();
            }
        }
    }

    pub(super) fn load(&self, backend: &str, load: &[EngineLoad]) {
        // An engine that names no model, or one without a label: the load is that of the backend.
        let labels: Vec<Arc<str>> = load
            .iter()
            .map(|load| load.model.as_deref().map_or_else(|| "".into(), |name| self.label(backend, name)))
            .collect();
        let fill = |table: &Table, value: fn(&EngineLoad) -> Option<f64>| {
            let rows = load.iter().zip(&labels);
            table.replace(backend, rows.filter_map(|(load, label)| Some(([backend, &**label], value(load)?))));
        };
        fill(&self.waiting, |load| number::rate(load.waiting?));
        fill(&self.running, |load| number::rate(load.running?));
        fill(&self.kv_cache, |load| load.kv_cache.filter(|share| (0.0..=1.0).contains(share)));
    }

    /// Empty where the name has no label of its own.
    fn label(&self, backend: &str, name: &str) -> Arc<str> {
        self.catalogue.label(backend, Dialect::Unknown, name).unwrap_or_else(|| "".into())
    }
}

/// A model that never leaves has no time at which it does.
fn expiry(held: &Resident) -> Option<f64> {
    match held.expires? {
        Expiry::At(at) => Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs_f64()),
        Expiry::Never => None,
    }
}

const BACKEND_INFO: Spec = Spec {
    name: "ollama_proxy_backend_info",
    help: "Always 1; the labels say which server the backend is, and where it stands.",
    labels: &["backend", "runtime", "version", "node", "zone"],
    buckets: buckets::NONE,
};
const MODEL_INFO: Spec = Spec {
    name: "ollama_proxy_model_info",
    help: "Always 1; the labels say what a listed model is.",
    labels: &["model", "backend", "revision", "quant", "family", "parameter_size", "format"],
    buckets: buckets::NONE,
};
const LOADED: Spec = Spec {
    name: "ollama_proxy_model_loaded",
    help: "Whether a listed model is in memory.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const VRAM: Spec = Spec {
    name: "ollama_proxy_model_vram_bytes",
    help: "Memory of GPUs that a loaded model takes.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const SIZE: Spec = Spec {
    name: "ollama_proxy_model_size_bytes",
    help: "Memory that a loaded model takes on all devices.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const CONTEXT: Spec = Spec {
    name: "ollama_proxy_model_context_length",
    help: "Tokens of context that a loaded model was given.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const EXPIRES: Spec = Spec {
    name: "ollama_proxy_model_expires_timestamp_seconds",
    help: "When a loaded model leaves memory unless it is used; absent where it never does.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const WAITING: Spec = Spec {
    name: "ollama_proxy_backend_requests_waiting",
    help: "Requests that wait in the backend, by its own count.",
    labels: &["backend", "model"],
    buckets: buckets::NONE,
};
const RUNNING: Spec = Spec {
    name: "ollama_proxy_backend_requests_running",
    help: "Requests that the backend works on, by its own count.",
    labels: &["backend", "model"],
    buckets: buckets::NONE,
};
const KV_CACHE: Spec = Spec {
    name: "ollama_proxy_backend_kv_cache_usage_ratio",
    help: "Used share of the backend's key-value cache, by its own account.",
    labels: &["backend", "model"],
    buckets: buckets::NONE,
};
const LOADS: Spec = Spec {
    name: "ollama_proxy_model_loads_total",
    help: "Times that a model was seen to have come into memory; a lower bound, since what comes and goes between two \
           looks is not seen.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
const EVICTIONS: Spec = Spec {
    name: "ollama_proxy_model_evictions_total",
    help: "Times that a model was seen to have left memory; a lower bound, since what comes and goes between two looks \
           is not seen.",
    labels: &["model", "backend"],
    buckets: buckets::NONE,
};
