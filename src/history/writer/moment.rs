//! An instant, and what the wall clock showed at it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far apart the two clocks may be read. A thread that has to wait in between reads both again.
const APART: Duration = Duration::from_millis(1);

/// How often they are read again.
const ATTEMPTS: usize = 4;

/// An instant, and what the wall clock showed at it in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: i64,
}

impl Moment {
    /// Reads both clocks.
    pub(super) fn read(clock: impl Fn() -> SystemTime) -> Self {
        let read = || {
            let now = Instant::now();
            (Self { now, wall: millis(clock()) }, now.elapsed())
        };
        let mut pairs = (0..ATTEMPTS).map(|_| read());
        let (last, _) = pairs.by_ref().find(|(_, apart)| *apart < APART).unwrap_or_else(read);
        last
    }

    /// What the wall clock shows at another instant, before this one or after it.
    pub(super) fn wall_at(self, at: Instant) -> i64 {
        let millis = |length: Duration| i64::try_from(length.as_millis()).unwrap_or(0);
        match at.checked_duration_since(self.now) {
            Some(later) => self.wall + millis(later),
            None => self.wall - millis(self.now.saturating_duration_since(at)),
        }
    }
}

/// Milliseconds since the epoch.
fn millis(at: SystemTime) -> i64 {
    let since = |at: SystemTime| at.duration_since(UNIX_EPOCH);
    since(at).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread::sleep;

    use super::*;

    #[test]
    fn what_ended_while_rows_are_taken_keeps_its_own_time() {
        let moment = Moment { now: Instant::now(), wall: 10_000 };
        let after = |millis| moment.now + Duration::from_millis(millis);
        assert_eq!([0, 1, 50].map(|later| moment.wall_at(after(later))), [10_000, 10_001, 10_050]);
        let at = Moment { now: after(50), ..moment };
        assert_eq!([0, 1, 50].map(|earlier| at.wall_at(after(50 - earlier))), [10_000, 9_999, 9_950]);
    }

    #[test]
    fn a_pause_between_the_clocks_moves_no_row() {
        let (begun, reads) = (Instant::now(), Cell::new(0));
        // The thread waits before its first look at the wall clock, which runs with the other one from the epoch on.
        let moment = Moment::read(|| {
            if reads.replace(reads.get() + 1) == 0 {
                sleep(Duration::from_millis(40));
            }
            UNIX_EPOCH + begun.elapsed()
        });
        assert!(reads.get() > 1, "both were read again");
        let apart = moment.wall_at(begun);
        assert!((-2..40).contains(&apart), "{apart} ms apart");
    }
}
