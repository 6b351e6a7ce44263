//! Sums over time.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Open, Parameters, Refusal, RemoteReading, borrowed, of_row};
use crate::exchange::outcome::Outcome;
use crate::history::query::series::{Group, Groups, Series, SeriesQuery};
use crate::history::query::{Filter, Range};
use crate::history::rollup::{By, OperationKey, Step};
use crate::history::store::error::StoreError;
use crate::history::store::postgres::columns::as_row;
use crate::history::store::postgres::value::{seconds_of, timestamp};
use crate::history::store::sqlite::tail::{read_sums, sums_columns};
use crate::history::store::terms::operations;

const HOURS_ALONE_UNTIL: &str = "SELECT max(at) + interval '1 hour' FROM ran WHERE step = 3600 \
    AND at < coalesce((SELECT date_trunc('hour', min(at), 'UTC') FROM ran WHERE step = 60), 'infinity')";

impl RemoteReading {
    /// Where the newest hour ends that is kept without its minutes, in milliseconds since the epoch.
    pub(in crate::history) fn hours_alone_until(&self) -> Result<Option<i64>, StoreError> {
        self.ask(|open| open.first(HOURS_ALONE_UNTIL))
    }

    /// The sums of each interval of a range. `None` where there would be too many intervals.
    pub(in crate::history) fn series(&self, query: &SeriesQuery) -> Result<Option<Series>, StoreError> {
        let Some(empty) = Series::empty(query.range, query.interval) else { return Ok(None) };
        self.ask(|open| Ok(Some(open.groups(empty.clone(), query, None)?.together())))
    }

    /// As [`RemoteReading::series`], divided into groups.
    pub(in crate::history) fn series_by(&self, query: &SeriesQuery, by: By) -> Result<Option<Vec<Group>>, StoreError> {
        let Some(empty) = Series::empty(query.range, query.interval) else { return Ok(None) };
        self.ask(|open| {
            let groups = open.groups(empty.clone(), query, Some(by))?;
            let used: Vec<i32> = groups.found.keys().copied().collect();
            let names = open.client.query("SELECT id, name FROM names WHERE id = ANY($1)", &[&used])?;
            let names: HashMap<i32, Arc<str>> =
                names.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())).collect();
            Ok(Some(groups.named(|number| names.get(number).cloned())))
        })
    }
}

impl Open {
    fn groups(&mut self, mut series: Series, query: &SeriesQuery, by: Option<By>) -> Result<Groups<i32>, Refusal> {
        let (step, range) = (query.interval.step(), Range { from: series.from * 1000, to: series.to() * 1000 });
        let ran = "SELECT DISTINCT extract(epoch FROM at)::bigint FROM ran WHERE step = $1 AND at >= $2 AND at < $3";
        for row in self.client.query(ran, &borrowed(&bounds(step, range)))? {
            if let Some(point) = series.point(row.get(0)) {
                point.get_or_insert_default();
            }
        }
        let mut groups = Groups::new(series);
        let (condition, values) = condition(step, range, &query.filter);
        let (group, columns) = (by.map_or("0", By::column), sums_columns().collect::<Vec<_>>().join(", "));
        let select = format!(
            "SELECT extract(epoch FROM at)::bigint, {group}::int, operation, {columns} FROM rollups WHERE {condition}"
        );
        for row in self.client.query(&select, &borrowed(&values))? {
            let sums = as_row(&self.scratch, of_row(&row)?, |row| read_sums(row, 3))?;
            let operation = OperationKey::try_from(row.get::<_, i16>(2)).unwrap_or(OperationKey::MAX);
            if let Some(sum) = groups.at(row.get(1), row.get(0)) {
                query.durations.merge(sum, &sums, operation);
            }
        }
        Ok(groups)
    }

    /// How many exchanges of the intervals of a range ended as asked for.
    pub(super) fn summed(&mut self, step: Step, range: Range, filter: &Filter) -> Result<i64, Refusal> {
        let wanted = |outcome: &&Outcome| {
            filter.outcome.is_none_or(|wanted| wanted == **outcome)
                && !(filter.failed && **outcome == Outcome::Completed)
        };
        let counted: Vec<_> = Outcome::ALL.iter().filter(wanted).map(|outcome| outcome.as_str()).collect();
        if counted.is_empty() {
            return Ok(0);
        }
        let (condition, values) = condition(step, range, filter);
        let sum = format!("SELECT coalesce(sum({}), 0)::bigint FROM rollups WHERE {condition}", counted.join(" + "));
        Ok(self.client.query_one(&sum, &borrowed(&values))?.get(0))
    }
}

pub(super) fn bounds(step: Step, range: Range) -> Parameters {
    vec![Box::new(seconds_of(step)), Box::new(timestamp(range.from)), Box::new(timestamp(range.to))]
}

/// The condition that selects sums, with its values. Of the filter, what the sums are divided by counts.
fn condition(step: Step, range: Range, filter: &Filter) -> (String, Parameters) {
    let mut values = bounds(step, range);
    let mut terms = vec!["step = $1 AND at >= $2 AND at < $3".to_owned()];
    for (column, kind, name) in filter.summed_names() {
        let Some(name) = name else { continue };
        values.push(Box::new(name.to_string()));
        let (kind, number) = (kind.as_str(), values.len());
        terms.push(format!("{column} = (SELECT id FROM names WHERE kind = '{kind}' AND name = ${number})"));
    }
    terms.extend(operations(filter));
    (terms.join(" AND "), values)
}
