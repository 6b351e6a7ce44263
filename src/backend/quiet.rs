//! Whether anything has gone through us to a backend lately, so that our own questions do not keep it awake.

use std::time::{Duration, Instant};

/// What has gone through us to one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Exchanges that began, ever.
    pub begun: u64,
    /// One is in flight.
    pub in_flight: bool,
}

/// Says what has gone through so far.
pub type AskTraffic = Box<dyn Fn() -> Traffic + Send + Sync>;

/// Remembers when traffic was last seen.
#[derive(Debug)]
pub(super) struct Quiet {
    begun: u64,
    last: Instant,
}

impl Quiet {
    /// The start counts as traffic: what a backend is doing then is worth a first look.
    pub(super) fn new(now: Instant) -> Self {
        Self { begun: 0, last: now }
    }

    /// For how long nothing has gone through. To be asked at every look.
    pub(super) fn lasts(&mut self, traffic: Traffic, now: Instant) -> Duration {
        if traffic.in_flight || traffic.begun != self.begun {
            (self.begun, self.last) = (traffic.begun, now);
        }
        now.saturating_duration_since(self.last)
    }
}

/// What llama.cpp's server does without work (`tools/server/README.md`, "Sleeping on Idle").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It has unloaded its model, and loads it again at the next task.
    Asleep,
    /// It may fall asleep, or does not say.
    Possible,
    /// It is older than that.
    Never,
}

impl Sleep {
    /// Whether `/metrics` may be asked of it after this long a silence: before build 10519 that is a task like others,
    /// a reason to stay awake or to wake up.
    pub(super) fn may_be_asked(self, silence: Duration, quiet_after: Duration) -> bool {
        match self {
            Self::Asleep => false,
            Self::Possible => silence < quiet_after,
            Self::Never => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_with_the_last_look_that_saw_traffic() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let traffic = |begun, in_flight| Traffic { begun, in_flight };
        let mut quiet = Quiet::new(start);
        let looks = [
            (5, traffic(0, false), 5),
            (10, traffic(1, false), 0),
            (15, traffic(1, false), 5),
            (20, traffic(2, true), 0),
            (25, traffic(2, true), 0),
            (40, traffic(2, false), 15),
        ];
        for (seconds, traffic, lasts) in looks {
            assert_eq!(quiet.lasts(traffic, at(seconds)), Duration::from_secs(lasts), "at {seconds} s");
        }
    }

    #[test]
    fn a_server_that_sleeps_is_not_asked_and_one_that_may_fall_asleep_only_while_it_works() {
        let (quiet_after, short, long) = (Duration::from_secs(15), Duration::from_secs(5), Duration::from_secs(15));
        for (sleep, asked_at_once, asked_later) in
            [(Sleep::Asleep, false, false), (Sleep::Possible, true, false), (Sleep::Never, true, true)]
        {
            let asked = [short, long].map(|silence| sleep.may_be_asked(silence, quiet_after));
            assert_eq!(asked, [asked_at_once, asked_later], "{sleep:?}");
        }
    }
}
