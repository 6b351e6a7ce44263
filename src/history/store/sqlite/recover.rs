//! Makes the sums complete after a process has died: what it had written and not yet summed is folded from its rows.

use hashbrown::HashMap;
use rusqlite::Connection;

use super::main_file::{MainFile, Merge};
use super::schema::FileKind;
use super::{names, open, rows};
use crate::history::day::Day;
use crate::history::id::{MAX_PROCESSES, ProcessNumber, RowId};
use crate::history::names::{NameId, Names};
use crate::history::rollup::Rollups;
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;

/// Folds the rows of a process that its account does not have, and closes the account. Without one there is nothing to do.
/// Returns the number of rows.
pub(super) fn recover(
    main: &mut MainFile,
    directory: &Directory,
    process: ProcessNumber,
    names: &Names,
) -> Result<u64, StoreError> {
    let Some(last) = main.folded(process)? else { return Ok(0) };
    let (mut rollups, mut found) = (Rollups::default(), 0);
    for day in directory.days().into_iter().filter(|day| *day >= Day::of(last.millis())) {
        let path = directory.day(day);
        let Some(connection) = open::readable(&path, FileKind::Day)? else { continue };
        let folded =
            names::read(&connection, names).and_then(|known| fold(&connection, (process, last), &known, &mut rollups));
        found += folded.map_err(|error| StoreError::of(&error, &path))?;
    }
    main.merge(&Merge { rollups: &rollups, tops: &[], names, ran: None, folded: (process, None) })?;
    Ok(found)
}

/// Folds the rows of a process that follow an id. `names` are those of the file. Returns the number of rows.
pub(super) fn fold(
    connection: &Connection,
    (process, last): (ProcessNumber, RowId),
    names: &HashMap<i64, NameId>,
    rollups: &mut Rollups,
) -> rusqlite::Result<u64> {
    let select = format!("SELECT {} FROM exchanges WHERE id > ?1 AND (id >> 16) & 15 = ?2", rows::COLUMNS);
    let mut select = connection.prepare(&select)?;
    let mut found = select.query((last.0, process.0))?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        if let Some(entry) = rows::read(row, names)? {
            rollups.fold(&entry.row, entry.id.millis(), u64::from(entry.weight));
            count += 1;
        }
    }
    Ok(count)
}

/// The last id of each process number at or after a time, in any file: those that have one had a clock that was ahead.
pub(super) fn last_ids_from(directory: &Directory, millis: i64) -> Result<HashMap<ProcessNumber, RowId>, StoreError> {
    let mut last = HashMap::new();
    for day in directory.days().into_iter().filter(|day| *day >= Day::of(millis)) {
        let path = directory.day(day);
        let Some(connection) = open::readable(&path, FileKind::Day)? else { continue };
        let select = || {
            let select = "SELECT (id >> 16) & 15, max(id) FROM exchanges WHERE id >= ?1 GROUP BY 1";
            let mut select = connection.prepare(select)?;
            let read = |row: &rusqlite::Row<'_>| Ok((ProcessNumber(row.get(0)?), RowId(row.get(1)?)));
            select.query_map([RowId::first_of(millis).0], read)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        // The days ascend, and with them the ids.
        last.extend(select().map_err(|error| StoreError::of(&error, &path))?);
    }
    Ok(last)
}

/// The processes that write, with the last row of each that is in the sums.
pub(super) fn accounts(connection: &Connection) -> rusqlite::Result<Vec<(ProcessNumber, RowId)>> {
    let mut select = connection.prepare("SELECT key, value FROM meta WHERE key LIKE 'folded/%'")?;
    let found = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let number = |key: &str| key.strip_prefix("folded/")?.parse().ok().filter(|number| *number < MAX_PROCESSES);
    let mut accounts = Vec::new();
    for account in found {
        let (key, last) = account?;
        accounts.extend(number(&key).map(|number| (ProcessNumber(number), RowId(last))));
    }
    Ok(accounts)
}
