//! What happened in the last hour, to the minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Counts by minute.
pub(super) struct Tally {
    begun: Instant,
    state: Mutex<Minutes>,
}

struct Minutes {
    /// The minute that was counted last.
    last: u64,
    counts: [u64; 60],
}

impl Tally {
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: now, state: Mutex::new(Minutes { last: 0, counts: [0; 60] }) }
    }

    pub(super) fn add(&self, now: Instant) {
        self.at(now, |minutes, at| minutes.counts[at] += 1);
    }

    /// How many there were in the last hour.
    pub(super) fn sum(&self, now: Instant) -> u64 {
        self.at(now, |minutes, _| minutes.counts.iter().sum())
    }

    /// With the place of this minute; what is older than an hour is forgotten.
    fn at<R>(&self, now: Instant, look: impl FnOnce(&mut Minutes, usize) -> R) -> R {
        let minute = now.saturating_duration_since(self.begun).as_secs() / MINUTE.as_secs();
        let mut minutes = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let width = minutes.counts.len() as u64;
        for over in (minutes.last + 1..=minute).rev().take(minutes.counts.len()) {
            minutes.counts[(over % width) as usize] = 0;
        }
        minutes.last = minutes.last.max(minute);
        look(&mut minutes, (minute % width) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_counted_and_what_is_older_is_forgotten() {
        let begun = Instant::now();
        let (tally, minute) = (Tally::new(begun), |minutes: u32| begun + MINUTE * minutes);
        for at in [0, 0, 1, 59, 60] {
            tally.add(minute(at));
        }
        assert_eq!(tally.sum(minute(60)), 3, "the first minute is over");
        assert_eq!(tally.sum(minute(61)), 2);
        assert_eq!(tally.sum(minute(119)), 1);
        assert_eq!(tally.sum(minute(120)), 0);
        tally.add(minute(500));
        assert_eq!([tally.sum(minute(500)), tally.sum(minute(5_000))], [1, 0]);
    }
}
