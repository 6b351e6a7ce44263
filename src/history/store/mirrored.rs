//! The tables beside exchanges and sums that PostgreSQL has as the files have them: one definition for both.

use crate::history::machine::{Fact, GpuFact};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Bytes,
    Real,
    /// A time: milliseconds since the epoch in the files.
    Millis,
    /// A time: seconds since the epoch in the files.
    Seconds,
}

/// A column, as it is called in PostgreSQL, and what it is in the files.
#[derive(Clone, Copy, Debug)]
pub(in crate::history) struct MirroredColumn {
    pub(in crate::history) name: &'static str,
    pub(super) expression: &'static str,
    pub(super) kind: Kind,
}

/// A table.
#[derive(Clone, Debug)]
pub(in crate::history) struct Mirrored {
    pub(in crate::history) name: &'static str,
    /// What it is read from.
    pub(super) from: &'static str,
    pub(in crate::history) columns: Vec<MirroredColumn>,
    /// What distinguishes the rows of one replica.
    pub(super) key: &'static str,
    /// A further index of PostgreSQL.
    pub(super) index: Option<&'static str>,
}

const fn column(name: &'static str, kind: Kind) -> MirroredColumn {
    MirroredColumn { name, expression: name, kind }
}

/// All of them.
pub(super) fn all() -> [Mirrored; 6] {
    [events(), alerts(), jobs(), tops(), host(), gpu()]
}

/// Events and audit entries.
pub(in crate::history) fn events() -> Mirrored {
    let texts = ["kind", "severity", "component", "what", "who", "backend", "subject"];
    let mut columns = vec![column("id", Kind::Number), column("at", Kind::Millis)];
    columns.extend(texts.map(|name| column(name, Kind::Text)));
    columns.extend([column("trace", Kind::Bytes), column("result", Kind::Text), column("detail", Kind::Text)]);
    Mirrored { name: "events", from: "events", columns, key: "id", index: Some("kind, at") }
}

/// Alerts that fire or have fired.
pub(in crate::history) fn alerts() -> Mirrored {
    let texts = ["id", "rule", "state", "severity", "category", "labels", "subject"];
    let mut columns: Vec<_> = texts.map(|name| column(name, Kind::Text)).into();
    columns.extend(["started", "fired", "resolved", "acked_at"].map(|name| column(name, Kind::Millis)));
    columns.extend([column("acked_by", Kind::Text), column("value", Kind::Real), column("threshold", Kind::Real)]);
    columns.extend([column("summary", Kind::Text), column("description", Kind::Text)]);
    Mirrored { name: "alerts", from: "alerts", columns, key: "id", index: Some("started") }
}

/// Pulls, pushes and creates.
pub(in crate::history) fn jobs() -> Mirrored {
    let mut columns = vec![column("id", Kind::Number)];
    columns.extend(["kind", "state", "backend", "model", "who"].map(|name| column(name, Kind::Text)));
    columns.extend([
        column("trace", Kind::Bytes),
        column("started", Kind::Millis),
        column("ended", Kind::Millis),
        column("bytes_done", Kind::Number),
        column("bytes_total", Kind::Number),
        column("bytes_moved", Kind::Number),
        column("rate", Kind::Number),
        column("step", Kind::Text),
        column("status", Kind::Number),
        column("error", Kind::Text),
    ]);
    Mirrored { name: "jobs", from: "jobs", columns, key: "id", index: Some("started") }
}

/// The first exchanges of each hour.
pub(in crate::history) fn tops() -> Mirrored {
    let columns = vec![
        column("at", Kind::Seconds),
        column("measure", Kind::Text),
        column("value", Kind::Number),
        column("exchange", Kind::Number),
        MirroredColumn { name: "ended", expression: "exchange >> 20", kind: Kind::Millis },
    ];
    Mirrored { name: "tops", from: "tops", columns, key: "measure, at, exchange", index: None }
}

/// Means of the machine.
pub(in crate::history) fn host() -> Mirrored {
    let mut columns = means();
    columns.extend(Fact::ALL.map(|fact| column(fact.as_str(), Kind::Real)));
    Mirrored { name: "host", from: "host t JOIN names m ON m.id = t.node", columns, key: "step, at, node", index: None }
}

/// Means of its GPUs.
pub(in crate::history) fn gpu() -> Mirrored {
    let mut columns = means();
    columns.push(column("uuid", Kind::Text));
    columns.extend(GpuFact::ALL.map(|fact| column(fact.as_str(), Kind::Real)));
    let from = "gpu t JOIN names m ON m.id = t.node";
    Mirrored { name: "gpu", from, columns, key: "step, at, node, uuid", index: None }
}

fn means() -> Vec<MirroredColumn> {
    let node = MirroredColumn { name: "node", expression: "m.name", kind: Kind::Text };
    vec![column("step", Kind::Number), column("at", Kind::Seconds), node, column("n", Kind::Number)]
}
