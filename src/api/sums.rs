//! Sums of the history over the last minutes or hours, and what follows from them.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::state::Parts;
use super::unknown::Maybe;
use crate::exchange::outcome::Outcome;
use crate::exchange::vocabulary::Operation;
use crate::history::query::Range;
use crate::history::query::totals::{RangeTotals, Total};
use crate::history::rollup::{Measure, Sums};
use crate::history::timestamp::Timestamp;
use crate::history::{Reading, StoreError};

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The sums of some exchanges.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum(pub(super) Sums);

impl Sum {
    /// Of all of these.
    pub(super) fn of<'a>(totals: impl IntoIterator<Item = &'a Total>) -> Self {
        let mut sum = Sums::default();
        totals.into_iter().for_each(|total| sum.merge(&total.sums));
        Self(sum)
    }

    /// Exchanges with this outcome.
    pub(super) fn outcome(&self, outcome: Outcome) -> u64 {
        self.0.by_outcome[outcome as usize]
    }

    /// Completed exchanges by those that completed or failed, 0 to 1; `None` where there were none.
    pub(super) fn success_rate(&self) -> Option<f64> {
        let (completed, failed) = (self.outcome(Outcome::Completed), self.0.failed());
        (completed + failed > 0).then(|| completed as f64 / (completed + failed) as f64)
    }

    /// The mean of a measure; `None` without a value.
    pub(super) fn mean(&self, measure: Measure) -> Option<f64> {
        let sketch = self.0.sketch(measure);
        (sketch.count() > 0).then(|| sketch.sum().map(|sum| sum / sketch.count() as f64)).flatten()
    }

    /// A percentile of a measure; `None` without a value.
    pub(super) fn quantile(&self, measure: Measure, share: f64) -> Option<f64> {
        self.0.sketch(measure).quantile(share)
    }

    /// Prompt tokens that were read from a cache, by all of the exchanges that report it; `None` where none does.
    pub(super) fn cached_share(&self) -> Option<f64> {
        let (cached, prompt) = self.0.cached.zip(self.0.cached_of.filter(|prompt| *prompt > 0))?;
        Some(cached as f64 / prompt as f64)
    }
}

/// The sums of some time, apart for each backend, model and operation.
#[derive(Debug)]
pub(super) struct Totals(RangeTotals);

impl Totals {
    /// Of those that fit.
    pub(super) fn of(&self, fits: impl Fn(&Total) -> bool) -> Sum {
        Sum::of(self.0.totals.iter().filter(|total| fits(total)))
    }

    /// Apart by what `key` gives, without those that have none.
    pub(super) fn by<'a, K: Eq + Hash>(&'a self, key: impl Fn(&'a Total) -> Option<K>) -> HashMap<K, Vec<&'a Total>> {
        let mut groups = HashMap::<K, Vec<&Total>>::new();
        for (key, total) in self.0.totals.iter().filter_map(|total| Some((key(total)?, total))) {
            groups.entry(key).or_default().push(total);
        }
        groups
    }

    /// Of all exchanges.
    pub(super) fn all(&self) -> Sum {
        self.of(|_| true)
    }

    /// Those of a range, widened to whole intervals.
    pub(super) fn read(reading: &Reading, range: Range) -> Result<Self, StoreError> {
        reading.totals(range).map(Self)
    }

    /// Of those that run a model.
    pub(super) fn inference(&self) -> Sum {
        self.of(|total| total.operation.is_some_and(Operation::infers))
    }

    /// Of those that generate, whose latencies are compared: a list of models takes a moment, and a pull minutes.
    pub(super) fn generations(&self) -> Sum {
        self.of(generates)
    }

    /// The share of the requests for a model that found it in memory, of those whose backend took them on; `None` without
    /// such a request.
    pub(super) fn residency_hits(&self) -> Option<f64> {
        let sum = self.of(|total| total.model.is_some() && needs_model(total));
        let refused =
            [Outcome::Rejected, Outcome::BackendFailed, Outcome::HttpError].map(|outcome| sum.outcome(outcome));
        let taken = sum.0.requests.saturating_sub(refused.iter().sum());
        (taken > 0).then(|| 1.0 - sum.0.cold.min(taken) as f64 / taken as f64)
    }
}

/// Whether it is of exchanges that generate.
pub(super) fn generates(total: &Total) -> bool {
    total.operation.is_some_and(Operation::generates)
}

fn needs_model(total: &Total) -> bool {
    generates(total) || total.operation == Some(Operation::Embeddings)
}

/// The time from so long ago until now.
pub(super) fn last(parts: &Parts, length: Duration, now: Instant) -> Range {
    let to = parts.millis(now);
    Range { from: to - i64::try_from(length.as_millis()).unwrap_or(0), to }
}

/// The sums of the last time.
pub(super) async fn of_last(parts: &Parts, length: Duration, now: Instant) -> Maybe<Totals> {
    of_range(parts, last(parts, length, now)).await
}

/// The sums of a range, widened to whole intervals.
pub(super) async fn of_range(parts: &Parts, range: Range) -> Maybe<Totals> {
    parts.asked(move |reading| reading.totals(range)).await.map(Totals)
}

/// Where the first of the whole intervals that sums are of begins, and where the last ends, as text; where there are no sums
/// those of the range that was asked for.
pub(super) fn bounds(totals: &Maybe<Totals>, asked: Range) -> [String; 2] {
    let range = totals.known().map_or(asked, |totals| totals.0.range);
    [range.from, range.to].map(|at| Timestamp(at).to_string())
}
