//! Lists as comma-separated values (RFC 4180), for spreadsheets.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// In which form an answer comes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

/// A line for the names, then one for each entry. A field of a field has its names joined by a dot. What is unknown is empty.
pub(super) fn csv(entries: &[Value]) -> String {
    let mut names: Vec<String> = Vec::new();
    let rows: Vec<Vec<(String, String)>> = entries
        .iter()
        .map(|entry| {
            let mut row = Vec::new();
            flatten(entry, "", &mut row);
            row
        })
        .collect();
    for (name, _) in rows.iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let mut text = line(names.iter().map(String::as_str));
    for row in &rows {
        let value = |name: &String| row.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        text.push_str(&line(names.iter().map(value)));
    }
    text
}

fn flatten(value: &Value, name: &str, row: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(value, &name, row);
            }
        }
        Value::Null => row.push((name.to_owned(), String::new())),
        Value::String(text) => row.push((name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => row.push((name.to_owned(), value.to_string())),
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = cells.map(cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A text that a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_becomes_lines_that_a_spreadsheet_takes_for_data() {
        let entries = [
            json!({"model": "=cmd|' /C calc'!A0", "tokens": {"prompt": 5, "cached": null}, "note": "a, \"b\""}),
            json!({"model": "llama3", "tokens": {"prompt": -1.5, "cached": 2}, "more": true}),
        ];
        let expected = concat!(
            "model,note,tokens.cached,tokens.prompt,more\r\n",
            "'=cmd|' /C calc'!A0,\"a, \"\"b\"\"\",,5,\r\n",
            "llama3,,2,-1.5,true\r\n",
        );
        assert_eq!(csv(&entries), expected);
        assert_eq!(csv(&[]), "\r\n");
    }
}
