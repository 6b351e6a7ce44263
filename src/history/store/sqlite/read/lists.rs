//! Events, the audit, jobs and lines of the log, the newest first.

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::{Reading, begin};
use crate::history::journal::alert::KeptAlert;
use crate::history::journal::job::{Job, JobTally};
use crate::history::journal::kind::JournalKind;
use crate::history::journal::log_line::LEVELS;
use crate::history::query::Range;
use crate::history::query::lists::{AlertTally, List, ListFilter, ListQuery, ListedEvent, ListedLine, MAX_LIST};
use crate::history::store::error::StoreError;
use crate::history::store::lists::{self, Condition, Listing};
use crate::history::store::sqlite::open;
use crate::history::store::sqlite::schema::FileKind;

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

    /// Alerts that fired within the range, those that began last first.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn alerts(&self, query: &ListQuery) -> Result<List<KeptAlert>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.list(query, &lists::alerts(query))) {
            return answer;
        }
        self.alerts_here(query)
    }

    /// Alerts of the processes of this directory alone.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn alerts_here(&self, query: &ListQuery) -> Result<List<KeptAlert>, StoreError> {
        self.list(query, &lists::alerts(query))
    }

    /// How many alerts fired within the range, by severity, however many are listed.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn alert_tallies(&self, query: &ListQuery) -> Result<Vec<AlertTally>, StoreError> {
        let listing = lists::alerts(query);
        if let Some(answer) = self.remotely(|remote| remote.alert_tallies(&listing)) {
            return answer;
        }
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(Vec::new()) };
        let select = || {
            begin(&connection, self.deadline())?;
            let terms = listing.condition.terms.join(" AND ");
            let select = format!(
                "SELECT severity, count(*), count(resolved), coalesce(sum(resolved - started), 0) FROM alerts \
                 WHERE {terms} GROUP BY severity ORDER BY severity"
            );
            select_all(&connection, &select, &listing.condition.values, tally)
        };
        select().map_err(|error| StoreError::of(&error, &path))
    }

    /// Jobs, those that began last first. One that runs is as it was some seconds ago.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn jobs(&self, query: &ListQuery) -> Result<List<Job>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.list(query, &lists::jobs(query))) {
            return answer;
        }
        self.list(query, &lists::jobs(query))
    }

    /// How many jobs began in a range, by kind and state.
    ///
    /// # Errors
    /// When the file cannot be read, or in time.
    pub fn job_tallies(&self, range: Range) -> Result<Vec<JobTally>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.job_tallies(range)) {
            return answer;
        }
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(Vec::new()) };
        let select = || {
            begin(&connection, self.deadline())?;
            let mut select = connection.prepare(
                "SELECT kind, state, count(*), count(ended), coalesce(sum(ended - started), 0) FROM jobs \
                 WHERE started >= ?1 AND started < ?2 GROUP BY kind, state ORDER BY kind, state",
            )?;
            let number =
                |row: &Row<'_>, at: usize| row.get::<_, i64>(at).map(|value| u64::try_from(value).unwrap_or(0));
            let tally = |row: &Row<'_>| {
                let (kind, state) = (row.get(0)?, row.get(1)?);
                Ok(JobTally { kind, state, count: number(row, 2)?, ended: number(row, 3)?, millis: number(row, 4)? })
            };
            select.query_map((range.from, range.to), tally)?.collect::<Result<_, _>>()
        };
        select().map_err(|error| StoreError::of(&error, &path))
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
        self.list(
            query,
            &Listing { table: "logs", columns: LINE, order: "at DESC, id DESC", first: None, condition, read: line },
        )
    }

    fn entries(&self, kind: JournalKind, query: &ListQuery) -> Result<List<ListedEvent>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.list(query, &lists::entries(kind, query))) {
            return answer;
        }
        self.list(query, &lists::entries(kind, query))
    }

    /// The rows that a listing selects.
    fn list<T>(&self, query: &ListQuery, listing: &Listing<T>) -> Result<List<T>, StoreError> {
        let path = self.directory.main();
        let nothing = List { entries: Vec::new(), total: 0 };
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(nothing) };
        let Listing { table, columns, order, condition, read, first: _ } = listing;
        let limit = query.limit.min(MAX_LIST);
        let select = || {
            begin(&connection, self.deadline())?;
            let (places, terms) = (&condition.values, condition.terms.join(" AND "));
            let count = format!("SELECT count(*) FROM {table} WHERE {terms}");
            let total = connection
                .query_row(&count, rusqlite::params_from_iter(places), |row| row.get::<_, i64>(0))?
                .unsigned_abs();
            let offset = query.offset;
            let select =
                format!("SELECT {columns} FROM {table} WHERE {terms} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
            Ok(List { entries: select_all(&connection, &select, places, *read)?, total })
        };
        select().map_err(|error| StoreError::of(&error, &path))
    }
}

fn tally(row: &Row<'_>) -> rusqlite::Result<AlertTally> {
    let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
    Ok(AlertTally { severity: row.get(0)?, count: number(1)?, ended: number(2)?, millis: row.get(3)? })
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
