//! Sums of a whole range, for each backend, model and operation, in one reading.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Reading;
use super::sums::Snapshot;
use crate::history::query::Range;
use crate::history::query::totals::{RangeTotals, Total, widened};
use crate::history::rollup::{OperationKey, Step, Sums};
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::sums;

/// Backend and model, and what was asked for.
type Group = ([Option<Arc<str>>; 2], OperationKey);

impl Reading {
    /// The sums of a range, widened to whole intervals.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn totals(&self, range: Range) -> Result<RangeTotals, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.totals(range)) {
            return answer;
        }
        let Some(snapshot) = self.snapshot(self.deadline())? else {
            return Ok(RangeTotals { range: widened(range, i64::MIN).1, totals: Vec::new() });
        };
        let within = widened(range, snapshot.minutes_from()?);
        let mut groups = snapshot.stored_by_group(within).map_err(snapshot.failed())?;
        for (key, sums) in snapshot.unmerged(within) {
            let name = |id| self.names.kind_and_name(id).map(|(_, name)| name);
            let group = ([name(key.of.backend), name(key.of.model)], key.of.operation);
            groups.entry(group).or_default().merge(sums);
        }
        let totals = groups.into_iter().map(|((names, operation), sums)| Total::of(names, operation, sums));
        Ok(RangeTotals { range: within.1, totals: totals.collect() })
    }
}

impl Snapshot {
    fn stored_by_group(&self, (step, range): (Step, Range)) -> rusqlite::Result<HashMap<Group, Sums>> {
        let select = format!(
            "SELECT backend, model, operation, {} FROM rollups WHERE step = ?1 AND at >= ?2 AND at < ?3",
            sums::COLUMNS
        );
        let mut by_number: HashMap<(i64, i64, OperationKey), Sums> = HashMap::new();
        let mut select = self.connection().prepare(&select)?;
        let mut rows = select.query((step.seconds(), range.from.div_euclid(1000), range.to.div_euclid(1000)))?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?);
            by_number.entry(key).or_default().merge(&sums::read(row, 3)?);
        }
        let mut name = self.connection().prepare("SELECT max(name) FROM names WHERE id = ?1")?;
        let mut name = |number: i64| name.query_row([number], |row| row.get::<_, Option<Arc<str>>>(0));
        let mut groups: HashMap<Group, Sums> = HashMap::new();
        for ((backend, model, operation), sums) in by_number {
            let group = ([name(backend)?, name(model)?], operation);
            groups.entry(group).or_default().merge(&sums);
        }
        Ok(groups)
    }
}
