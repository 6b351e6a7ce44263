//! The tables, and how the files of earlier releases become those of this one.
//!
//! The version is in the file's header (`PRAGMA user_version`); each step of the list brings it from one version to the
//! next, within one transaction. A file is never brought back.

use rusqlite::Connection;

use crate::history::codes;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// `main.db`.
    Main,
    /// The exchanges of a day.
    Day,
}

/// The steps: the first makes version 1 of an empty file.
const MAIN: &[&str] = &[include_str!("schema/main_1.sql")];
const DAY: &[&str] = &[include_str!("schema/day_1.sql")];

impl FileKind {
    fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Main => MAIN,
            Self::Day => DAY,
        }
    }

    /// The version that this release writes.
    pub(super) fn version(self) -> i64 {
        i64::try_from(self.steps().len()).expect("a short list")
    }
}

/// The version of a file; 0 where it is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a file to the version of this release. `version` is at most that.
pub(super) fn upgrade(connection: &mut Connection, kind: FileKind) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let from = version(&transaction)?;
    for step in kind.steps().iter().skip(usize::try_from(from).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    if from < kind.version() {
        fill_codes(&transaction)?;
        transaction.pragma_update(None, "user_version", kind.version())?;
    }
    transaction.commit()
}

/// The meaning of the numbers, for whoever reads the file without the program.
fn fill_codes(connection: &Connection) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT OR REPLACE INTO codes (kind, code, name) VALUES (?1, ?2, ?3)")?;
    for (set, values) in codes::sets() {
        for (code, word) in values {
            insert.execute((set, code, word))?;
        }
    }
    Ok(())
}
