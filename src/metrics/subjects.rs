//! All subjects together: one field a file that holds families.

use std::sync::{Arc, OnceLock};

use super::backends::Backends;
use super::cold_starts::ColdStarts;
use super::declare::Registrar;
use super::energy::{self, EnergyAttribution};
use super::failures::Failures;
use super::gpu::{dcgm, neutral};
use super::history;
use super::host;
use super::models::{Models, Reported};
use super::per_model::{self, PerModel, Series};
use super::program::{self, Program};
use super::requests::Requests;
use super::router::{self, Router};
use super::spec::Spec;
use super::tokens::TokenCounts;
use crate::backend::catalogue::Catalogue;
use crate::exchange::record::Start;
use crate::exchange::vocabulary::Operation;

/// Every declared family, by subject; a family that this lacks is found by the tests of the exposition.
static ALL: &[&[&Spec]] = &[
    Requests::SPECS,
    per_model::Families::SPECS,
    TokenCounts::SPECS,
    ColdStarts::SPECS,
    Failures::SPECS,
    Backends::SPECS,
    Router::SPECS,
    router::FLEET,
    Reported::SPECS,
    Program::SPECS,
    program::REFUSALS,
    energy::SPECS,
    history::SPECS,
    host::MACHINE,
    host::GPUS,
    neutral::CARDS,
    neutral::SUMS,
    dcgm::FIELDS,
];

/// Every family that this program can expose, except `process_*`, which the prometheus crate declares.
pub fn families() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().copied().flatten().copied()
}

/// The families that exchanges and backends feed, and what labels them.
pub(super) struct Subjects {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) per_model: PerModel,
    pub(super) models: Models,
    pub(super) requests: Requests,
    pub(super) tokens: TokenCounts,
    pub(super) failures: Failures,
    pub(super) cold_starts: ColdStarts,
    pub(super) backends: Backends,
    pub(super) program: Program,
    /// Set where there is a choice among backends.
    pub(super) router: OnceLock<Router>,
    /// Set where energy is metered.
    pub(super) energy: OnceLock<EnergyAttribution>,
}

impl Subjects {
    /// Registers every family. Series whose labels are known in advance start at 0.
    pub(super) fn new(
        registrar: &Registrar<'_>,
        program: Program,
        backends: &[Arc<str>],
        catalogue: Arc<Catalogue>,
    ) -> Self {
        Self {
            models: Models::new(registrar, Arc::clone(&catalogue)),
            catalogue,
            per_model: PerModel::new(registrar, backends),
            requests: Requests::new(registrar),
            tokens: TokenCounts::register(registrar),
            failures: Failures::new(registrar, backends),
            cold_starts: ColdStarts::register(registrar),
            backends: Backends::register(registrar),
            program,
            router: OnceLock::new(),
            energy: OnceLock::new(),
        }
    }

    /// Creates the counters that exchanges like this one can feed on a model at 0: a series that begins with its first
    /// count never shows it in a rate. Called when the model is first named on the endpoint, before there is a count.
    pub(super) fn create_series(&self, start: &Start, series: &Series) {
        let (model, backend, route) = (&**series.model(), series.backend(), start.route);
        series.create_end_counters();
        self.requests.create_completed(start, model, backend);
        self.failures.create_series(model, backend);
        if route.operation.generates() {
            self.failures.create_generation_series(model, backend, route.endpoint);
            self.tokens.create_series(model, backend);
            series.create_stream_counters();
        }
        if route.operation.generates() || route.operation == Operation::Embeddings {
            self.cold_starts.create_series(series);
        }
    }
}
