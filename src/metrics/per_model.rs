//! The families with the labels `model` and `backend` alone, and the exchanges in flight by phase.
//!
//! One table declares both the families and, for each model on each backend, the handles of their series. A handle is
//! created at its first use and then read without a lock, so a token costs a few atomic operations. A series that was
//! never fed is absent.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use hashbrown::{Equivalent, HashMap};
use prometheus::{Gauge, IntCounter, IntGauge};

use super::declare::{Registrar, families};
use super::family::Family;
use super::handle_cache::HandleCache;
use super::histogram::Histogram;
use super::labels;
use super::traced::TracedHistogram;
use crate::backend::catalogue::Catalogue;
use crate::backend::inventory::Inventory;
use crate::exchange::outcome::Phase;
use crate::exchange::vocabulary::Dialect;

/// Declares families with the labels `model` and `backend` ([`families!`] without the labels), and their handles.
macro_rules! per_model {
    ($($field:ident: $child:ty = $name:literal $(buckets $buckets:ident)? $help:literal;)+) => {
        families! {
            /// The families, without the handles.
            pub(super) struct Families {
                in_phase: Family<IntGauge> = "ollama_proxy_exchanges_in_phase" ["model", "backend", "phase"]
                    "Requests in flight, by how far they have come; where the backend has no queue of its own to tell, \
                     those that wait are it, loads, prefills and what is not streamed among them.";
                $($field: Family<$child> = $name ["model", "backend"] $(buckets $buckets)? $help;)+
            }
        }

        /// The handles of one model on one backend. Each is created at its first use.
        pub(super) struct Series {
            families: Arc<Families>,
            /// The model's label.
            model: Arc<str>,
            backend: Arc<str>,
            /// Smoothed tokens per chunk; `None` before the first stream that gives them.
            tokens_per_chunk_estimate: Mutex<Option<f64>>,
            handles: HandleCache,
            /// By the phase, in the order of [`Phase::ALL`].
            in_phase: OnceLock<[IntGauge; Phase::ALL.len()]>,
            $($field: OnceLock<$child>,)+
        }

        impl Series {
            fn new(families: &Arc<Families>, model: &str, backend: &Arc<str>) -> Self {
                Self {
                    families: Arc::clone(families),
                    model: model.into(),
                    backend: Arc::clone(backend),
                    tokens_per_chunk_estimate: Mutex::default(),
                    handles: HandleCache::default(),
                    in_phase: OnceLock::new(),
                    $($field: OnceLock::new(),)+
                }
            }

            $(pub(super) fn $field(&self) -> &$child {
                self.$field.get_or_init(|| self.families.$field.child(&[&self.model, &self.backend]))
            })+
        }
    };
}

per_model! {
    requests_ended: IntCounter = "ollama_proxy_requests_ended_total"
        "Requests that ended, however they did; at 0 before the first, so that shares of it are exact.";
    requests_failed: IntCounter = "ollama_proxy_requests_failed_total"
        "Those of them that count in errors_total.";
    active_requests: IntGauge = "ollama_proxy_active_requests" "Requests in flight.";
    active_generations: IntGauge = "ollama_proxy_active_generations" "Generations in flight at the backend.";
    time_to_first_byte: Histogram = "ollama_proxy_time_to_first_byte_seconds" buckets FirstToken
        "Time from the request's head to the first byte of the response's body.";
    time_to_first_token: TracedHistogram = "ollama_proxy_time_to_first_token_seconds" buckets FirstToken
        "Time from the request's head to the first streamed event with text, thinking or tool data.";
    time_to_first_answer_token: Histogram = "ollama_proxy_time_to_first_answer_token_seconds" buckets FirstToken
        "Time from the request's head to the first streamed event with text or tool data.";
    time_to_first_token_excluding_load: Histogram = "ollama_proxy_time_to_first_token_excluding_load_seconds" buckets FirstToken
        "Time to first token less the load that the backend reported.";
    inter_token_latency: Histogram = "ollama_proxy_inter_token_latency_seconds" buckets Token
        "Gap between two streamed token-bearing events; events of one frame share its gap.";
    time_per_output_token: TracedHistogram = "ollama_proxy_time_per_output_token_seconds" buckets Token
        "Decode time of one exchange over its generated tokens after the first.";
    tokens_per_second: Histogram = "ollama_proxy_tokens_per_second" buckets Rate
        "Decode rate of one exchange in tokens per second, from the backend's durations, else as observed.";
    model_load_duration: TracedHistogram = "ollama_proxy_model_load_duration_seconds" buckets Load
        "Reported load of a model that was cold; Ollama's figure includes queueing.";
    prefill_duration: Histogram = "ollama_proxy_prefill_duration_seconds" buckets FirstToken
        "Reported processing of the part of the prompt that was not cached.";
    decode_duration: Histogram = "ollama_proxy_decode_duration_seconds" buckets Duration "Reported generation.";
    stream_chunks: IntCounter = "ollama_proxy_stream_chunks_total"
        "Streamed token-bearing events, counted as they pass.";
    stream_stalls: IntCounter = "ollama_proxy_stream_stalls_total"
        "Gaps between token-bearing frames above the configured threshold.";
    cached_prompt_tokens: IntCounter = "ollama_proxy_cached_prompt_tokens_total"
        "Prompt tokens taken from a cache, where reported.";
    reasoning_tokens: IntCounter = "ollama_proxy_reasoning_tokens_total"
        "Generated tokens that were thinking, where reported.";
    tokens_per_chunk: Gauge = "ollama_proxy_tokens_per_chunk_ratio"
        "Tokens in a streamed token-bearing event, smoothed over finished streams; never applied to a count.";
}

/// Weight of the newest stream in the exponential smoothing of tokens per chunk: about the last ten streams count.
const NEWEST_WEIGHT: f64 = 0.1;

impl Series {
    /// The model's label.
    pub(super) fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// Cached handles of families that have further labels.
    pub(super) fn handles(&self) -> &HandleCache {
        &self.handles
    }

    /// The gauge of exchanges in this phase. The first use creates the gauges of all phases.
    pub(super) fn in_phase(&self, phase: Phase) -> &IntGauge {
        let gauges = self.in_phase.get_or_init(|| {
            let gauge = |phase: Phase| self.families.in_phase.child(&[&self.model, &self.backend, phase.as_str()]);
            std::array::from_fn(|at| gauge(Phase::ALL[at]))
        });
        &gauges[phase as usize]
    }

    /// The backend's name.
    pub(super) fn backend(&self) -> &str {
        &self.backend
    }

    /// Creates what streams count at 0: the streams themselves too, by which stalls are divided.
    pub(super) fn create_stream_counters(&self) {
        self.stream_chunks();
        self.stream_stalls();
        self.time_to_first_token();
    }

    /// Creates the counters of requests that end at 0, both together: of a series that begins with a count, `increase` and
    /// `rate` do not see that count, and a share of two of which one begins so is wrong.
    pub(super) fn create_end_counters(&self) {
        self.requests_ended();
        self.requests_failed();
    }

    /// Counts a request that has ended.
    pub(super) fn count_end(&self, failed: bool) {
        self.requests_ended().inc();
        self.requests_failed().inc_by(u64::from(failed));
    }

    /// Records a finished stream with `tokens` reported tokens in `chunks` token-bearing events.
    pub(super) fn observe_tokens_per_chunk(&self, tokens: u64, chunks: u64) {
        if tokens == 0 || chunks == 0 {
            return;
        }
        let newest = tokens as f64 / chunks as f64;
        let mut estimate = self.tokens_per_chunk_estimate.lock().unwrap_or_else(PoisonError::into_inner);
        let smoothed = estimate.map_or(newest, |known| known + NEWEST_WEIGHT * (newest - known));
        *estimate = Some(smoothed);
        self.tokens_per_chunk().set(smoothed);
    }
}

type SeriesByLabels = HashMap<(Arc<str>, Box<str>), Arc<Series>>;

/// The labels of a series: the backend's and the model's.
#[derive(Hash)]
struct SeriesLabels<'a>(&'a str, &'a str);

impl Equivalent<(Arc<str>, Box<str>)> for SeriesLabels<'_> {
    fn equivalent(&self, (backend, model): &(Arc<str>, Box<str>)) -> bool {
        *self.0 == **backend && *self.1 == **model
    }
}

/// The handles of every model on every backend that an exchange had. The cap on model labels bounds their number.
pub(super) struct PerModel {
    families: Arc<Families>,
    series: RwLock<SeriesByLabels>,
}

impl PerModel {
    /// The gauges of exchanges in flight whose model is not known start at 0, and so do the counters of those that end.
    pub(super) fn new(registrar: &Registrar<'_>, backends: &[Arc<str>]) -> Self {
        let per_model = Self { families: Arc::new(Families::register(registrar)), series: RwLock::default() };
        for backend in backends {
            let none = per_model.series(labels::NONE, backend);
            none.active_requests();
            none.in_phase(Phase::Upload);
            none.create_end_counters();
            let unknown = per_model.series(labels::UNKNOWN, backend);
            unknown.active_requests();
            unknown.in_phase(Phase::Upload);
            unknown.active_generations();
            unknown.create_end_counters();
        }
        per_model
    }

    /// Creates the counters of requests that end at 0 for the models that the backend lists, and for requests without one.
    pub(super) fn listed(&self, catalogue: &Catalogue, backend: &Arc<str>, inventory: &Inventory) {
        [labels::NONE, labels::UNKNOWN].iter().for_each(|model| self.series(model, backend).create_end_counters());
        for model in inventory.models.iter().filter(|_| inventory.polled) {
            if let Some(label) = catalogue.label(backend, Dialect::Unknown, &model.name) {
                self.series(&label, backend).create_end_counters();
            }
        }
    }

    /// The handles for a model's label.
    pub(super) fn series(&self, model: &str, backend: &Arc<str>) -> Arc<Series> {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&SeriesLabels(backend, model)) {
            return Arc::clone(series);
        }
        drop(known);
        let mut known = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Series::new(&self.families, model, backend));
        Arc::clone(known.entry((Arc::clone(backend), model.into())).or_insert_with(new))
    }
}
