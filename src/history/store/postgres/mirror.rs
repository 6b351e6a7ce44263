//! The tables that are as the files have them: how they are created, and how rows come into them.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::client::Transaction;
use super::columns::Column;
use super::copy;
use super::value::Cell;
use crate::history::store::mirrored::{Kind, Mirrored};
use crate::history::store::sqlite::tail::Values;
use rusqlite::types::Value;

const fn kind(of: Kind) -> Type {
    match of {
        Kind::Number => Type::INT8,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Real => Type::FLOAT8,
        Kind::Millis | Kind::Seconds => Type::TIMESTAMPTZ,
    }
}

/// What creates a table where it is missing.
pub(super) fn create(table: &Mirrored) -> String {
    let Mirrored { name, key, .. } = table;
    let columns: Vec<_> = table.columns.iter().map(|it| format!("{} {}", it.name, kind(it.kind))).collect();
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {name} (replica integer NOT NULL, {}, PRIMARY KEY ({key}, replica));",
        columns.join(", ")
    );
    for column in &columns {
        sql += &format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column};");
    }
    if let Some(index) = table.index {
        sql += &format!("CREATE INDEX IF NOT EXISTS {name}_more ON {name} ({index});");
    }
    sql
}

/// Inserts rows of a replica; those that are there become what they are now.
pub(super) fn insert(
    transaction: &mut Transaction<'_>,
    table: &Mirrored,
    replica: i32,
    rows: Vec<Values>,
) -> Result<(), Error> {
    let own = table.columns.iter().map(|it| Column { name: it.name.to_owned(), kind: kind(it.kind) });
    let columns: Vec<Column> = own.chain([Column { name: "replica".to_owned(), kind: Type::INT4 }]).collect();
    let cells = |row: Values| -> Vec<Cell> {
        let own = row.into_iter().zip(&table.columns).map(|(value, column)| match (value, column.kind) {
            (Value::Integer(seconds), Kind::Seconds) => Cell(Value::Integer(seconds * 1000)),
            (value, _) => Cell(value),
        });
        own.chain([Cell(Value::Integer(replica.into()))]).collect()
    };
    let rows: Vec<_> = rows.into_iter().map(cells).collect();
    let set: Vec<_> = table.columns.iter().map(|it| format!("{0} = EXCLUDED.{0}", it.name)).collect();
    let update = format!("({}, replica) DO UPDATE SET {}", table.key, set.join(", "));
    copy::insert(transaction, table.name, &columns, &rows, &update)
}
