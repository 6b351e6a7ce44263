//! Writes events, audit entries, jobs and lines of the log to `main.db`, and removes what is too old or too much.

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, params};

use super::writer::Store;
use crate::history::id::ProcessNumber;
use crate::history::journal::alert::KeptAlert;
use crate::history::journal::entry::{Detail, Entry};
use crate::history::journal::job::{Job, JobState};
use crate::history::journal::kind::JournalKind;
use crate::history::journal::log_line::{LEVELS, LogLine};
use crate::history::settings::Retention;
use crate::history::state::KeptEntries;
use crate::history::store::error::StoreError;

/// What is written within one transaction.
pub(in crate::history) struct JournalBatch<'a> {
    /// Events and audit entries, each with its time in milliseconds since the epoch.
    pub(in crate::history) entries: &'a [(i64, Entry)],
    /// Alerts as they are now.
    pub(in crate::history) alerts: &'a [KeptAlert],
    /// Jobs as they are now.
    pub(in crate::history) jobs: &'a [Job],
    pub(in crate::history) lines: &'a [LogLine],
}

/// Bytes of a line beside its texts, about.
const LINE_OVERHEAD: usize = 64;

/// Most lines that are kept, however short they are.
const MAX_LINES: i64 = 100_000;

impl Store {
    /// Writes all of it, or nothing.
    pub(in crate::history) fn write_journal(&mut self, batch: &JournalBatch<'_>) -> Result<(), StoreError> {
        let process = self.process();
        self.main().with(|transaction, _| {
            insert_entries(transaction, batch.entries)?;
            insert_alerts(transaction, batch.alerts)?;
            insert_jobs(transaction, process, batch.jobs)?;
            insert_lines(transaction, batch.lines)
        })
    }

    /// Removes what is too old or too much. `now` is in milliseconds since the epoch.
    pub(in crate::history) fn expire_journal(&mut self, retention: &Retention, now: i64) -> Result<(), StoreError> {
        let before = |age: std::time::Duration| now - i64::try_from(age.as_millis()).unwrap_or(i64::MAX / 2);
        let most = i64::try_from(retention.events_most).unwrap_or(i64::MAX);
        let bytes = i64::try_from(retention.logs_bytes).unwrap_or(i64::MAX);
        self.main().with(|transaction, _| {
            for kind in [JournalKind::Event, JournalKind::Audit] {
                let kind = kind.as_str();
                let old = "DELETE FROM events WHERE kind = ?1 AND at < ?2";
                transaction.execute(old, (kind, before(retention.events)))?;
                let excess = "DELETE FROM events WHERE id IN \
                    (SELECT id FROM events WHERE kind = ?1 ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?2)";
                transaction.execute(excess, (kind, most))?;
            }
            let alerts = "DELETE FROM alerts WHERE started < ?1 OR id IN \
                (SELECT id FROM alerts ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?2)";
            transaction.execute(alerts, (before(retention.events), most))?;
            let jobs = "DELETE FROM jobs WHERE started < ?1 AND state <> ?2";
            transaction.execute(jobs, (before(retention.jobs), JobState::Running.as_str()))?;
            transaction.execute("DELETE FROM logs WHERE at < ?1", [before(retention.logs)])?;
            expire_lines(transaction, bytes)
        })
    }

    /// What is kept of each kind.
    pub(in crate::history) fn kept_entries(&mut self) -> Result<[KeptEntries; JournalKind::ALL.len()], StoreError> {
        let main = self.main();
        kept_entries(&main.connection).map_err(|error| StoreError::of(&error, &main.path))
    }
}

/// What a file has of each kind, in the order of [`JournalKind::ALL`].
pub(in crate::history::store::sqlite) fn kept_entries(
    connection: &Connection,
) -> rusqlite::Result<[KeptEntries; JournalKind::ALL.len()]> {
    let mut kept = [KeptEntries::default(); JournalKind::ALL.len()];
    for kind in JournalKind::ALL {
        let (table, at, condition) = match kind {
            JournalKind::Event | JournalKind::Audit => ("events", "at", "kind = ?1"),
            JournalKind::Job => ("jobs", "started", "?1 <> ''"),
            JournalKind::LogLine => ("logs", "at", "?1 <> ''"),
        };
        let select = format!("SELECT count(*), min({at}) FROM {table} WHERE {condition}");
        let read = |row: &rusqlite::Row<'_>| {
            Ok(KeptEntries { count: row.get::<_, i64>(0)?.unsigned_abs(), oldest: row.get(1)? })
        };
        kept[kind as usize] = connection.query_row(&select, [kind.as_str()], read)?;
    }
    Ok(kept)
}

/// Removes the oldest lines beyond a number of bytes.
fn expire_lines(transaction: &Transaction<'_>, most: i64) -> rusqlite::Result<()> {
    let size = "SELECT coalesce(sum(bytes), 0), count(*) FROM logs";
    let (bytes, lines): (i64, i64) = transaction.query_row(size, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if bytes <= most && lines <= MAX_LINES {
        return Ok(());
    }
    let excess = "DELETE FROM logs WHERE id <= (SELECT max(id) FROM (SELECT id, \
        sum(bytes) OVER newest AS bytes, row_number() OVER newest AS lines FROM logs \
        WINDOW newest AS (ORDER BY id DESC ROWS UNBOUNDED PRECEDING)) WHERE bytes > ?1 OR lines > ?2)";
    // Some more than must be, so that the next time is not in a minute.
    transaction.execute(excess, (most / 10 * 9, MAX_LINES / 10 * 9)).map(|_| ())
}

/// Ids are microseconds since the epoch, or follow the last: those of a new file are beyond those of an earlier one, which the
/// copy follows, and those of several machines are hardly ever the same.
fn insert_entries(transaction: &Transaction<'_>, entries: &[(i64, Entry)]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO events (id, at, kind, severity, component, what, who, backend, subject, trace, result, detail) \
         VALUES (max(CAST(unixepoch('subsec') * 1000000 AS INTEGER), \
         (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events') + 1), \
         ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for (at, entry) in entries {
        insert.execute(params![
            at,
            entry.kind.as_str(),
            entry.severity.as_str(),
            entry.component,
            entry.what,
            entry.who.as_deref(),
            entry.backend.as_deref(),
            entry.subject.as_deref(),
            entry.trace.map(|trace| Value::Blob(trace.bytes().into())),
            entry.result,
            json(&entry.details),
        ])?;
    }
    Ok(())
}

/// As a JSON object; `None` for no details.
fn json(details: &[(&'static str, Detail)]) -> Option<String> {
    let value = |detail: &Detail| match detail {
        Detail::Text(text) => serde_json::Value::from(&**text),
        Detail::Number(number) => (*number).into(),
    };
    let object: serde_json::Map<_, _> =
        details.iter().map(|(name, detail)| ((*name).to_owned(), value(detail))).collect();
    (!object.is_empty()).then(|| serde_json::Value::from(object).to_string())
}

/// An acknowledgement stays, also where the end of the alert is reported without it.
fn insert_alerts(transaction: &Transaction<'_>, alerts: &[KeptAlert]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO alerts (id, rule, state, severity, category, labels, subject, started, fired, resolved, acked_by, \
         acked_at, value, threshold, summary, description) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, resolved = excluded.resolved, value = excluded.value, \
         summary = excluded.summary, description = excluded.description, \
         acked_by = coalesce(acked_by, excluded.acked_by), acked_at = coalesce(acked_at, excluded.acked_at)",
    )?;
    for alert in alerts {
        insert.execute(params![
            alert.id,
            alert.rule,
            alert.state(),
            alert.severity,
            alert.category,
            alert.labels,
            alert.subject,
            alert.started,
            alert.fired,
            alert.resolved,
            alert.acknowledged_by,
            alert.acknowledged,
            alert.value,
            alert.threshold,
            alert.summary,
            alert.description,
        ])?;
    }
    Ok(())
}

fn insert_jobs(transaction: &Transaction<'_>, process: ProcessNumber, jobs: &[Job]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO jobs (id, process, kind, state, backend, model, who, trace, started, ended, bytes_done, \
         bytes_total, bytes_moved, rate, step, status, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let signed = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    for job in jobs {
        insert.execute(params![
            job.id,
            process.0,
            job.kind,
            job.state,
            job.backend.as_deref(),
            job.model.as_deref(),
            job.who.as_deref(),
            job.trace.bytes(),
            job.started,
            job.ended,
            signed(job.bytes_done),
            signed(job.bytes_total),
            signed(job.bytes_moved),
            signed(job.rate),
            job.step,
            job.status,
            job.error,
        ])?;
    }
    Ok(())
}

fn insert_lines(transaction: &Transaction<'_>, lines: &[LogLine]) -> rusqlite::Result<()> {
    let mut insert = transaction
        .prepare("INSERT INTO logs (at, level, component, message, fields, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for line in lines {
        let level = LEVELS.iter().position(|level| *level == line.level).unwrap_or(0) as i64;
        let texts = line.component.len() + line.message.len() + line.fields.as_ref().map_or(0, |fields| fields.len());
        let bytes = i64::try_from(texts + LINE_OVERHEAD).unwrap_or(i64::MAX);
        insert.execute(params![line.at, level, line.component, line.message, line.fields, bytes])?;
    }
    Ok(())
}
