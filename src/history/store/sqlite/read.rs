//! All files, for reading: single exchanges here, what needs more in the files below.

mod askers;
mod conversations;
mod errors;
mod failures;
mod kept;
mod lists;
mod machine;
pub(super) mod page;
mod series;
mod sums;
mod top;
mod total;
mod totals;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::schema::FileKind;
use super::{names, open, rows, salt};
use crate::exchange::trace::TraceId;
use crate::exchange::vocabulary::Conversation;
use crate::history::conversation::{ConversationId, RowConversation};
use crate::history::day::Day;
use crate::history::id::RowId;
use crate::history::names::{NameId, Names};
use crate::history::query::{Exchange, Source};
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;
use crate::history::store::postgres::connect::Server;
use crate::history::store::postgres::read::RemoteReading;

/// Answers questions, one after the other. Several may read beside each other, and beside writers.
#[derive(Debug)]
pub struct Reading {
    directory: Directory,
    names: Arc<Names>,
    limit: Duration,
    /// Answers what is asked of exchanges and sums, where it is configured.
    remote: Option<RemoteReading>,
    /// Where answers came from since this was last asked.
    source: Mutex<Source>,
    /// Where the latest answer of several that share this came from.
    latest: Arc<Mutex<Source>>,
}

/// The file of a day while a question is answered.
pub(super) struct OpenDay {
    pub(super) connection: Connection,
    /// The numbers of names in this process, by those in the file.
    pub(super) names: HashMap<i64, NameId>,
    pub(super) path: std::path::PathBuf,
}

impl Reading {
    /// Of this directory; nothing is opened yet. A question that takes longer than `limit` is given up.
    #[must_use]
    pub fn new(directory: Directory, limit: Duration) -> Self {
        Self { directory, names: Arc::default(), limit, remote: None, source: Mutex::default(), latest: Arc::default() }
    }

    /// Asks PostgreSQL of exchanges and sums: those of all replicas. What only this machine's files have is read there, and
    /// for some seconds everything where PostgreSQL does not answer.
    #[must_use]
    pub fn with_server(self, server: Server) -> Self {
        let remote = RemoteReading::new(server, self.limit, self.names.clone());
        Self { remote: Some(remote), ..self }
    }

    /// Notes where the latest answer came from.
    #[must_use]
    pub fn noting(self, latest: Arc<Mutex<Source>>) -> Self {
        Self { latest, ..self }
    }

    /// An exchange by its id; `None` where it is not kept. An id is unique in a directory; where several share one PostgreSQL,
    /// this machine's exchange comes first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn exchange(&self, id: RowId) -> Result<Option<Exchange>, StoreError> {
        let own = self.directory.replica_number().unwrap_or(None);
        if let Some(answer) = self.remotely(|remote| remote.exchange(id, own)) {
            return answer;
        }
        let deadline = self.deadline();
        let Some(day) = self.day(Day::of(id.millis()), deadline)? else { return Ok(None) };
        let found = day.select(&self.names, "WHERE id = ?1", &[rows::integer(id.0)])?;
        Ok(found.into_iter().next())
    }

    /// The exchange of a trace with this number within its process, which names it while it goes on as well; `None` where
    /// it is not kept. What PostgreSQL does not have yet is read from this machine's files, of so many days, the latest
    /// first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn exchange_of(&self, trace: TraceId, number: u32, days: usize) -> Result<Option<Exchange>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.exchange_of(trace, number))
            && !matches!(answer, Ok(None))
        {
            return answer;
        }
        let deadline = self.deadline();
        for day in self.directory.days().into_iter().rev().take(days) {
            let Some(day) = self.day(day, deadline)? else { continue };
            let values = [Value::Blob(trace.bytes().into()), rows::integer(number.into())];
            let found =
                day.select(&self.names, "WHERE trace = ?1 AND number = ?2 ORDER BY id DESC LIMIT 1", &values)?;
            if let Some(found) = found.into_iter().next() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The exchanges of a trace, the newest first, at most a hundred.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn trace(&self, trace: TraceId) -> Result<Vec<Exchange>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.trace(trace)) {
            return answer;
        }
        let deadline = self.deadline();
        let mut found = Vec::new();
        for day in self.directory.days().into_iter().rev() {
            let Some(day) = self.day(day, deadline)? else { continue };
            let id = [Value::Blob(trace.bytes().into())];
            found.extend(day.select(&self.names, "WHERE trace = ?1 ORDER BY id DESC LIMIT 100", &id)?);
        }
        found.truncate(100);
        Ok(found)
    }

    /// The conversation that clients call so, as it is kept in this directory; `None` where nothing is kept yet.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn conversation(&self, name: &str) -> Result<Option<ConversationId>, StoreError> {
        let (path, named) = (self.directory.main(), Conversation::named(name.as_bytes()));
        let Some((connection, named)) = open::readable(&path, FileKind::Main)?.zip(named) else { return Ok(None) };
        let salt = begin(&connection, self.deadline()).and_then(|()| salt::read(&connection));
        let salt = salt.map_err(|error| StoreError::of(&error, &path))?;
        Ok(salt.map(|salt| salt.keep(RowConversation::Named(named))))
    }

    /// The names of all files so far.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Opens the file of a day for as long as it takes.
    pub(super) fn unlimited(&self, day: Day) -> Result<Option<OpenDay>, StoreError> {
        let open = self.day(day, self.deadline())?;
        if let Some(open) = &open {
            open::interrupt_after(&open.connection, None).map_err(|error| StoreError::of(&error, &open.path))?;
        }
        Ok(open)
    }

    /// Where the answers since the last call came from. Of several sources it is the one that most has to be said: that
    /// PostgreSQL did not answer, else that it did.
    pub fn take_source(&self) -> Source {
        std::mem::take(&mut self.source.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What PostgreSQL answers; `None` where the files have to.
    fn remotely<T>(
        &self,
        question: impl FnOnce(&RemoteReading) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let answer = self.remote.as_ref()?.answer(question);
        let of_this = if answer.is_some() { Source::Postgres } else { Source::Fallback };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = of_this;
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        *source = (*source).max(of_this);
        answer
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// Opens the file of a day as it is at one instant; `None` if it does not exist.
    fn day(&self, day: Day, deadline: Instant) -> Result<Option<OpenDay>, StoreError> {
        let path = self.directory.day(day);
        let Some(connection) = open::readable(&path, FileKind::Day)? else { return Ok(None) };
        let names = begin(&connection, deadline)
            .and_then(|()| names::read(&connection, &self.names))
            .map_err(|error| StoreError::of(&error, &path))?;
        Ok(Some(OpenDay { connection, names, path }))
    }
}

/// When the oldest exchange that is kept ended, in milliseconds since the epoch; `None` where none is.
pub(super) fn oldest(directory: &Directory) -> Result<Option<i64>, StoreError> {
    for day in directory.days() {
        if let Some((first, _)) = ends(directory, day)? {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// When the first and the last exchange of a day ended whose rows are kept, in milliseconds since the epoch; `None` for a day
/// without rows.
fn ends(directory: &Directory, day: Day) -> Result<Option<(i64, i64)>, StoreError> {
    let path = directory.day(day);
    let Some(connection) = open::readable(&path, FileKind::Day)? else { return Ok(None) };
    // Each on its own is found without reading the rows between them.
    let select = "SELECT (SELECT min(id) FROM exchanges), (SELECT max(id) FROM exchanges)";
    let found = connection.query_row(select, [], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)));
    let found = found.map_err(|error| StoreError::of(&error, &path))?;
    Ok(found.map(|(first, last)| (RowId(first).millis(), RowId(last).millis())))
}

/// Begins to read a file as it is at one instant, and interrupts the connection at the deadline. Without the transaction
/// rows that are written meanwhile would be read with the names, or the number of rows, of an instant before.
fn begin(connection: &Connection, deadline: Instant) -> rusqlite::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    open::interrupt_after(connection, Some(left))?;
    connection.execute_batch("BEGIN")
}

impl OpenDay {
    /// The exchanges that a condition selects.
    fn select(&self, names: &Names, condition: &str, values: &[Value]) -> Result<Vec<Exchange>, StoreError> {
        let select = || {
            let mut statement =
                self.connection.prepare(&format!("SELECT {} FROM exchanges {condition}", rows::COLUMNS))?;
            let mut found = statement.query(rusqlite::params_from_iter(values))?;
            let mut exchanges = Vec::new();
            while let Some(row) = found.next()? {
                exchanges.extend(rows::read(row, &self.names)?.map(|entry| rows::named(entry, names)));
            }
            Ok(exchanges)
        };
        select().map_err(|error| StoreError::of(&error, &self.path))
    }

    /// The number of a name in the file; `None` where the file does not have it.
    fn number(&self, names: &Names, kind: crate::history::names::NameKind, name: &str) -> Option<i64> {
        let id = names.find(kind, name)?;
        self.names.iter().find(|(_, known)| **known == id).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::names::NameKind;
    use crate::history::row::{Entry, Row, sample};
    use crate::history::store::sqlite::writer::Store;

    #[test]
    fn a_row_that_is_written_during_a_question_is_whole_or_absent() {
        let folder = std::env::temp_dir().join(format!("inferometer-instant-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (directory, names, today) = (Directory::within(&folder), Arc::new(Names::default()), Day::of(1_000));
        let mut store = Store::open(directory.clone(), names.clone(), 1_000).expect("a fresh directory");
        let mut insert = |model: &str| {
            let row = Row { model: names.intern(NameKind::Model, model), ..sample(Duration::from_secs(1)) };
            let id = store.next_id(1_000);
            store.insert(today, &[Entry { id, weight: 1, row }]).expect("room");
        };
        insert("first");
        let reading = Reading::new(directory, Duration::from_secs(20));
        let models = |day: &OpenDay| -> Vec<_> {
            let found = day.select(&reading.names, "ORDER BY id", &[]).expect("sound");
            found.into_iter().map(|exchange| exchange.model.map(|model| model.to_string())).collect()
        };
        let open = || reading.day(today, reading.deadline()).expect("sound").expect("there");
        let before = open();
        insert("second");
        assert_eq!(models(&before), [Some("first".to_owned())]);
        assert_eq!(models(&open()), [Some("first".to_owned()), Some("second".to_owned())]);
        drop((before, store));
        let _ = std::fs::remove_dir_all(&folder);
    }
}
