//! Questions for lists of the history, with how many entries there are and how many fit.

use serde_json::{Value, json};

use super::error::ApiError;
use super::state::Parts;
use super::unknown::Maybe;
use crate::history::query::Range;
use crate::history::query::lists::{List, ListFilter, ListQuery};
use crate::history::{Reading, StoreError};

/// Entries, the newest first.
#[derive(Debug)]
pub(super) struct Counted<T> {
    pub(super) entries: Vec<T>,
    /// Those that are kept.
    pub(super) total: u64,
    /// Those that fit.
    pub(super) filtered: u64,
}

/// One of the lists of [`Reading`].
type Ask<T> = fn(&Reading, &ListQuery) -> Result<List<T>, StoreError>;

/// The entries that fit. Unknown where nothing is kept.
pub(super) async fn counted<T: Send + 'static>(
    parts: &Parts,
    range: Range,
    filter: ListFilter,
    limit: usize,
    ask: Ask<T>,
) -> Result<Maybe<Counted<T>>, ApiError> {
    let question = move |reading: &Reading| {
        let all =
            ListQuery { range: Range { from: 0, to: range.to }, filter: ListFilter::default(), offset: 0, limit: 0 };
        let found = ask(reading, &ListQuery { range, filter, offset: 0, limit })?;
        Ok(Counted { entries: found.entries, filtered: found.total, total: ask(reading, &all)?.total })
    };
    parts.required(question).await
}

/// Parses a JSON object that is kept as text; anything else gives an empty object.
pub(super) fn object(text: Option<&str>) -> Value {
    let parsed = text.and_then(|text| serde_json::from_str(text).ok());
    parsed.filter(Value::is_object).unwrap_or_else(|| json!({}))
}
