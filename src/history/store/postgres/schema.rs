//! The tables, the partitions of days, and what is too old.

use std::fmt::Write;

use hashbrown::HashSet;
use tokio_postgres::Error;

use super::client::{Client, Transaction};
use super::columns::{self, Column, is_name};
use super::mirror;
use crate::exchange::outcome::Outcome;
use crate::history::codes;
use crate::history::day::Day;
use crate::history::settings::Retention;
use crate::history::store::mirrored;

/// The schema within the database.
pub(super) const SCHEMA: &str = "inferometer";

/// The version of these tables. They are only ever added to; a newer one is left alone.
const VERSION: i32 = 1;

/// The first number of this program's advisory locks ("infe"). The second is 0 for changes of tables, else a replica's.
pub(super) const LOCKS: i32 = 0x696e_6665;

/// Days ahead for which there are partitions.
const AHEAD: i64 = 3;

/// Percentiles of sums as plain columns, by the sketch that they are of.
pub(super) const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// How long a change of tables waits for whoever reads them; whoever comes later waits for it meanwhile.
const LOCK_LIMIT: &str = "SET LOCAL lock_timeout = '2s'";

/// Makes sure that all is there. `Ok(false)` where a newer release made the tables.
///
/// Tables and views that are as they should be are left alone: a change locks out whoever reads them, and a view that is
/// made again has lost what was granted on it.
pub(super) fn prepare(client: &mut Client) -> Result<bool, Error> {
    if !is_there(client, "meta")? {
        create(client)?;
        return Ok(true);
    }
    let version: Option<i32> =
        client.query_opt("SELECT value FROM meta WHERE key = 'version'", &[])?.map(|row| row.get(0));
    if version.is_some_and(|version| version > VERSION) {
        return Ok(false);
    }
    if version != Some(VERSION) || !is_complete(client)? {
        create(client)?;
    }
    Ok(true)
}

/// Whether a table is there; asks the catalogue, and so waits for nobody.
pub(super) fn is_there(client: &mut Client, name: &str) -> Result<bool, Error> {
    let name = format!("{SCHEMA}.{name}");
    Ok(client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])?.get(0))
}

/// Whether tables and views have all columns, and the codes all words.
fn is_complete(client: &mut Client) -> Result<bool, Error> {
    let select = "SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND a.attnum > 0 AND NOT a.attisdropped";
    let found = client.query(select, &[&SCHEMA])?;
    let found: HashSet<(String, String)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    let has = |table: &str, column: &str| found.contains(&(table.to_owned(), column.to_owned()));
    let (exchanges, sums) = (columns::of_exchanges(), sums_columns());
    let tables = exchanges.iter().all(|it| has("exchanges", &it.name) && has("exchanges_named", &it.name))
        && sums.iter().all(|it| has("rollups", &it.name))
        && plain_sums(&sums).all(|name| has("rollups_named", name))
        && [("names", "id"), ("replicas", "id"), ("cursors", "last"), ("ran", "at"), ("codes", "code")]
            .iter()
            .all(|(table, column)| has(table, column))
        && mirrored::all().iter().all(|table| table.columns.iter().all(|column| has(table.name, column.name)));
    if !tables {
        return Ok(false);
    }
    let codes = client.query("SELECT kind, code FROM codes", &[])?;
    let codes: HashSet<(String, i16)> = codes.iter().map(|row| (row.get(0), row.get(1))).collect();
    let known = |set: &str, code: u8| codes.contains(&(set.to_owned(), i16::from(code)));
    Ok(codes::sets().into_iter().all(|(set, values)| values.into_iter().all(|(code, _)| known(set, code))))
}

/// Creates what is missing.
fn create(client: &mut Client) -> Result<(), Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(LOCK_LIMIT)?;
    lock(&mut transaction)?;
    transaction.batch_execute(&format!(
        "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value integer)"
    ))?;
    transaction.batch_execute(&tables())?;
    for (set, values) in codes::sets() {
        for (code, word) in values {
            let insert = "INSERT INTO codes (kind, code, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            transaction.execute(insert, &[&set, &i16::from(code), &word])?;
        }
    }
    let insert = "INSERT INTO meta (key, value) VALUES ('version', $1) ON CONFLICT (key) DO UPDATE SET value = $1";
    transaction.execute(insert, &[&VERSION])?;
    transaction.commit()
}

/// One replica at a time changes tables.
fn lock(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&LOCKS]).map(|_| ())
}

fn tables() -> String {
    let columns = columns::of_exchanges();
    let declared: Vec<_> = columns.iter().map(|Column { name, kind }| format!("{name} {kind}")).collect();
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS names (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL,
            name text NOT NULL, UNIQUE (kind, name));
         CREATE TABLE IF NOT EXISTS codes (kind text, code smallint, name text NOT NULL, PRIMARY KEY (kind, code));
         CREATE TABLE IF NOT EXISTS replicas (id integer PRIMARY KEY, node text NOT NULL, seen timestamptz NOT NULL);
         CREATE TABLE IF NOT EXISTS cursors (replica integer, stream smallint, last bigint NOT NULL,
            PRIMARY KEY (replica, stream));
         CREATE TABLE IF NOT EXISTS ran (replica integer, step integer, at timestamptz, PRIMARY KEY (step, at, replica));
         CREATE TABLE IF NOT EXISTS exchanges (at timestamptz NOT NULL, replica integer NOT NULL, {},
            PRIMARY KEY (at, replica, id)) PARTITION BY RANGE (at);
         CREATE INDEX IF NOT EXISTS exchanges_trace ON exchanges (trace);
         CREATE INDEX IF NOT EXISTS exchanges_failed ON exchanges (outcome, at) WHERE outcome <> 0;
         CREATE TABLE IF NOT EXISTS rollups ({}, PRIMARY KEY (step, at, replica, backend, model, tenant, operation));",
        declared.join(", "),
        sums_columns().iter().map(|Column { name, kind }| format!("{name} {kind}")).collect::<Vec<_>>().join(", "),
    );
    // Of a later release of the files.
    for Column { name, kind } in &columns {
        write!(sql, "ALTER TABLE exchanges ADD COLUMN IF NOT EXISTS {name} {kind};").expect("a string");
    }
    for Column { name, kind } in &sums_columns() {
        write!(sql, "ALTER TABLE rollups ADD COLUMN IF NOT EXISTS {name} {kind};").expect("a string");
    }
    for table in mirrored::all() {
        sql += &mirror::create(&table);
    }
    sql + &views(&columns)
}

/// The columns of sums: their key, what the files have, how they ended, and percentiles.
pub(super) fn sums_columns() -> Vec<Column> {
    use tokio_postgres::types::Type;
    let column = |name: &str, kind| Column { name: name.to_owned(), kind };
    let mut columns = vec![
        column("step", Type::INT4),
        column("at", Type::TIMESTAMPTZ),
        column("backend", Type::INT4),
        column("model", Type::INT4),
        column("tenant", Type::INT4),
        column("operation", Type::INT2),
    ];
    let is_sketch = |name: &str| crate::history::rollup::Measure::ALL.iter().any(|measure| measure.as_str() == name);
    columns.extend(crate::history::store::sqlite::tail::sums_columns().map(|name| {
        let kind = if name == "by_outcome" || is_sketch(name) { Type::BYTEA } else { Type::INT8 };
        column(name, kind)
    }));
    columns.extend(Outcome::ALL.iter().map(|outcome| column(outcome.as_str(), Type::INT8)));
    for measure in crate::history::rollup::Measure::ALL {
        columns
            .extend(PERCENTILES.iter().map(|(name, _)| column(&format!("{}_{name}", measure.as_str()), Type::FLOAT8)));
    }
    columns.push(column("replica", Type::INT4));
    columns
}

/// Columns of sums that came after the view was first made.
const LATER: [&str; 2] = ["retried", "messages"];

/// The columns of sums that the view has as they are, with those that came later at the end.
fn plain_sums(sums: &[Column]) -> impl Iterator<Item = &str> {
    let hidden =
        |name: &str| name == "by_outcome" || crate::history::rollup::Measure::ALL.iter().any(|it| it.as_str() == name);
    let coded = |name: &str| matches!(name, "backend" | "model" | "tenant" | "operation" | "replica");
    let plain = sums.iter().map(|column| column.name.as_str()).filter(move |name| !hidden(name) && !coded(name));
    let (later, first): (Vec<_>, Vec<_>) = plain.partition(|name| LATER.contains(name));
    first.into_iter().chain(later)
}

/// With words in place of numbers, for people and Grafana. Columns of a later release are added at the end, so that a view
/// stays what others were granted, and what they built on it.
fn views(columns: &[Column]) -> String {
    let coded = |column: &str| codes::sets().iter().any(|(set, _)| *set == column);
    let (mut selected, mut joins) = (String::new(), String::new());
    for Column { name, .. } in columns {
        if is_name(name) {
            write!(selected, ", {name}_.name AS {name}").expect("a string");
            write!(joins, " LEFT JOIN names {name}_ ON {name}_.id = e.{name}").expect("a string");
        } else if coded(name) {
            write!(selected, ", {name}_.name AS {name}").expect("a string");
            write!(joins, " LEFT JOIN codes {name}_ ON {name}_.kind = '{name}' AND {name}_.code = e.{name}")
                .expect("a string");
        } else if matches!(name.as_str(), "trace" | "parent" | "conversation") {
            write!(selected, ", encode(e.{name}, 'hex') AS {name}").expect("a string");
        } else {
            write!(selected, ", e.{name}").expect("a string");
        }
    }
    let sums = sums_columns();
    let plain: Vec<_> = plain_sums(&sums).map(|name| format!("s.{name}")).collect();
    format!(
        "CREATE OR REPLACE VIEW exchanges_named AS SELECT e.at, r.node{selected} FROM exchanges e
            LEFT JOIN replicas r ON r.id = e.replica{joins};
         CREATE OR REPLACE VIEW rollups_named AS SELECT r.node, b.name AS backend, m.name AS model, t.name AS tenant,
            o.name AS operation, {} FROM rollups s LEFT JOIN replicas r ON r.id = s.replica
            LEFT JOIN names b ON b.id = s.backend LEFT JOIN names m ON m.id = s.model LEFT JOIN names t ON t.id = s.tenant
            LEFT JOIN codes o ON o.kind = 'operation' AND o.code = s.operation;",
        plain.join(", ")
    )
}

/// The name of a day's partition.
fn partition(day: Day) -> String {
    format!("exchanges_{}", day.to_string().replace('-', "_"))
}

/// Creates the partitions of a day, and of the days that follow, where they are missing. Whoever reads goes on: a table that
/// is attached locks out nobody, where one that is created as a partition would.
pub(super) fn create_partitions(client: &mut Client, from: Day) -> Result<(), Error> {
    for day in (from.0..=from.0 + AHEAD).map(Day) {
        let (name, next) = (partition(day), day.next());
        if is_there(client, &name)? {
            continue;
        }
        let mut transaction = client.transaction()?;
        transaction.batch_execute(LOCK_LIMIT)?;
        lock(&mut transaction)?;
        // Another replica may have been first.
        let absent = "SELECT to_regclass($1) IS NULL";
        if transaction.query_one(absent, &[&format!("{SCHEMA}.{name}")])?.get(0) {
            transaction.batch_execute(&format!(
                "CREATE TABLE {name} (LIKE exchanges INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
                 ALTER TABLE exchanges ATTACH PARTITION {name} FOR VALUES FROM ('{day}') TO ('{next}')"
            ))?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Removes what is too old, of all replicas: days as a whole. `now` is in milliseconds since the epoch.
pub(super) fn expire(client: &mut Client, retention: &Retention, now: i64) -> Result<(), Error> {
    let before = |age: std::time::Duration| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let mut transaction = client.transaction()?;
    transaction.batch_execute(LOCK_LIMIT)?;
    lock(&mut transaction)?;
    let select = format!(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = '{SCHEMA}.exchanges'::regclass"
    );
    for row in transaction.query(&select, &[])? {
        let name: String = row.get(0);
        let day = name.strip_prefix("exchanges_").and_then(|day| Day::parse(&day.replace('_', "-")));
        if day.is_some_and(|day| day.next().begin() <= before(retention.raw) && day < Day::of(now)) {
            transaction.batch_execute(&format!("ALTER TABLE exchanges DETACH PARTITION {name}; DROP TABLE {name}"))?;
        }
    }
    for (step, age) in [(60_i32, retention.minutes), (3600, retention.hours)] {
        let oldest = super::value::timestamp(before(age));
        for table in ["rollups", "ran", "host", "gpu"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE step = {step} AND at < $1"), &[&oldest])?;
        }
    }
    for (table, column, age) in [
        ("tops", "at", retention.hours),
        ("events", "at", retention.events),
        ("alerts", "started", retention.events),
        ("jobs", "started", retention.jobs),
    ] {
        let oldest = super::value::timestamp(before(age));
        transaction.execute(&format!("DELETE FROM {table} WHERE {column} < $1"), &[&oldest])?;
    }
    transaction.commit()
}
