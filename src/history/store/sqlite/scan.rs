//! Every exchange of a range, one after the other: for export.

use rusqlite::types::Value;

use super::read::OpenDay;
use super::read::page::condition;
use super::rows;
use crate::history::codes;
use crate::history::day::Day;
use crate::history::id::RowId;
use crate::history::query::{Filter, Range};
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::read::Reading;

/// A value of an exchange, with words in place of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// Unknown, or not applicable.
    Unknown,
    /// A number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A word, a name, or bytes in hexadecimal.
    Text(String),
}

/// Why a scan ended before its end.
#[derive(Debug)]
pub enum ScanError<E> {
    /// A file cannot be read.
    Store(StoreError),
    /// The visitor wants no more.
    Visitor(E),
}

impl<E> From<StoreError> for ScanError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The names of the fields, in their order. The first is the id, and says when the exchange ended.
#[must_use]
pub fn fields() -> Vec<&'static str> {
    rows::COLUMNS.split(',').map(str::trim).collect()
}

impl Reading {
    /// Passes on every exchange of a range that fits, in the order of their ids, and says when a day is done. It has no
    /// time limit.
    ///
    /// # Errors
    /// When a file cannot be read, or the visitor fails.
    pub fn scan<E>(
        &self,
        range: Range,
        filter: &Filter,
        mut visit: impl FnMut(RowId, Vec<Field>) -> Result<(), E>,
        mut done: impl FnMut(Day),
    ) -> Result<(), ScanError<E>> {
        let mut days: Vec<_> = self.days_of(range).collect();
        days.reverse();
        for day in days {
            if let Some(open) = self.unlimited(day)? {
                if let Some((condition, values)) = condition(&open, self.names(), range, filter) {
                    self.scan_day(&open, (&condition, &values), &mut visit)?;
                }
                done(day);
            }
        }
        Ok(())
    }

    fn scan_day<E>(
        &self,
        open: &OpenDay,
        (condition, values): (&str, &[Value]),
        visit: &mut impl FnMut(RowId, Vec<Field>) -> Result<(), E>,
    ) -> Result<(), ScanError<E>> {
        let failed = |error: rusqlite::Error| StoreError::of(&error, &open.path);
        let select = format!("SELECT {} FROM exchanges {condition} ORDER BY id", rows::COLUMNS);
        let mut select = open.connection.prepare(&select).map_err(failed)?;
        let (columns, sets) = (fields(), codes::sets());
        let mut found = select.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            let mut all = Vec::with_capacity(columns.len());
            for (at, column) in columns.iter().enumerate() {
                let value: Value = row.get(at).map_err(failed)?;
                let set = sets.iter().find(|(set, _)| set == column);
                all.push(match value {
                    Value::Null => Field::Unknown,
                    Value::Real(value) => Field::Real(value),
                    Value::Text(text) => Field::Text(text),
                    Value::Blob(bytes) => Field::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
                    Value::Integer(number) if is_name(column) => {
                        let id = open.names.get(&number).copied().unwrap_or_default();
                        self.names().name(id).map_or(Field::Unknown, |name| Field::Text(name.to_string()))
                    }
                    Value::Integer(number) => match set {
                        Some((_, values)) => values
                            .iter()
                            .find(|(code, _)| i64::from(*code) == number)
                            .map_or(Field::Integer(number), |(_, word)| Field::Text((*word).to_owned())),
                        None => Field::Integer(number),
                    },
                });
            }
            let id = match all[0] {
                Field::Integer(id) => RowId(id),
                _ => RowId(0),
            };
            visit(id, all).map_err(ScanError::Visitor)?;
        }
        Ok(())
    }
}

fn is_name(column: &str) -> bool {
    ["backend", "model", "tenant", "client", "endpoint"].contains(&column)
}
