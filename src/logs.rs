//! What is written for people: the log's shape and level, and one line a finished exchange.
//!
//! Promises: writing never blocks or ends the program. Lines go through a bounded [`queue`] to a thread of their own;
//! where standard error is full or closed they are dropped and counted. No line holds a query, a client's address, a
//! credential, a prompt or an answer.

pub mod access;
mod line;
mod queue;

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer as Layered, Registry, reload};

use line::Lines;
use queue::{Guard, Queue};

/// The shape of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// Every shape.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// A level or a directive that is not one.
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

/// Reads a level or a list of `target=level`. Stricter than the library, for which a misspelt level is the name of a
/// target that is to be traced.
pub fn filter(text: &str) -> Result<EnvFilter, FilterError> {
    let is_level = |word: &str| !word.is_empty() && word.parse::<u8>().is_err() && word.parse::<LevelFilter>().is_ok();
    let known = |part: &str| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level).trim());
    if !text.split(',').all(known) {
        return Err(FilterError);
    }
    EnvFilter::builder().parse(text).map_err(|_| FilterError)
}

/// Keeps the log alive; dropping it writes what is still queued, for a second and a half at most.
#[derive(Debug)]
pub struct Logs(Guard);

impl Logs {
    /// Reads how many lines were dropped because standard error did not take them.
    pub fn dropped_counter(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        self.0.dropped_counter()
    }
}

/// Changes what is logged while the program runs.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    /// From now on, what this lets through.
    pub fn set(&self, filter: EnvFilter) {
        // It fails only where the log is gone, and then there is nobody to tell.
        let _ = self.0.reload(filter);
    }
}

/// Starts the log of this process on standard error.
///
/// # Errors
/// When the system gives no thread, and when it was started before.
pub fn start(filter: EnvFilter, format: Format) -> io::Result<(Logs, Level)> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (queue, guard) = queue::start(io::stderr())?;
    let (filter, level) = reload::Layer::new(filter);
    let set = match format {
        Format::Text => tracing::subscriber::set_global_default(text(filter, queue, colour)),
        Format::Json => tracing::subscriber::set_global_default(json(filter, queue)),
    };
    set.map_err(io::Error::other)?;
    Ok((Logs(guard), Level(level)))
}

fn text(filter: impl Layered<Registry> + Send + Sync, queue: Queue, colour: bool) -> impl Subscriber + Send + Sync {
    let lines = (!colour).then(|| Lines { format: Format::Text, queue: queue.clone() });
    let layer = Layer::new().with_writer(queue).with_ansi(colour).with_target(false).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer).with(lines)
}

fn json(filter: impl Layered<Registry> + Send + Sync, queue: Queue) -> impl Subscriber + Send + Sync {
    let lines = Lines { format: Format::Json, queue: queue.clone() };
    let layer = Layer::new().json().flatten_event(true).with_writer(queue).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer).with(lines)
}

#[cfg(test)]
mod tests;
