//! How long a connection's task has been at work on its exchange, and when its poll began.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The polls of one task.
#[derive(Default)]
pub(super) struct Polls {
    before: Cell<Duration>,
    begun: Cell<Option<Instant>>,
    /// Something was read since then.
    has_read: Cell<bool>,
    /// There is an exchange whose work is counted.
    counts: Cell<bool>,
}

impl Polls {
    /// A poll begins: when.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        self.begun.set(Some(now));
        self.has_read.set(false);
        now
    }

    /// A poll ends.
    pub(super) fn end(&self) {
        if self.counts.get() {
            self.before.set(self.total(Instant::now()));
        }
        self.begun.set(None);
    }

    /// From now on work is counted, or no more.
    pub(super) fn count(&self, counts: bool) {
        self.counts.set(counts);
    }

    /// When the poll began: where some microseconds do not matter, this saves a look at the clock.
    pub(super) fn begun(&self) -> Instant {
        self.begun.get().unwrap_or_else(Instant::now)
    }

    /// When what was read just now had arrived: what a poll reads first has caused it.
    pub(super) fn arrival(&self) -> Instant {
        if self.has_read.replace(true) { Instant::now() } else { self.begun() }
    }

    /// The sum, the poll in progress included. Two of them tell how long the work between them took, if it was counted.
    pub(super) fn total(&self, now: Instant) -> Duration {
        let current = self.begun.get().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.before.get() + current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_poll_reads_first_arrived_when_it_began() {
        let polls = Polls::default();
        for _ in 0..2 {
            let begun = polls.begin();
            assert_eq!(polls.arrival(), begun);
            assert!(polls.arrival() >= begun, "more of it came later");
            polls.end();
        }
    }
}
