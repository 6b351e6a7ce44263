//! The longest, largest and dearest exchanges of all replicas.

use super::page::condition;
use super::{Open, Refusal, RemoteReading, borrowed};
use crate::history::day::Day;
use crate::history::names::Names;
use crate::history::query::{Exchange, Filter, MAX_PAGE, Range, TopQuery};
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::postgres::value::timestamp;
use crate::history::tops::TopBy;

/// Milliseconds of an hour.
const HOUR: i64 = Step::Hour.seconds() * 1000;

/// Its list follows the end of an hour within this time, in milliseconds; until then its rows are read.
const SETTLED: i64 = 60_000;

impl RemoteReading {
    /// The first exchanges by what is asked for, the first of all first: whole hours by their lists, the rest, and all where
    /// there is a filter, by their rows.
    pub(in crate::history) fn top(&self, query: &TopQuery) -> Result<Vec<Exchange>, StoreError> {
        self.ask(|open| {
            let limit = query.limit.min(MAX_PAGE);
            let mut found = Vec::new();
            match open.listed_hours(query)? {
                None => found.extend(open.scanned(&self.names, query, query.range, limit)?),
                Some(hours) => {
                    found.extend(open.listed(&self.names, query.by, hours, limit)?);
                    let Range { from, to } = query.range;
                    for rest in [Range { from, to: hours.from }, Range { from: hours.to, to }] {
                        found.extend(open.scanned(&self.names, query, rest, limit)?);
                    }
                }
            }
            found.sort_by_key(|it| std::cmp::Reverse((query.by.value(&it.row), it.id)));
            found.truncate(limit);
            Ok(found)
        })
    }
}

impl Open {
    /// The whole hours of a range that lists answer.
    fn listed_hours(&mut self, query: &TopQuery) -> Result<Option<Range>, Refusal> {
        if query.filter != Filter::default() {
            return Ok(None);
        }
        let (first, last) =
            (self.first("SELECT min(at) FROM exchanges")?, self.first("SELECT max(at) FROM exchanges")?);
        let Some((first, last)) = first.zip(last) else { return Ok(None) };
        // Lists have exchanges of days that were removed, too.
        let from = query.range.from.max(Day::of(first).begin());
        let hours = Range {
            from: from.div_euclid(HOUR) * HOUR + if from.rem_euclid(HOUR) > 0 { HOUR } else { 0 },
            to: query.range.to.min(last - SETTLED).div_euclid(HOUR) * HOUR,
        };
        Ok((hours.from < hours.to).then_some(hours))
    }

    fn listed(&mut self, names: &Names, by: TopBy, hours: Range, limit: usize) -> Result<Vec<Exchange>, Refusal> {
        let (from, to) = (timestamp(hours.from), timestamp(hours.to));
        let condition = format!(
            "(at, replica, id) IN (SELECT ended, replica, exchange FROM tops WHERE measure = $1 AND at >= $2 AND at < $3 \
             ORDER BY value DESC, exchange DESC LIMIT {limit})"
        );
        self.exchanges(names, &condition, &[&by.as_str(), &from, &to])
    }

    fn scanned(
        &mut self,
        names: &Names,
        query: &TopQuery,
        range: Range,
        limit: usize,
    ) -> Result<Vec<Exchange>, Refusal> {
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let value = match query.by {
            TopBy::Duration => "duration_us",
            TopBy::Tokens => "coalesce(prompt_tokens + generated_tokens, prompt_tokens, generated_tokens)",
            TopBy::Cost => "cost_nano",
        };
        let (condition, values) = condition(range, &query.filter);
        let order =
            format!("{condition} AND {value} IS NOT NULL ORDER BY {value} DESC, id DESC, replica LIMIT {limit}");
        self.exchanges(names, &order, &borrowed(&values))
    }
}
