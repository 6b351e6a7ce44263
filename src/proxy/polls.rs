//! How long a connection's task has worked on its exchange, and when its current poll began.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The polls of one task.
#[derive(Default)]
pub(super) struct Polls {
    before: Cell<Duration>,
    begun: Cell<Option<Instant>>,
    /// Something has been read since then.
    has_read: Cell<bool>,
    /// An exchange is in progress whose work is counted.
    counts: Cell<bool>,
}

impl Polls {
    /// Begins a poll and returns the time.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        self.begun.set(Some(now));
        self.has_read.set(false);
        now
    }

    /// Ends a poll.
    pub(super) fn end(&self) {
        if self.counts.get() {
            self.before.set(self.total(Instant::now()));
        }
        self.begun.set(None);
    }

    /// Starts or stops counting work.
    pub(super) fn count(&self, counts: bool) {
        self.counts.set(counts);
    }

    /// When the poll began. Saves a clock reading where some microseconds do not matter.
    pub(super) fn begun(&self) -> Instant {
        self.begun.get().unwrap_or_else(Instant::now)
    }

    /// When the bytes just read had arrived. The first read of a poll is what woke the task, so those arrived when the
    /// poll began.
    pub(super) fn arrival(&self) -> Instant {
        if self.has_read.replace(true) { Instant::now() } else { self.begun() }
    }

    /// The time counted so far, the current poll included. The difference of two calls is the work between them, if it
    /// was counted.
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
