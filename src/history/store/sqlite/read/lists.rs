//! Events, the audit, jobs and lines of the log, the newest first.

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::{Reading, begin};
use crate::exchange::trace::TraceId;
use crate::history::journal::job::Job;
use crate::history::journal::kind::JournalKind;
use crate::history::journal::log_line::LEVELS;
use crate::history::query::lists::{List, ListFilter, ListQuery, ListedEvent, ListedLine, MAX_LIST};
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::open;
use crate::history::store::sqlite::schema::FileKind;

/// A condition with the values of its places.
pub(super) struct Condition {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Condition {
    /// That a column of times is within the range of a query.
    fn within(column: &str, query: &ListQuery) -> Self {
        let values = vec![Value::Integer(query.range.from), Value::Integer(query.range.to)];
        Self { terms: vec![format!("{column} >= ? AND {column} < ?")], values }
    }

    fn is(mut self, column: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.terms.push(format!("{column} = ?"));
            self.values.push(Value::Text(value.to_owned()));
        }
        self
    }

    fn one_of(mut self, column: &str, values: Option<Vec<Value>>) -> Self {
        if let Some(values) = values {
            let places = vec!["?"; values.len()].join(", ");
            self.terms.push(format!("{column} IN ({places})"));
            self.values.extend(values);
        }
        self
    }
}

fn texts(words: Option<&Vec<&'static str>>) -> Option<Vec<Value>> {
    words.map(|words| words.iter().map(|word| Value::Text((*word).to_owned())).collect())
}

impl Reading {
    /// Events, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn events(&self, query: &ListQuery) -> Result<List<ListedEvent>, StoreError> {
        self.entries(JournalKind::Event, query)
    }

    /// Entries of the audit, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn audit(&self, query: &ListQuery) -> Result<List<ListedEvent>, StoreError> {
        self.entries(JournalKind::Audit, query)
    }

    /// Jobs, those that began last first. One that runs is as it was some seconds ago.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn jobs(&self, query: &ListQuery) -> Result<List<Job>, StoreError> {
        let ListFilter { what, who, backend, resource, state, .. } = &query.filter;
        let condition = Condition::within("started", query)
            .is("kind", what.as_deref())
            .is("who", who.as_deref())
            .is("backend", backend.as_deref())
            .is("model", resource.as_deref())
            .is("state", state.as_deref());
        self.list(query, "jobs", JOB, "started DESC, id DESC", &condition, job)
    }

    /// Lines of the log, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn log_lines(&self, query: &ListQuery) -> Result<List<ListedLine>, StoreError> {
        let ListFilter { levels, component, .. } = &query.filter;
        let number = |word: &&'static str| LEVELS.iter().position(|level| level == word);
        let numbers = levels.as_ref().map(|words| words.iter().filter_map(number));
        let numbers = numbers.map(|numbers| numbers.map(|level| Value::Integer(level as i64)).collect());
        let condition = Condition::within("at", query).is("component", component.as_deref()).one_of("level", numbers);
        self.list(query, "logs", LINE, "at DESC, id DESC", &condition, line)
    }

    fn entries(&self, kind: JournalKind, query: &ListQuery) -> Result<List<ListedEvent>, StoreError> {
        let ListFilter { levels, what, who, backend, resource, component, state } = &query.filter;
        let condition = Condition::within("at", query)
            .is("kind", Some(kind.as_str()))
            .one_of("severity", texts(levels.as_ref()))
            .is("what", what.as_deref())
            .is("who", who.as_deref())
            .is("backend", backend.as_deref())
            .is("subject", resource.as_deref())
            .is("component", component.as_deref())
            .is("result", state.as_deref());
        self.list(query, "events", ENTRY, "at DESC, id DESC", &condition, entry)
    }

    /// The rows of a table that a condition selects.
    fn list<T>(
        &self,
        query: &ListQuery,
        table: &str,
        columns: &str,
        order: &str,
        condition: &Condition,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<List<T>, StoreError> {
        let path = self.directory.main();
        let nothing = List { entries: Vec::new(), total: 0 };
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(nothing) };
        let limit = query.limit.min(MAX_LIST);
        let read = || {
            begin(&connection, self.deadline())?;
            let (places, terms) = (&condition.values, condition.terms.join(" AND "));
            let count = format!("SELECT count(*) FROM {table} WHERE {terms}");
            let total = connection
                .query_row(&count, rusqlite::params_from_iter(places), |row| row.get::<_, i64>(0))?
                .unsigned_abs();
            let offset = query.offset;
            let select =
                format!("SELECT {columns} FROM {table} WHERE {terms} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
            Ok(List { entries: select_all(&connection, &select, places, read)?, total })
        };
        read().map_err(|error| StoreError::of(&error, &path))
    }
}

fn select_all<T>(
    connection: &Connection,
    select: &str,
    values: &[Value],
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut select = connection.prepare(select)?;
    select.query_map(rusqlite::params_from_iter(values), read)?.collect()
}

const ENTRY: &str = "id, at, severity, component, what, who, backend, subject, trace, result, detail";

fn entry(row: &Row<'_>) -> rusqlite::Result<ListedEvent> {
    Ok(ListedEvent {
        id: row.get(0)?,
        at: row.get(1)?,
        severity: row.get(2)?,
        component: row.get(3)?,
        what: row.get(4)?,
        who: row.get(5)?,
        backend: row.get(6)?,
        subject: row.get(7)?,
        trace: row.get::<_, Option<[u8; 16]>>(8)?.map(trace),
        result: row.get(9)?,
        detail: row.get(10)?,
    })
}

fn trace(bytes: [u8; 16]) -> TraceId {
    TraceId::from_random(u128::from_be_bytes(bytes))
}

const LINE: &str = "id, at, level, component, message, fields";

fn line(row: &Row<'_>) -> rusqlite::Result<ListedLine> {
    let level = usize::try_from(row.get::<_, i64>(2)?).ok().and_then(|level| LEVELS.get(level));
    Ok(ListedLine {
        id: row.get(0)?,
        at: row.get(1)?,
        level: level.copied().unwrap_or("error"),
        component: row.get(3)?,
        message: row.get(4)?,
        fields: row.get(5)?,
    })
}

const JOB: &str = "id, kind, state, backend, model, who, trace, started, ended, bytes_done, bytes_total, bytes_moved, \
    rate, step, status, error";

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let count = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(i64::unsigned_abs));
    let name = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(at)?.map(Into::into));
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        backend: name(3)?,
        model: name(4)?,
        who: name(5)?,
        trace: trace(row.get(6)?),
        started: row.get(7)?,
        ended: row.get(8)?,
        bytes_done: count(9)?,
        bytes_total: count(10)?,
        bytes_moved: count(11)?,
        rate: count(12)?,
        step: row.get(13)?,
        status: row.get(14)?,
        error: row.get(15)?,
    })
}
