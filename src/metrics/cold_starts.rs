//! How often a model had to be loaded for an exchange, and why.

use prometheus::IntCounter;

use super::buckets;
use super::family::{Family, Register, Spec};
use super::per_model::Series;
use crate::exchange::outcome::{ColdCause, Outcome};
use crate::exchange::record::Record;

pub(super) struct ColdStarts(Family<IntCounter>);

impl ColdStarts {
    pub(super) fn register(register: &Register<'_>) -> Self {
        Self(register.family(COLD_STARTS))
    }

    /// A completed generation that was warm makes every cause's 0 known, from which the first cold start is seen.
    pub(super) fn finished(&self, series: &Series, record: &Record) {
        let completed = record.is_generation() && record.outcome == Outcome::Completed;
        if (completed || record.cold.is_some()) && series.meet_memory() {
            ColdCause::ALL.iter().for_each(|cause| drop(self.of(series, *cause)));
        }
        if let Some(cold) = &record.cold {
            self.of(series, cold.cause).inc();
        }
    }

    fn of(&self, series: &Series, cause: ColdCause) -> IntCounter {
        self.0.child(&[series.model(), series.backend(), cause.as_str()])
    }
}

const COLD_STARTS: Spec = Spec {
    name: "ollama_proxy_cold_starts_total",
    help: "Requests that waited until their model was loaded, by why it was not in memory; a lower bound, since a model \
           that comes and goes between two looks at the backend's memory may not be seen.",
    labels: &["model", "backend", "cause"],
    buckets: buckets::NONE,
};
