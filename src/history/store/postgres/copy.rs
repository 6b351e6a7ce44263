//! Brings rows into a table: a binary copy into a temporary one, then an insert that leaves what is there.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::client::Transaction;
use super::columns::Column;
use super::value::Cell;

/// Inserts rows, each with a value for every column. `on_conflict` says what happens with those that are there.
pub(super) fn insert(
    transaction: &mut Transaction<'_>,
    table: &str,
    columns: &[Column],
    rows: &[Vec<Cell>],
    on_conflict: &str,
) -> Result<(), Error> {
    let names = columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let declared: Vec<_> = columns.iter().map(|Column { name, kind }| format!("{name} {kind}")).collect();
    transaction.batch_execute(&format!("CREATE TEMPORARY TABLE incoming ({}) ON COMMIT DROP", declared.join(", ")))?;
    let kinds: Vec<Type> = columns.iter().map(|column| column.kind.clone()).collect();
    transaction.copy_in(&format!("COPY incoming ({names}) FROM STDIN (FORMAT binary)"), &kinds, rows)?;
    let insert = format!("INSERT INTO {table} ({names}) SELECT {names} FROM incoming ON CONFLICT {on_conflict}");
    transaction.batch_execute(&insert)
}
