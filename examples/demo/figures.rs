//! Figures made from the samples of the last seconds.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::exposition::Sample;

/// Over how long a rate is taken.
const WINDOW: Duration = Duration::from_secs(10);

/// Scrapes of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct History {
    scrapes: VecDeque<(Instant, Vec<Sample>)>,
}

impl History {
    /// Adds a scrape and forgets what is older than the window.
    pub(crate) fn push(&mut self, at: Instant, samples: Vec<Sample>) {
        self.scrapes.push_back((at, samples));
        while self.scrapes.front().is_some_and(|(first, _)| at - *first > WINDOW) {
            self.scrapes.pop_front();
        }
    }

    /// The latest scrape.
    pub(crate) fn now(&self) -> &[Sample] {
        self.scrapes.back().map(|(_, samples)| samples.as_slice()).unwrap_or_default()
    }

    /// Sum of a family, of one model where given.
    pub(crate) fn sum(&self, family: &str, model: Option<&str>) -> f64 {
        sum(self.now(), family, model)
    }

    /// Sum of a family for each value of a label, without those that are zero.
    pub(crate) fn by(&self, family: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.now().iter().filter(|sample| sample.is(family) && sample.value > 0.0) {
            *sums.entry(sample.label(label).to_owned()).or_default() += sample.value;
        }
        sums
    }

    /// Growth of a counter a second, over the window. `None` before the second scrape.
    pub(crate) fn rate(&self, family: &str, model: Option<&str>) -> Option<f64> {
        self.growth(|samples| sum(samples, family, model))
    }

    /// The same of the series with this label.
    pub(crate) fn rate_of(&self, family: &str, label: &str, value: &str) -> Option<f64> {
        self.growth(|samples| {
            let series = samples.iter().filter(|sample| sample.is(family) && sample.label(label) == value);
            series.fold(0.0, |sum, sample| sum + sample.value)
        })
    }

    fn growth(&self, sum: impl Fn(&[Sample]) -> f64) -> Option<f64> {
        let (first, then) = self.scrapes.front()?;
        let (last, now) = self.scrapes.back()?;
        let seconds = (*last - *first).as_secs_f64();
        (seconds > 0.0).then(|| (sum(now) - sum(then)).max(0.0) / seconds)
    }

    /// Mean of a histogram since the start. `None` where nothing was observed.
    pub(crate) fn mean(&self, family: &str, model: Option<&str>) -> Option<f64> {
        let count = self.sum(&format!("{family}_count"), model);
        (count > 0.0).then(|| self.sum(&format!("{family}_sum"), model) / count)
    }

    /// A quantile of a histogram since the start, as Prometheus' `histogram_quantile` reckons it. `None` where nothing
    /// was observed.
    pub(crate) fn quantile(&self, family: &str, model: Option<&str>, quantile: f64) -> Option<f64> {
        let family = format!("{family}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.now().iter().filter(|sample| sample.is(&family) && of(sample, model)) {
            // `+Inf` is a number to Rust, too.
            let bound: f64 = sample.label("le").parse().unwrap_or(f64::INFINITY);
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let rank = quantile * buckets.last()?.1;
        let at = buckets.iter().position(|(_, count)| *count >= rank && *count > 0.0)?;
        let (low, below) = at.checked_sub(1).map_or((0.0, 0.0), |before| buckets[before]);
        let (high, count) = buckets[at];
        if high.is_infinite() {
            return Some(low);
        }
        Some(low + (high - low) * ((rank - below) / (count - below)).clamp(0.0, 1.0))
    }
}

fn of(sample: &Sample, model: Option<&str>) -> bool {
    model.is_none_or(|model| sample.label("model") == model)
}

fn sum(samples: &[Sample], family: &str, model: Option<&str>) -> f64 {
    // Folded, because an empty sum of floats is -0.
    let values = samples.iter().filter(|sample| sample.is(family) && of(sample, model)).map(|sample| sample.value);
    values.fold(0.0, |sum, value| sum + value)
}
