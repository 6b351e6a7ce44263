//! Texts in CSV.

use std::borrow::Cow;

/// A text as a cell (RFC 4180). What a spreadsheet would take for a formula gets a quote before it.
pub(super) fn cell(text: &str) -> Cow<'_, str> {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        return text.into();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\"")).into()
}
