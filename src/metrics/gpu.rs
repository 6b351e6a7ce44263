//! What is known of GPUs beyond what all makers tell: made from the last snapshot at each scrape.
//!
//! Promises: every fact stands under a name of this project, in base units, for cards of any maker (`neutral`), and
//! where NVIDIA's DCGM has a name for it, under that too, with the labels that dashboards for DCGM use (`dcgm`); both
//! come from the same value. A fact that a card does not tell has no series. Left out: utilisation, memory, power,
//! energy and temperature under their own names, which stand with the machine's ([`super::host`]); processes one by one
//! (a number that changes at each start is no label).

mod dcgm;
mod names;
mod neutral;

use std::sync::Arc;
use std::time::Instant;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::host::exposition::Batch;
use crate::host::HostSnapshot;

/// Takes the snapshot of an instant.
type Take = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// All families of GPUs.
#[derive(Clone)]
pub struct GpuMetrics {
    take: Take,
    descs: Vec<Desc>,
}

impl GpuMetrics {
    /// Makes the families known to a registry. `take` is asked once a scrape and must not wait.
    pub fn register(registry: &Registry, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let names = names::ALL.iter().chain(dcgm::ALL);
        let metrics = Self { take: Arc::new(take), descs: names.map(|name| name.desc()).collect() };
        registry.register(Box::new(metrics)).expect("every name is registered once");
    }
}

impl Collector for GpuMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let snapshot = (self.take)(Instant::now());
        let mut batch = Batch::default();
        if let Some(nvidia) = snapshot.nvidia.as_deref() {
            neutral::add(&mut batch, nvidia, &snapshot);
            nvidia.gpus.iter().for_each(|gpu| dcgm::add(&mut batch, gpu, &snapshot.node));
        }
        batch.into_families()
    }
}
