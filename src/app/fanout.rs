//! Passes what probes and surveys of the backends find on to the metrics, the exchanges and the log, and answers the
//! exchanges' questions about models from the catalogue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::backend::catalogue::{AnsweredName, Catalogue};
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, ListedModel, Resident, Runtime};
use crate::backend::report::Report;
use crate::backend::track::Change;
use crate::exchange::names::{ModelNames, NamedModel};
use crate::exchange::residency::{LoadedModel, PollFindings, Residency, Weights};
use crate::exchange::vocabulary::{Dialect, Engine};
use crate::fleet::Fleet;
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;

pub(super) struct Fanout {
    pub(super) metrics: Arc<Metrics>,
    pub(super) residency: Arc<Residency>,
    pub(super) access_log: AccessLog,
    pub(super) fleet: watch::Receiver<Arc<Fleet>>,
}

impl Report for Fanout {
    fn probed(&self, backend: &Arc<str>, up: bool, took: Duration) {
        self.metrics.probed(backend, up, took);
        let fleet = self.fleet.borrow().clone();
        if let Some(member) = fleet.member(backend).filter(|_| fleet.has_several()) {
            member.probed(up, Instant::now());
        }
    }

    fn listed(&self, backend: &Arc<str>, inventory: &Inventory) {
        self.residency.set_remote(backend, inventory.remote_models());
        self.residency.set_weights(backend, inventory.models.iter().map(|model| (&*model.name, weights(model))));
        self.metrics.listed(backend, inventory);
        let fleet = self.fleet.borrow().clone();
        fleet.member(backend).into_iter().for_each(|member| member.set_reported_slots(inventory.slots));
    }

    fn poll_begun(&self, backend: &Arc<str>) {
        self.residency.begin_poll(backend);
    }

    fn connection_refused(&self, backend: &Arc<str>) {
        self.residency.connection_refused(backend);
    }

    fn resident(&self, backend: &Arc<str>, inventory: &Inventory, changes: &[Change]) {
        self.metrics.resident(backend, inventory, changes);
        let Some(resident) = inventory.resident_names() else { return };
        let loaded = resident.map(|(name, resident)| in_memory(name, resident));
        let PollFindings { cut, cold } = if inventory.polled {
            self.residency.end_poll(backend, loaded, inventory.polled_at)
        } else {
            PollFindings { cut: self.residency.set_served(backend, loaded), ..PollFindings::default() }
        };
        for (model, cold) in cold {
            self.metrics.cold_start_confirmed(backend, model, cold.cause);
        }
        for (model, prompts) in cut {
            self.metrics.truncation_suspected(backend, model, prompts);
            self.access_log.warn_of_earlier_cuts(backend, model, prompts);
        }
    }

    fn load(&self, backend: &Arc<str>, load: &[EngineLoad]) {
        self.metrics.load(backend, load);
    }
}

/// What models with the same weights have in common.
fn weights(model: &ListedModel) -> Weights {
    let ListedModel { format, family, parameter_size, quant, .. } = model;
    Weights::new([format, family, parameter_size, quant].map(Option::as_deref))
}

fn in_memory<'a>(name: &'a str, resident: &Resident) -> LoadedModel<'a> {
    let expires = match resident.expires {
        Some(Expiry::At(at)) => Some(at),
        Some(Expiry::Never) | None => None,
    };
    LoadedModel { name, context: resident.context, expires }
}

impl ModelNames for Catalogue {
    fn requested(&self, backend: &str, dialect: Dialect, name: &str) -> NamedModel {
        self.label(backend, dialect, name).map_or_else(|| name.into(), NamedModel::listed)
    }

    fn answered(&self, backend: &str, dialect: Dialect, name: &str) -> Option<NamedModel> {
        match self.admit_answered(backend, dialect, name) {
            AnsweredName::Label(label) => Some(NamedModel::listed(label)),
            AnsweredName::Other | AnsweredName::Unlisted => None,
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
