//! The settings of the history.

use std::path::PathBuf;
use std::time::Duration;

/// Where finished exchanges are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Nowhere.
    #[default]
    Off,
    /// In SQLite files on this machine.
    Sqlite,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Off, Self::Sqlite];

    /// As it is configured.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Sqlite => "sqlite",
        }
    }
}

/// How long and how much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Single exchanges, by age.
    pub raw: Duration,
    /// Single exchanges, by the size of their files in bytes.
    pub raw_bytes: u64,
    /// Sums by the minute.
    pub minutes: Duration,
    /// Sums by the hour.
    pub hours: Duration,
}

/// The settings of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where exchanges are kept.
    pub engine: Engine,
    /// The directory of the files. `None` where neither the configuration nor the environment names one.
    pub directory: Option<PathBuf>,
    /// How long and how much is kept.
    pub retention: Retention,
    /// Ordinary exchanges above this many a second are thinned.
    pub raw_rate: u64,
}

/// The intervals of the writer's work. The program uses the defaults; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two turns of the writer.
    pub drain: Duration,
    /// Between two merges of the sums.
    pub merge: Duration,
    /// Between two attempts while paused.
    pub retry: Duration,
    /// Between two checks for what is too old or too large.
    pub retain: Duration,
    /// Between two readings of the machine.
    pub sample: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            drain: Duration::from_millis(200),
            merge: Duration::from_secs(5),
            retry: Duration::from_secs(30),
            retain: Duration::from_secs(60),
            sample: Duration::from_secs(10),
        }
    }
}
