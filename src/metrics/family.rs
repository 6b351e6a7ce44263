//! Metrics of one name, one child for each set of label values, in bounded number.
//!
//! The library's own vectors find a child by a hash of its label values run together, so `("a", "bc")` and
//! `("ab", "c")` are one, and they grow without bound. Here a child is found by the values themselves, and beyond a
//! cap every label value is `other` and the refusal is counted.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc, Metric};
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

use super::labels::OTHER;

/// What a family is.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// A sentence, with its full stop.
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    /// Upper bounds, ascending; empty unless a histogram.
    pub(super) buckets: &'static [f64],
}

/// One series, or one histogram.
pub(super) trait Child: Metric + 'static {
    const TYPE: MetricType;
    fn create(spec: &Spec, labels: HashMap<String, String>) -> prometheus::Result<Self>;
}

macro_rules! simple_child {
    ($($child:ty: $kind:ident),+) => {
        $(impl Child for $child {
            const TYPE: MetricType = MetricType::$kind;
            fn create(spec: &Spec, labels: HashMap<String, String>) -> prometheus::Result<Self> {
                Self::with_opts(Opts::new(spec.name, spec.help).const_labels(labels))
            }
        })+
    };
}

simple_child!(IntCounter: COUNTER, IntGauge: GAUGE, Gauge: GAUGE);

impl Child for Histogram {
    const TYPE: MetricType = MetricType::HISTOGRAM;
    fn create(spec: &Spec, labels: HashMap<String, String>) -> prometheus::Result<Self> {
        let opts = HistogramOpts::new(spec.name, spec.help).const_labels(labels).buckets(spec.buckets.to_vec());
        Self::with_opts(opts)
    }
}

/// Where families are registered, and how far they may grow.
pub(super) struct Register<'a> {
    pub(super) registry: &'a Registry,
    pub(super) max_histograms: usize,
    pub(super) max_series: usize,
    /// Refusals by metric name.
    pub(super) dropped: Family<IntCounter>,
}

impl Register<'_> {
    /// A new family, with its refusals counted from 0.
    pub(super) fn family<C: Child>(&self, spec: Spec) -> Family<C> {
        let cap = if C::TYPE == MetricType::HISTOGRAM { self.max_histograms } else { self.max_series };
        let dropped = self.dropped.child(&[spec.name]);
        Family::register(self.registry, spec, cap, Some(dropped))
    }
}

/// Label values joined by a byte that no text holds.
type Key = Box<[u8]>;

/// All children of one metric name.
pub(super) struct Family<C>(Arc<Inner<C>>);

struct Inner<C> {
    spec: Spec,
    desc: Desc,
    cap: usize,
    children: RwLock<HashMap<Key, C>>,
    dropped: Option<IntCounter>,
}

impl<C> Clone for Family<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Child> Family<C> {
    /// Makes a family known to the registry. Names and labels are constants, so a refusal is a fault in them.
    pub(super) fn register(registry: &Registry, spec: Spec, cap: usize, dropped: Option<IntCounter>) -> Self {
        let labels = spec.labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(spec.name.into(), spec.help.into(), labels, HashMap::new())
            .expect("names and labels are valid constants");
        let family = Self(Arc::new(Inner { spec, desc, cap, children: RwLock::default(), dropped }));
        registry.register(Box::new(family.clone())).expect("every name is registered once");
        family
    }

    /// The child with these label values, in the order of the labels. Made at its first use.
    pub(super) fn child(&self, values: &[&str]) -> C {
        debug_assert_eq!(values.len(), self.0.spec.labels.len(), "{}", self.0.spec.name);
        let key = key(values);
        let known = self.0.children.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| self.make(key, values))
    }

    fn make(&self, key: Key, values: &[&str]) -> C {
        let mut children = self.0.children.write().unwrap_or_else(PoisonError::into_inner);
        if children.len() < self.0.cap || children.contains_key(&key) {
            return children.entry(key).or_insert_with(|| self.create(values)).clone();
        }
        if let Some(dropped) = &self.0.dropped {
            dropped.inc();
        }
        let others = vec![OTHER; values.len()];
        children.entry(self::key(&others)).or_insert_with(|| self.create(&others)).clone()
    }

    fn create(&self, values: &[&str]) -> C {
        let labels = self.0.spec.labels.iter().zip(values).map(|(label, value)| (label.to_string(), value.to_string()));
        C::create(&self.0.spec, labels.collect()).expect("names, labels and bounds are valid constants")
    }
}

/// The lock is held only to copy the handles: a scrape keeps no exchange waiting.
impl<C: Child> Collector for Family<C> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let children: Vec<C> =
            self.0.children.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut family = MetricFamily::default();
        family.set_name(self.0.spec.name.to_owned());
        family.set_help(self.0.spec.help.to_owned());
        family.set_field_type(C::TYPE);
        family.set_metric(children.iter().map(Metric::metric).collect());
        vec![family]
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
    use super::*;

    fn family(cap: usize) -> (Registry, Family<IntCounter>, IntCounter) {
        let registry = Registry::new();
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
        assert_eq!(registry.gather()[0].get_metric().len(), 3);
    }

    #[test]
    fn a_family_without_children_is_absent() {
        let (registry, _family, _) = family(2);
        assert!(registry.gather().is_empty());
    }
}
