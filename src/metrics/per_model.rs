//! Everything that has the labels `model` and `backend` and no other, and the exchanges in flight by how far they have come.
//!
//! One list of metrics makes both the families and, for each model on each backend, a set of handles. A handle is made
//! at its first use and then found without a lock, so a token costs a few atomic operations. A series that was never
//! fed is absent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use hashbrown::HashMap;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::family::{Family, Register, Spec};
use super::histogram::Histogram;
use super::remembered::Remembered;
use super::traced::TracedHistogram;
use super::{buckets, labels};
use crate::exchange::outcome::Phase;

macro_rules! per_model {
    ($($field:ident: $child:ty = $name:literal, $buckets:expr, $help:literal;)+) => {
        /// The families.
        struct Families {
            in_phase: Family<IntGauge>,
            $($field: Family<$child>,)+
        }

        impl Families {
            fn register(register: &Register<'_>) -> Self {
                Self {
                    in_phase: register.family(IN_PHASE),
                    $($field: register.family(Spec {
                        name: $name,
                        help: $help,
                        labels: &["model", "backend"],
                        buckets: $buckets,
                    }),)+
                }
            }
        }

        /// The handles of one model on one backend.
        pub(super) struct Series {
            families: Arc<Families>,
            /// Its label.
            model: Arc<str>,
            backend: Arc<str>,
            /// An exchange has named it.
            met: AtomicBool,
            /// An exchange has told whether it was in memory.
            memory_met: AtomicBool,
            /// Smoothed tokens per chunk; none before the first stream that tells.
            ratio: Mutex<Option<f64>>,
            remembered: Remembered,
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
                    met: AtomicBool::new(false),
                    memory_met: AtomicBool::new(false),
                    ratio: Mutex::default(),
                    remembered: Remembered::default(),
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
    active_requests: IntGauge = "ollama_proxy_active_requests", buckets::NONE,
        "Requests in flight.";
    active_generations: IntGauge = "ollama_proxy_active_generations", buckets::NONE,
        "Generations in flight at the backend.";
    time_to_first_byte: Histogram = "ollama_proxy_time_to_first_byte_seconds", buckets::FIRST,
        "Time from the request's head to the first byte of the response's body.";
    time_to_first_token: TracedHistogram = "ollama_proxy_time_to_first_token_seconds", buckets::FIRST,
        "Time from the request's head to the first streamed event with text, thinking or tool data.";
    time_to_first_answer_token: Histogram = "ollama_proxy_time_to_first_answer_token_seconds", buckets::FIRST,
        "Time from the request's head to the first streamed event with text or tool data.";
    time_to_first_token_excluding_load: Histogram =
        "ollama_proxy_time_to_first_token_excluding_load_seconds", buckets::FIRST,
        "Time to first token less the load that the backend reported.";
    inter_token_latency: Histogram = "ollama_proxy_inter_token_latency_seconds", buckets::TOKEN,
        "Gap between two streamed token-bearing events; events of one frame share its gap.";
    time_per_output_token: TracedHistogram = "ollama_proxy_time_per_output_token_seconds", buckets::TOKEN,
        "Decode time of one exchange over its generated tokens after the first.";
    tokens_per_second: Histogram = "ollama_proxy_tokens_per_second", buckets::RATE,
        "Decode rate of one exchange in tokens per second, from the backend's durations, else as observed.";
    model_load_duration: TracedHistogram = "ollama_proxy_model_load_duration_seconds", buckets::LOAD,
        "Reported load of a model that was cold; Ollama's figure includes queueing.";
    prefill_duration: Histogram = "ollama_proxy_prefill_duration_seconds", buckets::FIRST,
        "Reported processing of the part of the prompt that was not cached.";
    decode_duration: Histogram = "ollama_proxy_decode_duration_seconds", buckets::DURATION,
        "Reported generation.";
    stream_chunks: IntCounter = "ollama_proxy_stream_chunks_total", buckets::NONE,
        "Streamed token-bearing events, counted as they pass.";
    stream_stalls: IntCounter = "ollama_proxy_stream_stalls_total", buckets::NONE,
        "Gaps between token-bearing frames above the configured threshold.";
    cached_prompt_tokens: IntCounter = "ollama_proxy_cached_prompt_tokens_total", buckets::NONE,
        "Prompt tokens taken from a cache, where reported.";
    reasoning_tokens: IntCounter = "ollama_proxy_reasoning_tokens_total", buckets::NONE,
        "Generated tokens that were thinking, where reported.";
    tokens_per_chunk: Gauge = "ollama_proxy_tokens_per_chunk_ratio", buckets::NONE,
        "Tokens in a streamed token-bearing event, smoothed over finished streams; never applied to a count.";
}

const IN_PHASE: Spec = Spec {
    name: "ollama_proxy_exchanges_in_phase",
    help: "Requests in flight, by how far they have come; where the backend has no queue of its own to tell, those that \
           wait are it, loads, prefills and what is not streamed among them.",
    labels: &["model", "backend", "phase"],
    buckets: buckets::NONE,
};

/// Weight of the newest stream in the smoothed tokens per chunk: about the last ten streams count.
const NEWEST: f64 = 0.1;

impl Series {
    /// The model's label.
    pub(super) fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// Handles of families with other labels than these, or that are not listed above.
    pub(super) fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// The gauge of exchanges that have come this far. All phases are known from the first exchange on.
    pub(super) fn in_phase(&self, phase: Phase) -> &IntGauge {
        let gauges = self.in_phase.get_or_init(|| {
            let of = |phase: &Phase| self.families.in_phase.child(&[&self.model, &self.backend, phase.as_str()]);
            std::array::from_fn(|at| of(&Phase::ALL[at]))
        });
        &gauges[phase as usize]
    }

    /// The backend's name.
    pub(super) fn backend(&self) -> &str {
        &self.backend
    }

    /// True once: for the first exchange that names the model.
    pub(super) fn meet(&self) -> bool {
        is_first(&self.met)
    }

    /// True once: for the first exchange that tells whether the model was in memory.
    pub(super) fn meet_memory(&self) -> bool {
        is_first(&self.memory_met)
    }

    /// A finished stream had so many reported tokens in so many events.
    pub(super) fn learn_ratio(&self, tokens: u64, chunks: u64) {
        if tokens == 0 || chunks == 0 {
            return;
        }
        let newest = tokens as f64 / chunks as f64;
        let mut ratio = self.ratio.lock().unwrap_or_else(PoisonError::into_inner);
        let smoothed = ratio.map_or(newest, |known| known + NEWEST * (newest - known));
        *ratio = Some(smoothed);
        self.tokens_per_chunk().set(smoothed);
    }
}

/// Read first: a store would take the cache line from every other thread, at each exchange.
fn is_first(met: &AtomicBool) -> bool {
    !met.load(Ordering::Relaxed) && !met.swap(true, Ordering::Relaxed)
}

type Models = HashMap<Box<str>, Arc<Series>>;

/// The handles of every model on every backend that was met. As few as labels are: their values are capped.
pub(super) struct PerModel {
    families: Arc<Families>,
    backends: RwLock<HashMap<Arc<str>, Models>>,
}

impl PerModel {
    /// Nothing is in flight at first, and that is known.
    pub(super) fn register(register: &Register<'_>, backends: &[Arc<str>]) -> Self {
        let per_model = Self { families: Arc::new(Families::register(register)), backends: RwLock::default() };
        for backend in backends {
            let none = per_model.series(labels::NONE, backend);
            none.active_requests();
            none.in_phase(Phase::Upload);
            let unknown = per_model.series(labels::UNKNOWN, backend);
            unknown.active_requests();
            unknown.in_phase(Phase::Upload);
            unknown.active_generations();
        }
        per_model
    }

    /// The handles for a model's label.
    pub(super) fn series(&self, model: &str, backend: &Arc<str>) -> Arc<Series> {
        let known = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(backend).and_then(|models| models.get(model)) {
            return Arc::clone(series);
        }
        drop(known);
        let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        let models = backends.entry(Arc::clone(backend)).or_default();
        let series =
            models.entry(model.into()).or_insert_with(|| Arc::new(Series::new(&self.families, model, backend)));
        Arc::clone(series)
    }
}
