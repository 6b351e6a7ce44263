//! What a card tells, under names that no maker owns.

use std::collections::BTreeMap;

use super::names;
use crate::host::HostSnapshot;
use crate::host::nvidia::facts::{Facts, GpuProcess, Throttle};
use crate::host::nvidia::xid::XidClass;
use crate::host::nvidia::{Nvidia, NvidiaGpu};
use crate::metrics::host::exposition::{Batch, Name};

const CORRECTED: &str = "corrected";
const UNCORRECTED: &str = "uncorrected";

/// Everything that uses a card and is none of the inference server's processes.
const OTHER: &str = "other";

pub(super) fn add(batch: &mut Batch, nvidia: &Nvidia, snapshot: &HostSnapshot) {
    let roles: BTreeMap<u32, &str> = snapshot
        .processes
        .iter()
        .flat_map(|processes| processes.processes.iter().map(|it| (it.pid, it.role.as_str())))
        .collect();
    let mut inference: BTreeMap<&str, u64> = BTreeMap::new();
    for gpu in &nvidia.gpus {
        let index = gpu.identity.index.to_string();
        let own = [index.as_str(), &gpu.identity.uuid, &gpu.identity.name, &snapshot.node];
        let mut card = Card { batch, own };
        card.add(&names::UP, &[], Some(flag(gpu.up)));
        if gpu.up {
            let version = |text: &Option<String>| text.clone().unwrap_or_default();
            let (driver, cuda) = (version(&nvidia.driver), version(&nvidia.cuda));
            card.add(&names::INFO, &[&gpu.identity.pci_bus_id, &driver, &cuda], Some(1.0));
        }
        card.speed_and_heat(&gpu.facts);
        card.errors(&gpu.facts);
        card.links(&gpu.facts);
        card.instances(gpu);
        for (role, memory) in card.processes(&gpu.facts, &roles) {
            *inference.entry(role).or_default() += memory;
        }
    }
    for (role, memory) in inference {
        batch.add(&names::INFERENCE_MEMORY, &[role], Some(count(memory)));
    }
}

/// Adds series of one card.
struct Card<'a> {
    batch: &'a mut Batch,
    own: [&'a str; 4],
}

impl Card<'_> {
    fn add(&mut self, name: &'static Name, more: &[&str], value: Option<f64>) {
        let labels: Vec<&str> = self.own.iter().chain(more).copied().collect();
        self.batch.add(name, &labels, value);
    }

    fn speed_and_heat(&mut self, facts: &Facts) {
        self.add(&names::MEMORY_BUSY, &[], facts.memory_busy);
        self.add(&names::MEMORY_RESERVED, &[], facts.memory.map(|memory| count(memory.reserved)));
        self.add(&names::POWER_LIMIT, &[], facts.power_limit_watts);
        self.add(&names::MEMORY_TEMPERATURE, &[], facts.memory_celsius);
        for (limit, celsius) in &facts.limits_celsius {
            self.add(&names::TEMPERATURE_LIMIT, &[limit.as_str()], Some(*celsius));
        }
        self.add(&names::FAN, &[], facts.fan);
        for it in &facts.clocks {
            self.add(&names::CLOCK, &[it.clock], it.now_hertz);
            self.add(&names::CLOCK_MAX, &[it.clock], it.most_hertz);
        }
        self.add(&names::PERFORMANCE_STATE, &[], facts.performance_state.map(f64::from));
        if let Some(now) = &facts.throttles {
            for throttle in Throttle::ALL {
                self.add(&names::THROTTLED, &[throttle.as_str()], Some(flag(now.contains(&throttle))));
            }
        }
        for (policy, time) in &facts.throttled {
            self.add(&names::THROTTLED_SECONDS, &[policy.as_str()], Some(time.as_secs_f64()));
        }
        self.add(&names::ENCODER, &[], facts.encoder);
        self.add(&names::DECODER, &[], facts.decoder);
    }

    fn errors(&mut self, facts: &Facts) {
        let ecc = &facts.ecc;
        self.add(&names::ECC_ENABLED, &[], ecc.enabled.map(flag));
        for (name, severity, value) in [
            (&names::ECC_ERRORS, CORRECTED, ecc.corrected_in_life),
            (&names::ECC_ERRORS, UNCORRECTED, ecc.uncorrected_in_life),
            (&names::ECC_ERRORS_SINCE_LOAD, CORRECTED, ecc.corrected_since_load),
            (&names::ECC_ERRORS_SINCE_LOAD, UNCORRECTED, ecc.uncorrected_since_load),
            (&names::REMAPPED_ROWS, CORRECTED, facts.remapped.corrected),
            (&names::REMAPPED_ROWS, UNCORRECTED, facts.remapped.uncorrected),
            (&names::RETIRED_PAGES, CORRECTED, facts.retired.single_bit),
            (&names::RETIRED_PAGES, UNCORRECTED, facts.retired.double_bit),
        ] {
            self.add(name, &[severity], value.map(count));
        }
        self.add(&names::ROW_REMAP_PENDING, &[], facts.remapped.pending.map(flag));
        self.add(&names::ROW_REMAP_FAILED, &[], facts.remapped.failed.map(flag));
        self.add(&names::PAGE_RETIREMENT_PENDING, &[], facts.retired.pending.map(flag));
        if let Some(xids) = &facts.xids {
            for class in XidClass::ALL {
                let heard = xids.counts.get(&class).copied().unwrap_or(0);
                self.add(&names::XID_ERRORS, &[class.as_str()], Some(count(heard)));
            }
            self.add(&names::LAST_XID, &[], Some(count(xids.last.unwrap_or(0))));
        }
    }

    fn links(&mut self, facts: &Facts) {
        let pcie = &facts.pcie;
        self.add(&names::PCIE_GENERATION, &[], pcie.generation.map(f64::from));
        self.add(&names::PCIE_GENERATION_MAX, &[], pcie.most_generation.map(f64::from));
        self.add(&names::PCIE_WIDTH, &[], pcie.width.map(f64::from));
        self.add(&names::PCIE_WIDTH_MAX, &[], pcie.most_width.map(f64::from));
        self.add(&names::PCIE_REPLAYS, &[], pcie.replays.map(count));
        self.add(&names::PCIE_RATE, &["sent"], pcie.sent_per_second.map(count));
        self.add(&names::PCIE_RATE, &["received"], pcie.received_per_second.map(count));
        for it in &facts.nvlinks {
            let link = it.link.to_string();
            self.add(&names::NVLINK_UP, &[&link], Some(flag(it.up)));
            for (kind, errors) in &it.errors {
                self.add(&names::NVLINK_ERRORS, &[&link, kind], Some(count(*errors)));
            }
        }
    }

    fn instances(&mut self, gpu: &NvidiaGpu) {
        self.add(&names::MIG_ENABLED, &[], gpu.facts.mig.map(flag));
        for it in &gpu.facts.instances {
            let labels = [it.uuid.as_str(), it.profile.as_str()];
            self.add(&names::MIG_MEMORY_USED, &labels, it.memory.map(|memory| count(memory.used)));
            self.add(&names::MIG_MEMORY_TOTAL, &labels, it.memory.map(|memory| count(memory.total)));
        }
    }

    /// Processes by role, those in instances too. Returns the memory of the inference server's, where it is known.
    fn processes<'r>(&mut self, facts: &Facts, roles: &BTreeMap<u32, &'r str>) -> Vec<(&'r str, u64)> {
        let in_instances = facts.instances.iter().filter_map(|instance| instance.processes.as_ref());
        let lists: Vec<&Vec<GpuProcess>> = facts.processes.iter().chain(in_instances).collect();
        if lists.is_empty() {
            return Vec::new();
        }
        // Driver and instance may both name a process; it counts once.
        let each: BTreeMap<u32, Option<u64>> =
            lists.into_iter().flatten().map(|process| (process.pid, process.memory_bytes)).collect();
        let mut by_role: BTreeMap<&str, (u32, Option<u64>)> = BTreeMap::from([(OTHER, (0, Some(0)))]);
        for (pid, memory) in each {
            let (processes, sum) = by_role.entry(roles.get(&pid).copied().unwrap_or(OTHER)).or_insert((0, Some(0)));
            *processes += 1;
            *sum = sum.zip(memory).map(|(sum, memory)| sum + memory);
        }
        for (role, (processes, memory)) in &by_role {
            self.add(&names::PROCESSES, &[role], Some(f64::from(*processes)));
            self.add(&names::PROCESS_MEMORY, &[role], memory.map(count));
        }
        let known = roles.values().filter_map(|role| Some((*role, by_role.get(role)?.1?)));
        known.collect::<BTreeMap<_, _>>().into_iter().collect()
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Counts are exact up to 2^53.
fn count(count: u64) -> f64 {
    count as f64
}
