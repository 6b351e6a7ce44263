//! Forgets a tenant, a client's product or a model: rows, sums and names, in all files.
//!
//! A program may be writing: it keeps the numbers of names in memory. So a number stays, with another name, and is not given
//! to anything else.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::open;
use super::schema::FileKind;
use crate::history::names::NameKind;
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;

/// Whose rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// A tenant, a client's product or a model.
    pub kind: NameKind,
    /// Its name.
    pub name: String,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows of exchanges.
    pub exchanges: u64,
    /// Sums of intervals.
    pub sums: u64,
    /// Events, jobs and lines of the log.
    pub others: u64,
}

/// Where a name stands as text: table, column, and the kinds of names.
pub(in crate::history::store) const TEXTS: [(&str, &str, &[NameKind]); 4] = [
    ("events", "who", &[NameKind::Tenant, NameKind::Client]),
    ("events", "subject", &[NameKind::Model]),
    ("jobs", "who", &[NameKind::Tenant, NameKind::Client]),
    ("jobs", "model", &[NameKind::Model]),
];

/// JSON objects in which a name may be a value: table and column.
pub(in crate::history::store) const OBJECTS: [(&str, &str); 2] = [("events", "detail"), ("logs", "fields")];

/// Forgets it. `done` is called for each file.
///
/// # Errors
/// When a file cannot be read or written. What was done in other files stays done.
pub fn forget(
    directory: &Directory,
    what: &Forgotten,
    mut done: impl FnMut(&Path, Removed),
) -> Result<Removed, StoreError> {
    let mut all = Removed::default();
    let days = directory.days().into_iter().map(|day| (directory.day(day), FileKind::Day));
    for (path, kind) in days.chain([(directory.main(), FileKind::Main)]).filter(|(path, _)| path.exists()) {
        let removed = {
            let alone = directory.begin_opening()?;
            let mut connection = open::writable(&path, kind, &alone)?;
            let removed = in_file(&mut connection, kind, what).map_err(|error| StoreError::of(&error, &path))?;
            // As a past day is left; refused where another process has it open.
            if kind == FileKind::Day {
                let _in_use = connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
            }
            removed
        };
        all.exchanges += removed.exchanges;
        all.sums += removed.sums;
        all.others += removed.others;
        done(&path, removed);
    }
    Ok(all)
}

fn in_file(connection: &mut Connection, kind: FileKind, what: &Forgotten) -> rusqlite::Result<Removed> {
    // What is removed is overwritten.
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removed = Removed::default();
    let number: Option<i64> = transaction
        .query_row("SELECT id FROM names WHERE kind = ?1 AND name = ?2", (what.kind.as_str(), &what.name), |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(number) = number {
        let column = what.kind.as_str();
        if kind == FileKind::Day {
            removed.exchanges = delete(&transaction, "exchanges", column, number)?;
        } else {
            // Where there is no tenant, sums are those of a product.
            let column = if what.kind == NameKind::Client { "tenant" } else { column };
            removed.sums = delete(&transaction, "rollups", column, number)?;
        }
        let rename = "UPDATE names SET name = 'forgotten ' || id WHERE id = ?1";
        transaction.execute(rename, [number])?;
    }
    if kind == FileKind::Main {
        for (table, column, _) in TEXTS.into_iter().filter(|(.., kinds)| kinds.contains(&what.kind)) {
            if has_column(&transaction, table, column)? {
                removed.others += delete(&transaction, table, column, &what.name)?;
            }
        }
        let value = serde_json::Value::from(what.name.as_str()).to_string();
        for (table, column) in OBJECTS {
            let delete = format!("DELETE FROM {table} WHERE instr({column}, ?1) > 0");
            removed.others += transaction.execute(&delete, [&value])? as u64;
        }
    }
    transaction.commit()?;
    // Out of the log beside the file, too, unless somebody reads.
    let _in_use = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    Ok(removed)
}

fn delete(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<u64> {
    transaction.execute(&format!("DELETE FROM {table} WHERE {column} = ?1"), [value]).map(|count| count as u64)
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    connection.query_row(select, (table, column), |row| row.get(0))
}
