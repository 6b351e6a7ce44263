//! How often a model had to be loaded for an exchange, and why.

use prometheus::IntCounter;

use super::declare::families;
use super::family::Family;
use super::per_model::Series;
use crate::backend::catalogue::Catalogue;
use crate::backend::inventory::Inventory;
use crate::exchange::outcome::ColdCause;
use crate::exchange::record::Record;
use crate::exchange::vocabulary::Dialect;

families! {
    /// Cold starts by cause.
    pub(super) struct ColdStarts {
        total: Family<IntCounter> = "ollama_proxy_cold_starts_total" ["model", "backend", "cause"]
            "Requests that waited until their model was loaded, by why it was not in memory; a lower bound, since a \
             model that comes and goes between two looks at the backend's memory may not be seen.";
    }
}

impl ColdStarts {
    /// Creates the series of every cause at 0.
    pub(super) fn create_series(&self, series: &Series) {
        ColdCause::ALL.iter().for_each(|cause| drop(self.child(series, *cause)));
    }

    /// Creates the series of first cold starts of the models that the backend lists and may load, at 0: a load may be
    /// shorter than the time between two scrapes.
    pub(super) fn listed(&self, catalogue: &Catalogue, backend: &str, inventory: &Inventory) {
        for model in inventory.models.iter().filter(|model| inventory.polled && !model.remote) {
            if let Some(label) = catalogue.label(backend, Dialect::Unknown, &model.name) {
                drop(self.total.child(&[&label, backend, ColdCause::First.as_str()]));
            }
        }
    }

    pub(super) fn finished(&self, series: &Series, record: &Record) {
        if let Some(cold) = &record.cold {
            self.child(series, cold.cause).inc();
        }
    }

    /// A cold start of an exchange that has ended.
    pub(super) fn confirmed(&self, model: &str, backend: &str, cause: ColdCause) {
        self.total.child(&[model, backend, cause.as_str()]).inc();
    }

    fn child(&self, series: &Series, cause: ColdCause) -> IntCounter {
        self.total.child(&[series.model(), series.backend(), cause.as_str()])
    }
}
