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
use crate::backend::catalogue::Catalogue;
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::exchange::vocabulary::Operation;
use crate::host::energy::{Consumer, Meter};

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

/// Tells the meter which exchanges are in flight. Ask it after the sink that admits models' names.
pub struct EnergySink {
    meter: Arc<Meter>,
    catalogue: Arc<Catalogue>,
    local: Vec<Arc<str>>,
    unknown: Arc<str>,
}

impl EnergySink {
    /// `local` are the names of the backends on this machine: those of others draw from other meters.
    #[must_use]
    pub fn new(meter: Arc<Meter>, catalogue: Arc<Catalogue>, local: Vec<Arc<str>>) -> Self {
        Self { meter, catalogue, local, unknown: labels::UNKNOWN.into() }
    }
}

impl Sink for EnergySink {
    fn started(&self, start: &Start) -> Box<dyn Watch> {
        let works = start.route.operation.generates() || start.route.operation == Operation::Embeddings;
        if !works || !self.local.contains(&start.backend) {
            return Box::new(Nobody);
        }
        Box::new(EnergyWatch {
            meter: Arc::clone(&self.meter),
            catalogue: Arc::clone(&self.catalogue),
            start: start.clone(),
            consumer: Consumer { model: Arc::clone(&self.unknown), backend: Arc::clone(&start.backend) },
            works: false,
        })
    }
}

/// An exchange that costs no energy here.
struct Nobody;

impl Watch for Nobody {
    fn finished(self: Box<Self>, _: &Record) {}
}

struct EnergyWatch {
    meter: Arc<Meter>,
    catalogue: Arc<Catalogue>,
    start: Start,
    consumer: Consumer,
    /// The backend has its request.
    works: bool,
}

impl EnergyWatch {
    /// The model is known, or known better. What it drew until then stays where it was.
    fn is(&mut self, model: Arc<str>) {
        if self.consumer.model == model {
            return;
        }
        let now = Instant::now();
        let before = std::mem::replace(&mut self.consumer.model, model);
        if self.works {
            self.meter.ended(&Consumer { model: before, backend: Arc::clone(&self.consumer.backend) }, now);
            self.meter.began(&self.consumer, now);
        }
    }
}

impl Watch for EnergyWatch {
    fn requested(&mut self, model: Option<&str>) {
        let Some(model) = model else { return };
        if let Some(label) = labels::requested(&self.catalogue, &self.start, model) {
            self.is(label);
        }
    }

    fn forwarded(&mut self) {
        if !std::mem::replace(&mut self.works, true) {
            self.meter.began(&self.consumer, Instant::now());
        }
    }

    fn answered(&mut self, model: &str) {
        if let Some(label) = labels::answered(&self.catalogue, &self.start, model) {
            self.is(label);
        }
    }

    fn finished(self: Box<Self>, _: &Record) {}
}

/// However it ends, also when it is only dropped.
impl Drop for EnergyWatch {
    fn drop(&mut self) {
        if self.works {
            self.meter.ended(&self.consumer, Instant::now());
        }
    }
}
