//! What is really kept, whatever was configured.

use crate::history::journal::kind::JournalKind;
use crate::history::state::KeptEntries;

/// What the files have. Times are milliseconds since the epoch; `None` is that nothing of the kind is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of all files.
    pub bytes: u64,
    /// Days that have a file of exchanges.
    pub days: usize,
    /// When the oldest exchange ended.
    pub oldest: Option<i64>,
    /// When the newest exchange ended.
    pub newest: Option<i64>,
    /// The beginning of the first minute that has sums.
    pub minutes_from: Option<i64>,
    /// The beginning of the first hour that has sums.
    pub hours_from: Option<i64>,
    /// What is kept beside exchanges, in the order of [`JournalKind::ALL`].
    pub entries: [KeptEntries; JournalKind::ALL.len()],
}

impl Kept {
    /// Whether there are no files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days == 0 && self.hours_from.is_none()
    }
}
