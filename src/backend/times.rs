//! Parses times as Go writes them (RFC 3339, 5.6) and as HTTP does (RFC 9110, 5.6.7), to the second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parses `2026-11-21T06:39:05.501022126Z`, or with an offset like `-07:00`. `None` where it is malformed or before
/// 1970.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(at);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.split('.').next()?, ':')?;
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset(zone)?;
    let seconds = u64::try_from(seconds).ok().filter(|_| fits)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Parses a `Date` field such as `Sun, 29 Nov 2026 19:03:34 GMT`. `None` where it is malformed or of an obsolete form.
pub(super) fn parse_http(text: &str) -> Option<SystemTime> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let [day, month, year, time, "GMT"] = std::array::from_fn(|_| parts.next().unwrap_or_default()) else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    parse(&format!("{year}-{month}-{day}T{time}Z")).filter(|_| parts.next().is_none())
}

/// The offset of a zone from UTC in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' | 'z' => return (zone.len() == 1).then_some(0),
        '-' => -1,
        _ => 1,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn numbers<const COUNT: usize>(text: &str, separator: char) -> Option<[i64; COUNT]> {
    let all: Option<Vec<i64>> = text.split(separator).map(number).collect();
    all?.try_into().ok()
}

/// At most four digits, so that nothing overflows.
fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Days since 1970-01-01 of a Gregorian date (years begin in March here, so that a leap day is the last).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_http_answer_is_read() {
        for (text, expected) in [
            ("Sat, 21 Nov 2026 06:39:05 GMT", Some(1_795_243_145)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600)),
            ("Sat, 21 Nov 2026 06:39:05 GMT ", None),
            ("Sat, 21 Nov 2026 06:39:05 CET", None),
            ("Saturday, 21-Nov-26 06:39:05 GMT", None),
            ("Sat, 21 November 2026 06:39:05 GMT", None),
            ("2026-11-21T06:39:05Z", None),
            ("", None),
        ] {
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(parse_http(text), expected, "{text}");
        }
    }

    #[test]
    fn times_are_read_in_every_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2026-11-21T06:39:05.501022126Z", Some(1_795_243_145)),
            ("2026-11-20T23:39:05.5-07:00", Some(1_795_243_145)),
            ("2026-11-21T12:09:05+05:30", Some(1_795_243_145)),
            ("2318-03-01T10:00:00Z", Some(10_986_919_200)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-21", None),
            ("2026-11-21T06:39:05", None),
            ("soon", None),
            ("99999-01-01T00:00:00Z", None),
            ("2026-11-21T06:39:05+é0:00", None),
        ] {
            let expected = expected.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
