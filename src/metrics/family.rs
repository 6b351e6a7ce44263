//! Metrics of one name, one child for each set of label values, in bounded number.
//!
//! The library's own vectors find a child by a hash of its label values run together, so `("a", "bc")` and
//! `("ab", "c")` are one, and they grow without bound. Here a child is found by the values themselves, and beyond a
//! cap every label value is `other` and the refusal is counted.
//!
//! A look-up allocates nothing, and hashes fast: label values come from closed or capped sets, so nobody outside chooses
//! what collides.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use prometheus::{Gauge, IntCounter, IntGauge};

use super::buckets;
use super::exposition::{self, Expose, Kind, Page, Registry};
use super::histogram::Histogram;
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
    fn create(spec: &Spec) -> Self;
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
            fn create(spec: &Spec) -> Self {
                Self::new(spec.name, spec.help).expect("names are valid constants")
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
    fn create(spec: &Spec) -> Self {
        Self::new(spec.buckets)
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
    let mut count = 0;
    let mut buckets = place.page.buckets(place.name, place.labels);
    for (index, (bound, added)) in place.bounds.iter().zip(histogram.counts()).enumerate() {
        count += added;
        buckets.line(bound, count, exemplar(index));
    }
    place.page.total(place.name, place.labels, histogram.sum(), count);
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

/// All children of one metric name.
pub(super) struct Family<C>(Arc<Inner<C>>);

struct Inner<C> {
    spec: Spec,
    cap: usize,
    hasher: DefaultHashBuilder,
    rows: RwLock<Rows<C>>,
    dropped: Option<IntCounter>,
}

/// The children twice: as they are looked up, and as they are written.
struct Rows<C> {
    by_values: HashTable<Arc<Row<C>>>,
    /// By their labels. A scrape takes it as it is; a child that comes meanwhile goes into a copy.
    in_order: Arc<Vec<Arc<Row<C>>>>,
}

struct Row<C> {
    hash: u64,
    /// Label values, each with a byte behind it that no text holds.
    values: Box<[u8]>,
    /// As they are written.
    labels: String,
    child: C,
}

impl<C> Row<C> {
    fn is(&self, values: &[&str]) -> bool {
        let mut rest = &*self.values;
        values.iter().all(|value| match rest.split_at_checked(value.len()) {
            Some((start, [END, more @ ..])) if start == value.as_bytes() => {
                rest = more;
                true
            }
            _ => false,
        })
    }
}

impl<C> Row<C> {
    fn begins_with(&self, value: &str) -> bool {
        self.values.strip_prefix(value.as_bytes()).is_some_and(|rest| rest.first() == Some(&END))
    }
}

/// Stands behind each label value.
const END: u8 = 0xff;

impl<C> Clone for Family<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Child> Family<C> {
    /// Gives a family its place on the page.
    pub(super) fn register(registry: &Registry, spec: Spec, cap: usize, dropped: Option<IntCounter>) -> Self {
        let rows = Rows { by_values: HashTable::new(), in_order: Arc::default() };
        let hasher = DefaultHashBuilder::default();
        let family = Self(Arc::new(Inner { spec, cap, hasher, rows: RwLock::new(rows), dropped }));
        registry.add(Box::new(family.clone()));
        family
    }

    /// The child with these label values, in the order of the labels, to be kept. Made at its first use.
    pub(super) fn child(&self, values: &[&str]) -> C {
        self.with(values, C::clone)
    }

    /// Does something with the child that has these label values.
    pub(super) fn with<T>(&self, values: &[&str], what: impl FnOnce(&C) -> T) -> T {
        debug_assert_eq!(values.len(), self.0.spec.labels.len(), "{}", self.0.spec.name);
        let hash = self.hash(values);
        let rows = self.0.rows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.find(hash, values) {
            return what(&row.child);
        }
        drop(rows);
        what(&self.make(hash, values).child)
    }

    /// The child that takes what these label values are fed, and whether it is their own: if so it may be kept.
    pub(super) fn child_and_whether_own(&self, values: &[&str]) -> (C, bool) {
        let row = self.make(self.hash(values), values);
        (row.child.clone(), row.is(values))
    }

    fn hash(&self, values: &[&str]) -> u64 {
        let mut hasher = self.0.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_bytes());
            hasher.write_u8(END);
        }
        hasher.finish()
    }

    fn make(&self, hash: u64, values: &[&str]) -> Arc<Row<C>> {
        let mut rows = self.0.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.find(hash, values) {
            return Arc::clone(row);
        }
        if rows.in_order.len() < self.0.cap {
            return rows.add(self.row(hash, values));
        }
        if let Some(dropped) = &self.0.dropped {
            dropped.inc();
        }
        let others = vec![OTHER; values.len()];
        let hash = self.hash(&others);
        match rows.find(hash, &others) {
            Some(row) => Arc::clone(row),
            None => rows.add(self.row(hash, &others)),
        }
    }

    fn row(&self, hash: u64, values: &[&str]) -> Row<C> {
        let labels = exposition::labels(self.0.spec.labels, values);
        let values = values.iter().flat_map(|value| value.bytes().chain([END])).collect();
        Row { hash, values, labels, child: C::create(&self.0.spec) }
    }
}

impl<C> Rows<C> {
    fn find(&self, hash: u64, values: &[&str]) -> Option<&Arc<Row<C>>> {
        self.by_values.find(hash, |row| row.hash == hash && row.is(values))
    }

    fn add(&mut self, row: Row<C>) -> Arc<Row<C>> {
        let row = Arc::new(row);
        let at = self.in_order.partition_point(|other| other.labels < row.labels);
        Arc::make_mut(&mut self.in_order).insert(at, Arc::clone(&row));
        self.by_values.insert_unique(row.hash, Arc::clone(&row), |row| row.hash);
        row
    }
}

impl Family<IntCounter> {
    /// The sum of the children whose first label has this value.
    pub(super) fn sum_of(&self, first: &str) -> u64 {
        let rows = Arc::clone(&self.0.rows.read().unwrap_or_else(PoisonError::into_inner).in_order);
        rows.iter().filter(|row| row.begins_with(first)).map(|row| row.child.get()).sum()
    }
}

/// The lock is held only to take the list: a scrape keeps no exchange waiting.
impl<C: Child> Expose for Family<C> {
    fn name(&self) -> &'static str {
        self.0.spec.name
    }

    fn expose(&self, page: &mut Page) {
        let rows = Arc::clone(&self.0.rows.read().unwrap_or_else(PoisonError::into_inner).in_order);
        if rows.is_empty() {
            return;
        }
        let Spec { name, help, buckets, .. } = self.0.spec;
        page.family(name, help, C::KIND);
        let bounds = page.bounds(buckets);
        for row in &*rows {
            row.child.write(&mut Place { page, name, labels: &row.labels, bounds: &bounds });
        }
    }
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
        assert!(family.child_and_whether_own(&["a", "x"]).1 && !family.child_and_whether_own(&["e", "x"]).1);
        assert_eq!(dropped.get(), 3);
        assert_eq!(registry.write(Format::Text).matches("\nseen_total{").count(), 3);
    }

    #[test]
    fn children_are_written_by_their_labels_however_they_came() {
        let (registry, family, _) = family(100);
        let models = ["c", "a", "b\"", "b", "", "ab"];
        models.iter().for_each(|model| family.with(&[model, "x"], IntCounter::inc));
        let text = registry.write(Format::Text);
        let written: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(written.len(), models.len());
        assert!(written.is_sorted(), "{text}");
    }

    #[test]
    fn a_family_without_children_is_absent() {
        let (registry, _family, _) = family(2);
        assert_eq!(registry.write(Format::Text), "");
    }
}
