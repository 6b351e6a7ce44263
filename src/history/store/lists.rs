//! What the lists of events, audit entries, alerts and jobs ask of either database, and how their rows are read.

use rusqlite::Row;
use rusqlite::types::Value;

use crate::exchange::trace::TraceId;
use crate::history::journal::alert::KeptAlert;
use crate::history::journal::job::Job;
use crate::history::journal::kind::JournalKind;
use crate::history::query::lists::{ListFilter, ListQuery, ListedEvent};

/// A condition with the values of its places.
#[derive(Debug)]
pub(in crate::history) struct Condition {
    pub(super) terms: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Condition {
    /// That a column of times is within the range of a query.
    pub(super) fn within(column: &str, query: &ListQuery) -> Self {
        let values = vec![Value::Integer(query.range.from), Value::Integer(query.range.to)];
        Self { terms: vec![format!("{column} >= ? AND {column} < ?")], values }
    }

    /// That what goes on from one time to another, or without an end, has a moment within the range of a query. What ends with
    /// the first moment of the range counts.
    fn overlapping(begin: &str, end: &str, query: &ListQuery) -> Self {
        let values = vec![Value::Integer(query.range.to), Value::Integer(query.range.from)];
        Self { terms: vec![format!("{begin} < ? AND ({end} IS NULL OR {end} >= ?)")], values }
    }

    pub(super) fn is(mut self, column: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.terms.push(format!("{column} = ?"));
            self.values.push(Value::Text(value.to_owned()));
        }
        self
    }

    pub(super) fn one_of(mut self, column: &str, values: Option<Vec<Value>>) -> Self {
        if let Some(values) = values {
            let places = vec!["?"; values.len()].join(", ");
            self.terms.push(format!("{column} IN ({places})"));
            self.values.extend(values);
        }
        self
    }
}

/// A list: its table, what of it is read and how, and in which order.
pub(in crate::history) struct Listing<T> {
    pub(super) table: &'static str,
    pub(super) columns: &'static str,
    pub(super) order: &'static str,
    /// Of rows that several replicas have of one thing: which of them is first, and alone is compared with the condition. `None`
    /// where each has its own.
    pub(super) first: Option<&'static str>,
    pub(super) condition: Condition,
    pub(super) read: fn(&Row<'_>) -> rusqlite::Result<T>,
}

/// Events, or entries of the audit.
pub(super) fn entries(kind: JournalKind, query: &ListQuery) -> Listing<ListedEvent> {
    let ListFilter { levels, what, who, backend, resource, component, state, states: _ } = &query.filter;
    let words = |words: &Vec<&'static str>| words.iter().map(|word| Value::Text((*word).to_owned())).collect();
    let condition = Condition::within("at", query)
        .is("kind", Some(kind.as_str()))
        .one_of("severity", levels.as_ref().map(words))
        .is("what", what.as_deref())
        .is("who", who.as_deref())
        .is("backend", backend.as_deref())
        .is("subject", resource.as_deref())
        .is("component", component.as_deref())
        .is("result", state.as_deref());
    let columns = "id, at, severity, component, what, who, backend, subject, trace, result, detail";
    Listing { table: "events", columns, order: "at DESC, id DESC", first: None, condition, read: entry }
}

/// Jobs.
pub(super) fn jobs(query: &ListQuery) -> Listing<Job> {
    let ListFilter { what, who, backend, resource, state, states, .. } = &query.filter;
    let words = |words: &Vec<&'static str>| words.iter().map(|word| Value::Text((*word).to_owned())).collect();
    let condition = Condition::within("started", query)
        .is("kind", what.as_deref())
        .is("who", who.as_deref())
        .is("backend", backend.as_deref())
        .is("model", resource.as_deref())
        .is("state", state.as_deref())
        .one_of("state", states.as_ref().map(words));
    let columns = "id, kind, state, backend, model, who, trace, started, ended, bytes_done, bytes_total, bytes_moved, \
                   rate, step, status, error";
    Listing { table: "jobs", columns, order: "started DESC, id DESC", first: None, condition, read: job }
}

/// Alerts that fired within the range, whenever they began.
pub(super) fn alerts(query: &ListQuery) -> Listing<KeptAlert> {
    let ListFilter { levels, what, resource, state, .. } = &query.filter;
    let words = |words: &Vec<&'static str>| words.iter().map(|word| Value::Text((*word).to_owned())).collect();
    let condition = Condition::overlapping("started", "resolved", query)
        .one_of("severity", levels.as_ref().map(words))
        .is("rule", what.as_deref())
        .is("subject", resource.as_deref())
        .is("state", state.as_deref());
    let columns = "id, rule, severity, category, labels, subject, started, fired, resolved, acked_by, acked_at, value, \
                   threshold, summary, description";
    // Replicas that ask one Prometheus have the same alerts; one of them may have ended before the alert did.
    let first = Some("resolved IS NULL, acked_at IS NULL, replica");
    Listing { table: "alerts", columns, order: "started DESC, id DESC", first, condition, read: alert }
}

fn alert(row: &Row<'_>) -> rusqlite::Result<KeptAlert> {
    Ok(KeptAlert {
        id: row.get(0)?,
        rule: row.get(1)?,
        severity: row.get(2)?,
        category: row.get(3)?,
        labels: row.get(4)?,
        subject: row.get(5)?,
        started: row.get(6)?,
        fired: row.get(7)?,
        resolved: row.get(8)?,
        acknowledged_by: row.get(9)?,
        acknowledged: row.get(10)?,
        value: row.get(11)?,
        threshold: row.get(12)?,
        summary: row.get(13)?,
        description: row.get(14)?,
    })
}

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
