//! Opens files, for one writer and for readers.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::schema::{self, FileKind};
use crate::history::state::Pause;
use crate::history::store::directory::{BUSY, OpeningLock};
use crate::history::store::error::StoreError;

/// Most bytes that the log beside a file keeps.
const JOURNAL_LIMIT: i64 = 64 << 20;

/// Pages in the log before it is moved into the file: 16 MiB.
const CHECKPOINT: i64 = 4000;

/// The cache of a file, in KiB (a negative number to SQLite). A larger one only doubles what the system caches: the
/// writer appends, but for the index of traces, whose pages are everywhere.
const CACHE: i64 = -1024;

/// Opens a file for writing; creates it, and brings it to the version of this release. No other process may be doing so.
pub(super) fn writable(path: &Path, kind: FileKind, _alone: &OpeningLock) -> Result<Connection, StoreError> {
    let open = || {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        let version = schema::version(&connection)?;
        if version > kind.version() {
            return Ok(Err(version));
        }
        if version == 0 {
            // Only before the first table.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.query_row(&format!("PRAGMA journal_size_limit = {JOURNAL_LIMIT}"), [], |_| Ok(()))?;
        connection.query_row(&format!("PRAGMA wal_autocheckpoint = {CHECKPOINT}"), [], |_| Ok(()))?;
        connection.pragma_update(None, "cache_size", CACHE)?;
        if version < kind.version() {
            schema::upgrade(&mut connection, kind)?;
        }
        let difference = schema::difference(&connection, kind)?;
        Ok(Ok((connection, difference)))
    };
    let opened = open().map_err(|error| StoreError::of(&error, path))?;
    let (connection, difference) = opened.map_err(|version| newer(path, version))?;
    match difference {
        None => Ok(connection),
        Some(column) => Err(StoreError::of_another_build(path, &format!("a difference in {column}"))),
    }
}

/// Opens a file for reading alone; `None` if it does not exist. The log beside it may have to be created, for which the
/// directory must be writable.
pub(super) fn readable(path: &Path, kind: FileKind) -> Result<Option<Connection>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let open = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "query_only", true)?;
        let version = schema::version(&connection)?;
        Ok((connection, version))
    };
    let (connection, version) = open().map_err(|error| StoreError::of(&error, path))?;
    match version {
        // It is being created.
        0 => Ok(None),
        version if version > kind.version() => Err(newer(path, version)),
        _ => Ok(Some(connection)),
    }
}

fn newer(path: &Path, version: i64) -> StoreError {
    let text = format!("{}: a newer release wrote it (schema {version})", path.display());
    StoreError::Paused(Pause::NewerSchema, text)
}

/// Checks the structure of a file, for at most this long.
pub(super) fn check(connection: &Connection, path: &Path, limit: Duration) -> Result<(), StoreError> {
    check_unless(connection, path, limit, || false)
}

/// As [`check`]; it is given up once `stopped` says so.
pub(super) fn check_unless(
    connection: &Connection,
    path: &Path,
    limit: Duration,
    stopped: impl Fn() -> bool + Send + 'static,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::of(&error, path);
    let begun = Instant::now();
    connection.progress_handler(LOOK, Some(move || begun.elapsed() > limit || stopped())).map_err(failed)?;
    let answer: Result<String, _> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    interrupt_after(connection, None).map_err(failed)?;
    match answer.map_err(failed)? {
        answer if answer == "ok" => Ok(()),
        answer => Err(StoreError::Damaged(path.to_owned(), format!("{}: {answer}", path.display()))),
    }
}

/// Instructions of SQLite between two looks at the time: some tens of microseconds.
const LOOK: i32 = 10_000;

/// Interrupts what runs on a connection after a time; `None` lifts the limit.
pub(super) fn interrupt_after(connection: &Connection, limit: Option<Duration>) -> rusqlite::Result<()> {
    match limit {
        None => connection.progress_handler(0, None::<fn() -> bool>),
        Some(limit) => {
            let begun = Instant::now();
            connection.progress_handler(LOOK, Some(move || begun.elapsed() > limit))
        }
    }
}
