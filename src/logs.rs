//! The log on standard error: its format, its level, and the access log of finished exchanges.
//!
//! Promises: logging never blocks or ends the program. Lines go through a bounded queue to a writer thread; where
//! standard error is full or closed they are dropped and counted. No line contains a query, a client's address, a
//! credential, a prompt or an answer.

pub mod access;
mod kept;
mod line;
mod queue;

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer as Layered, Registry, reload};

use kept::KeepLines;
use line::AccessLines;
use queue::{LineQueue, WriterGuard};

pub use kept::{KeptLine, KeptLines};
pub use line::LogFormat;

/// An invalid level or directive. Its text says what is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct FilterError;

impl fmt::Display for FilterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "expected off, error, warn, info, debug or trace, or directives such as `info,inferometer::backend=debug`",
        )
    }
}

impl std::error::Error for FilterError {}

/// Parses a level or a list of `target=level`. Stricter than the library, which takes a misspelt level for the name of
/// a target to be traced.
pub fn parse_filter(text: &str) -> Result<EnvFilter, FilterError> {
    let is_level = |word: &str| !word.is_empty() && word.parse::<u8>().is_err() && word.parse::<LevelFilter>().is_ok();
    let known = |part: &str| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level).trim());
    if !text.split(',').all(known) {
        return Err(FilterError);
    }
    EnvFilter::builder().parse(text).map_err(|_| FilterError)
}

/// Keeps the writer thread. Dropping it writes the queued lines, for at most 1.5 seconds.
#[derive(Debug)]
pub struct Logs(WriterGuard, KeptLines);

impl Logs {
    /// What the log says, for the history. Nothing is kept before [`KeptLines::begin`].
    #[must_use]
    pub fn kept(&self) -> KeptLines {
        self.1.clone()
    }

    /// A function that reads how many lines were dropped because standard error did not accept them.
    pub fn dropped_counter(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        self.0.dropped_counter()
    }
}

/// Changes the level while the program runs.
#[derive(Clone, Debug)]
pub struct LevelHandle(reload::Handle<EnvFilter, Registry>);

impl LevelHandle {
    /// Logs what this filter accepts from now on.
    pub fn set(&self, filter: EnvFilter) {
        // It fails only when the log was closed, so that the failure cannot be logged.
        let _ = self.0.reload(filter);
    }
}

/// Starts the log of this process on standard error.
///
/// # Errors
/// When the system cannot create a thread, or the log was started before.
#[expect(clippy::disallowed_methods, reason = "NO_COLOR is everybody's variable, and no setting of ours")]
pub fn start(filter: EnvFilter, format: LogFormat) -> io::Result<(Logs, LevelHandle)> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (queue, guard) = queue::start(io::stderr())?;
    let (filter, level) = reload::Layer::new(filter);
    let kept = KeptLines::default();
    let keep = KeepLines(kept.clone());
    let set = match format {
        LogFormat::Text => tracing::subscriber::set_global_default(text(filter, queue, colour).with(keep)),
        LogFormat::Json => tracing::subscriber::set_global_default(json(filter, queue).with(keep)),
    };
    set.map_err(io::Error::other)?;
    Ok((Logs(guard, kept), LevelHandle(level)))
}

fn text(filter: impl Layered<Registry> + Send + Sync, queue: LineQueue, colour: bool) -> impl Subscriber + Send + Sync {
    let lines = (!colour).then(|| AccessLines { format: LogFormat::Text, queue: queue.clone() });
    let layer = Layer::new().with_writer(queue).with_ansi(colour).with_target(false).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer).with(lines)
}

fn json(filter: impl Layered<Registry> + Send + Sync, queue: LineQueue) -> impl Subscriber + Send + Sync {
    let lines = AccessLines { format: LogFormat::Json, queue: queue.clone() };
    let layer = Layer::new().json().flatten_event(true).with_writer(queue).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer).with(lines)
}

#[cfg(test)]
mod tests;
