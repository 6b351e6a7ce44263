//! What is written for people: the log's shape and level, and one line a finished exchange.
//!
//! Promises: writing never blocks or ends the program. Lines go through a bounded queue to a thread of their own;
//! where standard error is full or closed they are dropped and counted. No line holds a query, a client's address, a
//! credential, a prompt or an answer.

pub mod access;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc;
use std::time::Duration;

use tracing::Subscriber;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer as Layered, Registry, reload};

/// Lines that wait for standard error at most. A line is some 200 bytes.
const QUEUE: usize = 16_384;

/// How long the last lines may take at the end of the program.
const FLUSH: Duration = Duration::from_millis(1500);

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
pub struct Logs {
    guard: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

impl Logs {
    /// Reads how many lines were dropped because standard error did not take them.
    pub fn dropped_counter(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let dropped = self.dropped.clone();
        move || dropped.dropped_lines() as u64
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        // The guard prints when the queue stays full, which blocks or panics where standard output is gone too.
        let (done, wait) = mpsc::channel();
        let flush = std::thread::Builder::new().name("log-flush".into()).spawn(move || {
            drop(guard);
            let _ = done.send(());
        });
        if flush.is_ok() {
            let _ = wait.recv_timeout(FLUSH);
        }
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
pub fn start(filter: EnvFilter, format: Format) -> Result<(Logs, Level), SetGlobalDefaultError> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (writer, logs) = queue(io::stderr());
    let (filter, level) = reload::Layer::new(filter);
    match format {
        Format::Text => tracing::subscriber::set_global_default(text(filter, writer, colour))?,
        Format::Json => tracing::subscriber::set_global_default(json(filter, writer))?,
    }
    Ok((logs, Level(level)))
}

fn queue(out: impl Write + Send + 'static) -> (NonBlocking, Logs) {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(QUEUE).thread_name("log").finish(out);
    let dropped = writer.error_counter();
    (writer, Logs { guard: Some(guard), dropped })
}

fn text(
    filter: impl Layered<Registry> + Send + Sync,
    writer: NonBlocking,
    colour: bool,
) -> impl Subscriber + Send + Sync {
    let layer = Layer::new().with_writer(writer).with_ansi(colour).with_target(false).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer)
}

fn json(filter: impl Layered<Registry> + Send + Sync, writer: NonBlocking) -> impl Subscriber + Send + Sync {
    let layer = Layer::new().json().flatten_event(true).with_writer(writer).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(layer)
}

#[cfg(test)]
mod tests;
