//! Questions to the database, in which all replicas are. It is some seconds behind the files.

mod askers;
mod failures;
mod lists;
mod machine;
mod page;
mod sums;
mod top;
mod totals;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::client::Client;
use super::columns::{as_row, is_name};
use super::connect::Server;
use super::value::Cell;
use crate::exchange::trace::TraceId;
use crate::history::id::RowId;
use crate::history::names::{NameId, NameKind, Names};
use crate::history::query::Exchange;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::tail::{exchange_columns, read_exchange};

/// Answers questions, one after the other, over one connection.
#[derive(Debug)]
pub(in crate::history) struct RemoteReading {
    server: Server,
    limit: Duration,
    names: Arc<Names>,
    open: Mutex<Option<Open>>,
    /// Until when it is not asked, because it did not answer.
    away: Mutex<Option<Instant>>,
}

/// How long the files answer after the database did not.
const AWAY: Duration = Duration::from_secs(10);

/// A connection.
struct Open {
    client: Client,
    /// Reads values as a file's.
    scratch: Connection,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Open(closed: {})", self.client.is_closed())
    }
}

/// Why a question was not answered: the database, or a value that cannot be read.
enum Refusal {
    Server(tokio_postgres::Error),
    Value(rusqlite::Error),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Value(error)
    }
}

/// Values of a statement.
type Parameters = Vec<Box<dyn ToSql + Sync>>;

impl RemoteReading {
    /// Nothing is connected yet. The server gives a statement up after `limit`.
    pub(in crate::history) fn new(server: Server, limit: Duration, names: Arc<Names>) -> Self {
        Self { server, limit, names, open: Mutex::new(None), away: Mutex::new(None) }
    }

    /// The answer to a question. `None` where the files have to answer, because the database does not.
    pub(in crate::history) fn answer<T>(
        &self,
        question: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if away.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = question(self);
        let was_away = away.take().is_some();
        match &answer {
            Err(StoreError::Paused(_, why)) => {
                *away = Some(Instant::now() + AWAY);
                if !was_away {
                    tracing::warn!(why, "PostgreSQL does not answer; questions are answered from this machine's files");
                }
                return None;
            }
            _ if was_away => tracing::info!("PostgreSQL answers again"),
            _ => {}
        }
        Some(answer)
    }

    /// An exchange by its id. Two replicas may give the same: that of `own`, this machine's, comes before the others, of
    /// which the one with the lowest number is first.
    pub(in crate::history) fn exchange(&self, id: RowId, own: Option<i32>) -> Result<Option<Exchange>, StoreError> {
        let at = super::value::timestamp(id.millis());
        let first = "at = $1 AND id = $2 ORDER BY replica IS NOT DISTINCT FROM $3 DESC, replica LIMIT 1";
        let found = self.ask(|open| open.exchanges(&self.names, first, &[&at, &id.0, &own]))?;
        Ok(found.into_iter().next())
    }

    /// The exchange of a trace with this number within its process, the newest where replicas have given it twice.
    pub(in crate::history) fn exchange_of(&self, trace: TraceId, number: u32) -> Result<Option<Exchange>, StoreError> {
        let (bytes, number): (&[u8], _) = (&trace.bytes(), i64::from(number));
        let condition = "trace = $1 AND coalesce(number, 0) = $2 ORDER BY at DESC LIMIT 1";
        let found = self.ask(|open| open.exchanges(&self.names, condition, &[&bytes, &number]))?;
        Ok(found.into_iter().next())
    }

    /// The exchanges of a trace, the newest first, at most a hundred.
    pub(in crate::history) fn trace(&self, trace: TraceId) -> Result<Vec<Exchange>, StoreError> {
        let bytes: &[u8] = &trace.bytes();
        self.ask(|open| open.exchanges(&self.names, "trace = $1 ORDER BY at DESC, id DESC LIMIT 100", &[&bytes]))
    }

    /// Asks over the connection; connects first if there is no connection yet, and again if it was lost.
    fn ask<T>(&self, mut question: impl FnMut(&mut Open) -> Result<T, Refusal>) -> Result<T, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = open.as_ref().is_some_and(|open| !open.client.is_closed());
        loop {
            if open.as_ref().is_none_or(|open| open.client.is_closed()) {
                *open = Some(Open::connect(&self.server, self.limit)?);
            }
            let connected = open.as_mut().expect("connected above");
            match question(connected) {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Value(error)) => return Err(StoreError::of(&error, "postgres".as_ref())),
                // One that was lost before this question.
                Err(Refusal::Server(error)) if error.is_closed() && was_open => *open = None,
                Err(Refusal::Server(error)) => return Err(self.server.failed(&error)),
            }
        }
    }
}

impl Open {
    fn connect(server: &Server, limit: Duration) -> Result<Self, StoreError> {
        let scratch = Connection::open_in_memory().map_err(|error| StoreError::of(&error, "memory".as_ref()))?;
        Ok(Self { client: server.connect(limit)?, scratch })
    }

    /// The exchanges that a condition selects.
    fn exchanges(
        &mut self,
        names: &Names,
        condition: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Exchange>, Refusal> {
        let columns = exchange_columns().collect::<Vec<_>>().join(", ");
        let found = self.client.query(&format!("SELECT {columns} FROM exchanges WHERE {condition}"), values)?;
        let rows = found.iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
        let known = self.names_of(names, &rows)?;
        let mut exchanges = Vec::with_capacity(rows.len());
        for row in rows {
            exchanges.extend(as_row(&self.scratch, row, |row| read_exchange(row, &known, names))?);
        }
        Ok(exchanges)
    }

    /// The names that these rows use, by their numbers in the database. Asked for after the rows, and not kept: numbers are
    /// not committed in their order, and a name may be forgotten.
    fn names_of(&mut self, names: &Names, rows: &[Vec<Value>]) -> Result<HashMap<i64, NameId>, Refusal> {
        let is_number: Vec<bool> = exchange_columns().map(is_name).collect();
        let in_row = |row: &Vec<Value>| {
            let numbers = row.iter().zip(&is_number).filter(|(_, is_number)| **is_number);
            let number = |value: &Value| match value {
                Value::Integer(number) => i32::try_from(*number).ok(),
                _ => None,
            };
            numbers.filter_map(|(value, _)| number(value)).collect::<Vec<_>>()
        };
        let used: BTreeSet<i32> = rows.iter().flat_map(in_row).collect();
        let mut known = HashMap::new();
        if used.is_empty() {
            return Ok(known);
        }
        let used: Vec<i32> = used.into_iter().collect();
        for row in self.client.query("SELECT id, kind, name FROM names WHERE id = ANY($1)", &[&used])? {
            let (number, kind, name): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
            if let Some(kind) = NameKind::ALL.into_iter().find(|known| known.as_str() == kind) {
                known.insert(number.into(), names.intern(kind, name));
            }
        }
        Ok(known)
    }
}

/// The values of a row.
fn of_row(row: &Row) -> Result<Vec<Value>, tokio_postgres::Error> {
    (0..row.len()).map(|at| row.try_get::<_, Cell>(at).map(|cell| cell.0)).collect()
}

/// Values as a statement takes them.
fn borrowed(values: &Parameters) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| &**value).collect()
}
