//! What the files have beyond a cursor: for a copy elsewhere.
//!
//! Ids ascend for each process number, so a cursor for each misses nothing. Where a process writes shows in its account in
//! `main.db`, so that files are not read again and again for rows of processes that do not run. Sums carry the number of
//! their last change.

mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::Value;

use super::machine::means;
use super::recover::accounts;
use super::schema::FileKind;
use super::{open, rows, schema, sums};
use crate::history::day::Day;
use crate::history::id::{MAX_PROCESSES, RowId};
use crate::history::machine::Means;
use crate::history::names::{NameId, Names};
use crate::history::query::Exchange;
use crate::history::rollup::{Step, Sums};
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;

/// Values of one row.
pub(in crate::history) type Values = Vec<Value>;

/// What a number of a file means: the kind of the name, and the name.
pub(in crate::history) type NamesOfFile = BTreeMap<i64, (String, String)>;

/// Rows of one day.
pub(in crate::history) struct Rows {
    pub(in crate::history) day: Day,
    /// The values of [`exchange_columns`].
    pub(in crate::history) rows: Vec<Values>,
    pub(in crate::history) names: NamesOfFile,
    /// The id of the last of them.
    pub(in crate::history) last: RowId,
}

/// Sums that were changed.
pub(in crate::history) struct ChangedSums {
    /// Step, beginning, backend, model, tenant, operation, then the columns of the sums.
    pub(in crate::history) rows: Vec<Values>,
    pub(in crate::history) names: NamesOfFile,
    /// The number of the last change among them.
    pub(in crate::history) last: i64,
}

/// The columns of an exchange, in the order of [`Rows::rows`].
pub(in crate::history) fn exchange_columns() -> impl Iterator<Item = &'static str> {
    rows::COLUMNS.split(',').map(str::trim)
}

/// The columns of sums, in the order in which they follow the key in [`ChangedSums::rows`].
pub(in crate::history) fn sums_columns() -> impl Iterator<Item = &'static str> {
    sums::COLUMNS.split(',').map(str::trim)
}

/// The columns of the table of exchanges, with their types.
pub(in crate::history) fn declared_columns() -> Vec<(String, String)> {
    let declared = || {
        let mut connection = Connection::open_in_memory()?;
        schema::upgrade(&mut connection, FileKind::Day)?;
        let mut select = connection.prepare("SELECT name, type FROM pragma_table_info('exchanges')")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()
    };
    declared().expect("a schema of this release, in memory")
}

/// An exchange of a row of [`exchange_columns`]. `None` where it has a value that only a newer release knows.
pub(in crate::history) fn read_exchange(
    row: &rusqlite::Row<'_>,
    numbers: &hashbrown::HashMap<i64, NameId>,
    names: &Names,
) -> rusqlite::Result<Option<Exchange>> {
    Ok(rows::read(row, numbers)?.map(|entry| rows::named(entry, names)))
}

/// Means of the machine, from the number of readings on.
pub(in crate::history) fn read_means<const N: usize>(
    row: &rusqlite::Row<'_>,
    first: usize,
) -> rusqlite::Result<Means<N>> {
    means(row, first)
}

/// Sums of a row of [`sums_columns`], from a column on.
pub(in crate::history) fn read_sums(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Sums> {
    sums::read(row, first)
}

/// Reads one directory.
#[derive(Debug)]
pub(in crate::history) struct Tail(pub(in crate::history) Directory);

impl Tail {
    /// The number of this directory among those that are copied to one place; makes one where there is none. `None` where
    /// there are no files yet. It outlives `main.db`, which may be put aside: under another number all days were copied again.
    pub(in crate::history) fn replica(&self, fresh: impl Fn() -> i32) -> Result<Option<i32>, StoreError> {
        if let Some(found) = self.0.replica_number()? {
            return Ok(Some(found));
        }
        let Some(connection) = self.main()? else { return Ok(None) };
        // Of two processes one is first.
        let _alone = self.0.begin_opening()?;
        if let Some(found) = self.0.replica_number()? {
            return Ok(Some(found));
        }
        let select = "SELECT max(value) FROM meta WHERE key = 'replica'";
        let earlier: Option<i32> =
            connection.query_row(select, [], |row| row.get(0)).map_err(failed(&self.0.main()))?;
        let id = earlier.unwrap_or_else(fresh);
        self.0.set_replica_number(id)?;
        Ok(Some(id))
    }

    /// Gives this directory a number among those that are copied to one place; returns it. `None` where there are no files yet.
    pub(in crate::history) fn be_replica(&self, id: i32) -> Result<Option<i32>, StoreError> {
        if self.main()?.is_none() {
            return Ok(None);
        }
        // The file may hold anything but that.
        if self.0.replica_number().ok().flatten() != Some(id) {
            self.0.set_replica_number(id)?;
        }
        Ok(Some(id))
    }

    /// The accounts of processes that write: they change while rows come.
    pub(in crate::history) fn accounts(&self) -> Result<BTreeMap<u8, RowId>, StoreError> {
        let Some(connection) = self.main()? else { return Ok(BTreeMap::new()) };
        let found = accounts(&connection).map_err(failed(&self.0.main()))?;
        Ok(found.into_iter().map(|(process, last)| (process.0, last)).collect())
    }

    /// The last id of each process in all files. Reads every id.
    pub(in crate::history) fn newest(&self) -> Result<BTreeMap<u8, RowId>, StoreError> {
        let mut newest = BTreeMap::new();
        for day in self.0.days() {
            let Some((connection, path)) = self.day(day)? else { continue };
            let select = || {
                let group = "SELECT (id >> 16) & 15, max(id) FROM exchanges GROUP BY 1";
                let mut select = connection.prepare(group)?;
                select.query_map([], |row| Ok((row.get(0)?, RowId(row.get(1)?))))?.collect::<Result<Vec<_>, _>>()
            };
            newest.extend(select().map_err(failed(&path))?);
        }
        newest.retain(|process, _| *process < MAX_PROCESSES);
        Ok(newest)
    }

    /// The first rows of a process after an id, of one day; `None` where there are none.
    pub(in crate::history) fn rows(&self, process: u8, after: RowId, most: usize) -> Result<Option<Rows>, StoreError> {
        for day in self.0.days().into_iter().filter(|day| *day >= Day::of(after.millis())) {
            let Some((connection, path)) = self.day(day)? else { continue };
            let select = format!(
                "SELECT {} FROM exchanges WHERE id > ?1 AND (id >> 16) & 15 = ?2 ORDER BY id LIMIT {most}",
                rows::COLUMNS
            );
            let rows = read(&connection, &select, (after.0, process)).map_err(failed(&path))?;
            if let Some(Value::Integer(last)) = rows.last().map(|row| &row[0]) {
                let (last, names) = (RowId(*last), names(&connection).map_err(failed(&path))?);
                return Ok(Some(Rows { day, rows, names, last }));
            }
        }
        Ok(None)
    }

    /// The first sums that were changed after a change.
    pub(in crate::history) fn sums(&self, after: i64, most: usize) -> Result<Option<ChangedSums>, StoreError> {
        let Some(connection) = self.main()? else { return Ok(None) };
        let select = || {
            let columns = format!("step, at, backend, model, tenant, operation, {}, changed", sums::COLUMNS);
            let select = format!("SELECT {columns} FROM rollups WHERE changed > ?1 ORDER BY changed LIMIT {most}");
            let mut rows = read(&connection, &select, [after])?;
            let changes = rows.iter_mut().filter_map(Vec::pop);
            let Some(Value::Integer(last)) = changes.last() else { return Ok(None) };
            Ok(Some(ChangedSums { rows, names: names(&connection)?, last }))
        };
        select().map_err(failed(&self.0.main()))
    }

    /// The intervals in which a program ran, from a time on, in seconds since the epoch.
    pub(in crate::history) fn ran(&self, step: Step, from: i64) -> Result<Vec<i64>, StoreError> {
        let Some(connection) = self.main()? else { return Ok(Vec::new()) };
        let select = || {
            let mut select = connection.prepare("SELECT at FROM ran WHERE step = ?1 AND at >= ?2 ORDER BY at")?;
            select.query_map((step.seconds(), from), |row| row.get(0))?.collect::<Result<_, _>>()
        };
        select().map_err(failed(&self.0.main()))
    }

    fn main(&self) -> Result<Option<Connection>, StoreError> {
        open::readable(&self.0.main(), FileKind::Main)
    }

    fn day(&self, day: Day) -> Result<Option<(Connection, PathBuf)>, StoreError> {
        let path = self.0.day(day);
        Ok(open::readable(&path, FileKind::Day)?.map(|connection| (connection, path)))
    }
}

fn failed(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    |error| StoreError::of(&error, path)
}

fn read(connection: &Connection, select: &str, values: impl rusqlite::Params) -> rusqlite::Result<Vec<Values>> {
    let mut select = connection.prepare(select)?;
    let columns = select.column_count();
    select.query_map(values, |row| (0..columns).map(|at| row.get(at)).collect())?.collect()
}

fn names(connection: &Connection) -> rusqlite::Result<NamesOfFile> {
    let mut select = connection.prepare("SELECT id, kind, name FROM names")?;
    select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
}
