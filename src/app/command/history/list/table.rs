//! Writes a list as a table for people, as JSON lines or as CSV.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::app::command::history::csv::cell;
use crate::cli::ListFormat;

/// An entry as values in columns. `null` is unknown.
pub(super) trait Columns {
    /// The names of the columns.
    const NAMES: &'static [&'static str];

    /// The values, one for each column.
    fn values(&self) -> Vec<Value>;
}

/// The widest a column of text becomes, in characters. The last column is never cut.
const MAX_WIDTH: usize = 40;

pub(super) fn write<T: Columns>(entries: &[T], format: ListFormat) -> String {
    let rows = entries.iter().map(Columns::values);
    match format {
        ListFormat::Json => rows.map(|row| object(T::NAMES, row) + "\n").collect(),
        ListFormat::Csv => {
            let head = T::NAMES.join(",") + "\r\n";
            rows.fold(head, |text, row| text + &row.iter().map(in_csv).collect::<Vec<_>>().join(",") + "\r\n")
        }
        ListFormat::Text => text(T::NAMES, rows.map(|row| row.iter().map(plain).collect()).collect()),
    }
}

fn object(names: &[&str], row: Vec<Value>) -> String {
    let object: Map<_, _> = names.iter().map(|name| (*name).to_owned()).zip(row).collect();
    Value::from(object).to_string()
}

/// A value without quotes; nothing for what is unknown.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn in_csv(value: &Value) -> String {
    match value {
        Value::String(text) => cell(text).into_owned(),
        Value::Object(_) | Value::Array(_) => cell(&plain(value)).into_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => plain(value),
    }
}

fn text(names: &[&str], rows: Vec<Vec<String>>) -> String {
    let names = names.iter().map(|name| (*name).to_uppercase()).collect();
    let all: Vec<Vec<String>> = std::iter::once(names).chain(rows).collect();
    let columns = all[0].len();
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).min(MAX_WIDTH);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = printable(cell);
            if at + 1 == columns {
                line.push_str(&cell);
            } else {
                let cell: String = cell.chars().take(*width).collect();
                write!(line, "{cell:<width$}  ").expect("a string takes everything");
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Without what would move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(&'static str, Option<u64>);

    impl Columns for Pair {
        const NAMES: &'static [&'static str] = &["name", "count"];

        fn values(&self) -> Vec<Value> {
            vec![self.0.into(), self.1.into()]
        }
    }

    #[test]
    fn a_list_is_written_in_each_format() {
        let list = [Pair("a,\"b\"", Some(7)), Pair("=1+1", None)];
        assert_eq!(write(&list, ListFormat::Csv), "name,count\r\n\"a,\"\"b\"\"\",7\r\n\"'=1+1\",\r\n");
        let json = "{\"count\":7,\"name\":\"a,\\\"b\\\"\"}\n{\"count\":null,\"name\":\"=1+1\"}\n";
        assert_eq!(write(&list, ListFormat::Json), json);
        assert_eq!(write(&list, ListFormat::Text), "NAME   COUNT\na,\"b\"  7\n=1+1\n");
        assert_eq!(write::<Pair>(&[], ListFormat::Csv), "name,count\r\n");
        assert_eq!(write(&[Pair("a\u{1b}[2Jb\n", None)], ListFormat::Text).lines().count(), 2, "no control characters");
    }
}
