//! Wall time as Ollama prints it: RFC 3339, UTC, nanoseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, for the OpenAI shapes.
pub(crate) fn unix_seconds() -> u64 {
    since_epoch(SystemTime::now()).as_secs()
}

/// The present moment, such as `2026-11-21T05:40:02.149799337Z`.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// A moment, with nine digits of fraction.
pub(crate) fn rfc3339(moment: SystemTime) -> String {
    let since = since_epoch(moment);
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", since.subsec_nanos())
}

fn since_epoch(moment: SystemTime) -> Duration {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Year, month and day from days since 1970 (Howard Hinnant's `civil_from_days`, for days after 1970).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}
