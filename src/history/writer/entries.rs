//! Events, audit entries, jobs and lines of the log that are to be written.

use std::collections::HashMap;

use crate::history::journal::alert::KeptAlert;
use crate::history::journal::entry::Entry;
use crate::history::journal::job::Job;
use crate::history::journal::log_line::LogLine;

/// What is not in the file yet.
#[derive(Debug, Default)]
pub(super) struct WaitingEntries {
    /// With their times in milliseconds since the epoch.
    pub(super) entries: Vec<(i64, Entry)>,
    pub(super) alerts: Vec<KeptAlert>,
    pub(super) jobs: Vec<Job>,
    pub(super) lines: Vec<LogLine>,
    /// The jobs that run, as they were last written, by their ids.
    pub(super) running: HashMap<i64, Job>,
}
