//! The exchanges of one day, for writing.

use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior};

use super::names::FileNames;
use super::schema::FileKind;
use super::{open, rows};
use crate::history::conversation::Salt;
use crate::history::day::Day;
use crate::history::names::Names;
use crate::history::row::Entry;
use crate::history::store::directory::{Directory, OpeningLock};
use crate::history::store::error::StoreError;

/// The file of a day.
pub(super) struct DayFile {
    pub(super) day: Day,
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    names: FileNames,
}

impl DayFile {
    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(directory: &Directory, day: Day, alone: &OpeningLock) -> Result<Self, StoreError> {
        let path = directory.day(day);
        let connection = open::writable(&path, FileKind::Day, alone)?;
        Ok(Self { day, path, connection, names: FileNames::default() })
    }

    /// Inserts entries within one transaction: all of them, or none.
    pub(super) fn insert(&mut self, entries: &[Entry], names: &Names, salt: Salt) -> Result<(), StoreError> {
        let inserted = self.try_insert(entries, names, salt);
        inserted.map_err(|error| {
            self.names.forget();
            StoreError::of(&error, &self.path)
        })
    }

    fn try_insert(&mut self, entries: &[Entry], names: &Names, salt: Salt) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for Entry { row, .. } in entries {
            let used = [row.backend, row.model, row.tenant, row.client, row.endpoint];
            self.names.store(&transaction, names, used.into_iter())?;
        }
        {
            let mut insert = transaction.prepare(&rows::insert())?;
            for entry in entries {
                rows::write(&mut insert, entry, salt, |id| self.names.number(id))?;
            }
        }
        transaction.commit()
    }

    /// Makes it a file that needs no other beside it, which a past day stays. Left alone where it is read or written
    /// elsewhere.
    pub(super) fn close(self, _alone: &OpeningLock) {
        let _in_use = self.connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()));
    }
}
