//! Sums of a whole range, for each backend, model and operation.

use std::sync::Arc;

use hashbrown::HashMap;

use super::sums::bounds;
use super::{Open, Refusal, RemoteReading, borrowed, of_row};
use crate::history::query::Range;
use crate::history::query::totals::{RangeTotals, Total, widened};
use crate::history::rollup::{OperationKey, Step, Sums};
use crate::history::store::error::StoreError;
use crate::history::store::postgres::columns::as_row;
use crate::history::store::sqlite::tail::{read_sums, sums_columns};

impl RemoteReading {
    /// The sums of a range, widened to whole intervals.
    pub(in crate::history) fn totals(&self, range: Range) -> Result<RangeTotals, StoreError> {
        self.ask(|open| {
            let within = widened(range, open.minutes_from()?);
            Ok(RangeTotals { range: within.1, totals: open.totals(within)? })
        })
    }
}

impl Open {
    fn totals(&mut self, (step, range): (Step, Range)) -> Result<Vec<Total>, Refusal> {
        let columns = sums_columns().collect::<Vec<_>>().join(", ");
        let select = format!(
            "SELECT backend, model, operation, {columns} FROM rollups WHERE step = $1 AND at >= $2 AND at < $3"
        );
        let mut groups: HashMap<(i32, i32, i16), Sums> = HashMap::new();
        for row in self.client.query(&select, &borrowed(&bounds(step, range)))? {
            let sums = as_row(&self.scratch, of_row(&row)?, |row| read_sums(row, 3))?;
            groups.entry((row.get(0), row.get(1), row.get(2))).or_default().merge(&sums);
        }
        let used: Vec<i32> = groups.keys().flat_map(|(backend, model, _)| [*backend, *model]).collect();
        let names = self.client.query("SELECT id, name FROM names WHERE id = ANY($1)", &[&used])?;
        let names: HashMap<i32, Arc<str>> =
            names.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())).collect();
        let total = |((backend, model, operation), sums): ((i32, i32, i16), Sums)| {
            let operation = OperationKey::try_from(operation).unwrap_or(OperationKey::MAX);
            Total::of([names.get(&backend).cloned(), names.get(&model).cloned()], operation, sums)
        };
        Ok(groups.into_iter().map(total).collect())
    }
}
