//! Lists and series as CSV (RFC 4180), for spreadsheets.
//!
//! Promises: a cell that a spreadsheet would take for a formula begins with a quote character; what is unknown is empty.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::unknown::{Maybe, resolve};

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON.
    #[default]
    Json,
    /// A line for each entry, with a line of names above.
    Csv,
}

/// How an answer is written, and nothing else.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct FormatQuery {
    /// `json` without one.
    #[param(inline)]
    pub(crate) format: Option<Format>,
}

/// An answer that can be a table.
pub(crate) trait Table {
    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// A row for each entry.
    fn rows(&self) -> Vec<Vec<String>>;

    /// The names of its columns, where they depend on the question.
    fn columns(&self) -> Vec<String> {
        Self::COLUMNS.iter().map(|name| (*name).to_owned()).collect()
    }
}

/// The fields of an entry that the columns name, each by its path with dots.
pub(crate) fn cells(entry: &impl Serialize, columns: &[&str]) -> Vec<String> {
    let fields = resolve(entry);
    let value = |path: &&str| path.split('.').fold(&fields, |fields, name| &fields[name]);
    columns.iter().map(value).map(cell).collect()
}

/// Values of several series as the rows of their intervals, each with where it begins.
pub(crate) fn intervals(timestamps: &[String], series: &[&[Maybe<f64>]]) -> Vec<Vec<String>> {
    let text = |value: &Maybe<f64>| value.known().map_or_else(String::new, f64::to_string);
    let row = |(index, at): (usize, &String)| {
        std::iter::once(at.clone()).chain(series.iter().map(|values| text(&values[index]))).collect()
    };
    timestamps.iter().enumerate().map(row).collect()
}

/// A JSON value as the text of a cell.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A table as an answer.
pub(super) fn csv(table: &impl Table) -> Response {
    let mut text = String::new();
    write_row(&mut text, &table.columns());
    table.rows().iter().for_each(|row| write_row(&mut text, row));
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"inferometer.csv\""));
    response
}

fn write_row(out: &mut String, cells: &[String]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_cell(out, cell);
    }
    out.push_str("\r\n");
}

/// Numbers stay as they are, also negative ones.
fn write_cell(out: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let quoted = is_formula || cell.contains([',', '"', '\r', '\n']);
    if quoted {
        out.push('"');
    }
    if is_formula {
        out.push('\'');
    }
    out.push_str(&cell.replace('"', "\"\""));
    if quoted {
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_is_never_a_formula() {
        let table = [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("+cmd", "\"'+cmd\""),
            ("-x", "\"'-x\""),
            ("@sum(a)", "\"'@sum(a)\""),
            ("-1.5", "-1.5"),
            ("", ""),
        ];
        for (cell, expected) in table {
            let mut out = String::new();
            write_cell(&mut out, cell);
            assert_eq!(out, expected);
        }
    }
}
