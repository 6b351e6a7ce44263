//! What happened stays known: exchanges in the files of the history, and read back.

mod canaries;
mod commands;
mod crash;
mod day;
mod exposed;
mod faults;
mod journal;
mod postgres;
mod questions;
mod recovery;
mod retention;
pub(crate) mod rows;
mod shared;
mod storm;
mod sums;
mod who;

use std::path::Path;

use inferometer::history::query::{Filter, Page, PageQuery, Range, TIME_LIMIT};
use inferometer::history::{Directory, Reading};

use crate::support::look_until;

/// All time.
pub(crate) const EVER: Range = Range { from: 0, to: 1 << 42 };

/// Reads what a program keeps in this directory.
pub(crate) fn reading(state: &Path) -> Reading {
    Reading::new(Directory::within(state), TIME_LIMIT)
}

/// The newest exchanges that fit, at most a hundred.
pub(crate) fn page(state: &Path, filter: Filter) -> Page {
    let query = PageQuery { range: EVER, filter, offset: 0, limit: 100 };
    reading(state).page(&query).expect("the files are sound")
}

/// Waits until at least `rows` exchanges are in the files, and returns them.
pub(crate) fn wait_for_rows(state: &Path, rows: usize) -> Page {
    look_until(|| {
        let page = page(state, Filter::default());
        let there = page.exchanges.len();
        if there >= rows { Ok(page) } else { Err(format!("{there} of {rows} rows are there")) }
    })
}
