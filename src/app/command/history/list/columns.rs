//! The columns of each list.

use serde_json::Value;

use super::table::Columns;
use crate::history::journal::job::Job;
use crate::history::query::lists::{ListedError, ListedEvent, ListedLine};
use crate::history::timestamp::Timestamp;

fn time(millis: i64) -> Value {
    Timestamp(millis).to_string().into()
}

fn text(text: Option<&str>) -> Value {
    text.into()
}

/// What is a JSON object in the file.
fn object(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

impl Columns for ListedEvent {
    const NAMES: &'static [&'static str] =
        &["id", "time", "level", "kind", "component", "backend", "resource", "details"];

    fn values(&self) -> Vec<Value> {
        vec![
            self.id.into(),
            time(self.at),
            (*self.severity).into(),
            (*self.what).into(),
            (*self.component).into(),
            text(self.backend.as_deref()),
            text(self.subject.as_deref()),
            object(self.detail.as_deref()),
        ]
    }
}

/// An entry of the audit.
pub(super) struct AuditEntry(ListedEvent);

pub(super) fn audit(entries: Vec<ListedEvent>) -> Vec<AuditEntry> {
    entries.into_iter().map(AuditEntry).collect()
}

impl Columns for AuditEntry {
    const NAMES: &'static [&'static str] =
        &["id", "time", "level", "user", "action", "resource", "result", "backend", "trace", "details"];

    fn values(&self) -> Vec<Value> {
        let Self(entry) = self;
        vec![
            entry.id.into(),
            time(entry.at),
            (*entry.severity).into(),
            text(entry.who.as_deref()),
            (*entry.what).into(),
            text(entry.subject.as_deref()),
            text(entry.result.as_deref()),
            text(entry.backend.as_deref()),
            entry.trace.map(|trace| trace.to_string()).into(),
            object(entry.detail.as_deref()),
        ]
    }
}

impl Columns for ListedError {
    const NAMES: &'static [&'static str] =
        &["time", "level", "kind", "component", "backend", "resource", "user", "status", "trace", "message"];

    fn values(&self) -> Vec<Value> {
        vec![
            time(self.at),
            self.severity.into(),
            (*self.what).into(),
            (*self.component).into(),
            text(self.backend.as_deref()),
            text(self.resource.as_deref()),
            text(self.who.as_deref()),
            self.status.into(),
            self.trace.map(|trace| trace.to_string()).into(),
            (*self.message).into(),
        ]
    }
}

impl Columns for Job {
    const NAMES: &'static [&'static str] = &[
        "id",
        "started",
        "ended",
        "kind",
        "state",
        "resource",
        "backend",
        "user",
        "progress",
        "bytes_done",
        "bytes_total",
        "bytes_moved",
        "bytes_per_second",
        "step",
        "status",
        "error",
        "trace",
    ];

    fn values(&self) -> Vec<Value> {
        vec![
            // Beyond what JavaScript counts exactly.
            self.id.to_string().into(),
            time(self.started),
            self.ended.map_or(Value::Null, time),
            (*self.kind).into(),
            (*self.state).into(),
            text(self.model.as_deref()),
            text(self.backend.as_deref()),
            text(self.who.as_deref()),
            self.progress().map(|part| (part * 1e4).round() / 1e4).into(),
            self.bytes_done.into(),
            self.bytes_total.into(),
            self.bytes_moved.into(),
            self.rate.into(),
            text(self.step.as_deref()),
            self.status.into(),
            text(self.error.as_deref()),
            self.trace.to_string().into(),
        ]
    }
}

impl Columns for ListedLine {
    const NAMES: &'static [&'static str] = &["id", "time", "level", "component", "message", "fields"];

    fn values(&self) -> Vec<Value> {
        vec![
            self.id.into(),
            time(self.at),
            self.level.into(),
            (*self.component).into(),
            (*self.message).into(),
            object(self.fields.as_deref()),
        ]
    }
}
