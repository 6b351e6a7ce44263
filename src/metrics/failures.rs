//! Errors, cancellations, wasted tokens, missing usage, and defects in what backends send.

use std::sync::Arc;

use prometheus::IntCounter;

use super::declare::{Registrar, families};
use super::family::Family;
use super::handle_cache::EndHandles;
use super::labels;
use super::number::{MAX_TOKENS, whole};
use super::per_model::Series;
use crate::exchange::outcome::{ErrorType, Outcome, Phase};
use crate::exchange::record::Record;
use crate::exchange::vocabulary::{Defect, Dialect, Source};

families! {
    /// Failures, waste and defects.
    pub(super) struct Failures {
        errors: Family<IntCounter> = "ollama_proxy_errors_total" ["model", "backend", "error_type", "origin"]
            "Requests that failed, by what went wrong and whose doing it was.";
        cancellations: Family<IntCounter> = "ollama_proxy_client_cancellations_total" ["model", "backend", "phase"]
            "Requests whose client left before the end, by how far they had come.";
        wasted: Family<IntCounter> = "ollama_proxy_wasted_tokens_total" ["model", "backend", "phase"]
            "Tokens generated for clients that left before the end, by the best count there is.";
        usage_missing: Family<IntCounter> = "ollama_proxy_usage_missing_total" ["model", "backend", "endpoint"]
            "Completed generations without a reported count of tokens.";
        truncation: Family<IntCounter> = "ollama_proxy_prompt_truncation_suspected_total" ["model", "backend"]
            "Completed generations whose prompt cannot fit what the backend says it read.";
        defects: Family<IntCounter> = "ollama_proxy_parse_defects_total" ["dialect", "kind"]
            "Parts of responses that could not be understood; traffic is not touched by them.";
    }
}

impl Failures {
    /// Series that are known in advance start at 0, so that the first failure shows in a rate: for each backend the
    /// failures of requests without a known model (a model's follow with its first request), and every kind of defect.
    pub(super) fn new(registrar: &Registrar<'_>, backends: &[Arc<str>]) -> Self {
        let failures = Self::register(registrar);
        for backend in backends {
            [labels::NONE, labels::UNKNOWN].iter().for_each(|model| failures.create_series(model, backend));
        }
        for dialect in Dialect::ALL {
            Defect::ALL.iter().for_each(|defect| drop(failures.defect(dialect, *defect)));
        }
        failures
    }

    /// Creates the failures of a model at 0: a series that begins with its first failure never shows it in a rate.
    pub(super) fn create_series(&self, model: &str, backend: &str) {
        // Only with several backends can there be none that may be asked, and then the request counts on none.
        let errors = ErrorType::ALL.iter().filter(|error| **error != ErrorType::NoBackend);
        errors.for_each(|error| drop(self.error(model, backend, *error)));
        Phase::ALL.iter().for_each(|phase| drop(self.cancellations.child(&[model, backend, phase.as_str()])));
        drop(self.wasted.child(&[model, backend, Phase::Decode.as_str()]));
    }

    /// Creates what only generations on this endpoint count, at 0.
    pub(super) fn create_generation_series(&self, model: &str, backend: &str, endpoint: &str) {
        drop(self.usage_missing.child(&[model, backend, endpoint]));
        drop(self.truncation.child(&[model, backend]));
    }

    pub(super) fn finished(&self, series: &Series, end: &EndHandles, record: &Record) {
        let model = &**series.model();
        let (route, backend) = (record.start.route, record.backend());
        if let Some(error) = record.error {
            self.error(model, backend, error).inc();
        }
        if record.outcome == Outcome::ClientCancelled {
            self.cancelled(model, backend, record);
        }
        if record.outcome == Outcome::Completed && record.is_generation() {
            let reported = record.generated_tokens.is_some_and(|count| count.source == Source::Reported);
            let labels = [model, backend, route.endpoint];
            end.usage_missing.with(&self.usage_missing, &labels, |missing| missing.inc_by(u64::from(!reported)));
            let suspected = u64::from(record.truncation_suspected);
            series.handles().truncation.with(&self.truncation, &[model, backend], |cut| cut.inc_by(suspected));
        }
        for (defect, times) in record.defects.iter() {
            let labels = [route.dialect.as_str(), defect.as_str()];
            let count = |defects: &IntCounter| defects.inc_by(u64::from(times));
            series.handles().with_defect(route.dialect, defect, |handle| handle.with(&self.defects, &labels, count));
        }
    }

    pub(super) fn truncation_suspected(&self, model: &str, backend: &str, prompts: u64) {
        self.truncation.child(&[model, backend]).inc_by(prompts);
    }

    fn cancelled(&self, model: &str, backend: &str, record: &Record) {
        let phase = record.phase.as_str();
        self.cancellations.child(&[model, backend, phase]).inc();
        let wasted = record.best_generated().filter(|_| record.phase == Phase::Decode);
        if let Some(tokens) = wasted.and_then(|count| whole(count.value, MAX_TOKENS)) {
            self.wasted.child(&[model, backend, phase]).inc_by(tokens);
        }
    }

    fn error(&self, model: &str, backend: &str, error: ErrorType) -> IntCounter {
        self.errors.child(&[model, backend, error.as_str(), error.origin().as_str()])
    }

    fn defect(&self, dialect: Dialect, defect: Defect) -> IntCounter {
        self.defects.child(&[dialect.as_str(), defect.as_str()])
    }
}
