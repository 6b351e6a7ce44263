//! Facts of NVIDIA's cards, under this project's names.

use std::collections::BTreeMap;

use crate::host::HostSnapshot;
use crate::host::nvidia::facts::{Facts, GpuProcess, Throttle};
use crate::host::nvidia::xid::XidClass;
use crate::host::nvidia::{Nvidia, NvidiaGpu};
use crate::metrics::declare::families;
use crate::metrics::scraped::Batch;
use crate::metrics::spec::Spec;

families! {
    /// Facts of one card.
    pub(in crate::metrics) static CARDS = ["gpu", "gpu_uuid", "gpu_name", "node"] {
        UP: Gauge = "ollama_proxy_gpu_up" []
            "Whether the card answers; 0 for one that did and fell off the bus or needs a reset.";
        INFO: Gauge = "ollama_proxy_gpu_info" ["pci_bus_id", "driver", "cuda"]
            "Where the card is and what drives it; the value is 1.";
        MEMORY_BUSY: Gauge = "ollama_proxy_gpu_memory_busy_ratio" []
            "Share of time in which the card's memory was read or written.";
        MEMORY_RESERVED: Gauge = "ollama_proxy_gpu_memory_reserved_bytes" []
            "Memory of the card that its driver keeps for itself.";
        POWER_LIMIT: Gauge = "ollama_proxy_gpu_power_limit_watts" [] "What the card may draw.";
        MEMORY_TEMPERATURE: Gauge = "ollama_proxy_gpu_memory_temperature_celsius" []
            "Temperature of the card's memory.";
        TEMPERATURE_LIMIT: Gauge = "ollama_proxy_gpu_temperature_limit_celsius" ["limit"]
            "Temperature at which the card is slowed down or switched off.";
        FAN: Gauge = "ollama_proxy_gpu_fan_speed_ratio" [] "Speed of the card's first fan, of its full speed.";
        CLOCK: Gauge = "ollama_proxy_gpu_clock_hertz" ["clock"] "The card's clocks.";
        CLOCK_MAX: Gauge = "ollama_proxy_gpu_clock_max_hertz" ["clock"] "The card's clocks at most.";
        PERFORMANCE_STATE: Gauge = "ollama_proxy_gpu_performance_state" [] "The card's P-state: 0 is the fastest.";
        THROTTLED: Gauge = "ollama_proxy_gpu_throttled" ["reason"] "Whether this holds the card's clocks down now.";
        THROTTLED_SECONDS: Counter = "ollama_proxy_gpu_throttled_seconds_total" ["reason"]
            "Time in which this held the card's clocks down, since its driver was loaded.";
        ENCODER: Gauge = "ollama_proxy_gpu_encoder_utilization_ratio" [] "Share of the video encoder's time.";
        DECODER: Gauge = "ollama_proxy_gpu_decoder_utilization_ratio" [] "Share of the video decoder's time.";
        ECC_ENABLED: Gauge = "ollama_proxy_gpu_ecc_enabled" [] "Whether the card looks for errors of its memory.";
        ECC_ERRORS: Counter = "ollama_proxy_gpu_ecc_errors_total" ["severity"]
            "Errors of the card's memory, in its life.";
        ECC_ERRORS_SINCE_LOAD: Counter = "ollama_proxy_gpu_ecc_errors_since_load_total" ["severity"]
            "Errors of the card's memory since its driver was loaded.";
        REMAPPED_ROWS: Counter = "ollama_proxy_gpu_remapped_rows_total" ["severity"]
            "Rows of the card's memory that were replaced by spare ones, in its life.";
        ROW_REMAP_PENDING: Gauge = "ollama_proxy_gpu_row_remap_pending" []
            "Whether a row waits for a reset to be replaced.";
        ROW_REMAP_FAILED: Gauge = "ollama_proxy_gpu_row_remap_failed" [] "Whether a row could not be replaced.";
        RETIRED_PAGES: Counter = "ollama_proxy_gpu_retired_pages_total" ["severity"]
            "Pages of the card's memory that are no longer used, in its life.";
        PAGE_RETIREMENT_PENDING: Gauge = "ollama_proxy_gpu_page_retirement_pending" []
            "Whether a page waits for a restart to be left out.";
        PCIE_GENERATION: Gauge = "ollama_proxy_gpu_pcie_link_generation" []
            "Generation of the card's link now; it falls when there is nothing to do.";
        PCIE_GENERATION_MAX: Gauge = "ollama_proxy_gpu_pcie_link_generation_max" []
            "Generation of the card's link at most.";
        PCIE_WIDTH: Gauge = "ollama_proxy_gpu_pcie_link_lanes" [] "Lanes of the card's link now.";
        PCIE_WIDTH_MAX: Gauge = "ollama_proxy_gpu_pcie_link_lanes_max" [] "Lanes of the card's link at most.";
        PCIE_REPLAYS: Counter = "ollama_proxy_gpu_pcie_replays_total" []
            "Transfers that had to be repeated on the card's link.";
        PCIE_RATE: Gauge = "ollama_proxy_gpu_pcie_bytes_per_second" ["direction"]
            "Bytes per second on the card's link over 20 ms before the reading.";
        NVLINK_UP: Gauge = "ollama_proxy_gpu_nvlink_up" ["link"] "Whether the link to another card carries data.";
        NVLINK_ERRORS: Counter = "ollama_proxy_gpu_nvlink_errors_total" ["link", "kind"]
            "Errors on the link to another card.";
        PROCESSES: Gauge = "ollama_proxy_gpu_processes" ["role"]
            "Processes that use the card; those of the inference server by what they do, others as `other`.";
        PROCESS_MEMORY: Gauge = "ollama_proxy_gpu_process_memory_bytes" ["role"]
            "Memory of the card that these processes hold.";
        MIG_ENABLED: Gauge = "ollama_proxy_gpu_mig_enabled" [] "Whether the card is cut into instances.";
        MIG_MEMORY_USED: Gauge = "ollama_proxy_gpu_mig_memory_used_bytes" ["mig_uuid", "mig_profile"]
            "Memory of the card's instance in use.";
        MIG_MEMORY_TOTAL: Gauge = "ollama_proxy_gpu_mig_memory_total_bytes" ["mig_uuid", "mig_profile"]
            "Memory of the card's instance.";
        XID_ERRORS: Counter = "ollama_proxy_gpu_xid_errors_total" ["class"]
            "Errors that the driver reported (XIDs) since this program watches.";
        LAST_XID: Gauge = "ollama_proxy_gpu_last_xid" []
            "Number of the last error that the driver reported; 0 where there was none.";
    }
}

families! {
    /// Sums over all cards.
    pub(in crate::metrics) static SUMS = [] {
        INFERENCE_MEMORY: Gauge = "ollama_proxy_inference_process_gpu_memory_bytes" ["role"]
            "Memory of all cards that the inference server's processes hold.";
    }
}

const CORRECTED: &str = "corrected";
const UNCORRECTED: &str = "uncorrected";

/// The role of processes that do not belong to the inference server.
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
        card.add(&UP, &[], Some(flag(gpu.up)));
        if gpu.up {
            let version = |text: &Option<String>| text.clone().unwrap_or_default();
            let (driver, cuda) = (version(&nvidia.driver), version(&nvidia.cuda));
            card.add(&INFO, &[&gpu.identity.pci_bus_id, &driver, &cuda], Some(1.0));
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
        batch.add(&INFERENCE_MEMORY, &[role], Some(count(memory)));
    }
}

/// Adds series of one card.
struct Card<'a> {
    batch: &'a mut Batch,
    own: [&'a str; 4],
}

impl Card<'_> {
    fn add(&mut self, spec: &'static Spec, more: &[&str], value: Option<f64>) {
        let labels: Vec<&str> = self.own.iter().chain(more).copied().collect();
        self.batch.add(spec, &labels, value);
    }

    fn speed_and_heat(&mut self, facts: &Facts) {
        self.add(&MEMORY_BUSY, &[], facts.memory_busy);
        self.add(&MEMORY_RESERVED, &[], facts.memory.map(|memory| count(memory.reserved)));
        self.add(&POWER_LIMIT, &[], facts.power_limit_watts);
        self.add(&MEMORY_TEMPERATURE, &[], facts.memory_celsius);
        for (limit, celsius) in &facts.limits_celsius {
            self.add(&TEMPERATURE_LIMIT, &[limit.as_str()], Some(*celsius));
        }
        self.add(&FAN, &[], facts.fan);
        for it in &facts.clocks {
            self.add(&CLOCK, &[it.clock], it.now_hertz);
            self.add(&CLOCK_MAX, &[it.clock], it.max_hertz);
        }
        self.add(&PERFORMANCE_STATE, &[], facts.performance_state.map(f64::from));
        if let Some(now) = &facts.throttles {
            for throttle in Throttle::ALL {
                self.add(&THROTTLED, &[throttle.as_str()], Some(flag(now.contains(&throttle))));
            }
        }
        for (policy, time) in &facts.throttled {
            self.add(&THROTTLED_SECONDS, &[policy.as_str()], Some(time.as_secs_f64()));
        }
        self.add(&ENCODER, &[], facts.encoder);
        self.add(&DECODER, &[], facts.decoder);
    }

    fn errors(&mut self, facts: &Facts) {
        let ecc = &facts.ecc;
        self.add(&ECC_ENABLED, &[], ecc.enabled.map(flag));
        for (name, severity, value) in [
            (&ECC_ERRORS, CORRECTED, ecc.corrected_in_life),
            (&ECC_ERRORS, UNCORRECTED, ecc.uncorrected_in_life),
            (&ECC_ERRORS_SINCE_LOAD, CORRECTED, ecc.corrected_since_load),
            (&ECC_ERRORS_SINCE_LOAD, UNCORRECTED, ecc.uncorrected_since_load),
            (&REMAPPED_ROWS, CORRECTED, facts.remapped.corrected),
            (&REMAPPED_ROWS, UNCORRECTED, facts.remapped.uncorrected),
            (&RETIRED_PAGES, CORRECTED, facts.retired.single_bit),
            (&RETIRED_PAGES, UNCORRECTED, facts.retired.double_bit),
        ] {
            self.add(name, &[severity], value.map(count));
        }
        self.add(&ROW_REMAP_PENDING, &[], facts.remapped.pending.map(flag));
        self.add(&ROW_REMAP_FAILED, &[], facts.remapped.failed.map(flag));
        self.add(&PAGE_RETIREMENT_PENDING, &[], facts.retired.pending.map(flag));
        if let Some(xids) = &facts.xids {
            for class in XidClass::ALL {
                let heard = xids.counts.get(&class).copied().unwrap_or(0);
                self.add(&XID_ERRORS, &[class.as_str()], Some(count(heard)));
            }
            self.add(&LAST_XID, &[], Some(count(xids.last.unwrap_or(0))));
        }
    }

    fn links(&mut self, facts: &Facts) {
        let pcie = &facts.pcie;
        self.add(&PCIE_GENERATION, &[], pcie.generation.map(f64::from));
        self.add(&PCIE_GENERATION_MAX, &[], pcie.max_generation.map(f64::from));
        self.add(&PCIE_WIDTH, &[], pcie.width.map(f64::from));
        self.add(&PCIE_WIDTH_MAX, &[], pcie.max_width.map(f64::from));
        self.add(&PCIE_REPLAYS, &[], pcie.replays.map(count));
        self.add(&PCIE_RATE, &["sent"], pcie.sent_per_second.map(count));
        self.add(&PCIE_RATE, &["received"], pcie.received_per_second.map(count));
        for it in &facts.nvlinks {
            let link = it.link.to_string();
            self.add(&NVLINK_UP, &[&link], Some(flag(it.up)));
            for (kind, errors) in &it.errors {
                self.add(&NVLINK_ERRORS, &[&link, kind], Some(count(*errors)));
            }
        }
    }

    fn instances(&mut self, gpu: &NvidiaGpu) {
        self.add(&MIG_ENABLED, &[], gpu.facts.mig.map(flag));
        for it in &gpu.facts.instances {
            let labels = [it.uuid.as_str(), it.profile.as_str()];
            self.add(&MIG_MEMORY_USED, &labels, it.memory.map(|memory| count(memory.used)));
            self.add(&MIG_MEMORY_TOTAL, &labels, it.memory.map(|memory| count(memory.total)));
        }
    }

    /// Adds processes by role, including those in instances. Returns the known memory of the inference server's, by role.
    fn processes<'r>(&mut self, facts: &Facts, roles: &BTreeMap<u32, &'r str>) -> Vec<(&'r str, u64)> {
        let in_instances = facts.instances.iter().filter_map(|instance| instance.processes.as_ref());
        let lists: Vec<&Vec<GpuProcess>> = facts.processes.iter().chain(in_instances).collect();
        if lists.is_empty() {
            return Vec::new();
        }
        // A process listed by both the card and its instance counts once.
        let each: BTreeMap<u32, Option<u64>> =
            lists.into_iter().flatten().map(|process| (process.pid, process.memory_bytes)).collect();
        let mut by_role: BTreeMap<&str, (u32, Option<u64>)> = BTreeMap::from([(OTHER, (0, Some(0)))]);
        for (pid, memory) in each {
            let (processes, sum) = by_role.entry(roles.get(&pid).copied().unwrap_or(OTHER)).or_insert((0, Some(0)));
            *processes += 1;
            *sum = sum.zip(memory).map(|(sum, memory)| sum + memory);
        }
        for (role, (processes, memory)) in &by_role {
            self.add(&PROCESSES, &[role], Some(f64::from(*processes)));
            self.add(&PROCESS_MEMORY, &[role], memory.map(count));
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
