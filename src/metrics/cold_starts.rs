//! How often a model had to be loaded for an exchange, and why.

use prometheus::IntCounter;

use super::declare::families;
use super::family::Family;
use super::per_model::Series;
use crate::exchange::outcome::{ColdCause, Outcome};
use crate::exchange::record::Record;

families! {
    /// Cold starts by cause.
    pub(super) struct ColdStarts {
        total: Family<IntCounter> = "ollama_proxy_cold_starts_total" ["model", "backend", "cause"]
            "Requests that waited until their model was loaded, by why it was not in memory; a lower bound, since a \
             model that comes and goes between two looks at the backend's memory may not be seen.";
    }
}

impl ColdStarts {
    /// The first completed generation creates the series of every cause at 0, so that the first cold start shows in a
    /// rate.
    pub(super) fn finished(&self, series: &Series, record: &Record) {
        let completed = record.is_generation() && record.outcome == Outcome::Completed;
        if (completed || record.cold.is_some()) && series.is_first_residency() {
            ColdCause::ALL.iter().for_each(|cause| drop(self.child(series, *cause)));
        }
        if let Some(cold) = &record.cold {
            self.child(series, cold.cause).inc();
        }
    }

    fn child(&self, series: &Series, cause: ColdCause) -> IntCounter {
        self.total.child(&[series.model(), series.backend(), cause.as_str()])
    }
}
