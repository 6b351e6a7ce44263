//! Families that are made at each scrape: the machine, its GPUs, energy, the process itself.
//!
//! A collector fills a [`Batch`]; its registry gathers what it made, and [`ScrapedFamilies`] writes that on the page.

use std::collections::BTreeMap;

use prometheus::Registry;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::exposition::{self, Expose, Page};
use super::spec::{Kind, Spec};

/// Most series of one name. No machine has as many devices; further series are dropped.
const MAX_SERIES: usize = 1_000;

/// The families of one collector, at one scrape.
#[derive(Default)]
pub(super) struct Batch(BTreeMap<&'static str, Family>);

struct Family {
    spec: &'static Spec,
    series: BTreeMap<Vec<String>, f64>,
}

impl Batch {
    /// Adds a series where there is a finite value. Of two with the same label values the first stays.
    pub(super) fn add(&mut self, spec: &'static Spec, labels: &[&str], value: Option<f64>) {
        debug_assert_eq!(labels.len(), spec.labels.len(), "{}", spec.name);
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let family = self.0.entry(spec.name).or_insert_with(|| Family { spec, series: BTreeMap::new() });
        if family.series.len() < MAX_SERIES {
            family.series.entry(labels.iter().map(ToString::to_string).collect()).or_insert(value);
        }
    }

    pub(super) fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_values().map(Family::into_proto).collect()
    }
}

impl Family {
    fn into_proto(self) -> MetricFamily {
        let Spec { name, help, kind, labels, .. } = *self.spec;
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(if kind == Kind::Counter { MetricType::COUNTER } else { MetricType::GAUGE });
        let metric = |(values, value): (Vec<String>, f64)| metric(kind, labels, values, value);
        family.set_metric(self.series.into_iter().map(metric).collect());
        family
    }
}

fn metric(kind: Kind, labels: &[&str], values: Vec<String>, value: f64) -> Metric {
    let pairs = labels.iter().zip(values).map(|(label, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*label).to_owned());
        pair.set_value(value);
        pair
    });
    let mut metric = Metric::from_label(pairs.collect());
    if kind == Kind::Counter {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

/// A registry of counters and gauges as one part of the page.
pub(super) struct ScrapedFamilies {
    /// Where on the page.
    pub(super) name: &'static str,
    pub(super) registry: Registry,
}

impl Expose for ScrapedFamilies {
    fn name(&self) -> &'static str {
        self.name
    }

    fn expose(&self, page: &mut Page) {
        for family in self.registry.gather() {
            let is_counter = family.get_field_type() == MetricType::COUNTER;
            page.family(family.name(), family.help(), if is_counter { Kind::Counter } else { Kind::Gauge });
            for metric in family.get_metric() {
                let pairs = metric.get_label();
                let names: Vec<_> = pairs.iter().map(|pair| pair.name()).collect();
                let values: Vec<_> = pairs.iter().map(|pair| pair.value()).collect();
                let value = if is_counter { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
                page.sample(family.name(), &exposition::labels(&names, &values), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GAUGE: Spec = Spec { name: "x", kind: Kind::Gauge, labels: &["a"], help: "X.", buckets: None };

    #[test]
    fn unknown_and_duplicate_values_make_no_series() {
        let mut batch = Batch::default();
        batch.add(&GAUGE, &["1"], None);
        batch.add(&GAUGE, &["1"], Some(f64::NAN));
        assert!(batch.0.is_empty(), "a family without series is absent");
        batch.add(&GAUGE, &["1"], Some(1.0));
        batch.add(&GAUGE, &["1"], Some(2.0));
        let families = batch.into_families();
        let series = families[0].get_metric();
        assert_eq!((series.len(), series[0].get_gauge().get_value()), (1, 1.0));
    }

    #[test]
    fn the_series_of_countless_devices_are_bounded() {
        let mut batch = Batch::default();
        for device in 0..MAX_SERIES + 5 {
            batch.add(&GAUGE, &[&device.to_string()], Some(1.0));
        }
        assert_eq!(batch.into_families()[0].get_metric().len(), MAX_SERIES);
    }
}
