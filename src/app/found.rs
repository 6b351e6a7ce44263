//! Tells everybody what the backend's room found out: the metrics all of it, the exchanges what is in memory and what its
//! models are called.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::backend::catalogue::{Answered, Catalogue};
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, Resident, Runtime};
use crate::backend::report::Report;
use crate::backend::track::Change;
use crate::exchange::names::{NamedModel, Names};
use crate::exchange::residency::{Held, Residency};
use crate::exchange::vocabulary::{Dialect, Engine};
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;

pub(super) struct Found {
    pub(super) metrics: Arc<Metrics>,
    pub(super) residency: Arc<Residency>,
    pub(super) log: AccessLog,
}

impl Report for Found {
    fn probed(&self, backend: &Arc<str>, up: bool, took: Duration) {
        self.metrics.probed(backend, up, took);
    }

    fn listed(&self, backend: &Arc<str>, inventory: &Inventory) {
        self.residency.elsewhere(backend, inventory.elsewhere());
        self.metrics.listed(backend, inventory);
    }

    fn looks(&self, backend: &Arc<str>) {
        self.residency.looks(backend);
    }

    fn refuses(&self, backend: &Arc<str>) {
        self.residency.refuses(backend);
    }

    fn resident(&self, backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        self.metrics.resident(backend, inventory, changes);
        let Some(held) = inventory.held() else { return };
        let held = held.map(|(name, resident)| in_memory(name, resident));
        let cut = if inventory.polled {
            self.residency.looked(backend, held, SystemTime::now())
        } else {
            self.residency.serves(backend, held)
        };
        for (model, prompts) in cut {
            self.metrics.truncation_suspected(backend, model, prompts);
            self.log.warn_of_cut_before(backend, model, prompts);
        }
    }

    fn load(&self, backend: &Arc<str>, load: &[EngineLoad]) {
        self.metrics.load(backend, load);
    }
}

fn in_memory<'a>(name: &'a str, resident: &Resident) -> Held<'a> {
    let expires = match resident.expires {
        Some(Expiry::At(at)) => Some(at),
        Some(Expiry::Never) | None => None,
    };
    Held { name, context: resident.context, expires }
}

impl Names for Catalogue {
    fn requested(&self, backend: &str, dialect: Dialect, name: &str) -> NamedModel {
        self.label(backend, dialect, name).map_or_else(|| name.into(), NamedModel::listed)
    }

    fn answered(&self, backend: &str, dialect: Dialect, name: &str) -> Option<NamedModel> {
        match Self::answered(self, backend, dialect, name) {
            Answered::Label(label) => Some(NamedModel::listed(label)),
            Answered::Other | Answered::Unlisted => None,
        }
    }

    fn engine(&self, backend: &str) -> Engine {
        match self.runtime(backend) {
            Runtime::Ollama => Engine::Ollama,
            Runtime::Sglang => Engine::Sglang,
            Runtime::Unknown => Engine::Unknown,
            Runtime::LlamaCpp | Runtime::Vllm | Runtime::Tgi | Runtime::LmStudio => Engine::Other,
        }
    }
}
