//! The columns of tables, from those of the files: what a release adds there is here without a line.

use rusqlite::Connection;
use tokio_postgres::types::Type;

use crate::history::store::sqlite::tail;

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
}

/// Numbers of names.
const NAMES: [&str; 5] = ["backend", "model", "tenant", "client", "endpoint"];

/// Whether a column of exchanges holds the number of a name.
pub(super) fn is_name(column: &str) -> bool {
    NAMES.contains(&column)
}

/// What fits into two bytes: statuses and the numbers of closed sets.
const SMALL: [&str; 9] = ["method", "dialect", "operation", "status", "outcome", "error", "phase", "finish", "cold"];

/// What fits into four.
const MIDDLE: [&str; 4] = ["weight", "flags", "sources", "attempts"];

/// Those of an exchange, in the order in which they are read from a file.
pub(super) fn of_exchanges() -> Vec<Column> {
    let declared = tail::declared_columns();
    let column = |name: &str| {
        let declared = declared.iter().find(|(column, _)| column == name).map(|(_, kind)| kind.as_str());
        let kind = match declared {
            _ if is_name(name) || MIDDLE.contains(&name) => Type::INT4,
            _ if SMALL.contains(&name) => Type::INT2,
            Some("BLOB") => Type::BYTEA,
            Some("REAL") => Type::FLOAT8,
            Some("TEXT") => Type::TEXT,
            _ => Type::INT8,
        };
        Column { name: name.to_owned(), kind }
    };
    tail::exchange_columns().map(column).collect()
}

/// A row of values, as a file would give it.
pub(super) fn as_row<T>(
    connection: &Connection,
    values: Vec<rusqlite::types::Value>,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let places = vec!["?"; values.len()].join(", ");
    let mut statement = connection.prepare(&format!("SELECT {places}"))?;
    statement.query_row(rusqlite::params_from_iter(values), read)
}
