//! What may be unknown, as the tables of `docs/api.md` list it: the path, the field, the reason.

use std::collections::BTreeSet;

use serde_json::Value;

/// The backends of the tests, which have places of their own in some answers.
const BACKENDS: [&str; 2] = ["test", "ollama"];

/// The rows of the tables.
pub(super) struct Listed(BTreeSet<String>);

impl Listed {
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).expect("the page");
        let (_, tables) = text.split_once("## What is unknown before an Ollama").expect("a heading");
        Self(tables.lines().filter(|line| line.starts_with("| `/")).map(str::to_owned).collect())
    }

    /// The row that says that a field may be unknown: whether it is there.
    pub(super) fn has(&self, path: &str, field: &str, reason: &str) -> Result<(), String> {
        let row = format!("| `{path}` | `{field}` | `{reason}` |");
        if self.0.contains(&row) { Ok(()) } else { Err(row) }
    }

    /// The rows that are missing for what an answer of this path, as the document names it, does not know.
    pub(super) fn missing(&self, path: &str, answer: &Value) -> BTreeSet<String> {
        let unknown = answer["unknown"].as_object().into_iter().flatten();
        let row = |(field, reason): (&String, &Value)| self.has(path, &general(field), reason.as_str().unwrap_or("?"));
        unknown.filter_map(|entry| row(entry).err()).collect()
    }
}

/// A pointer with `*` for each place in a list, and for the name of a backend.
fn general(pointer: &str) -> String {
    let is_any = |part: &str| part.parse::<usize>().is_ok() || BACKENDS.contains(&part);
    pointer.split('/').map(|part| if is_any(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

/// The path by which the document knows one that is asked for.
pub(super) fn documented<'a>(document: &'a Value, target: &str) -> &'a str {
    let asked: Vec<_> = target.split('?').next().unwrap_or_default().split('/').collect();
    let fits = |path: &&String| {
        let parts: Vec<_> = path.split('/').collect();
        parts.len() == asked.len() && parts.iter().zip(&asked).all(|(part, it)| part == it || part.starts_with('{'))
    };
    let paths = document["paths"].as_object().expect("paths");
    let exact = paths.keys().find(|path| **path == asked.join("/"));
    exact.or_else(|| paths.keys().find(fits)).unwrap_or_else(|| panic!("{target} is not documented"))
}

#[test]
fn a_field_that_is_not_listed_is_found() {
    let listed = Listed::read();
    let of = |unknown: Value| listed.missing("/dashboard/config", &serde_json::json!({ "unknown": unknown }));
    let known = serde_json::json!({"/backends/test/batch_size": "not_reported"});
    assert_eq!(of(known), BTreeSet::new());
    let other = serde_json::json!({"/backends/test/batch_size": "not_yet", "/server/host": "not_reported"});
    let row = |field: &str, reason: &str| format!("| `/dashboard/config` | `{field}` | `{reason}` |");
    assert_eq!(of(other), [row("/backends/*/batch_size", "not_yet"), row("/server/host", "not_reported")].into());
}
