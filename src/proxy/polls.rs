//! How long a connection's task has been at work, and what time it is there.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The polls of one task.
#[derive(Default)]
pub(super) struct Polls {
    before: Cell<Duration>,
    begun: Cell<Option<Instant>>,
    /// The beginning of the poll has been given out as the present.
    stale: Cell<bool>,
}

impl Polls {
    /// A poll begins.
    pub(super) fn begin(&self) {
        self.begun.set(Some(Instant::now()));
        self.stale.set(false);
    }

    /// A poll ends.
    pub(super) fn end(&self) {
        self.before.set(self.total(Instant::now()));
        self.begun.set(None);
    }

    /// The present. What is read first in a poll has woken it, so the poll's beginning is its time, and the clock need
    /// not be read again.
    pub(super) fn now(&self) -> Instant {
        match self.begun.get() {
            Some(begun) if !self.stale.replace(true) => begun,
            _ => Instant::now(),
        }
    }

    /// The sum, the poll in progress included.
    pub(super) fn total(&self, now: Instant) -> Duration {
        let current = self.begun.get().map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.before.get() + current
    }
}
