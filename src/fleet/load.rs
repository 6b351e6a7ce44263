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

/// The mean duration of a backend's latest exchanges, and its latest failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    mean: Option<(f64, Instant)>,
    failure: Option<(Duration, Instant)>,
}

impl Load {
    /// As words, with instants as the time since `anchor`: the mean and the penalty in seconds, each after its instant
    /// in microseconds. A mean or a penalty of NaN is `None`.
    pub(super) fn to_words(self, anchor: Instant) -> [u64; 4] {
        let micros = |at: Instant| u64::try_from(at.saturating_duration_since(anchor).as_micros()).unwrap_or(u64::MAX);
        let (mean, mean_at) = self.mean.unwrap_or((f64::NAN, anchor));
        let (penalty, penalty_at) = self.failure.map_or((f64::NAN, anchor), |(it, at)| (it.as_secs_f64(), at));
        [micros(mean_at), mean.to_bits(), micros(penalty_at), penalty.to_bits()]
    }

    /// The load of these words.
    pub(super) fn from_words([mean_at, mean, penalty_at, penalty]: [u64; 4], anchor: Instant) -> Self {
        let at = |micros| anchor + Duration::from_micros(micros);
        let known = |word| Some(f64::from_bits(word)).filter(|value| !value.is_nan());
        Self {
            mean: known(mean).map(|mean| (mean, at(mean_at))),
            failure: known(penalty).map(|penalty| (Duration::from_secs_f64(penalty), at(penalty_at))),
        }
    }

    /// An exchange ended well after `took`.
    pub fn succeeded(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let mean = match self.mean {
            None => took,
            Some((mean, at)) => {
                let share = 1.0 - (-elapsed(at, now)).exp();
                mean + (took - mean) * share.max(LEAST)
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
        self.mean.map(|(mean, _)| Duration::from_secs_f64(mean))
    }

    /// How much that mean still says, from 0 to 1: less, the longer no exchange has ended.
    #[must_use]
    pub fn confidence(&self, now: Instant) -> f64 {
        self.mean.map_or(0.0, |(_, at)| (-elapsed(at, now)).exp())
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

/// The time since then, in spans.
fn elapsed(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_secs_f64() / SPAN.as_secs_f64()
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
        assert_eq!((load.service(), load.confidence(start)), (None, 0.0));
        load.succeeded(seconds(10), start);
        assert_eq!(load.service(), Some(seconds(10)));
        load.succeeded(seconds(20), start);
        assert_eq!(load.service(), Some(Duration::from_millis(10_500)), "which end together all count");
        assert!((load.confidence(start) - 1.0).abs() < 1e-9 && load.confidence(start + seconds(60)) < 0.4);
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
