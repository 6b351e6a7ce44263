//! What the files have.

use rusqlite::Connection;

use super::{Reading, begin, oldest};
use crate::history::id::RowId;
use crate::history::query::kept::Kept;
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::journal::kept_entries;
use crate::history::store::sqlite::open;
use crate::history::store::sqlite::schema::FileKind;

impl Reading {
    /// What is kept. Reads the first and the last row of each kind.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn kept(&self) -> Result<Kept, StoreError> {
        let (days, path) = (self.directory.days(), self.directory.main());
        let mut kept = Kept {
            bytes: self.directory.bytes(),
            days: days.len(),
            oldest: oldest(&self.directory)?,
            newest: self.last()?.map(RowId::millis),
            ..Kept::default()
        };
        if let Some(connection) = open::readable(&path, FileKind::Main)? {
            let from = |step| first(&connection, step).map_err(|error| StoreError::of(&error, &path));
            begin(&connection, self.deadline()).map_err(|error| StoreError::of(&error, &path))?;
            (kept.minutes_from, kept.hours_from) = (from(Step::Minute)?, from(Step::Hour)?);
            kept.entries = kept_entries(&connection).map_err(|error| StoreError::of(&error, &path))?;
        }
        Ok(kept)
    }

    /// The id of the newest exchange.
    pub(super) fn last(&self) -> Result<Option<RowId>, StoreError> {
        for day in self.directory.days().into_iter().rev() {
            let Some(day) = self.day(day, self.deadline())? else { continue };
            let last = day.connection.query_row("SELECT max(id) FROM exchanges", [], |row| row.get(0));
            if let Some(last) = last.map_err(|error| StoreError::of(&error, &day.path))? {
                return Ok(Some(RowId(last)));
            }
        }
        Ok(None)
    }
}

/// The beginning of the first interval in which the program ran, in milliseconds.
fn first(connection: &Connection, step: Step) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT min(at) * 1000 FROM ran WHERE step = ?1";
    connection.query_row(select, [step.seconds()], |row| row.get(0))
}
