//! A histogram that many threads feed: an observation is one addition to a bucket and one to the sum.
//!
//! The prometheus crate's histogram keeps two copies of itself, so that a scrape sees sum and buckets of the same instant;
//! that costs each observation two more atomic operations, and each scrape a copy and an allocation for every bucket.
//! Here the count is the sum of the buckets as they are written, so the two always agree; only the sum may be one
//! observation ahead or behind, until the next scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A handle; clones share the values.
#[derive(Clone)]
pub(super) struct Histogram(Arc<Core>);

struct Core {
    /// Upper bounds, ascending.
    bounds: &'static [f64],
    /// Observations up to each bound and above the one before; the last bucket (`+Inf`) has those above all bounds.
    buckets: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Core { bounds, buckets, sum: AtomicU64::new(0.0_f64.to_bits()) }))
    }

    /// Records a value. Returns the index of the bucket that counts it.
    pub(super) fn observe(&self, value: f64) -> usize {
        self.observe_times(value, 1)
    }

    /// Records the same value `times` times. Returns the index of the bucket that counts it.
    pub(super) fn observe_times(&self, value: f64, times: u64) -> usize {
        let core = &*self.0;
        let bucket = core.bounds.partition_point(|bound| *bound < value);
        core.buckets[bucket].fetch_add(times, Ordering::Relaxed);
        let added = value * times as f64;
        let mut seen = core.sum.load(Ordering::Relaxed);
        loop {
            let sum = (f64::from_bits(seen) + added).to_bits();
            match core.sum.compare_exchange_weak(seen, sum, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return bucket,
                Err(now) => seen = now,
            }
        }
    }

    /// Observations in each bucket alone (not cumulative), `+Inf` last.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// The sum of all observations.
    pub(super) fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[f64] = &[0.1, 1.0, 10.0];

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let histogram = Histogram::new(BOUNDS);
        for value in [0.0, 0.1, 0.100_001, 1.0, 10.0, 10.1, 1e9] {
            histogram.observe(value);
        }
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [2, 2, 1, 2]);
        assert_eq!(histogram.sum(), 0.1 + 0.100_001 + 1.0 + 10.0 + 10.1 + 1e9);
    }

    #[test]
    fn no_value_of_any_thread_is_lost() {
        let histogram = Histogram::new(BOUNDS);
        std::thread::scope(|scope| {
            for value in [0.5, 2.0] {
                let histogram = histogram.clone();
                scope.spawn(move || {
                    for _ in 0..100_000 {
                        histogram.observe_times(value, 2);
                    }
                });
            }
        });
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [0, 200_000, 200_000, 0]);
        assert_eq!(histogram.sum(), 500_000.0);
    }
}
