//! Sums of the history over the last minutes or hours, and what follows from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::Parts;
use super::unknown::Maybe;
use crate::exchange::outcome::Outcome;
use crate::history::query::series::{Interval, SeriesQuery};
use crate::history::query::{Filter, Range};
use crate::history::rollup::{Measure, Sums};
use crate::history::{Reading, StoreError};

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The sums of some exchanges.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum(pub(super) Sums);

impl Sum {
    /// Exchanges with this outcome.
    pub(super) fn outcome(&self, outcome: Outcome) -> u64 {
        self.0.by_outcome[outcome as usize]
    }

    /// Completed exchanges by all that were not cancelled, 0 to 1; `None` where there were none.
    pub(super) fn success_rate(&self) -> Option<f64> {
        let decided = self.0.requests - self.outcome(Outcome::ClientCancelled);
        (decided > 0).then(|| self.outcome(Outcome::Completed) as f64 / decided as f64)
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

    /// Prompt tokens that were read from a cache, by all; `None` where no backend reports them.
    pub(super) fn cached_share(&self) -> Option<f64> {
        let (cached, prompt) = self.0.cached.zip(self.0.prompt.filter(|prompt| *prompt > 0))?;
        Some(cached as f64 / prompt as f64)
    }
}

/// The time from so long ago until now.
pub(super) fn last(parts: &Parts, length: Duration, now: Instant) -> Range {
    let to = parts.millis(now);
    Range { from: to - i64::try_from(length.as_millis()).unwrap_or(0), to }
}

/// The sums of a range, widened to whole intervals.
pub(super) fn total(reading: &Reading, range: Range, filter: &Filter) -> Result<Sum, StoreError> {
    let query = SeriesQuery { range, interval: Interval::fitting(range, 120), filter: filter.clone() };
    let mut sum = Sums::default();
    let series = reading.series(&query)?;
    series.into_iter().flat_map(|series| series.points).flatten().for_each(|point| sum.merge(&point));
    Ok(Sum(sum))
}

/// The sums of the exchanges in the last time.
pub(super) async fn of_last(parts: &Parts, length: Duration, filter: Filter, now: Instant) -> Maybe<Sum> {
    let range = last(parts, length, now);
    parts.asked(move |reading| total(reading, range, &filter)).await
}

/// A backend and one of its models.
pub(super) type BackendModel = (Arc<str>, Box<str>);

/// The sums of the last time of each of these.
pub(super) async fn by_model(
    parts: &Parts,
    names: Vec<BackendModel>,
    length: Duration,
    now: Instant,
) -> BTreeMap<BackendModel, Maybe<Sum>> {
    let range = last(parts, length, now);
    let keys = names.clone();
    let sums = parts
        .asked(move |reading| {
            let filter = |(backend, model): &BackendModel| Filter {
                backend: Some(backend.clone()),
                model: Some((**model).into()),
                ..Filter::default()
            };
            keys.iter().map(|key| total(reading, range, &filter(key))).collect::<Result<Vec<_>, _>>()
        })
        .await;
    match sums {
        Maybe::Known(sums) => names.into_iter().zip(sums.into_iter().map(Maybe::Known)).collect(),
        Maybe::Unknown(reason) => names.into_iter().map(|name| (name, Maybe::Unknown(reason))).collect(),
    }
}
