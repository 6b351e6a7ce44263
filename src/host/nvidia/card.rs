//! One NVIDIA card: its identity and its facts.

use super::facts::Facts;
use crate::host::gpu::Gpu;

/// The identity of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuIdentity {
    /// Its index in the library's list.
    pub index: u32,
    /// `GPU-…`, permanent; empty for a card that was lost before it reported it.
    pub uuid: String,
    /// Its product name.
    pub name: String,
    /// Its PCI address, such as `00000000:01:00.0`; empty where it is unknown.
    pub pci_bus_id: String,
    /// Number of its device file, `/dev/nvidia…`.
    pub minor: Option<u32>,
}

/// One card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NvidiaGpu {
    /// Which card it is.
    pub identity: GpuIdentity,
    /// Whether it answers. False for a known card that is lost, or needs a reset.
    pub up: bool,
    /// Its facts; empty where it does not answer.
    pub facts: Facts,
}

impl NvidiaGpu {
    /// A known card that does not answer.
    pub(super) fn lost(identity: &GpuIdentity) -> Self {
        Self { identity: identity.clone(), up: false, facts: Facts::default() }
    }

    /// The facts that it shares with the cards of other vendors.
    #[must_use]
    pub fn gpu(&self) -> Gpu {
        let facts = &self.facts;
        Gpu {
            index: self.identity.index.to_string(),
            uuid: self.identity.uuid.clone(),
            name: self.identity.name.clone(),
            utilization: facts.utilization,
            power_watts: facts.power_watts,
            energy_joules: facts.energy_joules,
            temperature_celsius: facts.temperature_celsius,
            memory_used_bytes: facts.memory.map(|memory| memory.used),
            memory_total_bytes: facts.memory.map(|memory| memory.total),
            fan: facts.fan,
        }
    }
}
