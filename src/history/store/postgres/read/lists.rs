//! Events, the audit, jobs and failed exchanges of all replicas, the newest first.

use tokio_postgres::types::ToSql;

use super::page::condition;
use super::{Open, Refusal, RemoteReading, borrowed, of_row};
use crate::history::journal::alert::KeptAlert;
use crate::history::journal::job::JobTally;
use crate::history::query::lists::{AlertTally, List, ListQuery, MAX_LIST};
use crate::history::query::{Exchange, Filter, Range};
use crate::history::store::error::StoreError;
use crate::history::store::lists::Listing;
use crate::history::store::mirrored::{self, Kind};
use crate::history::store::postgres::columns::as_row;
use crate::history::store::postgres::value::{Cell, timestamp};

impl RemoteReading {
    /// The rows that a listing selects.
    pub(in crate::history) fn list<T>(&self, query: &ListQuery, listing: &Listing<T>) -> Result<List<T>, StoreError> {
        self.ask(|open| open.list(query, listing))
    }

    /// How many jobs began in a range, by kind and state.
    pub(in crate::history) fn job_tallies(&self, range: Range) -> Result<Vec<JobTally>, StoreError> {
        let select = "SELECT kind, state, count(*), count(ended), \
                      coalesce(round(sum(extract(epoch FROM ended - started)) * 1000), 0)::bigint FROM jobs \
                      WHERE started >= $1 AND started < $2 GROUP BY kind, state ORDER BY kind, state";
        self.ask(|open| {
            let found = open.client.query(select, &[&timestamp(range.from), &timestamp(range.to)])?;
            let number = |row: &tokio_postgres::Row, at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            let tally = |row: &tokio_postgres::Row| JobTally {
                kind: row.get::<_, &str>(0).into(),
                state: row.get::<_, &str>(1).into(),
                count: number(row, 2),
                ended: number(row, 3),
                millis: number(row, 4),
            };
            Ok(found.iter().map(tally).collect())
        })
    }

    /// How many alerts a listing selects, by severity.
    pub(in crate::history) fn alert_tallies(
        &self,
        listing: &Listing<KeptAlert>,
    ) -> Result<Vec<AlertTally>, StoreError> {
        self.ask(|open| {
            let values: Vec<_> = listing.condition.values.iter().cloned().map(Cell).collect();
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect();
            let select = format!(
                "SELECT severity, count(*), count(resolved), \
                 coalesce(round(sum(extract(epoch FROM resolved - started)) * 1000), 0)::bigint \
                 FROM {} GROUP BY severity ORDER BY severity",
                selected(listing)
            );
            let found = open.client.query(&select, &values)?;
            let number = |row: &tokio_postgres::Row, at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            let tally = |row: &tokio_postgres::Row| AlertTally {
                severity: row.get::<_, &str>(0).into(),
                count: number(row, 1),
                ended: number(row, 2),
                millis: row.get(3),
            };
            Ok(found.iter().map(tally).collect())
        })
    }

    /// The newest failed exchanges whose error has one of these numbers, and how many there are.
    pub(in crate::history) fn failed(
        &self,
        range: Range,
        filter: &Filter,
        codes: &[String],
        most: usize,
    ) -> Result<(Vec<Exchange>, u64), StoreError> {
        let (terms, values) = condition(range, filter);
        let terms = format!("{terms} AND error IN ({})", codes.join(", "));
        self.ask(|open| {
            let newest = format!("{terms} ORDER BY at DESC, id DESC, replica LIMIT {most}");
            let found = open.exchanges(&self.names, &newest, &borrowed(&values))?;
            let count = format!("SELECT count(*) FROM exchanges WHERE {terms}");
            let total: i64 = open.client.query_one(&count, &borrowed(&values))?.get(0);
            Ok((found, total.unsigned_abs()))
        })
    }
}

impl RemoteReading {
    /// How many failed exchanges there are, by the number of their error.
    pub(in crate::history) fn failed_by_error(
        &self,
        range: Range,
        filter: &Filter,
    ) -> Result<Vec<(u8, u64)>, StoreError> {
        let (terms, values) = condition(range, filter);
        let count = format!(
            "SELECT error::integer, count(*) FROM exchanges WHERE {terms} AND error IS NOT NULL GROUP BY error"
        );
        self.ask(|open| {
            let counted = open.client.query(&count, &borrowed(&values))?;
            let pair = |row: &tokio_postgres::Row| {
                let (error, count): (i32, i64) = (row.get(0), row.get(1));
                Some((u8::try_from(error).ok()?, count.unsigned_abs()))
            };
            Ok(counted.iter().filter_map(pair).collect())
        })
    }
}

impl Open {
    fn list<T>(&mut self, query: &ListQuery, listing: &Listing<T>) -> Result<List<T>, Refusal> {
        let Listing { table, columns, order, first: _, condition, read } = listing;
        let values: Vec<_> = condition.values.iter().cloned().map(Cell).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect();
        let (limit, offset) = (query.limit.min(MAX_LIST), query.offset);
        let selected = selected(listing);
        // Rows and number of one instant.
        let select = format!(
            "WITH found AS (SELECT * FROM {selected}) SELECT {}, (SELECT count(*) FROM found) FROM found \
             ORDER BY {order}, replica LIMIT {limit} OFFSET {offset}",
            in_millis(table, columns)
        );
        let found = self.client.query(&select, &values)?;
        let total: i64 = match found.first() {
            Some(row) => row.get(row.len() - 1),
            None => self.client.query_one(&format!("SELECT count(*) FROM {selected}"), &values)?.get(0),
        };
        let mut entries = Vec::with_capacity(found.len());
        for row in &found {
            entries.push(as_row(&self.scratch, of_row(row)?, read)?);
        }
        Ok(List { entries, total: total.unsigned_abs() })
    }
}

/// A table with a listing's condition. Of rows that several replicas have of one thing, it is the first that must meet it: what
/// has ended for one replica is not taken for what never ended, because another replica ended before.
fn selected<T>(listing: &Listing<T>) -> String {
    let Listing { table, first, condition, .. } = listing;
    let terms = numbered(&condition.terms.join(" AND "));
    match first {
        Some(first) => format!("(SELECT DISTINCT ON (id) * FROM {table} ORDER BY id, {first}) AS each WHERE {terms}"),
        None => format!("{table} WHERE {terms}"),
    }
}

/// A condition with the places that PostgreSQL has, in place of question marks.
fn numbered(terms: &str) -> String {
    let mut parts = terms.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.zip(1..).fold(first, |text, (part, number)| format!("{text}${number}{part}"))
}

/// Columns of a table, with times as the files have them.
fn in_millis(table: &str, columns: &str) -> String {
    let table = mirrored::all().into_iter().find(|it| it.name == table);
    let is_time =
        |name: &str| table.iter().flat_map(|table| &table.columns).any(|it| it.name == name && it.kind == Kind::Millis);
    let column = |name: &str| match is_time(name) {
        true => format!("round(extract(epoch FROM {name}) * 1000)::bigint"),
        false => name.to_owned(),
    };
    columns.split(',').map(|name| column(name.trim())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_numbered_in_their_order() {
        assert_eq!(numbered("at >= ? AND at < ? AND kind IN (?, ?)"), "at >= $1 AND at < $2 AND kind IN ($3, $4)");
        assert_eq!(numbered("true"), "true");
        assert_eq!(in_millis("jobs", "id, started"), "id, round(extract(epoch FROM started) * 1000)::bigint");
    }
}
