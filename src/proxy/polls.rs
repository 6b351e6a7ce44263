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
    /// The number of the exchange in progress, whose work is counted.
    exchange: Cell<Option<u64>>,
    /// An operator wants that exchange to end.
    stopped: Cell<bool>,
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
        if self.exchange.get().is_some() {
            self.before.set(self.total(Instant::now()));
        }
        self.begun.set(None);
    }

    /// Starts counting work, for the exchange with this number.
    pub(super) fn count_for(&self, exchange: u64) {
        self.exchange.set(Some(exchange));
        self.stopped.set(false);
    }

    /// The exchange has ended: stops counting.
    pub(super) fn count_no_more(&self) {
        self.exchange.set(None);
        self.stopped.set(false);
    }

    /// The number of the exchange in progress.
    pub(super) fn exchange(&self) -> Option<u64> {
        self.exchange.get()
    }

    /// Asks that the exchange with this number ends. Returns whether it is in progress.
    pub(super) fn stop(&self, exchange: u64) -> bool {
        let is_here = self.exchange.get() == Some(exchange);
        self.stopped.set(self.stopped.get() || is_here);
        is_here
    }

    /// Whether the exchange in progress is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.get()
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
    fn only_the_exchange_in_progress_is_stopped() {
        let polls = Polls::default();
        polls.count_for(3);
        assert!(!polls.stop(2) && !polls.is_stopped());
        assert!(polls.stop(3) && polls.is_stopped());
        polls.count_no_more();
        assert!(!polls.is_stopped() && !polls.stop(3), "it has ended");
        polls.count_for(4);
        assert!(!polls.is_stopped(), "the next one goes on");
    }

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
