//! How long a connection's task has been at work on its exchange, and what time it is there. The clock is read as seldom
//! as that allows: each look costs as much as some hundred instructions.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The polls of one task.
#[derive(Default)]
pub(super) struct Polls {
    before: Cell<Duration>,
    begun: Cell<Option<Instant>>,
    /// The beginning of the poll has been given out as the present.
    stale: Cell<bool>,
    /// There is an exchange whose work is counted.
    counts: Cell<bool>,
}

impl Polls {
    /// A poll begins: when.
    pub(super) fn begin(&self) -> Instant {
        let now = Instant::now();
        self.begun.set(Some(now));
        self.stale.set(false);
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

    /// When the poll began: the present where some microseconds do not matter.
    pub(super) fn begun(&self) -> Instant {
        self.begun.get().unwrap_or_else(Instant::now)
    }

    /// The present. What is read first in a poll has woken it, so the poll's beginning is its time, and the clock need
    /// not be read again.
    pub(super) fn now(&self) -> Instant {
        match self.begun.get() {
            Some(begun) if !self.stale.replace(true) => begun,
            _ => Instant::now(),
        }
    }

    /// The sum, the poll in progress included. Two of them tell how long the work between them took, if it was counted.
    pub(super) fn total(&self, now: Instant) -> Duration {
        let current = self.begun.get().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.before.get() + current
    }
}
