//! `main.db`, for writing.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::names::FileNames;
use super::schema::FileKind;
use super::{open, salt, sums};
use crate::history::conversation::Salt;
use crate::history::id::{ProcessNumber, RowId};
use crate::history::journal::job::JobState;
use crate::history::names::{NameId, Names};
use crate::history::rollup::{Rollups, Step};
use crate::history::store::directory::{Directory, OpeningLock};
use crate::history::store::error::StoreError;
use crate::history::tops::{self, Candidate};

/// The file.
pub(super) struct MainFile {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    names: FileNames,
}

/// What is added within one transaction.
pub(super) struct Merge<'a> {
    pub(super) rollups: &'a Rollups,
    pub(super) tops: &'a [Candidate],
    pub(super) names: &'a Names,
    /// The minute and the hour in which the program runs.
    pub(super) ran: Option<[i64; 2]>,
    /// Exchanges of this process up to this id are in the sums; `None` closes its account.
    pub(super) folded: (ProcessNumber, Option<RowId>),
}

/// The key of the last id of a process that is in the sums. It is there only while the process runs, and after its death.
fn folded_key(process: ProcessNumber) -> String {
    format!("folded/{}", process.0)
}

impl MainFile {
    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(directory: &Directory, alone: &OpeningLock) -> Result<Self, StoreError> {
        let path = directory.main();
        let connection = open::writable(&path, FileKind::Main, alone)?;
        Ok(Self { path, connection, names: FileNames::default() })
    }

    /// Runs a piece of work within an immediate transaction.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut FileNames) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction, &mut self.names)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| {
            self.names.forget();
            StoreError::of(&error, &self.path)
        })
    }

    /// Adds sums and candidates, and notes up to which exchange they reach.
    pub(super) fn merge(&mut self, merge: &Merge<'_>) -> Result<(), StoreError> {
        self.with(|transaction, names| {
            for (key, more) in &merge.rollups.intervals() {
                let used = [key.of.backend, key.of.model, key.of.tenant];
                names.store(transaction, merge.names, used.into_iter())?;
                let number = |id: NameId| names.number(id).unwrap_or(0);
                sums::merge(transaction, key, used.map(number), more)?;
            }
            add_tops(transaction, merge.tops)?;
            for (step, at) in merge.ran.into_iter().flat_map(|ran| Step::ALL.into_iter().zip(ran)) {
                transaction.execute("INSERT OR IGNORE INTO ran (step, at) VALUES (?1, ?2)", (step.seconds(), at))?;
            }
            let (process, folded) = merge.folded;
            set_folded(transaction, process, folded)
        })
    }

    /// The salt of the conversations in this directory; makes one if it has no salt yet.
    pub(super) fn salt(&mut self) -> Result<Salt, StoreError> {
        self.with(|transaction, _| salt::make(transaction))
    }

    /// Opens the account of a process: what follows this id is not in the sums. No job of its number runs.
    pub(super) fn begin(&mut self, process: ProcessNumber, last: RowId) -> Result<(), StoreError> {
        self.with(|transaction, _| {
            lose_jobs(transaction, process)?;
            set_folded(transaction, process, Some(last))
        })
    }

    /// Marks the jobs that a process left behind.
    pub(super) fn lose_jobs(&mut self, process: ProcessNumber) -> Result<(), StoreError> {
        self.with(|transaction, _| lose_jobs(transaction, process))
    }

    /// The last id of a process that is in the sums, where it has not closed its account.
    pub(super) fn folded(&self, process: ProcessNumber) -> Result<Option<RowId>, StoreError> {
        let select = "SELECT value FROM meta WHERE key = ?1";
        let found = self.connection.query_row(select, [folded_key(process)], |row| row.get(0)).optional();
        found.map(|found| found.map(RowId)).map_err(|error| StoreError::of(&error, &self.path))
    }
}

fn lose_jobs(transaction: &Transaction<'_>, process: ProcessNumber) -> rusqlite::Result<()> {
    let lose = "UPDATE jobs SET state = ?1, rate = NULL WHERE process = ?2 AND state = ?3";
    transaction.execute(lose, (JobState::Lost.as_str(), process.0, JobState::Running.as_str())).map(|_| ())
}

fn set_folded(connection: &Connection, process: ProcessNumber, last: Option<RowId>) -> rusqlite::Result<()> {
    let key = folded_key(process);
    match last {
        Some(last) => connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", (key, last.0)),
        None => connection.execute("DELETE FROM meta WHERE key = ?1", [key]),
    }
    .map(|_| ())
}

/// Adds candidates to the top lists of their hours, and shortens these.
fn add_tops(connection: &Connection, candidates: &[Candidate]) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare("INSERT OR IGNORE INTO tops (at, measure, value, exchange) VALUES (?1, ?2, ?3, ?4)")?;
    let mut lists: Vec<_> = candidates.iter().map(|it| (it.hour, it.by)).collect();
    for Candidate { hour, by, value, id } in candidates {
        insert.execute((hour, by.as_str(), value, id.0))?;
    }
    lists.sort_unstable();
    lists.dedup();
    let mut shorten = connection.prepare(
        "DELETE FROM tops WHERE at = ?1 AND measure = ?2 AND (value, exchange) NOT IN (SELECT value, exchange FROM tops \
         WHERE at = ?1 AND measure = ?2 ORDER BY value DESC, exchange DESC LIMIT ?3)",
    )?;
    for (hour, by) in lists {
        shorten.execute((hour, by.as_str(), tops::KEPT))?;
    }
    Ok(())
}
