//! The series of one metric name: a child for each set of label values, bounded in number.
//!
//! The vectors of the prometheus crate find a child by a hash of its concatenated label values, so `("a", "bc")` and
//! `("ab", "c")` are the same child, and they grow without bound. Here a child is found by the values themselves, and
//! beyond a cap an observation goes to the child whose labels are all `other`, and is counted as refused.
//!
//! A look-up allocates nothing. The hash need not resist attacks: label values come from closed or capped sets, so a
//! client cannot choose values that collide.

use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use prometheus::{Gauge, IntCounter, IntGauge};

use super::exposition::{self, Expose, Page, Registry};
use super::histogram::Histogram;
use super::labels::OTHER;
use super::openmetrics::Exemplar;
use super::spec::{Kind, Spec};

/// One series, or one histogram. A handle: clones share the value.
pub(super) trait Child: Clone + Send + Sync + 'static {
    const KIND: Kind;
    /// A new one at 0. `bounds` are those of a histogram, else empty.
    fn create(spec: &Spec, bounds: &'static [f64]) -> Self;
    fn write(&self, writer: &mut SampleWriter<'_>);
}

/// Writes the sample lines of one child.
pub(super) struct SampleWriter<'a> {
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
            fn create(spec: &Spec, _bounds: &'static [f64]) -> Self {
                Self::new(spec.name, spec.help).expect("names are valid constants")
            }
            fn write(&self, writer: &mut SampleWriter<'_>) {
                writer.page.sample(writer.name, writer.labels, self.get());
            }
        })+
    };
}

simple_child!(IntCounter: Counter, IntGauge: Gauge, Gauge: Gauge);

impl Child for Histogram {
    const KIND: Kind = Kind::Histogram;
    fn create(_spec: &Spec, bounds: &'static [f64]) -> Self {
        Self::new(bounds)
    }
    fn write(&self, writer: &mut SampleWriter<'_>) {
        write_histogram(self, writer, |_| None);
    }
}

/// Writes a histogram; `exemplar` is asked for that of each bucket, by its index.
pub(super) fn write_histogram<'e>(
    histogram: &Histogram,
    writer: &mut SampleWriter<'_>,
    exemplar: impl Fn(usize) -> Option<&'e Exemplar>,
) {
    let mut count = 0;
    let mut buckets = writer.page.buckets(writer.name, writer.labels);
    for (index, (bound, added)) in writer.bounds.iter().zip(histogram.counts()).enumerate() {
        count += added;
        buckets.line(bound, count, exemplar(index));
    }
    writer.page.total(writer.name, writer.labels, histogram.sum(), count);
}

/// All children of one metric name. A handle: clones share the children.
pub(super) struct Family<C>(Arc<FamilyState<C>>);

struct FamilyState<C> {
    spec: &'static Spec,
    bounds: &'static [f64],
    /// Most children, without the one whose labels are all `other`.
    cap: usize,
    hasher: DefaultHashBuilder,
    rows: RwLock<Rows<C>>,
    /// Counts what went to that one.
    dropped: Option<IntCounter>,
}

/// The children twice: for look-ups, and for scrapes.
struct Rows<C> {
    by_values: HashTable<Arc<Row<C>>>,
    /// Sorted by their labels. A scrape clones the `Arc`; a child that is added meanwhile goes into a copy of the list.
    in_order: Arc<Vec<Arc<Row<C>>>>,
}

struct Row<C> {
    hash: u64,
    /// The label values, each followed by [`SEPARATOR`].
    values: Box<[u8]>,
    /// The label pairs as a sample line has them.
    labels: String,
    child: C,
}

/// Follows each label value; no UTF-8 text contains this byte.
const SEPARATOR: u8 = 0xff;

impl<C> Row<C> {
    fn has_values(&self, values: &[&str]) -> bool {
        let mut rest = &*self.values;
        values.iter().all(|value| match rest.split_at_checked(value.len()) {
            Some((start, [SEPARATOR, more @ ..])) if start == value.as_bytes() => {
                rest = more;
                true
            }
            _ => false,
        })
    }

    fn has_first_value(&self, value: &str) -> bool {
        self.values.strip_prefix(value.as_bytes()).is_some_and(|rest| rest.first() == Some(&SEPARATOR))
    }
}

impl<C> Clone for Family<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Child> Family<C> {
    /// Gives a family its place on the page.
    pub(super) fn register(
        registry: &Registry,
        spec: &'static Spec,
        bounds: &'static [f64],
        cap: usize,
        dropped: Option<IntCounter>,
    ) -> Self {
        let rows = RwLock::new(Rows { by_values: HashTable::new(), in_order: Arc::default() });
        let hasher = DefaultHashBuilder::default();
        let family = Self(Arc::new(FamilyState { spec, bounds, cap, hasher, rows, dropped }));
        registry.add(Box::new(family.clone()));
        family
    }

    /// A handle of the child with these label values, in the order of the labels. It is created at its first use.
    pub(super) fn child(&self, values: &[&str]) -> C {
        self.with(values, C::clone)
    }

    /// Calls `action` with the child that has these label values; cheaper than [`Family::child`] for a single use.
    pub(super) fn with<T>(&self, values: &[&str], action: impl FnOnce(&C) -> T) -> T {
        debug_assert_eq!(values.len(), self.0.spec.labels.len(), "{}", self.0.spec.name);
        let hash = self.hash(values);
        let rows = self.0.rows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.find(hash, values) {
            return action(&row.child);
        }
        drop(rows);
        action(&self.find_or_create(hash, values).child)
    }

    /// As [`Family::child`], and whether the child has these label values rather than `other`; only then may the handle
    /// be cached, since each use of a refused set of labels is counted.
    pub(super) fn child_and_is_own(&self, values: &[&str]) -> (C, bool) {
        let row = self.find_or_create(self.hash(values), values);
        (row.child.clone(), row.has_values(values))
    }

    fn hash(&self, values: &[&str]) -> u64 {
        let mut hasher = self.0.hasher.build_hasher();
        for value in values {
            hasher.write(value.as_bytes());
            hasher.write_u8(SEPARATOR);
        }
        hasher.finish()
    }

    fn find_or_create(&self, hash: u64, values: &[&str]) -> Arc<Row<C>> {
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
        let values = values.iter().flat_map(|value| value.bytes().chain([SEPARATOR])).collect();
        Row { hash, values, labels, child: C::create(self.0.spec, self.0.bounds) }
    }
}

impl<C> Rows<C> {
    fn find(&self, hash: u64, values: &[&str]) -> Option<&Arc<Row<C>>> {
        self.by_values.find(hash, |row| row.hash == hash && row.has_values(values))
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
    pub(super) fn sum_by_first_label(&self, first: &str) -> u64 {
        let rows = Arc::clone(&self.0.rows.read().unwrap_or_else(PoisonError::into_inner).in_order);
        rows.iter().filter(|row| row.has_first_value(first)).map(|row| row.child.get()).sum()
    }
}

/// The lock is held only to clone the list, so a scrape does not block exchanges.
impl<C: Child> Expose for Family<C> {
    fn name(&self) -> &'static str {
        self.0.spec.name
    }

    fn expose(&self, page: &mut Page) {
        let rows = Arc::clone(&self.0.rows.read().unwrap_or_else(PoisonError::into_inner).in_order);
        if rows.is_empty() {
            return;
        }
        let Spec { name, help, kind, .. } = *self.0.spec;
        page.family(name, help, kind);
        let bounds = page.bounds(self.0.bounds);
        for row in &*rows {
            row.child.write(&mut SampleWriter { page, name, labels: &row.labels, bounds: &bounds });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    static SEEN: Spec =
        Spec { name: "seen_total", kind: Kind::Counter, labels: &["model", "backend"], help: "Seen.", buckets: None };

    fn family(cap: usize) -> (Registry, Family<IntCounter>, IntCounter) {
        let registry = Registry::default();
        let dropped = IntCounter::new("dropped", "Dropped.").expect("valid");
        let family = Family::register(&registry, &SEEN, &[], cap, Some(dropped.clone()));
        (registry, family, dropped)
    }

    #[test]
    fn label_values_that_concatenate_alike_are_different_series() {
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
        assert!(family.child_and_is_own(&["a", "x"]).1 && !family.child_and_is_own(&["e", "x"]).1);
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
