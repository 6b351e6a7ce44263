//! What a table's columns are set to, beside title, query and unit.

use super::panel::{mappings, steps};
use serde_json::{Value, json};

/// Nothing: Grafana shares the width that is left among these.
pub(super) fn plain() -> Value {
    json!([])
}

/// The width, in pixels.
pub(super) fn wide(pixels: u16) -> Value {
    json!([{ "id": "custom.width", "value": pixels }])
}

/// Not shown: a query that brings labels or an order alone.
pub(super) fn hidden() -> Value {
    json!([{ "id": "custom.hidden", "value": true }])
}

/// Cells that lead elsewhere. `url` has the cell's content as `${__value.raw}`.
pub(super) fn linked(pixels: u16, title: &str, url: &str) -> Value {
    let link = json!({ "title": title, "url": url, "targetBlank": url.starts_with("${runbook}") });
    json!([{ "id": "custom.width", "value": pixels }, { "id": "links", "value": [link] }])
}

/// Coloured words for these values.
pub(super) fn worded(words: &[(&str, &str, &str)]) -> Value {
    json!([
        { "id": "mappings", "value": mappings(words) },
        { "id": "custom.cellOptions", "value": { "type": "color-text" } },
    ])
}

/// Cells that are coloured from these values on.
pub(super) fn shaded(from: &[(f64, &str)]) -> Value {
    json!([
        { "id": "thresholds", "value": steps("transparent", from) },
        { "id": "custom.cellOptions", "value": { "type": "color-background", "mode": "basic" } },
    ])
}
