//! Exchanges by time and by what is true of them, the newest first.

use rusqlite::types::Value;

use super::{OpenDay, Reading};
use crate::history::id::RowId;
use crate::history::names::Names;
use crate::history::query::{Filter, MAX_NEWEST, MAX_PAGE, Newest, Page, PageQuery, Range};
use crate::history::store::error::StoreError;
use crate::history::store::terms::written_out;

/// Up to so many milliseconds all rows are fewer than the failures of the whole day may be.
const SHORT: i64 = 60 * 60 * 1_000;

impl Reading {
    /// Exchanges, the newest first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn page(&self, query: &PageQuery) -> Result<Page, StoreError> {
        if let Some(answer) = self.remotely(|remote| remote.page(query)) {
            return answer;
        }
        let Newest { exchanges, has_more } =
            self.newest_of_files(&PageQuery { limit: query.limit.min(MAX_PAGE), ..query.clone() })?;
        let total = self.total(query.range, &query.filter, self.deadline())?;
        Ok(Page { exchanges, total, has_more })
    }

    /// The same without counting all of them, which may take far longer than to read a few.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn newest(&self, query: &PageQuery) -> Result<Newest, StoreError> {
        self.remotely(|remote| remote.newest(query)).unwrap_or_else(|| self.newest_of_files(query))
    }

    fn newest_of_files(&self, query: &PageQuery) -> Result<Newest, StoreError> {
        let deadline = self.deadline();
        let limit = query.limit.min(MAX_NEWEST);
        let (mut skip, mut exchanges) = (query.offset, Vec::new());
        for day in self.days_of(query.range) {
            let Some(open) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&open, &self.names, query.range, &query.filter) else { continue };
            // One more than asked for tells whether there are more.
            let wanted = limit + 1 - exchanges.len();
            let passed = open.skip(&condition, &values, skip)?;
            if passed == skip {
                let rest = format!("{condition} ORDER BY id DESC LIMIT {wanted} OFFSET {skip}");
                exchanges.extend(open.select(&self.names, &rest, &values)?);
            }
            skip -= passed;
            if exchanges.len() > limit {
                break;
            }
        }
        let has_more = exchanges.len() > limit;
        exchanges.truncate(limit);
        Ok(Newest { exchanges, has_more })
    }
}

impl OpenDay {
    /// How many of the rows to skip the file has.
    fn skip(&self, condition: &str, values: &[Value], most: usize) -> Result<usize, StoreError> {
        if most == 0 {
            return Ok(0);
        }
        let count = format!("SELECT count(*) FROM (SELECT 1 FROM exchanges {condition} LIMIT {most})");
        let counted = self.connection.query_row(&count, rusqlite::params_from_iter(values), |row| row.get(0));
        counted
            .map(|count: i64| usize::try_from(count).unwrap_or(0))
            .map_err(|error| StoreError::of(&error, &self.path))
    }
}

/// The condition that selects what is asked for, with the index to use and its values; `None` where the file has nothing of it.
pub(in crate::history::store::sqlite) fn condition(
    day: &OpenDay,
    names: &Names,
    range: Range,
    filter: &Filter,
) -> Option<(String, Vec<Value>)> {
    let mut terms = vec!["id >= ? AND id < ?".to_owned()];
    let mut values = vec![Value::Integer(RowId::first_of(range.from).0), Value::Integer(RowId::first_of(range.to).0)];
    for (column, kind, name) in filter.names() {
        terms.push(format!("{column} = ?"));
        values.push(Value::Integer(day.number(names, kind, name)?));
    }
    if let Some(conversation) = filter.conversation {
        terms.push("conversation = ?".to_owned());
        values.push(Value::Blob(conversation.0.into()));
    }
    terms.extend(written_out(filter));
    // Left to itself the database reads every row of the range, of which few are failures.
    let is_long = range.to.saturating_sub(range.from) > SHORT;
    let by = if is_long && filter.is_of_failures() { "INDEXED BY exchanges_failed " } else { "" };
    Some((format!("{by}WHERE {}", terms.join(" AND ")), values))
}
