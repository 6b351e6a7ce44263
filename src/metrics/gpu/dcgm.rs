//! Facts of NVIDIA's cards under the names of DCGM's exporter for Prometheus, for dashboards and alerts written for it.
//!
//! Units and labels are those of DCGM (MiB, MHz, percent, millijoules; `gpu`, `UUID`, `pci_bus_id`, `device`,
//! `modelName`, `Hostname`, `GPU_I_ID`, `GPU_I_PROFILE`), with `gpu_uuid`, `node` and `mig_profile` added. A card that is
//! divided into MIG instances has a memory series for each of them, as the exporter does; other facts are the card's.
//!
//! Left out: what NVML does not provide (profiling, `DCGM_FI_PROF_*`), the bytes on `NVLink`, and the durations of
//! violations, whose unit DCGM's documents state in two ways.

use crate::host::nvidia::NvidiaGpu;
use crate::host::nvidia::facts::{Facts, GpuMemory, Throttle};
use crate::metrics::declare::families;
use crate::metrics::scraped::Batch;
use crate::metrics::spec::Spec;

const MIB: f64 = 1024.0 * 1024.0;

families! {
    /// Every field that is exposed.
    pub(in crate::metrics) static FIELDS = [
        "gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "GPU_I_ID", "GPU_I_PROFILE",
        "gpu_uuid", "node", "mig_profile"
    ] {
        GPU_UTIL: Gauge = "DCGM_FI_DEV_GPU_UTIL" [] "GPU utilization (in %).";
        MEM_COPY_UTIL: Gauge = "DCGM_FI_DEV_MEM_COPY_UTIL" [] "Memory utilization (in %).";
        ENC_UTIL: Gauge = "DCGM_FI_DEV_ENC_UTIL" [] "Encoder utilization (in %).";
        DEC_UTIL: Gauge = "DCGM_FI_DEV_DEC_UTIL" [] "Decoder utilization (in %).";
        FB_USED: Gauge = "DCGM_FI_DEV_FB_USED" [] "Frame buffer memory used (in MiB).";
        FB_FREE: Gauge = "DCGM_FI_DEV_FB_FREE" [] "Frame buffer memory free (in MiB).";
        FB_RESERVED: Gauge = "DCGM_FI_DEV_FB_RESERVED" [] "Frame buffer memory reserved (in MiB).";
        FB_TOTAL: Gauge = "DCGM_FI_DEV_FB_TOTAL" [] "Frame buffer memory (in MiB).";
        GPU_TEMP: Gauge = "DCGM_FI_DEV_GPU_TEMP" [] "GPU temperature (in C).";
        MEMORY_TEMP: Gauge = "DCGM_FI_DEV_MEMORY_TEMP" [] "Memory temperature (in C).";
        FAN_SPEED: Gauge = "DCGM_FI_DEV_FAN_SPEED" [] "Fan speed (in %).";
        POWER_USAGE: Gauge = "DCGM_FI_DEV_POWER_USAGE" [] "Power draw (in W).";
        POWER_LIMIT: Gauge = "DCGM_FI_DEV_POWER_MGMT_LIMIT" [] "Power limit (in W).";
        ENERGY: Counter = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" []
            "Total energy consumption since the driver was loaded (in mJ).";
        SM_CLOCK: Gauge = "DCGM_FI_DEV_SM_CLOCK" [] "SM clock frequency (in MHz).";
        MEM_CLOCK: Gauge = "DCGM_FI_DEV_MEM_CLOCK" [] "Memory clock frequency (in MHz).";
        PSTATE: Gauge = "DCGM_FI_DEV_PSTATE" [] "Performance state (0 is the fastest).";
        THROTTLE_REASONS: Gauge = "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS" []
            "What holds clocks down (bits of nvmlClocksThrottleReasons).";
        XID_ERRORS: Gauge = "DCGM_FI_DEV_XID_ERRORS" [] "Value of the last XID error encountered.";
        PCIE_REPLAYS: Counter = "DCGM_FI_DEV_PCIE_REPLAY_COUNTER" [] "Total number of PCIe retries.";
        PCIE_GENERATION: Gauge = "DCGM_FI_DEV_PCIE_LINK_GEN" [] "PCIe generation now.";
        PCIE_GENERATION_MAX: Gauge = "DCGM_FI_DEV_PCIE_MAX_LINK_GEN" [] "PCIe generation at most.";
        PCIE_WIDTH: Gauge = "DCGM_FI_DEV_PCIE_LINK_WIDTH" [] "PCIe lanes now.";
        PCIE_WIDTH_MAX: Gauge = "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH" [] "PCIe lanes at most.";
        SBE_VOL: Counter = "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL" [] "Total number of single-bit volatile ECC errors.";
        DBE_VOL: Counter = "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL" [] "Total number of double-bit volatile ECC errors.";
        SBE_AGG: Counter = "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL" [] "Total number of single-bit persistent ECC errors.";
        DBE_AGG: Counter = "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL" [] "Total number of double-bit persistent ECC errors.";
        RETIRED_SBE: Counter = "DCGM_FI_DEV_RETIRED_SBE" [] "Total number of retired pages due to single-bit errors.";
        RETIRED_DBE: Counter = "DCGM_FI_DEV_RETIRED_DBE" [] "Total number of retired pages due to double-bit errors.";
        REMAPPED_CORRECTABLE: Counter = "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS" []
            "Number of remapped rows for correctable errors.";
        REMAPPED_UNCORRECTABLE: Counter = "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS" []
            "Number of remapped rows for uncorrectable errors.";
        ROW_REMAP_FAILURE: Gauge = "DCGM_FI_DEV_ROW_REMAP_FAILURE" [] "Whether remapping of rows has failed.";
        ROW_REMAP_PENDING: Gauge = "DCGM_FI_DEV_ROW_REMAP_PENDING" [] "Whether remapping of rows waits for a reset.";
        NVLINK_CRC_FLIT: Counter = "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL" []
            "Total number of NVLink flow-control CRC errors.";
        NVLINK_CRC_DATA: Counter = "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL" []
            "Total number of NVLink data CRC errors.";
        NVLINK_REPLAY: Counter = "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL" [] "Total number of NVLink retries.";
        NVLINK_RECOVERY: Counter = "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL" []
            "Total number of NVLink recovery errors.";
    }
}

/// The labels of a card, or of one of its instances.
struct Labels {
    index: String,
    device: String,
    instance: String,
}

pub(super) fn add(batch: &mut Batch, gpu: &NvidiaGpu, node: &str) {
    let id = &gpu.identity;
    let device = id.minor.map(|minor| format!("nvidia{minor}")).unwrap_or_default();
    let index = id.index.to_string();
    let labels = |instance: String| Labels { index: index.clone(), device: device.clone(), instance };
    let put =
        |batch: &mut Batch, labels: &Labels, uuid: &str, profile: &str, values: Vec<(&'static Spec, Option<f64>)>| {
            let labels = [
                &*labels.index,
                &*id.uuid,
                &*id.pci_bus_id,
                &*labels.device,
                &*id.name,
                node,
                &*labels.instance,
                profile,
                uuid,
                node,
                profile,
            ];
            values.into_iter().for_each(|(spec, value)| batch.add(spec, &labels, value));
        };
    let card = labels(String::new());
    put(batch, &card, &id.uuid, "", gauges(&gpu.facts));
    put(batch, &card, &id.uuid, "", counts(&gpu.facts));
    if gpu.facts.instances.is_empty() {
        put(batch, &card, &id.uuid, "", gpu.facts.memory.map(memory).unwrap_or_default());
    }
    for it in &gpu.facts.instances {
        let number = it.gpu_instance.map(|number| number.to_string()).unwrap_or_default();
        put(batch, &labels(number), &it.uuid, &it.profile, it.memory.map(memory).unwrap_or_default());
    }
}

fn memory(memory: GpuMemory) -> Vec<(&'static Spec, Option<f64>)> {
    let mib = |bytes: u64| Some(bytes as f64 / MIB);
    vec![
        (&FB_USED, mib(memory.used)),
        (&FB_FREE, mib(memory.free)),
        (&FB_RESERVED, mib(memory.reserved)),
        (&FB_TOTAL, mib(memory.total)),
    ]
}

fn gauges(facts: &Facts) -> Vec<(&'static Spec, Option<f64>)> {
    let percent = |ratio: Option<f64>| ratio.map(|ratio| (ratio * 100.0).round());
    let clock = |clock: &str| {
        let of = facts.clocks.iter().find(|it| it.clock == clock)?;
        of.now_hertz.map(|hertz| hertz / 1e6)
    };
    vec![
        (&GPU_UTIL, percent(facts.utilization)),
        (&MEM_COPY_UTIL, percent(facts.memory_busy)),
        (&ENC_UTIL, percent(facts.encoder)),
        (&DEC_UTIL, percent(facts.decoder)),
        (&GPU_TEMP, facts.temperature_celsius),
        (&MEMORY_TEMP, facts.memory_celsius),
        (&FAN_SPEED, percent(facts.fan)),
        (&POWER_USAGE, facts.power_watts),
        (&POWER_LIMIT, facts.power_limit_watts),
        (&ENERGY, facts.energy_joules.map(|joules| (joules * 1000.0).round())),
        (&SM_CLOCK, clock("sm")),
        (&MEM_CLOCK, clock("memory")),
        (&PSTATE, facts.performance_state.map(f64::from)),
        (&THROTTLE_REASONS, facts.throttles.as_deref().map(bits)),
        (&XID_ERRORS, facts.xids.as_ref().map(|xids| xids.last.unwrap_or(0) as f64)),
        (&PCIE_GENERATION, facts.pcie.generation.map(f64::from)),
        (&PCIE_GENERATION_MAX, facts.pcie.max_generation.map(f64::from)),
        (&PCIE_WIDTH, facts.pcie.width.map(f64::from)),
        (&PCIE_WIDTH_MAX, facts.pcie.max_width.map(f64::from)),
        (&ROW_REMAP_FAILURE, facts.remapped.failed.map(|failed| f64::from(u8::from(failed)))),
        (&ROW_REMAP_PENDING, facts.remapped.pending.map(|pending| f64::from(u8::from(pending)))),
    ]
}

fn counts(facts: &Facts) -> Vec<(&'static Spec, Option<f64>)> {
    let links = |kind: &str| {
        let errors = facts.nvlinks.iter().flat_map(|link| &link.errors).filter(|(it, _)| *it == kind);
        errors.map(|(_, count)| *count).reduce(|a, b| a.saturating_add(b))
    };
    let values = [
        (&PCIE_REPLAYS, facts.pcie.replays),
        (&SBE_VOL, facts.ecc.corrected_since_load),
        (&DBE_VOL, facts.ecc.uncorrected_since_load),
        (&SBE_AGG, facts.ecc.corrected_in_life),
        (&DBE_AGG, facts.ecc.uncorrected_in_life),
        (&RETIRED_SBE, facts.retired.single_bit),
        (&RETIRED_DBE, facts.retired.double_bit),
        (&REMAPPED_CORRECTABLE, facts.remapped.corrected),
        (&REMAPPED_UNCORRECTABLE, facts.remapped.uncorrected),
        (&NVLINK_CRC_FLIT, links("crc_flit")),
        (&NVLINK_CRC_DATA, links("crc_data")),
        (&NVLINK_REPLAY, links("replay")),
        (&NVLINK_RECOVERY, links("recovery")),
    ];
    values.map(|(spec, value)| (spec, value.map(|value| value as f64))).into()
}

/// The driver's bit mask. Its bits have the order of [`Throttle::ALL`].
fn bits(throttles: &[Throttle]) -> f64 {
    let bit = |(index, throttle): (usize, Throttle)| if throttles.contains(&throttle) { 1_u32 << index } else { 0 };
    f64::from(Throttle::ALL.into_iter().enumerate().map(bit).sum::<u32>())
}
