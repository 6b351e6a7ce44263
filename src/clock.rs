//! Monotonic and wall time from one anchor.
//!
//! Durations come from [`Instant`], which never jumps. A wall time is computed from an instant and the anchor taken at
//! the start, so that records can be ordered and dated with one clock. Later adjustments of the system clock are
//! deliberately ignored.

use std::time::{Instant, SystemTime};

/// Pairs one monotonic instant with the wall time at which it was read.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    instant: Instant,
    wall: SystemTime,
}

impl Clock {
    /// Reads both clocks once.
    #[must_use]
    pub fn start() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// The instant at which this clock was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.instant
    }

    /// The wall time of an instant, before or after the start.
    #[must_use]
    pub fn wall(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.instant) {
            Some(after) => self.wall + after,
            None => self.wall - self.instant.duration_since(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use std::time::Duration;

    #[test]
    fn wall_time_follows_the_monotonic_clock_in_both_directions() {
        let clock = Clock::start();
        let start = clock.wall(clock.started());
        let later = clock.wall(clock.started() + Duration::from_secs(3));
        assert_eq!(later.duration_since(start).expect("later"), Duration::from_secs(3));
        let earlier = clock.wall(clock.started() - Duration::from_millis(5));
        assert_eq!(start.duration_since(earlier).expect("earlier"), Duration::from_millis(5));
    }
}
