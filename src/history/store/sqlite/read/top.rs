//! The longest, largest and dearest exchanges.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Reading;
use super::page::condition;
use crate::history::day::Day;
use crate::history::id::RowId;
use crate::history::query::{Exchange, Filter, MAX_PAGE, Range, TopQuery};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::tops::TopBy;

/// Hours of which rows are read, where the top lists do not have them: they cannot be filtered, and the current hour is
/// not complete.
const HOUR: i64 = Step::Hour.seconds() * 1000;

impl Reading {
    /// The first exchanges by what is asked for, the first of all first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn top(&self, query: &TopQuery) -> Result<Vec<Exchange>, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.top(query)) {
            return answer;
        }
        let (deadline, limit) = (self.deadline(), query.limit.min(MAX_PAGE));
        let Range { from, to } = query.range;
        // Lists have exchanges of days that were removed, too.
        let from = self.directory.days().first().map_or(from, |day| from.max(day.begin()));
        // Whole hours by their lists; but the last, which its writer may not have added yet, by its rows.
        let (first, last) = (
            from.div_euclid(HOUR) * HOUR + if from % HOUR == 0 { 0 } else { HOUR },
            to.min(self.last()?.map_or(0, RowId::millis)),
        );
        let last = last.div_euclid(HOUR) * HOUR;
        let mut found = Vec::new();
        if query.filter == Filter::default() && first < last {
            found.extend(self.listed(query.by, Range { from: first, to: last }, limit, deadline)?);
            for rest in [Range { from, to: first }, Range { from: last, to }] {
                found.extend(self.scanned(query, rest, limit, deadline)?);
            }
        } else {
            found.extend(self.scanned(query, query.range, limit, deadline)?);
        }
        found.sort_by_key(|it: &Exchange| std::cmp::Reverse((query.by.value(&it.row), it.id)));
        found.truncate(limit);
        Ok(found)
    }

    /// The first exchanges of whole hours.
    fn listed(&self, by: TopBy, range: Range, limit: usize, deadline: Instant) -> Result<Vec<Exchange>, StoreError> {
        let Some(snapshot) = self.snapshot(deadline)? else { return Ok(Vec::new()) };
        let mut by_day: BTreeMap<Day, Vec<String>> = BTreeMap::new();
        for id in snapshot.tops(by.as_str(), range, limit)? {
            by_day.entry(Day::of(id.millis())).or_default().push(id.0.to_string());
        }
        let mut found = Vec::new();
        for (day, ids) in by_day {
            let Some(open) = self.day(day, deadline)? else { continue };
            found.extend(open.select(&self.names, &format!("WHERE id IN ({})", ids.join(", ")), &[])?);
        }
        Ok(found)
    }

    /// The first exchanges of a range, from all of its rows.
    fn scanned(
        &self,
        query: &TopQuery,
        range: Range,
        limit: usize,
        deadline: Instant,
    ) -> Result<Vec<Exchange>, StoreError> {
        let value = match query.by {
            TopBy::Duration => "duration_us",
            TopBy::Tokens => "coalesce(prompt_tokens + generated_tokens, prompt_tokens, generated_tokens)",
            TopBy::Cost => "cost_nano",
        };
        let mut found = Vec::new();
        for day in self.days_of(range).filter(|_| range.from < range.to) {
            let Some(open) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&open, &self.names, range, &query.filter) else { continue };
            // The sort has only ids: with whole rows it would read every column of every row.
            let first = format!(
                "WHERE id IN (SELECT id FROM exchanges {condition} AND {value} IS NOT NULL \
                 ORDER BY {value} DESC, id DESC LIMIT {limit})"
            );
            found.extend(open.select(&self.names, &first, &values)?);
        }
        Ok(found)
    }
}
