//! What a source of machine facts is, and what is known about its readings.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// One source of facts about the machine. It runs on a thread of its own: it may block, and it may hang, and nobody
/// but its own facts suffers.
pub trait Collector: Send + 'static {
    /// What one reading gives.
    type Part: Send + Sync + 'static;

    /// Its name: of its thread (15 bytes at most are shown by the system), in logs, and as the label `collector`.
    fn name(&self) -> &'static str;

    /// How long to wait between two readings, given what is configured. A source that must not be read so often, or
    /// that costs more than others, asks for more.
    fn period(&self, configured: Duration) -> Duration {
        configured
    }

    /// Reads once. `now` is when the reading began, for rates between two of them. `Ok(None)` says that this machine
    /// has nothing of the kind (no driver, no such file), which is no failure.
    ///
    /// # Errors
    /// When there is something to read and it could not be.
    fn read(&mut self, now: Instant) -> Result<Option<Self::Part>, ReadError>;
}

/// Why a source that is there could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The system did not give it.
    Io {
        /// What was read.
        what: String,
        /// Why not.
        cause: io::Error,
    },
    /// It was read and is not what it should be.
    Malformed {
        /// What was read.
        what: String,
    },
    /// A library or a service reported an error of its own.
    Source(String),
}

impl ReadError {
    /// What a file was not read for.
    #[must_use]
    pub fn file(path: &Path, cause: io::Error) -> Self {
        Self::Io { what: path.display().to_string(), cause }
    }

    /// A file or an answer of an unknown shape.
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

/// What is known about the readings of one collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Which one.
    pub name: &'static str,
    /// Whether the last reading ended well and none has been under way for longer than [`Health::HANGING`]. A machine
    /// without anything of the kind is well. `None` before the end of the first reading.
    pub success: Option<bool>,
    /// How long the last reading took; while one is hanging, how long it has been under way. `None` before the first.
    pub duration: Option<Duration>,
    /// When a reading last ended well.
    pub last_success: Option<Instant>,
}

impl Health {
    /// A reading that is under way for longer counts as failed: reading the kernel's files takes milliseconds, and a
    /// driver that resets its device takes a second or two.
    pub const HANGING: Duration = Duration::from_secs(10);
}
