//! The tables, and how the files of earlier releases become those of this one.
//!
//! The version is in the file's header (`PRAGMA user_version`); each step of the list brings it from one version to the
//! next, within one transaction. A file is never brought back.

use std::collections::BTreeSet;

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

/// A column that one of a file and this release has and the other lacks, as `table.column`: another build wrote the file
/// with the same version. Tables that only the file has do not count.
pub(super) fn difference(connection: &Connection, kind: FileKind) -> rusqlite::Result<Option<String>> {
    let mut fresh = Connection::open_in_memory()?;
    upgrade(&mut fresh, kind)?;
    let (expected, found) = (columns(&fresh)?, columns(connection)?);
    let is_known = |of: &(String, String)| expected.iter().any(|(table, _)| *table == of.0);
    let first = expected.symmetric_difference(&found).find(|of| is_known(of));
    Ok(first.map(|(table, column)| format!("{table}.{column}")))
}

/// The columns of all tables, each after its table.
fn columns(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let select = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'";
    connection.prepare(select)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a of the bytes of each step.
    ///
    /// Until the first release a step may be edited, and its number here with it. From the first release on a change is a
    /// further step: files of users have the steps that were released, and nothing runs an edited one on them.
    const RELEASED: &[(FileKind, &[u64])] =
        &[(FileKind::Main, &[0xee9e_4e0d_b52b_5702]), (FileKind::Day, &[0x651f_d7b8_26fa_601f])];

    #[test]
    fn a_released_step_is_not_edited() {
        let hash = |text: &&str| {
            let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            text.bytes().fold(0xcbf2_9ce4_8422_2325, add)
        };
        for (kind, released) in RELEASED {
            let steps: Vec<u64> = kind.steps().iter().map(hash).collect();
            assert_eq!(steps, *released, "{kind:?}: add a step in place of editing one");
        }
    }
}
