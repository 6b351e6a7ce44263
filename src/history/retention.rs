//! Which days of exchanges are kept: by age, and by the size of their files.
//!
//! Pure. Whole days are removed, because removing a file costs nothing and gives its space back; so at most a day more, or
//! less, than configured is kept. The current day always stays.

use super::day::Day;
use super::settings::Retention;

/// A day that has a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptDay {
    pub(super) day: Day,
    pub(super) bytes: u64,
}

/// The days to remove, the oldest first. `days` is in their order; `now` is in milliseconds since the epoch.
pub(super) fn expired_days(days: &[KeptDay], retention: &Retention, now: i64) -> Vec<Day> {
    let today = Day::of(now);
    let age = i64::try_from(retention.raw.as_millis()).unwrap_or(i64::MAX);
    let mut bytes: u64 = days.iter().map(|kept| kept.bytes).sum();
    let mut expired = Vec::new();
    for kept in days.iter().filter(|kept| kept.day < today) {
        let is_too_old = kept.day.next().begin() <= now.saturating_sub(age);
        if !is_too_old && bytes <= retention.raw_bytes {
            break;
        }
        bytes -= kept.bytes;
        expired.push(kept.day);
    }
    expired
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: i64 = 86_400_000;

    fn expired(bytes: &[(i64, u64)], days: u64, raw_bytes: u64, now: i64) -> Vec<i64> {
        let kept: Vec<_> = bytes.iter().map(|(day, bytes)| KeptDay { day: Day(*day), bytes: *bytes }).collect();
        let retention = Retention { raw: Duration::from_secs(days * 86_400), raw_bytes, ..Retention::default() };
        expired_days(&kept, &retention, now).into_iter().map(|day| day.0).collect()
    }

    #[test]
    fn a_day_goes_once_its_last_exchange_is_too_old() {
        let days = [(1, 10), (2, 10), (3, 10), (9, 10)];
        assert_eq!(expired(&days, 7, 1_000, 10 * DAY), [1, 2], "their ends are 8 and 7 days ago");
        assert_eq!(expired(&days, 7, 1_000, 10 * DAY - 1), [1]);
        assert_eq!(expired(&days, 0, 1_000, 9 * DAY + 1), [1, 2, 3], "the current day stays");
    }

    #[test]
    fn the_oldest_days_go_where_all_are_too_large() {
        let days = [(1, 50), (2, 30), (3, 40)];
        assert_eq!(expired(&days, 30, 120, 3 * DAY), [0_i64; 0]);
        assert_eq!(expired(&days, 30, 119, 3 * DAY), [1]);
        assert_eq!(expired(&days, 30, 69, 3 * DAY), [1, 2]);
        assert_eq!(expired(&days, 30, 1, 3 * DAY), [1, 2], "the current day stays however large it is");
    }

    #[test]
    fn days_of_a_clock_that_was_ahead_stay_until_they_are_past() {
        assert_eq!(expired(&[(1, 10), (50, 10)], 30, 1, 2 * DAY), [1]);
    }
}
