//! What finished in the last hour and since the start, counted in memory, whether or not anything is kept in files.
//!
//! Promises: each data thread counts into a part of its own, so that the end of an exchange waits for no other thread
//! (a reader copies one part at a time); every finished exchange is counted once; the memory is fixed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;

use crate::exchange::outcome::{ErrorType, Outcome};
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{Sink, Watch};

/// Seconds that are counted one by one.
const SECONDS: usize = 64;

/// Minutes that are counted one by one.
const MINUTES: usize = 64;

/// Counts of exchanges that ended in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges that ended.
    pub requests: u64,
    /// Of these, the ones that failed. Those that a backend answered with a status of 400 to 499 did not.
    pub failed: u64,
    /// Of these, the ones that a backend answered with a status of 400 to 499.
    pub client_errors: u64,
    /// Of these, the ones that the client cancelled.
    pub cancelled: u64,
    /// Of these, the generations that were not answered with an error status.
    pub generations: u64,
    /// The durations of these generations together, in microseconds.
    pub duration_us: u64,
    /// Prompt tokens that are known.
    pub prompt_tokens: u64,
    /// Generated tokens that are known.
    pub generated_tokens: u64,
    /// Bytes of request bodies and response bodies.
    pub bytes: u64,
}

impl Counts {
    fn of(record: &Record) -> Self {
        let is_timed = record.start.route.operation.generates() && record.status < 400;
        let micros = u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX);
        Self {
            requests: 1,
            failed: u64::from(record.error.is_some()),
            client_errors: u64::from(record.outcome == Outcome::HttpError && record.error.is_none()),
            cancelled: u64::from(record.outcome == Outcome::ClientCancelled),
            generations: u64::from(is_timed),
            duration_us: if is_timed { micros } else { 0 },
            prompt_tokens: record.prompt_tokens.map_or(0, |count| count.value),
            generated_tokens: record.best_generated().map_or(0, |count| count.value),
            bytes: record.request_bytes.saturating_add(record.response_bytes),
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.client_errors += other.client_errors;
        self.generations += other.generations;
        self.cancelled += other.cancelled;
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.generated_tokens = self.generated_tokens.saturating_add(other.generated_tokens);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// The mean duration of generations; `None` where none ended.
    #[must_use]
    pub fn mean_duration(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.duration_us.checked_div(self.generations)?))
    }

    /// Completed exchanges by those that completed or failed, 0 to 1; `None` where there were none.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let decided = self.requests - self.cancelled - self.client_errors;
        (decided > 0).then(|| (decided - self.failed) as f64 / decided as f64)
    }
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub all: Counts,
    /// Errors of each type, in the order of [`ErrorType::ALL`].
    pub errors: [u64; ErrorType::ALL.len()],
}

/// Finished exchanges. Clones share them.
#[derive(Clone, Debug)]
pub struct Recent {
    parts: Arc<ThreadLocal<Mutex<Part>>>,
    begun: Instant,
}

impl Default for Recent {
    fn default() -> Self {
        Self { parts: Arc::default(), begun: Instant::now() }
    }
}

#[derive(Debug, Default)]
struct Part {
    totals: Totals,
    seconds: Ring<SECONDS>,
    minutes: Ring<MINUTES>,
}

/// Counts by the number of their interval since the start, of the latest intervals.
#[derive(Debug)]
struct Ring<const N: usize>([(u64, Counts); N]);

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self([(0, Counts::default()); N])
    }
}

impl<const N: usize> Ring<N> {
    fn add(&mut self, at: u64, counts: &Counts) {
        let slot = &mut self.0[usize::try_from(at % N as u64).expect("below the length")];
        if slot.0 < at {
            *slot = (at, Counts::default());
        }
        // What ends in an interval that was overwritten is in the totals only.
        if slot.0 == at {
            slot.1.add(counts);
        }
    }

    fn at(&self, at: u64) -> Counts {
        let slot = &self.0[usize::try_from(at % N as u64).expect("below the length")];
        if slot.0 == at { slot.1 } else { Counts::default() }
    }
}

impl Recent {
    fn part(&self) -> MutexGuard<'_, Part> {
        self.parts.get_or_default().lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self, mut take: impl FnMut(&Part)) {
        self.parts.iter().for_each(|part| take(&part.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs()
    }

    fn record(&self, record: &Record) {
        let counts = Counts::of(record);
        let second = self.second(record.start.at + record.duration);
        let mut part = self.part();
        part.totals.all.add(&counts);
        if let Some(error) = record.error {
            part.totals.errors[error as usize] += 1;
        }
        part.seconds.add(second, &counts);
        part.minutes.add(second / 60, &counts);
    }

    /// Since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        self.each(|part| {
            sum.all.add(&part.totals.all);
            sum.errors.iter_mut().zip(part.totals.errors).for_each(|(sum, more)| *sum += more);
        });
        sum
    }

    /// The last whole seconds, at most 60, and how many there are: fewer just after the start.
    #[must_use]
    pub fn last_minute(&self, now: Instant) -> (Counts, Duration) {
        let now = self.second(now);
        let from = now.saturating_sub(60);
        let mut sum = Counts::default();
        self.each(|part| (from..now).for_each(|second| sum.add(&part.seconds.at(second))));
        (sum, Duration::from_secs(now - from))
    }

    /// The last whole minutes since the start, at most 60, the oldest first, each with its beginning.
    #[must_use]
    pub fn last_hour(&self, now: Instant) -> Vec<(Instant, Counts)> {
        let now = self.second(now) / 60;
        let begin = |minute: u64| self.begun + Duration::from_secs(minute * 60);
        let mut minutes: Vec<_> =
            (now.saturating_sub(60)..now).map(|minute| (minute, begin(minute), Counts::default())).collect();
        self.each(|part| minutes.iter_mut().for_each(|(minute, _, sum)| sum.add(&part.minutes.at(*minute))));
        minutes.into_iter().map(|(_, begin, sum)| (begin, sum)).collect()
    }
}

impl Sink for Recent {
    type Watch = RecentWatch;

    fn started(&self, _: &Start) -> RecentWatch {
        RecentWatch(self.clone())
    }
}

/// Counts one exchange when it ends.
#[derive(Debug)]
pub struct RecentWatch(Recent);

impl Watch for RecentWatch {
    fn finished(&mut self, record: &Record) {
        self.0.record(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_forgotten_when_another_takes_its_slot() {
        let (mut ring, one) = (Ring::<4>::default(), Counts { requests: 1, ..Counts::default() });
        for at in [0, 1, 1, 5, 2] {
            ring.add(at, &one);
        }
        assert_eq!([0, 1, 2, 3, 5].map(|at| ring.at(at).requests), [1, 0, 1, 0, 1]);
        ring.add(1, &one);
        assert_eq!(ring.at(5).requests, 1, "what is late does not displace what is newer");
    }

    #[test]
    fn rates_of_nothing_are_unknown() {
        assert_eq!((Counts::default().mean_duration(), Counts::default().success_rate()), (None, None));
        let cancelled = Counts { requests: 2, cancelled: 2, ..Counts::default() };
        assert_eq!(cancelled.success_rate(), None);
        let mixed = Counts {
            requests: 6,
            cancelled: 1,
            client_errors: 1,
            failed: 1,
            generations: 5,
            duration_us: 10,
            ..Counts::default()
        };
        assert_eq!((mixed.success_rate(), mixed.mean_duration()), (Some(0.75), Some(Duration::from_micros(2))));
    }
}
