//! The times that a command was given: a time, or how long ago.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config;
use crate::history::query::Range;
use crate::history::timestamp::Timestamp;

/// What `--since` and `--until` mean, or what is wrong with them.
pub(super) fn range(since: Option<&str>, until: Option<&str>) -> Result<Range, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let bound = |flag: &str, text: Option<&str>, otherwise| match text {
        Some(text) => instant(text, now).ok_or_else(|| {
            format!("--{flag} {text}: expected a time such as 2026-11-29T12:30, or how long ago, such as 1h or 30m")
        }),
        None => Ok(otherwise),
    };
    // Later than now: the clock may have been ahead.
    Ok(Range { from: bound("since", since, 0)?, to: bound("until", until, 1 << 42)? })
}

/// In milliseconds since the epoch.
fn instant(text: &str, now: i64) -> Option<i64> {
    let ago = || Some(now - i64::try_from(config::duration(text)?.as_millis()).ok()?);
    Timestamp::parse(text).map(|at| at.0).or_else(ago)
}
