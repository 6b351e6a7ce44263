//! One line a finished exchange, one hint a process, and one warning a model whose prompts are probably cut.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::metadata::Kind;
use tracing::{Level, enabled, info};

use super::line::{Lines, Name, Value};
use crate::exchange::outcome::{Malformed, Outcome};
use crate::exchange::record::{Method, Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::wire::route::Dialect;

/// Writes a line when an exchange is over. The endpoint is a template and the path is never written. Its clones stay one.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<State>);

#[derive(Debug)]
struct State {
    lines: AtomicBool,
    hinted: AtomicBool,
    /// Models that were warned about.
    cut: Mutex<HashSet<Box<str>>>,
}

/// Models that are warned about, each once.
const MAX_WARNED: usize = 200;

impl AccessLog {
    /// With or without the lines; the hint about `--host-header` is given either way.
    #[must_use]
    pub fn new(lines: bool) -> Self {
        Self(Arc::new(State { lines: lines.into(), hinted: false.into(), cut: Mutex::default() }))
    }

    /// With or without the lines from now on.
    pub fn set(&self, lines: bool) {
        self.0.lines.store(lines, Ordering::Relaxed);
    }

    /// The first time for each model; every time it is in the exchange's line and in the counter.
    fn warn_of_cut(&self, record: &Record) {
        let Some(model) = record.model().filter(|_| record.truncation_suspected) else { return };
        let mut warned = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// So many prompts of exchanges that have ended are found to have been cut by now. Said the first time for each model.
    pub fn warn_of_cut_before(&self, backend: &str, model: &str, prompts: u64) {
        let mut warned = self.0.cut.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn hint(&self, record: &Record) {
        if refused_by_host(record) && !self.0.hinted.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                backend = record.backend(),
                "the backend answered 403 without a body: Ollama does so for a Host or Origin that it does not allow; \
                 `--host-header upstream` sends the backend's own name, OLLAMA_ORIGINS on the backend allows origins"
            );
        }
    }
}

/// Whether the answer looks like that of Ollama's check against DNS rebinding (`allowedHostsMiddleware`).
fn refused_by_host(record: &Record) -> bool {
    record.status == 403
        && record.response_bytes == 0
        && record.outcome == Outcome::HttpError
        && record.start.method != Method::Head
        && record.start.route.dialect == Dialect::Ollama
}

impl Sink for AccessLog {
    type Watch = Line;

    fn started(&self, _start: &Start) -> Line {
        Line(self.clone())
    }

    fn refused(&self, why: Malformed) {
        tracing::debug!(kind = why.as_str(), "refused a request before it became an exchange");
    }
}

/// The line of one exchange.
#[derive(Debug)]
pub struct Line(AccessLog);

impl Watch for Line {
    fn finished(&mut self, record: &Record) {
        if self.0.0.lines.load(Ordering::Relaxed) {
            write(record);
        }
        self.0.hint(record);
        self.0.warn_of_cut(record);
    }
}

/// What a line says.
const MESSAGE: &str = "exchange finished";

/// Hands the fields of a line to a macro, in their order: the names with their values, and last the one that is shown
/// without quotes.
macro_rules! with_fields {
    ($record:ident, $consumer:ident) => {
        $consumer! {
            method = $record.start.method.as_str(),
            endpoint = $record.start.route.endpoint,
            status = $record.status,
            model = $record.model(),
            outcome = $record.outcome.as_str(),
            error = $record.error.map(|error| error.as_str()),
            ttft_ms = $record.time_to_first_token.map(millis),
            prompt_tokens = $record.prompt_tokens.map(|count| count.value),
            generated_tokens = $record.generated_tokens.map(|count| count.value),
            cold = $record.cold.as_ref().map(|cold| cold.cause.as_str()),
            evicted_by = $record.cold.as_ref().and_then(|cold| cold.by.as_deref()),
            prompt_cut_suspected = $record.truncation_suspected.then_some(true),
            duration_ms = millis($record.duration);
            trace_id = $record.start.trace
        }
    };
}

/// Straight into the log where that takes it, else as an event; the level and the directives decide about both alike.
fn write(record: &Record) {
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
            |lines: &Lines| lines.write(module_path!(), MESSAGE, |line| {
                $($value.write(name!($name), line);)*
                $bare.write(name!($last), line);
            })
        };
    }
    macro_rules! name {
        ($name:ident) => {
            Name { text: concat!(" ", stringify!($name), "="), json: concat!(",\"", stringify!($name), "\":") }
        };
    }
    if with_fields!(record, is_wanted) && Lines::with_current(with_fields!(record, line)).is_none() {
        with_fields!(record, event);
    }
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    let micros = u64::from((duration.subsec_nanos() + 500) / 1000);
    duration.as_secs().saturating_mul(1_000_000).saturating_add(micros) as f64 / 1e3
}
