//! Values of query parameters that several endpoints take: spans, instants, lengths of lists.

use std::time::{Duration, Instant};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::state::Parts;
use crate::history::query::Range;

/// The time before now that `since` and `period` mean: a number of seconds, minutes, hours, days or weeks, such as `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        span(&text).map(Self).ok_or_else(|| D::Error::custom("it is no span, such as 30m, 1h or 7d"))
    }
}

fn span(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number && !digits.starts_with('0'))?;
    Some(Duration::from_secs(number * unit))
}

/// A whole number from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UpTo<const MAX: usize>(pub(super) usize);

impl<'de, const MAX: usize> Deserialize<'de> for UpTo<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && (1..=MAX).contains(number));
        number.map(Self).ok_or_else(|| D::Error::custom(format!("it is no whole number from 1 to {MAX}")))
    }
}

/// The time from so long ago until now; all of it without.
pub(super) fn since(parts: &Parts, span: Option<Span>, now: Instant) -> Range {
    let to = parts.millis(now).saturating_add(1);
    let length = span.map(|span| i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX));
    Range { from: length.map_or(0, |length| (to - length).max(0)), to }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_numbers_with_a_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h", 3_600), ("7d", 604_800), ("9999w", 9_999 * 604_800)] {
            assert_eq!(span(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "0h", "01h", "1", "1y", "-1h", "1.5h", "10000h", "+1h", "1 h", "1é"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn a_length_is_within_its_bounds() {
        let parse = |text: &str| serde_json::from_value::<UpTo<100>>(json!(text)).map(|it| it.0).ok();
        assert_eq!(
            ["1", "100", "0", "101", "", "x", "+1"].map(parse),
            [Some(1), Some(100), None, None, None, None, None]
        );
    }
}
