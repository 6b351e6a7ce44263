//! Energy by model, and which exchanges it is attributed to.
//!
//! Promises: only exchanges that make a model of this machine work, on a backend of this machine, are attributed energy,
//! from the time at which the backend has the whole request; all series add
//! up to what the meters counted, the rest having an empty model; without a meter there is no series. Labels are those
//! of every other family. Left out: energy per token and its cost, which are recording rules over these.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::declare::families;
use super::labels;
use super::scraped::Batch;
use crate::exchange::vocabulary::Operation;
use crate::host::energy::{Consumer, ConsumerId, Meter};

families! {
    /// Energy, and its price.
    pub(super) static SPECS = [] {
        ENERGY: Counter = "ollama_proxy_energy_joules_total" ["model", "backend"]
            "Energy above idle that went into a model's answers; with an empty model, all other energy.";
        IDLE: Gauge = "ollama_proxy_energy_idle_watts" [] "What the machine's meters show while nothing is in flight.";
        PRICE: Gauge = "ollama_proxy_electricity_price_per_kilowatt_hour" ["currency"]
            "The configured price of electricity; without a currency, in whatever it was configured in.";
    }
}

/// What electricity costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// In units of the currency.
    pub per_kilowatt_hour: f64,
    /// The currency's name; empty where none is configured.
    pub currency: String,
}

/// The families of energy.
#[derive(Clone, Debug)]
pub struct EnergyMetrics {
    meter: Arc<Meter>,
    price: Option<Price>,
    descs: Vec<Desc>,
}

impl EnergyMetrics {
    /// Registers the families. The price of a kilowatt-hour is absent where none is configured.
    pub fn register(registry: &Registry, meter: Arc<Meter>, price: Option<Price>) {
        let descs = SPECS.iter().map(|spec| spec.desc()).collect();
        registry.register(Box::new(Self { meter, price, descs })).expect("every name is registered once");
    }
}

impl Collector for EnergyMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut batch = Batch::default();
        if let Some(Price { per_kilowatt_hour, currency }) = &self.price {
            batch.add(&PRICE, &[currency], Some(*per_kilowatt_hour));
        }
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

/// Registers exchanges in flight as consumers at the meter.
pub(super) struct EnergyAttribution {
    meter: Arc<Meter>,
    /// The names of the backends on this machine; others consume energy that this meter does not measure.
    local: RwLock<Vec<Arc<str>>>,
}

impl EnergyAttribution {
    pub(super) fn new(meter: Arc<Meter>, local: Vec<Arc<str>>) -> Self {
        Self { meter, local: RwLock::new(local) }
    }

    /// Replaces the names of the backends on this machine.
    pub(super) fn set_local(&self, local: Vec<Arc<str>>) {
        *self.local.write().unwrap_or_else(PoisonError::into_inner) = local;
    }

    /// Attributes energy to an exchange of the model with this label until the guard is dropped. `None` where the exchange
    /// uses no energy of this machine.
    pub(super) fn begin(
        &self,
        operation: Operation,
        backend: &Arc<str>,
        model: &Arc<str>,
        now: Instant,
    ) -> Option<ConsumerGuard> {
        let works = operation.generates() || operation == Operation::Embeddings;
        if !works || !self.local.read().unwrap_or_else(PoisonError::into_inner).contains(backend) {
            return None;
        }
        // The empty label holds energy that no model used; here one works that the route cannot name.
        let model = if **model == *labels::NONE { labels::UNKNOWN.into() } else { Arc::clone(model) };
        let consumer = Consumer { model, backend: Arc::clone(backend) };
        let id = self.meter.begin(&consumer, now);
        Some(ConsumerGuard { meter: Arc::clone(&self.meter), consumer, id, is_elsewhere: false, ended: None })
    }
}

/// One exchange that is attributed energy, until this is dropped.
pub(super) struct ConsumerGuard {
    meter: Arc<Meter>,
    consumer: Consumer,
    id: ConsumerId,
    /// Another machine does the work.
    is_elsewhere: bool,
    /// When the exchange ended; `None` where it is dropped before.
    ended: Option<Instant>,
}

impl ConsumerGuard {
    /// Attributes to another label from now on; what was attributed until now stays where it is.
    pub(super) fn relabel(&mut self, model: &Arc<str>) {
        if self.consumer.model != *model {
            let now = Instant::now();
            self.consumer.model = Arc::clone(model);
            self.meter.end(self.id, now);
            self.id = self.meter.begin(&self.consumer, now);
        }
    }

    /// Another machine does the work: takes back what the exchange was attributed, as far as that can be.
    pub(super) fn retract(mut self) {
        self.is_elsewhere = true;
    }

    /// The exchange ended at this instant.
    pub(super) fn end(mut self, now: Instant) {
        self.ended = Some(now);
    }
}

impl Drop for ConsumerGuard {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(Instant::now);
        if self.is_elsewhere {
            self.meter.retract(self.id, now);
        } else {
            self.meter.end(self.id, now);
        }
    }
}
