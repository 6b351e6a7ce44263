//! Means of the machine as rows of `host` and `gpu`, and back.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::writer::Store;
use crate::history::machine::{Fact, GpuFact, MachineRollups, Means};
use crate::history::store::error::StoreError;

impl Store {
    /// Adds means to those that the file has.
    pub(in crate::history) fn merge_machine(&mut self, node: &str, rollups: &MachineRollups) -> Result<(), StoreError> {
        self.main().with(|transaction, _| {
            transaction.execute("INSERT OR IGNORE INTO names (kind, name) VALUES ('node', ?1)", [node])?;
            let node: i64 =
                transaction
                    .query_row("SELECT id FROM names WHERE kind = 'node' AND name = ?1", [node], |row| row.get(0))?;
            for ((step, at), means) in &rollups.0 {
                let key = vec![
                    ("step", Value::Integer(step.seconds())),
                    ("at", Value::Integer(*at)),
                    ("node", Value::Integer(node)),
                ];
                merge(transaction, "host", &key, &Fact::ALL.map(Fact::as_str), &means.machine)?;
                for (gpu, means) in &means.gpus {
                    let mut key = key.clone();
                    key.push(("uuid", Value::Text(gpu.to_string())));
                    merge(transaction, "gpu", &key, &GpuFact::ALL.map(GpuFact::as_str), means)?;
                }
            }
            Ok(())
        })
    }
}

/// Adds means to the row of this key.
fn merge<const N: usize>(
    connection: &Connection,
    table: &str,
    key: &[(&str, Value)],
    columns: &[&str; N],
    more: &Means<N>,
) -> rusqlite::Result<()> {
    let condition: Vec<_> = key.iter().map(|(column, _)| format!("{column} = ?")).collect();
    let values = || key.iter().map(|(_, value)| value.clone());
    let select = format!("SELECT n, {} FROM {table} WHERE {}", columns.join(", "), condition.join(" AND "));
    let found = connection.query_row(&select, rusqlite::params_from_iter(values()), |row| means(row, 0)).optional()?;
    let mut merged = found.unwrap_or_default();
    merged.merge(more.count, &more.means());
    let names: Vec<_> = key.iter().map(|(column, _)| *column).chain(["n"]).chain(*columns).collect();
    let places = vec!["?"; names.len()].join(", ");
    let insert = format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({places})", names.join(", "));
    let count = Value::Integer(i64::try_from(merged.count).unwrap_or(i64::MAX));
    let facts = merged.means().map(|fact| fact.map_or(Value::Null, Value::Real));
    connection.execute(&insert, rusqlite::params_from_iter(values().chain([count]).chain(facts))).map(|_| ())
}

/// Reads means: the number of readings, and the facts in the columns after it.
pub(super) fn means<const N: usize>(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Means<N>> {
    let mut facts = [None; N];
    for (at, fact) in facts.iter_mut().enumerate() {
        *fact = row.get(first + 1 + at)?;
    }
    let mut means = Means::default();
    means.merge(row.get::<_, i64>(first)?.try_into().unwrap_or(0), &facts);
    Ok(means)
}
