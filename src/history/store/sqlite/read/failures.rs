//! Exchanges that did not complete, counted by how they ended.

use rusqlite::types::Value;

use super::page::condition;
use super::{OpenDay, Reading};
use crate::exchange::outcome::{ErrorType, Outcome};
use crate::history::codes::Coded;
use crate::history::id::RowId;
use crate::history::names::Names;
use crate::history::query::failures::{EndedAlike, Ending, together};
use crate::history::query::{Filter, Range};
use crate::history::store::error::StoreError;

impl Reading {
    /// Exchanges that did not complete, by how they ended, on which backend and of which model; the most frequent first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn failures(&self, range: Range, filter: &Filter) -> Result<Vec<EndedAlike>, StoreError> {
        let filter = Filter { failed: true, ..filter.clone() };
        if let Some(answer) = self.remotely(|remote| remote.failures(range, &filter)) {
            return answer.map(together);
        }
        let (mut all, deadline) = (Vec::new(), self.deadline());
        for day in self.days_of(range) {
            let Some(day) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&day, &self.names, range, &filter) else { continue };
            all.extend(day.ended_alike(&self.names, &condition, &values)?);
        }
        Ok(together(all))
    }
}

impl OpenDay {
    /// The rows that a condition selects, by how they ended. An outcome of a newer release is left out.
    fn ended_alike(&self, names: &Names, condition: &str, values: &[Value]) -> Result<Vec<EndedAlike>, StoreError> {
        let by = "outcome, error, status, backend, model";
        let count = format!("SELECT {by}, sum(weight), max(id) FROM exchanges {condition} GROUP BY {by}");
        let name = |number: Option<i64>| names.name(*self.names.get(&number?)?);
        let counted = || {
            let mut count = self.connection.prepare(&count)?;
            let mut found = count.query(rusqlite::params_from_iter(values))?;
            let mut all = Vec::new();
            while let Some(row) = found.next()? {
                let Some(outcome) = Outcome::from_code(row.get(0)?) else { continue };
                let ending = Ending {
                    outcome,
                    error: row.get::<_, Option<u8>>(1)?.and_then(ErrorType::from_code),
                    status: row.get(2)?,
                    backend: name(row.get(3)?),
                    model: name(row.get(4)?),
                };
                let (count, newest): (i64, i64) = (row.get(5)?, row.get(6)?);
                all.push(EndedAlike { ending, count: count.unsigned_abs(), newest: RowId(newest) });
            }
            Ok(all)
        };
        counted().map_err(|error: rusqlite::Error| StoreError::of(&error, &self.path))
    }
}
