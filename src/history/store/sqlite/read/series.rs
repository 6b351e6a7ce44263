//! Sums over time.

use super::Reading;
use crate::history::query::Range;
use crate::history::query::series::{Series, SeriesQuery};
use crate::history::store::error::StoreError;

impl Reading {
    /// The sums of each interval of a range. `None` where there would be too many intervals.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn series(&self, query: &SeriesQuery) -> Result<Option<Series>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.series(query)) {
            return answer;
        }
        let Some(mut series) = Series::empty(query.range, query.interval) else { return Ok(None) };
        let Some(snapshot) = self.snapshot(self.deadline())? else { return Ok(Some(series)) };
        let (step, range) = (query.interval.step(), Range { from: series.from * 1000, to: series.to() * 1000 });
        for at in snapshot.ran(step, range)? {
            if let Some(point) = series.point(at) {
                point.get_or_insert_default();
            }
        }
        snapshot.each(self, (step, range), &query.filter, |at, sums| {
            if let Some(point) = series.point(at) {
                point.get_or_insert_default().merge(sums);
            }
        })?;
        Ok(Some(series))
    }
}
