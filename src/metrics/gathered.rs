//! Families that are made anew at each scrape, as the prometheus crate gathers them: the machine, its GPUs, energy.

use prometheus::proto::MetricType;

use super::exposition::{Expose, Kind, Page, labels};

/// A registry of counters and gauges with a place on the page.
pub(super) struct Gathered {
    /// Where on the page.
    pub(super) name: &'static str,
    pub(super) registry: prometheus::Registry,
}

impl Expose for Gathered {
    fn name(&self) -> &'static str {
        self.name
    }

    fn expose(&self, page: &mut Page) {
        for family in self.registry.gather() {
            let counts = family.get_field_type() == MetricType::COUNTER;
            page.family(family.name(), family.help(), if counts { Kind::Counter } else { Kind::Gauge });
            for metric in family.get_metric() {
                let pairs = metric.get_label();
                let names: Vec<_> = pairs.iter().map(|pair| pair.name()).collect();
                let values: Vec<_> = pairs.iter().map(|pair| pair.value()).collect();
                let value = if counts { metric.get_counter().get_value() } else { metric.get_gauge().get_value() };
                page.sample(family.name(), &labels(&names, &values), value);
            }
        }
    }
}
