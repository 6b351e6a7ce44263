//! The interface of a source of machine facts, and the health of its readings.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// One source of machine facts. It runs on its own thread, so it may block or hang without affecting other sources.
pub trait Collector: Send + 'static {
    /// The facts of one reading.
    type Part: Send + Sync + 'static;

    /// The name of its thread (the system shows at most 15 bytes), in logs, and as label `collector`.
    fn name(&self) -> &'static str;

    /// The interval of readings, given the configured one. A source may choose a longer or shorter one.
    fn period(&self, configured: Duration) -> Duration {
        configured
    }

    /// Reads once. `now` is the beginning of the reading, for rates between two readings. `Ok(None)` means that the
    /// machine has no such source (no driver, no such file), which is not a failure.
    ///
    /// # Errors
    /// When the source exists and cannot be read.
    fn read(&mut self, now: Instant) -> Result<Option<Self::Part>, ReadError>;
}

/// Why an existing source could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// An I/O error.
    Io {
        /// What was read.
        what: String,
        /// Why not.
        cause: io::Error,
    },
    /// The content has an unexpected form.
    Malformed {
        /// What was read.
        what: String,
    },
    /// A library or a service reported an error of its own.
    Source(String),
}

impl ReadError {
    /// An I/O error of this file.
    #[must_use]
    pub fn file(path: &Path, cause: io::Error) -> Self {
        Self::Io { what: path.display().to_string(), cause }
    }

    /// An unexpected form of `what`, a file or an answer.
    #[must_use]
    pub fn malformed(what: impl fmt::Display) -> Self {
        Self::Malformed { what: what.to_string() }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, cause } => write!(out, "{what}: {cause}"),
            Self::Malformed { what } => write!(out, "{what}: not of the expected shape"),
            Self::Source(message) => out.write_str(message),
        }
    }
}

impl std::error::Error for ReadError {}

/// The health of one collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectorHealth {
    /// The collector's name.
    pub name: &'static str,
    /// Whether the last reading succeeded and the current one has not lasted longer than [`CollectorHealth::HANGING`].
    /// A machine without such a source is a success. `None` before the end of the first reading.
    pub success: Option<bool>,
    /// The duration of the last reading, or of the current one while it hangs. `None` before the first.
    pub duration: Option<Duration>,
    /// When the last successful reading ended. `None` before the first.
    pub last_success: Option<Instant>,
}

impl CollectorHealth {
    /// A reading that lasts longer counts as failed: reading the kernel's files takes milliseconds, and a driver that
    /// resets its device takes a second or two.
    pub const HANGING: Duration = Duration::from_secs(10);
}
