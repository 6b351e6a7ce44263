//! A copy of all files, beside a program that writes them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::open;
use super::schema::FileKind;
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;

/// How long a finished copy may be checked: as long as it takes.
const CHECK: Duration = Duration::from_secs(24 * 3600);

/// Copies every file into a new directory, by SQLite's own means, and checks each copy. Sums come first: what is written
/// meanwhile is in the rows, from which the next start makes them complete. The number of its copy in PostgreSQL goes along:
/// what runs on the backup goes on with that copy. `done` is called for each file.
///
/// # Errors
/// When the directory is there already, or a file cannot be read or written.
pub fn backup(from: &Directory, to: &Path, mut done: impl FnMut(&Path)) -> Result<usize, StoreError> {
    let target = Directory::within(to);
    if target.path().exists() {
        let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(StoreError::of_system(&taken, target.path()));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(target.path())
        .map_err(|error| StoreError::of_system(&error, target.path()))?;
    let days = from.days().into_iter().map(|day| (from.day(day), target.day(day), FileKind::Day));
    let mut count = 0;
    for (from, to, kind) in std::iter::once((from.main(), target.main(), FileKind::Main)).chain(days) {
        // A day may have become too old meanwhile.
        if let Some(source) = open::readable(&from, kind)? {
            copy(&source, &to).map_err(|error| StoreError::of(&error, &to))?;
            let copied = Connection::open(&to).map_err(|error| StoreError::of(&error, &to))?;
            open::check(&copied, &to, CHECK)?;
            count += 1;
            done(&to);
        }
    }
    if let Some(number) = from.replica_number()? {
        target.set_replica_number(number)?;
    }
    Ok(count)
}

fn copy(source: &Connection, to: &Path) -> rusqlite::Result<()> {
    let mut target = Connection::open(to)?;
    // All pages in one step: of a file that is written, several would begin again and again.
    Backup::new(source, &mut target)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    // One file, without a log beside it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
}
