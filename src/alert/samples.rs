//! The samples that the rules look at: of each series as far back as they look, and no further.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::labels::Labels;

/// Most series that are kept. A program with more has more models than a rule could name.
pub const MAX_SERIES: usize = 20_000;

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// Its value.
    pub value: f64,
}

/// A series.
#[derive(Clone, Debug)]
pub struct Series {
    labels: Labels,
    points: VecDeque<Point>,
    /// What a counter had before each time that it fell, with the first sample after that.
    resets: VecDeque<Point>,
    /// Since when it is no longer there.
    gone: Option<i64>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Series.
    pub series: usize,
    /// Their samples.
    pub points: usize,
    /// Memory of both, with what is reserved for further ones and without what an allocator adds.
    pub bytes: usize,
}

/// Series by metric.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    metrics: BTreeMap<String, Metric>,
    series: usize,
    refused: u64,
    read: Cell<u64>,
}

/// The samples of a series from an instant up to and with another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    series: &'a Series,
    /// Places of the first sample, and after the last.
    places: (usize, usize),
    read: &'a Cell<u64>,
}

#[derive(Clone, Debug, Default)]
struct Metric {
    /// How far back it is looked at, in milliseconds.
    window: i64,
    /// Whether it is looked at as a counter.
    counts: bool,
    series: Vec<Series>,
    /// The places of series by their labels as a page has them.
    places: HashMap<String, usize>,
}

impl Series {
    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The newest value, where it is not older than `lookback`.
    fn newest(&self, at: i64, lookback: i64) -> Option<f64> {
        let last = self.points.iter().rev().find(|point| point.at <= at)?;
        let is_there = self.gone.is_none_or(|gone| gone > at);
        (is_there && last.at > at - lookback).then_some(last.value)
    }

    fn forget_before(&mut self, at: i64) {
        while self.points.front().is_some_and(|point| point.at < at) {
            self.points.pop_front();
        }
        while self.resets.front().is_some_and(|reset| reset.at < at) {
            self.resets.pop_front();
        }
    }
}

impl<'a> Window<'a> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.1 - self.places.0
    }

    /// The first and the last sample; `None` if there are no samples.
    pub(super) fn ends(&self) -> Option<(Point, Point)> {
        let (first, end) = self.places;
        self.read.set(self.read.get() + 2);
        let points = &self.series.points;
        (first < end).then(|| (points[first], points[end - 1]))
    }

    /// Their values.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> + use<'a> {
        let (first, end) = self.places;
        self.read.set(self.read.get() + (end - first) as u64);
        self.series.points.range(first..end).map(|point| point.value)
    }

    /// What a counter had before it fell, of each fall after the first sample.
    pub(super) fn lost(&self) -> f64 {
        let Some((first, last)) = self.ends() else { return 0.0 };
        let is_within = |reset: &&Point| reset.at > first.at && reset.at <= last.at;
        self.series.resets.iter().filter(is_within).map(|reset| reset.value).sum()
    }
}

impl Samples {
    /// Of these metrics, each as far back as is said, in milliseconds, and whether as a counter.
    #[must_use]
    pub fn of_metrics<'a>(wanted: impl IntoIterator<Item = (&'a str, i64, bool)>) -> Self {
        let mut samples = Self::default();
        for (metric, window, counts) in wanted {
            let known = samples.metrics.entry(metric.to_owned()).or_default();
            known.window = known.window.max(window);
            known.counts |= counts;
        }
        samples
    }

    pub(super) fn of(&self, metric: &str) -> &[Series] {
        self.metrics.get(metric).map_or(&[], |metric| &metric.series)
    }

    /// The samples of one of its series within a time.
    pub(super) fn within<'a>(&'a self, series: &'a Series, from: i64, to: i64) -> Window<'a> {
        let place = |at: i64| series.points.partition_point(|point| point.at < at);
        Window { series, places: (place(from), place(to + 1)), read: &self.read }
    }

    /// How many samples were read so far: what the rules cost.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// The newest value of a series, where it is not older than `lookback`.
    pub(super) fn newest(&self, series: &Series, at: i64, lookback: i64) -> Option<f64> {
        self.read.set(self.read.get() + 1);
        series.newest(at, lookback)
    }

    /// Whether any sample of this metric is there.
    pub(super) fn has(&self, metric: &str) -> bool {
        self.of(metric).iter().any(|series| !series.points.is_empty())
    }

    /// Series that were not kept because there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How much is kept.
    #[must_use]
    pub fn held(&self) -> Held {
        let mut held = Held::default();
        for metric in self.metrics.values() {
            let keys = metric.places.keys().map(|key| key.capacity() + size_of::<(String, usize)>()).sum::<usize>();
            held.bytes += keys + metric.series.capacity() * size_of::<Series>();
            held.series += metric.series.len();
            for series in &metric.series {
                let labels = series.labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
                held.points += series.points.len();
                let points = series.points.capacity() + series.resets.capacity();
                held.bytes += labels + points * size_of::<Point>();
            }
        }
        held
    }

    /// Takes a page of Prometheus' text format, as it was at this instant. `target` are the labels that Prometheus would add.
    /// Series that are not on it are gone.
    pub fn scrape(&mut self, page: &str, target: &Labels, at: i64) {
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((metric, labels, value)) = sample(line) else { continue };
            self.add(metric, labels, value, at, |labels| with_target(parse_labels(labels), target));
        }
        self.settle(at);
    }

    /// Takes one sample.
    pub fn push(&mut self, metric: &str, labels: &Labels, value: f64, at: i64) {
        let text = labels.iter().fold(String::new(), |text, (name, value)| text + name + "\0" + value + "\0");
        self.add(metric, &text, value, at, |_| labels.clone());
    }

    fn add(&mut self, metric: &str, key: &str, value: f64, at: i64, labels: impl FnOnce(&str) -> Labels) {
        let Some(metric) = self.metrics.get_mut(metric) else { return };
        let place = match metric.places.get(key) {
            Some(place) => *place,
            None if self.series >= MAX_SERIES => {
                self.refused += 1;
                return;
            }
            None => {
                self.series += 1;
                metric.series.push(Series {
                    labels: labels(key),
                    points: VecDeque::new(),
                    resets: VecDeque::new(),
                    gone: None,
                });
                metric.places.insert(key.to_owned(), metric.series.len() - 1);
                metric.series.len() - 1
            }
        };
        let series = &mut metric.series[place];
        series.gone = None;
        if let Some(before) = series.points.back().filter(|before| metric.counts && value < before.value) {
            series.resets.push_back(Point { at, value: before.value });
        }
        series.points.push_back(Point { at, value });
        // One more than the window holds does no harm, and the first of it must not go too early.
        series.forget_before(at - metric.window);
    }

    /// Series without a sample of this instant are gone; those that nothing is left of are forgotten.
    fn settle(&mut self, at: i64) {
        let mut kept = 0;
        for metric in self.metrics.values_mut() {
            for series in &mut metric.series {
                let is_there = series.points.back().is_some_and(|point| point.at == at);
                if !is_there && series.gone.is_none() {
                    series.gone = Some(at);
                }
                series.forget_before(at - metric.window);
            }
            metric.forget_empty();
            kept += metric.series.len();
        }
        self.series = kept;
    }
}

impl Metric {
    fn forget_empty(&mut self) {
        if self.series.iter().all(|series| !series.points.is_empty()) {
            return;
        }
        let mut places = vec![None; self.series.len()];
        let mut next = 0;
        for (place, series) in places.iter_mut().zip(&self.series) {
            if !series.points.is_empty() {
                *place = Some(next);
                next += 1;
            }
        }
        self.series.retain(|series| !series.points.is_empty());
        self.places.retain(|_, place| match places[*place] {
            Some(new) => {
                *place = new;
                true
            }
            None => false,
        });
    }
}

/// The name, the labels between the braces and the value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (metric, labels) = match series.split_once('{') {
        Some((metric, labels)) => (metric, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        value => value.parse().ok()?,
    };
    Some((metric, labels, value))
}

/// Labels as a page has them: `name="value"` with commas between them, and escapes.
fn parse_labels(mut text: &str) -> Labels {
    let mut labels = Labels::default();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (mut value, mut escaped, mut end) = (String::new(), false, rest.len());
        for (at, character) in rest.char_indices() {
            match character {
                'n' if escaped => value.push('\n'),
                other if escaped => value.push(other),
                '\\' => {}
                '"' => {
                    end = at + 1;
                    break;
                }
                other => value.push(other),
            }
            escaped = character == '\\' && !escaped;
        }
        labels.set(name.trim_start_matches([',', ' ']), &value);
        text = rest.get(end..).unwrap_or_default();
    }
    labels
}

/// Labels of the target win, as where Prometheus does not honour those of the page.
fn with_target(labels: Labels, target: &Labels) -> Labels {
    target.iter().fold(labels, |labels, (name, value)| labels.with(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_gives_its_samples_and_takes_away_what_is_not_on_it() {
        let mut samples = Samples::of_metrics([("a", 10_000, false), ("b_total", 10_000, true)]);
        let target = Labels::default().with("instance", "x");
        samples.scrape(
            "# TYPE a gauge\na{l=\"q\\\"\\\\\\n,\"} 1\na{l=\"z\"} +Inf\nb_total 3\nother 1\n",
            &target,
            1_000,
        );
        let labels: Vec<_> = samples.of("a").iter().map(|series| series.labels().get("l")).collect();
        assert_eq!(labels, ["q\"\\\n,", "z"]);
        assert_eq!(samples.of("b_total")[0].labels().get("instance"), "x");
        assert!(samples.of("other").is_empty());
        samples.scrape("a{l=\"z\"} 2\n", &target, 6_000);
        let newest = |samples: &Samples, at| -> Vec<_> {
            samples.of("a").iter().map(|series| series.newest(at, 300_000)).collect()
        };
        assert_eq!(newest(&samples, 6_000), [None, Some(2.0)]);
        samples.scrape("a{l=\"z\"} 4\n", &target, 12_000);
        assert_eq!(newest(&samples, 12_000), [Some(4.0)], "nothing is left of the first");
        samples.scrape("a{l=\"z\"} 5\na{l=\"q\\\"\\\\\\n,\"} 7\n", &target, 13_000);
        assert_eq!(newest(&samples, 13_000), [Some(5.0), Some(7.0)]);
    }

    #[test]
    fn a_sample_goes_once_it_is_older_than_what_rules_look_at() {
        let samples = || Samples::of_metrics([("a", 10_000, false)]);
        let (mut pushed, mut scraped) = (samples(), samples());
        for at in (0..100_000).step_by(1_000) {
            pushed.push("a", &Labels::default(), 1.0, at);
            scraped.scrape("a 1\n", &Labels::default(), at);
        }
        // Of ten seconds, with both ends.
        assert_eq!((pushed.held().points, scraped.held().points), (11, 11));
        assert!(pushed.held().bytes < 11 * 16 * 2 + 400, "{:?}", pushed.held());
    }

    #[test]
    fn a_window_knows_what_a_counter_had_before_each_fall_within_it() {
        let (mut samples, labels) =
            (Samples::of_metrics([("a_total", 60_000, true), ("b", 60_000, false)]), Labels::default());
        for (at, value) in [5.0, 8.0, 2.0, 4.0, 1.0].into_iter().enumerate() {
            let at = i64::try_from(at).expect("few") * 10_000;
            samples.push("a_total", &labels, value, at);
            samples.push("b", &labels, value, at);
        }
        let lost = |metric: &str, from, to| samples.within(&samples.of(metric)[0], from, to).lost();
        assert_eq!([lost("a_total", 0, 40_000), lost("a_total", 20_000, 40_000)], [12.0, 4.0]);
        assert_eq!([lost("a_total", 0, 10_000), lost("a_total", 30_001, 40_000)], [0.0, 0.0], "no fall is within");
        assert_eq!(lost("b", 0, 40_000), 0.0, "nothing looks at it as a counter");
    }

    #[test]
    fn series_are_bounded() {
        let mut samples = Samples::of_metrics([("a", 1_000, false)]);
        for number in 0..MAX_SERIES + 3 {
            samples.push("a", &Labels::default().with("n", &number.to_string()), 1.0, 0);
        }
        assert_eq!((samples.of("a").len(), samples.refused()), (MAX_SERIES, 3));
    }
}
