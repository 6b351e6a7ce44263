//! What the running program needs of its process.

use super::material::Material;
use crate::config::Config;
use crate::logs::KeptLines;

/// Functions that only `main` can provide: it owns the command line and the log.
pub struct Process {
    /// Reads the configuration and the files that it names, or says what is wrong with them.
    pub load: Box<dyn Fn() -> Result<(Config, Material), String> + Send + Sync>,
    /// Sets the level of the log. The text was validated with the configuration.
    pub set_log_level: Box<dyn Fn(&str) + Send + Sync>,
    /// Lines of the log for the history.
    pub log_lines: KeptLines,
    /// Log lines dropped since the start.
    pub log_drops: Box<dyn Fn() -> u64 + Send + Sync>,
}
