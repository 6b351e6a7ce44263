//! Whether a backend has had traffic lately, so that the monitoring does not keep it awake.

use std::time::{Duration, Instant};

/// The proxy's traffic to one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Exchanges begun since the process started.
    pub begun: u64,
    /// Whether one is in flight.
    pub in_flight: bool,
}

/// Reads the current traffic.
pub type ReadTraffic = Box<dyn Fn() -> Traffic + Send + Sync>;

/// Measures the time since the last traffic.
#[derive(Debug)]
pub(super) struct IdleTimer {
    begun: u64,
    last: Instant,
}

impl IdleTimer {
    /// The start counts as traffic, so that each backend is polled at first.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: 0, last: now }
    }

    /// Observes the traffic and returns the time since traffic was last observed. Call it at every poll.
    pub(super) fn observe(&mut self, traffic: Traffic, now: Instant) -> Duration {
        if traffic.in_flight || traffic.begun != self.begun {
            (self.begun, self.last) = (traffic.begun, now);
        }
        now.saturating_duration_since(self.last)
    }
}

/// Whether llama.cpp's server sleeps without work (`tools/server/README.md`, "Sleeping on Idle").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SleepState {
    /// It has unloaded its model until the next task.
    Asleep,
    /// It may fall asleep, or does not say.
    Possible,
    /// Its version does not have this feature.
    Never,
}

impl SleepState {
    /// Whether `/metrics` may be requested after this idle time: before build 10519 that is a task like others, which
    /// keeps the server awake or wakes it.
    pub(super) fn allows_metrics(self, idle: Duration, quiet_after: Duration) -> bool {
        match self {
            Self::Asleep => false,
            Self::Possible => idle < quiet_after,
            Self::Never => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_begins_with_the_last_poll_that_saw_traffic() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let traffic = |begun, in_flight| Traffic { begun, in_flight };
        let mut timer = IdleTimer::new(start);
        let polls = [
            (5, traffic(0, false), 5),
            (10, traffic(1, false), 0),
            (15, traffic(1, false), 5),
            (20, traffic(2, true), 0),
            (25, traffic(2, true), 0),
            (40, traffic(2, false), 15),
        ];
        for (seconds, traffic, idle) in polls {
            assert_eq!(timer.observe(traffic, at(seconds)), Duration::from_secs(idle), "at {seconds} s");
        }
    }

    #[test]
    fn metrics_of_a_sleeping_server_are_not_requested_and_of_one_that_may_sleep_only_while_it_works() {
        let (quiet_after, short, long) = (Duration::from_secs(15), Duration::from_secs(5), Duration::from_secs(15));
        for (sleep, asked_at_once, asked_later) in
            [(SleepState::Asleep, false, false), (SleepState::Possible, true, false), (SleepState::Never, true, true)]
        {
            let asked = [short, long].map(|idle| sleep.allows_metrics(idle, quiet_after));
            assert_eq!(asked, [asked_at_once, asked_later], "{sleep:?}");
        }
    }
}
