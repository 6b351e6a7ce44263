//! Energy by model, and who is in flight for it.
//!
//! Promises: only exchanges that make a model work, on a backend of this machine, are given energy; what is given adds
//! up to what the meters counted, the rest being `model=""`; without a meter there is no series. Labels are those of
//! every other family. Left out: energy per token and its cost, which are recording rules over these.

use std::sync::Arc;
use std::time::Instant;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::host::exposition::{Batch, Kind, Name};
use super::labels;
use crate::exchange::record::Start;
use crate::exchange::vocabulary::Operation;
use crate::host::energy::{Consumer, Meter, Place};

static ENERGY: Name = Name {
    name: "ollama_proxy_energy_joules_total",
    help: "Energy above idle that went into a model's answers; with an empty model, all other energy.",
    kind: Kind::Counter,
    labels: &["model", "backend"],
};
static IDLE: Name = Name {
    name: "ollama_proxy_energy_idle_watts",
    help: "What the machine's meters show while nothing is in flight.",
    kind: Kind::Gauge,
    labels: &[],
};
static PRICE: Name = Name {
    name: "ollama_proxy_electricity_price_per_kilowatt_hour",
    help: "The configured price of electricity, in the currency it was configured in.",
    kind: Kind::Gauge,
    labels: &[],
};

/// The families of energy.
#[derive(Clone, Debug)]
pub struct EnergyMetrics {
    meter: Arc<Meter>,
    price: Option<f64>,
    descs: Vec<Desc>,
}

impl EnergyMetrics {
    /// Makes the families known to a registry. The price of a kilowatt-hour is absent where none is configured.
    pub fn register(registry: &Registry, meter: Arc<Meter>, price: Option<f64>) {
        let descs = [&ENERGY, &IDLE, &PRICE].map(|name| name.desc()).into();
        registry.register(Box::new(Self { meter, price, descs })).expect("every name is registered once");
    }
}

impl Collector for EnergyMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut batch = Batch::default();
        batch.add(&PRICE, &[], self.price);
        if let Some(totals) = self.meter.totals() {
            for (Consumer { model, backend }, joules) in &totals.used {
                batch.add(&ENERGY, &[model, backend], Some(*joules));
            }
            batch.add(&ENERGY, &[labels::NONE, labels::NONE], Some(totals.rest));
            batch.add(&IDLE, &[], Some(totals.idle_watts));
        }
        batch.into_families()
    }
}

/// Tells the meter which exchanges are in flight.
pub(super) struct Shares {
    meter: Arc<Meter>,
    /// The names of the backends on this machine: those of others draw from other meters.
    local: Vec<Arc<str>>,
}

impl Shares {
    pub(super) fn new(meter: Arc<Meter>, local: Vec<Arc<str>>) -> Self {
        Self { meter, local }
    }

    /// What an exchange draws from now on, for the model with this label. None where it costs no energy here.
    pub(super) fn begin(&self, start: &Start, model: &Arc<str>, now: Instant) -> Option<Draw> {
        let works = start.route.operation.generates() || start.route.operation == Operation::Embeddings;
        if !works || !self.local.contains(&start.backend) {
            return None;
        }
        // No model at all is whom nobody's energy is given to; here one works that the route cannot name.
        let model = if **model == *labels::NONE { labels::UNKNOWN.into() } else { Arc::clone(model) };
        let consumer = Consumer { model, backend: Arc::clone(&start.backend) };
        let place = self.meter.began(&consumer, now);
        Some(Draw { meter: Arc::clone(&self.meter), consumer, place })
    }
}

/// An exchange that makes the machine work. However it ends, also when it is only dropped, it is given nothing afterwards.
pub(super) struct Draw {
    meter: Arc<Meter>,
    consumer: Consumer,
    place: Place,
}

impl Draw {
    /// The model is known, or known better. What it drew until then stays where it was.
    pub(super) fn is(&mut self, model: &Arc<str>) {
        if self.consumer.model != *model {
            let now = Instant::now();
            self.consumer.model = Arc::clone(model);
            self.meter.ended(self.place, now);
            self.place = self.meter.began(&self.consumer, now);
        }
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        self.meter.ended(self.place, Instant::now());
    }
}
