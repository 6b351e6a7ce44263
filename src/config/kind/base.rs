//! What a kind of values is.

use crate::config::invalid::{InvalidValue, Rejection};

/// Values of one type and range.
pub(in crate::config) struct ValueKind<T: 'static> {
    /// Names the value in the help: `--connect-timeout <DURATION>`.
    pub(in crate::config) placeholder: &'static str,
    /// Describes the value: "a duration".
    pub(in crate::config) noun: &'static str,
    /// Its syntax, for error messages; begins with its separator from the noun.
    pub(super) syntax: &'static str,
    /// Its range, and what `0` or an empty value means; begins with its separator from the noun.
    pub(in crate::config) range: &'static str,
    pub(super) parse: Parse<T>,
    /// As TOML that reads back as the same value.
    pub(in crate::config) print: fn(&T) -> String,
}

pub(in crate::config) enum Parse<T> {
    One(fn(&str) -> Result<T, InvalidValue>),
    List(fn(&[&str]) -> Result<T, InvalidValue>),
}

impl<T> ValueKind<T> {
    /// Parses the value. For a single value, the last text counts.
    pub(in crate::config) fn read(&self, texts: &[&str]) -> Result<T, Rejection> {
        let read = match self.parse {
            Parse::One(parse) => parse(texts.last().copied().unwrap_or_default()),
            Parse::List(parse) => parse(texts),
        };
        read.map_err(|wrong| match wrong {
            InvalidValue::Unexpected => Rejection { element: None, reason: self.expected() },
            InvalidValue::Because(reason) => Rejection { element: None, reason },
            InvalidValue::Element(at, reason) => Rejection { element: Some(at), reason },
        })
    }

    pub(in crate::config) const fn is_list(&self) -> bool {
        matches!(self.parse, Parse::List(_))
    }

    fn expected(&self) -> String {
        format!("expected {}{}{}", self.noun, self.syntax, self.range)
    }
}

const DURATION_SYNTAX: &str = " with a unit (ms, s, m, h, d), such as `500ms`, `5s` or `1m30s`,";

/// A duration within a range.
pub(super) const fn within<T>(
    range: &'static str,
    parse: fn(&str) -> Result<T, InvalidValue>,
    print: fn(&T) -> String,
) -> ValueKind<T> {
    let (placeholder, noun, syntax) = ("DURATION", "a duration", DURATION_SYNTAX);
    ValueKind { placeholder, noun, syntax, range, parse: Parse::One(parse), print }
}

/// One of the words in `noun`.
pub(super) const fn words<T>(
    placeholder: &'static str,
    noun: &'static str,
    parse: fn(&str) -> Result<T, InvalidValue>,
    print: fn(&T) -> String,
) -> ValueKind<T> {
    ValueKind { placeholder, noun, syntax: "", range: "", parse: Parse::One(parse), print }
}

/// As a list of TOML.
pub(super) fn list(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(", "))
}
