//! What a connection has copied beside exchanges and sums.

use std::collections::{HashMap, HashSet};

use crate::history::store::sqlite::tail::Values;

/// What was copied over this connection, and may change or be followed by earlier ones.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Jobs that run or are recent, as they were copied.
    pub(super) jobs: HashMap<i64, Values>,
    /// The highest id of a job.
    pub(super) last_job: i64,
    /// Alerts that changed lately, as they were copied.
    pub(super) alerts: HashMap<String, Values>,
    /// When the last one changed, in milliseconds since the epoch.
    pub(super) last_alert: i64,
    /// Entries of the top lists of the last hours.
    pub(super) tops: HashSet<(String, i64)>,
    /// From which hour on these are, in seconds since the epoch.
    pub(super) tops_from: i64,
    /// The last means by table and step, in seconds since the epoch and as they were copied.
    pub(super) means: HashMap<(&'static str, i64), (i64, Vec<Values>)>,
}
