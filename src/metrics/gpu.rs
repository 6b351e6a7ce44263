//! What only some makers' GPUs report (today NVIDIA's): families made from the last snapshot at each scrape.
//!
//! Promises: every fact has a name of this project, in base units (`neutral`), and where NVIDIA's DCGM has a name for it,
//! that name too, with the labels that dashboards for DCGM use (`dcgm`); both come from the same value. A fact that a
//! card does not report has no series. Left out: utilisation, memory, power, energy and temperature under this project's
//! names, which are with the machine's ([`super::host`]); single processes, whose numbers change at each start.

pub(super) mod dcgm;
pub(super) mod neutral;

use std::sync::Arc;
use std::time::Instant;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::scraped::Batch;
use crate::host::HostSnapshot;

/// Returns the snapshot at an instant, without waiting.
type TakeSnapshot = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// All families of GPUs.
#[derive(Clone)]
pub struct GpuMetrics {
    take: TakeSnapshot,
    descs: Vec<Desc>,
}

impl GpuMetrics {
    /// Registers the families. `take` is called once a scrape and must not block.
    pub fn register(registry: &Registry, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let specs = neutral::CARDS.iter().chain(neutral::SUMS).chain(dcgm::FIELDS);
        let metrics = Self { take: Arc::new(take), descs: specs.map(|spec| spec.desc()).collect() };
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
