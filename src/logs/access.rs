//! The access log: a line for each finished exchange, and two warnings: one about `--host-header`, once a process, and
//! one about prompts that are probably cut, once a model.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::metadata::Kind;
use tracing::{Level, enabled, info};

use super::line::{AccessLines, FieldName, FieldValue};
use crate::exchange::outcome::{Malformed, Outcome};
use crate::exchange::placement::PlacementReason;
use crate::exchange::record::{Method, Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::wire::route::Dialect;

/// Logs finished exchanges. The endpoint is a template; the path is never logged. Clones share their state.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<AccessState>);

#[derive(Debug)]
struct AccessState {
    lines_enabled: AtomicBool,
    has_hinted: AtomicBool,
    /// Models whose cut prompts were warned about, at most [`MAX_WARNED`].
    warned: Mutex<HashSet<Box<str>>>,
}

/// The most models that are warned about.
const MAX_WARNED: usize = 200;

impl AccessLog {
    /// With or without access log lines; the warnings are logged in either case.
    #[must_use]
    pub fn new(lines_enabled: bool) -> Self {
        Self(Arc::new(AccessState {
            lines_enabled: lines_enabled.into(),
            has_hinted: false.into(),
            warned: Mutex::default(),
        }))
    }

    /// Enables or disables access log lines.
    pub fn enable_lines(&self, enabled: bool) {
        self.0.lines_enabled.store(enabled, Ordering::Relaxed);
    }

    /// Warns of a prompt that was probably cut, once a model; every one is in its access log line and in the counter.
    fn warn_of_cut(&self, record: &Record) {
        let Some(model) = record.model().filter(|_| record.truncation_suspected) else { return };
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < MAX_WARNED && warned.insert(model.into()) {
            tracing::warn!(
                backend = record.backend(),
                model,
                prompt_characters = record.prompt_characters,
                prompt_tokens = record.prompt_tokens.map(|count| count.value),
                trace_id = %record.start.trace,
                "the backend probably cut a prompt without saying so: it says that it read fewer tokens than the prompt \
                 needs; a longer context on the backend (Ollama: num_ctx, OLLAMA_CONTEXT_LENGTH) takes it whole"
            );
        }
    }

    /// Warns of prompts of finished exchanges that turned out to be probably cut, once a model.
    pub fn warn_of_earlier_cuts(&self, backend: &str, model: &str, prompts: u64) {
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < MAX_WARNED && warned.insert(model.into()) {
            tracing::warn!(
                backend,
                model,
                prompts,
                "the backend probably cut prompts without saying so, before the length of its context was known: it read \
                 fewer tokens than they need; a longer context on the backend (Ollama: num_ctx, OLLAMA_CONTEXT_LENGTH) \
                 takes them whole"
            );
        }
    }

    fn hint_at_host_header(&self, record: &Record) {
        if is_refused_host(record) && !self.0.has_hinted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                backend = record.backend(),
                "the backend answered 403 without a body: Ollama does so for a Host or Origin that it does not allow; \
                 `--host-header upstream` sends the backend's own name, OLLAMA_ORIGINS on the backend allows origins"
            );
        }
    }
}

/// Whether the answer looks like Ollama's protection against DNS rebinding (`allowedHostsMiddleware`).
fn is_refused_host(record: &Record) -> bool {
    record.status == 403
        && record.response_bytes == 0
        && record.outcome == Outcome::HttpError
        && record.start.method != Method::Head
        && record.start.route.dialect == Dialect::Ollama
}

impl Sink for AccessLog {
    type Watch = AccessWatch;

    fn started(&self, _start: &Start) -> AccessWatch {
        AccessWatch(self.clone())
    }

    fn refused(&self, why: Malformed) {
        tracing::debug!(kind = why.as_str(), "refused a request before it became an exchange");
    }
}

/// Logs one exchange at its end.
#[derive(Debug)]
pub struct AccessWatch(AccessLog);

impl Watch for AccessWatch {
    fn finished(&mut self, record: &Record) {
        if self.0.0.lines_enabled.load(Ordering::Relaxed) {
            log(record);
        }
        self.0.hint_at_host_header(record);
        self.0.warn_of_cut(record);
    }
}

/// The message of a line.
pub(super) const MESSAGE: &str = "exchange finished";

/// Passes the fields of a line to a macro in their order: names and values, and last the one without quotes in text.
macro_rules! with_fields {
    ($record:ident, $consumer:ident) => {
        $consumer! {
            method = $record.start.method.as_str(),
            endpoint = $record.start.route.endpoint,
            status = $record.status,
            backend = $record.placement.as_ref().filter(|it| it.reason != PlacementReason::Only).map(|it| &*it.backend),
            placed = $record.placement.as_ref().map(|it| it.reason).filter(|it| *it != PlacementReason::Only).map(PlacementReason::as_str),
            model = $record.model(),
            client = $record.start.client.as_deref(),
            outcome = $record.outcome.as_str(),
            error = $record.error.map(|error| error.as_str()),
            ttft_ms = $record.time_to_first_token.map(millis),
            prompt_tokens = $record.prompt_tokens.map(|count| count.value),
            generated_tokens = $record.generated_tokens.map(|count| count.value),
            cold = $record.cold.as_ref().map(|cold| cold.cause.as_str()),
            evicted_by = $record.cold.as_ref().and_then(|cold| cold.evicted_by.as_deref()),
            prompt_cut_suspected = $record.truncation_suspected.then_some(true),
            duration_ms = millis($record.duration);
            trace_id = $record.start.trace
        }
    };
}

/// Writes the line directly if the subscriber has [`AccessLines`], else as an event. The filter applies to both.
fn log(record: &Record) {
    macro_rules! is_wanted {
        ($($name:ident = $value:expr),*; $last:ident = $bare:expr) => {
            enabled!(kind: Kind::EVENT, Level::INFO, message, $($name,)* $last)
        };
    }
    macro_rules! event {
        ($($name:ident = $value:expr),*; $last:ident = $bare:expr) => {
            info!($($name = $value,)* $last = %$bare, "{MESSAGE}")
        };
    }
    macro_rules! line {
        ($($name:ident = $value:expr),*; $last:ident = $bare:expr) => {
            |lines: &AccessLines| lines.write(module_path!(), MESSAGE, |line| {
                $($value.write(name!($name), line);)*
                $bare.write(name!($last), line);
            })
        };
    }
    macro_rules! name {
        ($name:ident) => {
            FieldName { text: concat!(" ", stringify!($name), "="), json: concat!(",\"", stringify!($name), "\":") }
        };
    }
    if with_fields!(record, is_wanted) && AccessLines::with_current(with_fields!(record, line)).is_none() {
        with_fields!(record, event);
    }
}

/// Milliseconds, rounded to the microsecond.
fn millis(duration: Duration) -> f64 {
    let micros = u64::from((duration.subsec_nanos() + 500) / 1000);
    duration.as_secs().saturating_mul(1_000_000).saturating_add(micros) as f64 / 1e3
}
