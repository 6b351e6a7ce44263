//! Families that are made anew at each scrape.

use std::collections::BTreeMap;
use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// More series of one name than any machine has devices; what is beyond is left out.
const MOST: usize = 1_000;

/// Gauge or counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::metrics) enum Kind {
    Gauge,
    Counter,
}

/// One family.
#[derive(Debug)]
pub(in crate::metrics) struct Name {
    pub(in crate::metrics) name: &'static str,
    /// A sentence, with its full stop.
    pub(in crate::metrics) help: &'static str,
    pub(in crate::metrics) kind: Kind,
    pub(in crate::metrics) labels: &'static [&'static str],
}

impl Name {
    pub(in crate::metrics) fn desc(&self) -> Desc {
        let labels = self.labels.iter().map(ToString::to_string).collect();
        Desc::new(self.name.into(), self.help.into(), labels, HashMap::new())
            .expect("names and labels are valid constants")
    }
}

/// What one scrape gives.
#[derive(Default)]
pub(in crate::metrics) struct Batch(BTreeMap<&'static str, Family>);

struct Family {
    name: &'static Name,
    series: BTreeMap<Vec<String>, f64>,
}

impl Batch {
    /// One series, where there is a value. The first of two with the same labels stays.
    pub(in crate::metrics) fn add(&mut self, name: &'static Name, labels: &[&str], value: Option<f64>) {
        debug_assert_eq!(labels.len(), name.labels.len(), "{}", name.name);
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let family = self.0.entry(name.name).or_insert_with(|| Family { name, series: BTreeMap::new() });
        if family.series.len() < MOST {
            family.series.entry(labels.iter().map(ToString::to_string).collect()).or_insert(value);
        }
    }

    pub(in crate::metrics) fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_values().map(Family::into_proto).collect()
    }
}

impl Family {
    fn into_proto(self) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.name.to_owned());
        family.set_help(self.name.help.to_owned());
        family.set_field_type(match self.name.kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
        });
        let labels = self.name.labels;
        let metric = |(values, value): (Vec<String>, f64)| metric(self.name.kind, labels, values, value);
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
    match kind {
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    static NAME: Name = Name { name: "x", help: "X.", kind: Kind::Gauge, labels: &["a"] };

    #[test]
    fn the_unknown_and_the_doubled_have_no_series() {
        let mut batch = Batch::default();
        batch.add(&NAME, &["1"], None);
        batch.add(&NAME, &["1"], Some(f64::NAN));
        assert!(batch.0.is_empty(), "a family without series is not there");
        batch.add(&NAME, &["1"], Some(1.0));
        batch.add(&NAME, &["1"], Some(2.0));
        let families = batch.into_families();
        let series = families[0].get_metric();
        assert_eq!((series.len(), series[0].get_gauge().get_value()), (1, 1.0));
    }

    #[test]
    fn a_machine_with_countless_devices_stays_bounded() {
        let mut batch = Batch::default();
        for device in 0..MOST + 5 {
            batch.add(&NAME, &[&device.to_string()], Some(1.0));
        }
        assert_eq!(batch.into_families()[0].get_metric().len(), MOST);
    }
}
