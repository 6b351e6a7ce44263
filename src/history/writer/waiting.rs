//! A row that is to be written.

use crate::history::row::Row;
use crate::history::tops::TopBy;

/// A row that is summed and not yet in a file.
pub(super) struct Waiting {
    /// When it ended, in milliseconds since the epoch.
    pub(super) ended: i64,
    pub(super) weight: u16,
    /// By what it may be among the first of its hour.
    pub(super) tops: [Option<i64>; TopBy::ALL.len()],
    pub(super) row: Row,
}
