//! Exchanges by time and by what is true of them: the newest, and the first by a measure.

use super::{Open, Parameters, Refusal, RemoteReading, borrowed};
use crate::history::names::{NameKind, Names};
use crate::history::query::cover::{Part, cover};
use crate::history::query::{Filter, MAX_NEWEST, MAX_PAGE, Newest, NoTotal, Page, PageQuery, Range};
use crate::history::store::error::StoreError;
use crate::history::store::postgres::value::timestamp;
use crate::history::store::terms::written_out;

impl RemoteReading {
    /// Exchanges, the newest first.
    pub(in crate::history) fn page(&self, query: &PageQuery) -> Result<Page, StoreError> {
        self.ask(|open| {
            let limit = query.limit.min(MAX_PAGE);
            let Newest { exchanges, has_more } = open.newest(&self.names, &PageQuery { limit, ..query.clone() })?;
            Ok(Page { exchanges, total: open.total(query.range, &query.filter)?, has_more })
        })
    }

    /// The same without counting all of them.
    pub(in crate::history) fn newest(&self, query: &PageQuery) -> Result<Newest, StoreError> {
        self.ask(|open| open.newest(&self.names, query))
    }
}

impl Open {
    fn newest(&mut self, names: &Names, query: &PageQuery) -> Result<Newest, Refusal> {
        let limit = query.limit.min(MAX_NEWEST);
        let (condition, values) = condition(query.range, &query.filter);
        // One more than asked for tells whether there are more.
        let order =
            format!("{condition} ORDER BY at DESC, id DESC, replica LIMIT {} OFFSET {}", limit + 1, query.offset);
        let mut exchanges = self.exchanges(names, &order, &borrowed(&values))?;
        let has_more = exchanges.len() > limit;
        exchanges.truncate(limit);
        Ok(Newest { exchanges, has_more })
    }

    /// How many exchanges a range has, from the first to the last that is kept: sums are kept for longer than rows.
    fn total(&mut self, range: Range, filter: &Filter) -> Result<Result<u64, NoTotal>, Refusal> {
        if !filter.is_summed() || (filter.client.is_some() && self.has_tenants()?) {
            return Ok(Err(NoTotal::NotSummed));
        }
        let first = self.first("SELECT min(at) FROM exchanges")?;
        let Some((first, last)) = first.zip(self.first("SELECT max(at) FROM exchanges")?) else { return Ok(Ok(0)) };
        let range = Range { from: range.from.max(first), to: range.to.min(last + 1).max(first) };
        let minutes_from = self.minutes_from()?;
        let mut total = 0;
        for part in cover(range, minutes_from) {
            total += match part {
                Part::Sums(step, range) => self.summed(step, range, filter)?,
                Part::Rows(range) => {
                    let (condition, values) = condition(range, filter);
                    let sum = format!("SELECT coalesce(sum(weight), 0)::bigint FROM exchanges WHERE {condition}");
                    self.client.query_one(&sum, &borrowed(&values))?.get(0)
                }
            };
        }
        Ok(Ok(u64::try_from(total).unwrap_or(0)))
    }

    fn has_tenants(&mut self) -> Result<bool, Refusal> {
        let select = "SELECT EXISTS (SELECT 1 FROM names WHERE kind = $1)";
        Ok(self.client.query_one(select, &[&NameKind::Tenant.as_str()])?.get(0))
    }

    /// When the oldest minute that is kept begins, in milliseconds since the epoch; far in the future where none is.
    pub(super) fn minutes_from(&mut self) -> Result<i64, Refusal> {
        Ok(self.first("SELECT min(at) FROM ran WHERE step = 60")?.unwrap_or(i64::MAX))
    }

    /// A time, in milliseconds since the epoch.
    pub(super) fn first(&mut self, select: &str) -> Result<Option<i64>, Refusal> {
        let select = format!("SELECT floor(extract(epoch FROM ({select})) * 1000)::bigint");
        Ok(self.client.query_one(&select, &[])?.get(0))
    }
}

/// The condition that selects what is asked for, with its values.
pub(super) fn condition(range: Range, filter: &Filter) -> (String, Parameters) {
    let mut values: Parameters = vec![Box::new(timestamp(range.from)), Box::new(timestamp(range.to))];
    let mut terms = vec!["at >= $1 AND at < $2".to_owned()];
    for (column, kind, name) in filter.names() {
        values.push(Box::new(name.to_string()));
        let (kind, number) = (kind.as_str(), values.len());
        terms.push(format!("{column} = (SELECT id FROM names WHERE kind = '{kind}' AND name = ${number})"));
    }
    if let Some(conversation) = filter.conversation {
        values.push(Box::new(conversation.0.to_vec()));
        terms.push(format!("conversation = ${}", values.len()));
    }
    terms.extend(written_out(filter));
    (terms.join(" AND "), values)
}
