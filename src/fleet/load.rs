//! What the ends of exchanges tell about a backend: how long they take, and what recent failures cost. Pure.

use std::time::{Duration, Instant};

/// After this time without an exchange the mean has forgotten most of what it was.
const SPAN: Duration = Duration::from_secs(60);
/// The least weight of one more exchange in the mean, so that those which end together all count.
const LEAST: f64 = 0.05;
/// The least penalty of a failure: a server that fails at once must not look fast.
const FAILURE: Duration = Duration::from_secs(5);
/// The time in which a penalty halves.
const HALF_LIFE: Duration = Duration::from_secs(10);
/// The longest time that a backend may ask clients to stay away.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The word of what is unknown.
const UNKNOWN: u64 = u64::MAX;

/// The mean duration of a backend's latest exchanges, and its latest failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    mean: Option<(Duration, Instant)>,
    failure: Option<(Duration, Instant)>,
}

impl Load {
    /// As words: the mean and the penalty, each after its instant as the time since `anchor`, in nanoseconds. A mean or a
    /// penalty of the greatest value is `None`.
    pub(super) fn to_words(self, anchor: Instant) -> [u64; 4] {
        let nanos = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(UNKNOWN - 1);
        let words = |known: Option<(Duration, Instant)>| {
            known.map_or([0, UNKNOWN], |(length, at)| [nanos(at.saturating_duration_since(anchor)), nanos(length)])
        };
        let [mean_at, mean] = words(self.mean);
        let [penalty_at, penalty] = words(self.failure);
        [mean_at, mean, penalty_at, penalty]
    }

    /// The load of these words.
    pub(super) fn from_words([mean_at, mean, penalty_at, penalty]: [u64; 4], anchor: Instant) -> Self {
        let known =
            |length, at| (length != UNKNOWN).then(|| (Duration::from_nanos(length), anchor + Duration::from_nanos(at)));
        Self { mean: known(mean, mean_at), failure: known(penalty, penalty_at) }
    }

    /// An exchange ended well after `took`.
    pub fn succeeded(&mut self, took: Duration, now: Instant) {
        let mean = match self.mean {
            None => took,
            Some((mean, at)) => {
                let share = (1.0 - confidence(now.saturating_duration_since(at))).max(LEAST);
                mean.mul_f64(1.0 - share) + took.mul_f64(share)
            }
        };
        self.mean = Some((mean, now));
    }

    /// An exchange failed, or was refused because the backend is busy. `retry_after` is what the backend asks for.
    pub fn failed(&mut self, took: Duration, retry_after: Option<Duration>, now: Instant) {
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let penalty = took.max(FAILURE).max(asked).max(self.penalty(now));
        self.failure = Some((penalty, now));
    }

    /// The mean duration of an exchange; `None` while none has ended.
    #[must_use]
    pub fn service(&self) -> Option<Duration> {
        self.mean.map(|(mean, _)| mean)
    }

    /// How long ago the latest of them ended; zero while none has.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        self.mean.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at))
    }

    /// The time that recent failures add to an exchange.
    #[must_use]
    pub fn penalty(&self, now: Instant) -> Duration {
        self.failure.map_or(Duration::ZERO, |(penalty, at)| {
            let halvings = now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
            penalty.mul_f64((-halvings).exp2())
        })
    }
}

/// How much a mean still says where no exchange has ended for so long: from 1 down to 0.
#[must_use]
pub fn confidence(silence: Duration) -> f64 {
    (-silence.as_secs_f64() / SPAN.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_mean_follows_the_latest_exchanges_and_is_unknown_before_the_first() {
        let (mut load, start) = (Load::default(), Instant::now());
        assert_eq!((load.service(), load.silence(start)), (None, Duration::ZERO));
        load.succeeded(seconds(10), start);
        assert_eq!(load.service(), Some(seconds(10)));
        load.succeeded(seconds(20), start);
        assert_eq!(load.service(), Some(Duration::from_millis(10_500)), "which end together all count");
        assert_eq!(load.silence(start + seconds(60)), seconds(60));
        assert!((confidence(seconds(0)) - 1.0).abs() < 1e-9 && confidence(seconds(60)) < 0.4);
        load.succeeded(seconds(2), start + seconds(600));
        assert!(load.service().expect("known") < seconds(3), "the past is forgotten: {:?}", load.service());
    }

    #[test]
    fn a_failure_costs_at_least_5_seconds_halves_every_10_and_changes_no_mean() {
        let (mut load, start) = (Load::default(), Instant::now());
        assert_eq!(load.penalty(start), Duration::ZERO);
        load.failed(Duration::from_millis(1), None, start);
        assert_eq!((load.penalty(start), load.service()), (seconds(5), None));
        assert_eq!(load.penalty(start + seconds(10)), Duration::from_millis(2500));
        load.failed(seconds(1), Some(seconds(86_400)), start);
        assert_eq!(load.penalty(start), seconds(300), "and at most 5 minutes, whatever a backend asks");
        load.failed(seconds(1), None, start + seconds(10));
        assert_eq!(load.penalty(start + seconds(10)), seconds(150), "a lesser failure takes nothing back");
    }
}
