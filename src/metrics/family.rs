//! Metrics of one name, one child for each set of label values, in bounded number.
//!
//! The library's own vectors find a child by a hash of its label values run together, so `("a", "bc")` and
//! `("ab", "c")` are one, and they grow without bound. Here a child is found by the values themselves, and beyond a
//! cap every label value is `other` and the refusal is counted.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::Metric;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge};

use super::buckets;
use super::exposition::{self, Expose, Kind, Page, Registry};
use super::labels::OTHER;
use super::openmetrics::Exemplar;
use super::table::Table;

/// What a family is.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// A sentence, with its full stop; neither quotes nor backslashes.
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    /// Upper bounds, ascending; empty unless a histogram.
    pub(super) buckets: &'static [f64],
}

/// One series, or one histogram. A clone is another handle of the same.
pub(super) trait Child: Clone + Send + Sync + 'static {
    const KIND: Kind;
    fn create(spec: &Spec) -> prometheus::Result<Self>;
    fn write(&self, place: &mut Place<'_>);
}

/// Where a child is written.
pub(super) struct Place<'a> {
    page: &'a mut Page,
    name: &'static str,
    labels: &'a str,
    /// As [`Page::bounds`] writes them.
    bounds: &'a [String],
}

macro_rules! simple_child {
    ($($child:ty: $kind:ident),+) => {
        $(impl Child for $child {
            const KIND: Kind = Kind::$kind;
            fn create(spec: &Spec) -> prometheus::Result<Self> {
                Self::new(spec.name, spec.help)
            }
            fn write(&self, place: &mut Place<'_>) {
                place.page.sample(place.name, place.labels, self.get());
            }
        })+
    };
}

simple_child!(IntCounter: Counter, IntGauge: Gauge, Gauge: Gauge);

impl Child for Histogram {
    const KIND: Kind = Kind::Histogram;
    fn create(spec: &Spec) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts::new(spec.name, spec.help).buckets(spec.buckets.to_vec()))
    }
    fn write(&self, place: &mut Place<'_>) {
        histogram_lines(self, place, |_| None);
    }
}

/// Writes a histogram, with what is remembered of its buckets.
pub(super) fn histogram_lines<'e>(
    histogram: &Histogram,
    place: &mut Place<'_>,
    exemplar: impl Fn(usize) -> Option<&'e Exemplar>,
) {
    let metric = histogram.metric();
    let seen = metric.get_histogram();
    let (sum, count) = (seen.get_sample_sum(), seen.get_sample_count());
    let counts = seen.get_bucket().iter().map(|bucket| bucket.cumulative_count()).chain([count]);
    for (index, (bound, count)) in place.bounds.iter().zip(counts).enumerate() {
        place.page.bucket(place.name, place.labels, bound, count, exemplar(index));
    }
    place.page.total(place.name, place.labels, sum, count);
}

/// Where families are registered, and how far they may grow.
pub(super) struct Register<'a> {
    pub(super) registry: &'a Registry,
    pub(super) max_histograms: usize,
    pub(super) max_series: usize,
    /// Refusals by metric name.
    pub(super) dropped: Family<IntCounter>,
    /// Bounds of histograms, as configured.
    pub(super) buckets: &'a buckets::Effective,
}

impl Register<'_> {
    /// A new family, with its refusals counted from 0.
    pub(super) fn family<C: Child>(&self, spec: Spec) -> Family<C> {
        let cap = if C::KIND == Kind::Histogram { self.max_histograms } else { self.max_series };
        let dropped = self.dropped.child(&[spec.name]);
        let spec = Spec { buckets: self.buckets.of(spec.buckets), ..spec };
        Family::register(self.registry, spec, cap, Some(dropped))
    }

    /// A new table, with its refusals counted from 0.
    pub(super) fn table(&self, spec: Spec) -> Table {
        let dropped = self.dropped.child(&[spec.name]);
        Table::register(self.registry, spec, self.max_series, dropped)
    }
}

/// Label values joined by a byte that no text holds.
type Key = Box<[u8]>;

/// All children of one metric name.
pub(super) struct Family<C>(Arc<Inner<C>>);

struct Inner<C> {
    spec: Spec,
    cap: usize,
    /// Each with its labels as they are written.
    children: RwLock<HashMap<Key, (Arc<str>, C)>>,
    dropped: Option<IntCounter>,
}

impl<C> Clone for Family<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Child> Family<C> {
    /// Gives a family its place on the page.
    pub(super) fn register(registry: &Registry, spec: Spec, cap: usize, dropped: Option<IntCounter>) -> Self {
        let family = Self(Arc::new(Inner { spec, cap, children: RwLock::default(), dropped }));
        registry.add(Box::new(family.clone()));
        family
    }

    /// The child with these label values, in the order of the labels. Made at its first use.
    pub(super) fn child(&self, values: &[&str]) -> C {
        debug_assert_eq!(values.len(), self.0.spec.labels.len(), "{}", self.0.spec.name);
        let key = key(values);
        let known = self.0.children.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, child)) = known.get(&key) {
            return child.clone();
        }
        drop(known);
        self.make(key, values)
    }

    fn make(&self, key: Key, values: &[&str]) -> C {
        let mut children = self.0.children.write().unwrap_or_else(PoisonError::into_inner);
        if children.len() < self.0.cap || children.contains_key(&key) {
            return children.entry(key).or_insert_with(|| self.create(values)).1.clone();
        }
        if let Some(dropped) = &self.0.dropped {
            dropped.inc();
        }
        let others = vec![OTHER; values.len()];
        children.entry(self::key(&others)).or_insert_with(|| self.create(&others)).1.clone()
    }

    fn create(&self, values: &[&str]) -> (Arc<str>, C) {
        let labels = exposition::labels(self.0.spec.labels, values);
        (labels.into(), C::create(&self.0.spec).expect("names and bounds are valid constants"))
    }
}

/// The lock is held only to copy the handles: a scrape keeps no exchange waiting.
impl<C: Child> Expose for Family<C> {
    fn name(&self) -> &'static str {
        self.0.spec.name
    }

    fn expose(&self, page: &mut Page) {
        let mut children: Vec<(Arc<str>, C)> =
            self.0.children.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if children.is_empty() {
            return;
        }
        children.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let Spec { name, help, buckets, .. } = self.0.spec;
        page.family(name, help, C::KIND);
        let bounds = page.bounds(buckets);
        for (labels, child) in &children {
            child.write(&mut Place { page, name, labels, bounds: &bounds });
        }
    }
}

fn key(values: &[&str]) -> Key {
    let mut key = Vec::with_capacity(values.iter().map(|value| value.len() + 1).sum());
    for value in values {
        key.extend_from_slice(value.as_bytes());
        key.push(0xff);
    }
    key.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    fn family(cap: usize) -> (Registry, Family<IntCounter>, IntCounter) {
        let registry = Registry::default();
        let dropped = IntCounter::new("dropped", "Dropped.").expect("valid");
        let spec = Spec { name: "seen_total", help: "Seen.", labels: &["model", "backend"], buckets: &[] };
        let family = Family::register(&registry, spec, cap, Some(dropped.clone()));
        (registry, family, dropped)
    }

    #[test]
    fn label_values_that_read_the_same_run_together_are_apart() {
        let (_registry, family, _) = family(10);
        family.child(&["a", "bc"]).inc();
        assert_eq!(family.child(&["ab", "c"]).get(), 0);
        assert_eq!(family.child(&["a", "bc"]).get(), 1);
    }

    #[test]
    fn beyond_the_cap_every_label_is_other_and_the_refusal_is_counted() {
        let (registry, family, dropped) = family(2);
        for model in ["a", "b", "c", "d", "a"] {
            family.child(&[model, "x"]).inc();
        }
        assert_eq!((family.child(&["a", "x"]).get(), family.child(&["b", "x"]).get()), (2, 1));
        assert_eq!(dropped.get(), 2);
        assert_eq!(family.child(&[OTHER, OTHER]).get(), 2);
        assert_eq!(registry.write(Format::Text).matches("\nseen_total{").count(), 3);
    }

    #[test]
    fn a_family_without_children_is_absent() {
        let (registry, _family, _) = family(2);
        assert_eq!(registry.write(Format::Text), "");
    }
}
