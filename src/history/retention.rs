//! Which days of exchanges are kept: by age, and by the size of their files.
//!
//! Pure. Whole days are removed, because removing a file costs nothing and gives its space back; so at most a day more, or
//! less, than configured is kept. The current day always stays; where it alone is too large, [`Room`] says how much more of
//! it may be written.

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

/// How much of the current day may still be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// As much as is configured.
    Enough,
    /// [`SCARCE_RATE`]: its file has reached the size of all files.
    Scarce,
    /// Nothing: its file has a quarter more.
    Full,
}

/// Ordinary rows a second where room is scarce.
pub(super) const SCARCE_RATE: u64 = 10;

/// The room of the current day; days of a clock that was ahead count to it. `now` is in milliseconds since the epoch.
pub(super) fn room(days: &[KeptDay], retention: &Retention, now: i64) -> Room {
    let bytes: u64 = days.iter().filter(|kept| kept.day >= Day::of(now)).map(|kept| kept.bytes).sum();
    match retention.raw_bytes {
        most if bytes >= most.saturating_add(most / 4) => Room::Full,
        most if bytes >= most => Room::Scarce,
        _ => Room::Enough,
    }
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
    fn a_day_that_is_too_large_gets_fewer_rows_and_then_none() {
        let retention = Retention { raw_bytes: 1_000, ..Retention::default() };
        let room = |bytes| {
            let days = [(1, 5_000), (2, bytes), (3, 1)].map(|(day, bytes)| KeptDay { day: Day(day), bytes });
            room(&days, &retention, 2 * DAY)
        };
        let rooms = [0, 998, 999, 1_248, 1_249, u64::MAX - 1].map(room);
        assert_eq!(rooms, [Room::Enough, Room::Enough, Room::Scarce, Room::Scarce, Room::Full, Room::Full]);
    }

    #[test]
    fn days_of_a_clock_that_was_ahead_stay_until_they_are_past() {
        assert_eq!(expired(&[(1, 10), (50, 10)], 30, 1, 2 * DAY), [1]);
    }
}
