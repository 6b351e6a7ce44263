//! Exchanges of all replicas that did not complete, counted by how they ended.

use super::page::condition;
use super::{RemoteReading, borrowed};
use crate::exchange::outcome::{ErrorType, Outcome};
use crate::history::codes::Coded;
use crate::history::id::RowId;
use crate::history::query::failures::{EndedAlike, Ending};
use crate::history::query::{Filter, Range};
use crate::history::store::error::StoreError;

impl RemoteReading {
    /// The exchanges that fit, by how they ended. An outcome of a newer release is left out.
    pub(in crate::history) fn failures(&self, range: Range, filter: &Filter) -> Result<Vec<EndedAlike>, StoreError> {
        let (terms, values) = condition(range, filter);
        let count = format!(
            "SELECT outcome::integer, error::integer, status::integer, (SELECT name FROM names WHERE id = backend), \
             (SELECT name FROM names WHERE id = model), sum(weight)::bigint, max(id)::bigint \
             FROM exchanges WHERE {terms} GROUP BY outcome, error, status, backend, model"
        );
        let code = |number: i32| u8::try_from(number).ok();
        self.ask(|open| {
            let counted = open.client.query(&count, &borrowed(&values))?;
            let ended_alike = |row: &tokio_postgres::Row| {
                let name = |at: usize| row.get::<_, Option<&str>>(at).map(Into::into);
                let ending = Ending {
                    outcome: Outcome::from_code(code(row.get(0))?)?,
                    error: row.get::<_, Option<i32>>(1).and_then(code).and_then(ErrorType::from_code),
                    status: u16::try_from(row.get::<_, i32>(2)).ok()?,
                    backend: name(3),
                    model: name(4),
                };
                let (count, newest): (i64, i64) = (row.get(5), row.get(6));
                Some(EndedAlike { ending, count: count.unsigned_abs(), newest: RowId(newest) })
            };
            Ok(counted.iter().filter_map(ended_alike).collect())
        })
    }
}
