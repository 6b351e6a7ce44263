//! Reads the facts of a card by calls of the library.

use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PcieUtilCounter, PerformancePolicy, RetirementCause, TemperatureSensor,
    TemperatureThreshold,
};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::{MemoryInfo, ProcessInfo};
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id;

use super::card::{GpuIdentity, NvidiaGpu};
use super::facts::{
    ClockSpeed, Ecc, Facts, GpuMemory, GpuProcess, MigInstance, NvLink, Pcie, Remapped, Retired, TemperatureLimit,
    Throttle, ThrottlePolicy,
};
use super::linux_only::minor_number;

/// The library's limit of links on a card.
const MAX_LINKS: u32 = 18;

/// The slowest performance state; higher numbers mean that it is unknown.
const SLOWEST_STATE: u32 = 15;

/// Reads one card after another, and detects errors that concern more than a single fact.
#[derive(Debug, Default)]
pub(super) struct CardReader {
    is_driver_gone: bool,
    is_card_lost: bool,
}

impl CardReader {
    /// Whether the driver is no longer loaded.
    pub(super) fn is_driver_gone(&self) -> bool {
        self.is_driver_gone
    }

    /// Begins another card.
    pub(super) fn next_card(&mut self) {
        self.is_card_lost = false;
    }

    /// Whether the card fell off the bus, or needs a reset.
    pub(super) fn is_card_lost(&self) -> bool {
        self.is_card_lost
    }

    /// The value of a call. `None` where it failed, such as for facts that a card does not support or permit.
    pub(super) fn value<T>(&mut self, answer: Result<T, NvmlError>) -> Option<T> {
        match answer {
            Ok(value) => return Some(value),
            Err(NvmlError::GpuLost | NvmlError::ResetRequired) => self.is_card_lost = true,
            Err(NvmlError::Uninitialized | NvmlError::DriverNotLoaded) => self.is_driver_gone = true,
            Err(_) => {}
        }
        None
    }

    /// Reads all facts. `None` where the card does not report its UUID, or is lost.
    pub(super) fn read_complete(&mut self, device: &Device<'_>, index: u32) -> Option<NvidiaGpu> {
        let identity = GpuIdentity {
            index,
            uuid: self.value(device.uuid())?,
            name: self.value(device.name()).unwrap_or_default(),
            pci_bus_id: self.value(device.pci_info()).map(|pci| pci.bus_id).unwrap_or_default(),
            minor: self.value(minor_number(device)),
        };
        let mut facts = Facts::default();
        self.quick_facts(device, &mut facts);
        self.power_and_heat(device, &mut facts);
        self.clocks(device, &mut facts);
        self.fields(device, &mut facts);
        facts.encoder = self.value(device.encoder_utilization()).map(|it| ratio(it.utilization));
        facts.decoder = self.value(device.decoder_utilization()).map(|it| ratio(it.utilization));
        facts.ecc = self.ecc(device);
        facts.retired = self.retired(device);
        facts.pcie = self.pcie(device);
        facts.nvlinks = self.nvlinks(device);
        facts.processes = self.processes(device).map(|(processes, _)| processes);
        facts.mig = self.value(device.mig_mode()).map(|mode| mode.current != 0);
        if facts.mig == Some(true) {
            facts.instances = self.instances(device);
        }
        (!self.is_card_lost).then_some(NvidiaGpu { identity, up: true, facts })
    }

    /// Reads the facts that change every second, and keeps the rest. `None` where the card is lost, or another card has
    /// its index now.
    pub(super) fn read_quick(&mut self, device: &Device<'_>, before: &NvidiaGpu) -> Option<NvidiaGpu> {
        self.value(device.uuid()).filter(|uuid| *uuid == before.identity.uuid)?;
        let mut gpu = before.clone();
        self.quick_facts(device, &mut gpu.facts);
        (!self.is_card_lost).then_some(gpu)
    }

    fn quick_facts(&mut self, device: &Device<'_>, facts: &mut Facts) {
        let utilization = self.value(device.utilization_rates());
        facts.utilization = utilization.as_ref().map(|it| ratio(it.gpu));
        facts.memory_busy = utilization.map(|it| ratio(it.memory));
        facts.memory = self.value(device.memory_info()).map(memory);
        facts.power_watts = self.value(device.power_usage()).map(|milliwatts| f64::from(milliwatts) / 1e3);
        facts.energy_joules = self.value(device.total_energy_consumption()).map(|millijoules| millijoules as f64 / 1e3);
    }

    fn power_and_heat(&mut self, device: &Device<'_>, facts: &mut Facts) {
        facts.power_limit_watts = self.value(device.enforced_power_limit()).map(|limit| f64::from(limit) / 1e3);
        facts.temperature_celsius = self.value(device.temperature(TemperatureSensor::Gpu)).map(f64::from);
        facts.fan = self.value(device.fan_speed(0)).map(ratio);
        for (threshold, limit) in [
            (TemperatureThreshold::Shutdown, TemperatureLimit::Shutdown),
            (TemperatureThreshold::Slowdown, TemperatureLimit::Slowdown),
            (TemperatureThreshold::GpuMax, TemperatureLimit::Operating),
            (TemperatureThreshold::MemoryMax, TemperatureLimit::Memory),
        ] {
            let celsius = self.value(device.temperature_threshold(threshold)).filter(|celsius| *celsius != 0);
            facts.limits_celsius.extend(celsius.map(|celsius| (limit, f64::from(celsius))));
        }
    }

    fn clocks(&mut self, device: &Device<'_>, facts: &mut Facts) {
        for (kind, clock) in
            [(Clock::Graphics, "graphics"), (Clock::SM, "sm"), (Clock::Memory, "memory"), (Clock::Video, "video")]
        {
            let now_hertz = self.value(device.clock_info(kind)).map(hertz);
            let max_hertz = self.value(device.max_clock_info(kind)).map(hertz);
            facts.clocks.push(ClockSpeed { clock, now_hertz, max_hertz });
        }
        let state = self.value(device.performance_state()).map(|state| state.as_c());
        facts.performance_state = state.filter(|state| *state <= SLOWEST_STATE);
        facts.throttles = self.value(device.current_throttle_reasons()).map(throttles);
        for (policy, name) in [
            (PerformancePolicy::Power, ThrottlePolicy::Power),
            (PerformancePolicy::Thermal, ThrottlePolicy::Thermal),
            (PerformancePolicy::SyncBoost, ThrottlePolicy::SyncBoost),
            (PerformancePolicy::BoardLimit, ThrottlePolicy::BoardLimit),
            (PerformancePolicy::Reliability, ThrottlePolicy::Reliability),
        ] {
            let time = self.value(device.violation_status(policy));
            facts.throttled.extend(time.map(|time| (name, Duration::from_nanos(time.violation_time))));
        }
    }

    /// Reads facts without a call of their own (nvml.h, "Field Identifiers").
    fn fields(&mut self, device: &Device<'_>, facts: &mut Facts) {
        let ids = [
            field_id::NVML_FI_DEV_MEMORY_TEMP,
            field_id::NVML_FI_DEV_REMAPPED_COR,
            field_id::NVML_FI_DEV_REMAPPED_UNC,
            field_id::NVML_FI_DEV_REMAPPED_PENDING,
            field_id::NVML_FI_DEV_REMAPPED_FAILURE,
        ];
        let values = self.value(device.field_values_for(&ids.map(FieldId))).unwrap_or_default();
        let mut values = values.into_iter().map(|value| self.value(value.and_then(|it| it.value)).and_then(integer));
        let mut next = || values.next().flatten();
        // A missing sensor reads 0.
        facts.memory_celsius = next().filter(|celsius| *celsius != 0).map(|celsius| celsius as f64);
        facts.remapped = Remapped {
            corrected: next(),
            uncorrected: next(),
            pending: next().map(|pending| pending != 0),
            failed: next().map(|failed| failed != 0),
        };
    }

    fn ecc(&mut self, device: &Device<'_>) -> Ecc {
        let mut count = |kind, since| self.value(device.total_ecc_errors(kind, since));
        let counts = Ecc {
            corrected_since_load: count(MemoryError::Corrected, EccCounter::Volatile),
            uncorrected_since_load: count(MemoryError::Uncorrected, EccCounter::Volatile),
            corrected_in_life: count(MemoryError::Corrected, EccCounter::Aggregate),
            uncorrected_in_life: count(MemoryError::Uncorrected, EccCounter::Aggregate),
            enabled: None,
        };
        Ecc { enabled: self.value(device.is_ecc_enabled()).map(|mode| mode.currently_enabled), ..counts }
    }

    fn retired(&mut self, device: &Device<'_>) -> Retired {
        let mut pages = |cause| self.value(device.retired_pages(cause)).map(|pages| pages.len() as u64);
        let single_bit = pages(RetirementCause::MultipleSingleBitEccErrors);
        let double_bit = pages(RetirementCause::DoubleBitEccError);
        Retired { single_bit, double_bit, pending: self.value(device.are_pages_pending_retired()) }
    }

    fn pcie(&mut self, device: &Device<'_>) -> Pcie {
        // In KB, which the documentation does not define; NVIDIA's own tools use 1000.
        let bytes = |thousands: u32| u64::from(thousands) * 1000;
        Pcie {
            generation: self.value(device.current_pcie_link_gen()),
            max_generation: self.value(device.max_pcie_link_gen()),
            width: self.value(device.current_pcie_link_width()),
            max_width: self.value(device.max_pcie_link_width()),
            replays: self.value(device.pcie_replay_counter()).map(u64::from),
            sent_per_second: self.value(device.pcie_throughput(PcieUtilCounter::Send)).map(bytes),
            received_per_second: self.value(device.pcie_throughput(PcieUtilCounter::Receive)).map(bytes),
        }
    }

    fn nvlinks(&mut self, device: &Device<'_>) -> Vec<NvLink> {
        let mut links = Vec::new();
        for link in 0..MAX_LINKS {
            let wrapper = device.link_wrapper_for(link);
            let Some(up) = self.value(wrapper.is_active()) else { break };
            let mut errors = Vec::new();
            for (counter, kind) in [
                (ErrorCounter::DlReplay, "replay"),
                (ErrorCounter::DlRecovery, "recovery"),
                (ErrorCounter::DlCrcFlit, "crc_flit"),
                (ErrorCounter::DlCrcData, "crc_data"),
            ] {
                errors.extend(self.value(wrapper.error_counter(counter)).map(|count| (kind, count)));
            }
            links.push(NvLink { link, up, errors });
        }
        links
    }

    /// The compute and graphics processes, each once, and the id of the GPU instance that one of them runs in.
    fn processes(&mut self, device: &Device<'_>) -> Option<(Vec<GpuProcess>, Option<u32>)> {
        let compute = self.value(device.running_compute_processes());
        let graphics = self.value(device.running_graphics_processes());
        if compute.is_none() && graphics.is_none() {
            return None;
        }
        let mut found: Vec<ProcessInfo> = compute.into_iter().chain(graphics).flatten().collect();
        found.sort_by_key(|process| process.pid);
        found.dedup_by_key(|process| process.pid);
        let instance = found.iter().find_map(|process| process.gpu_instance_id);
        Some((found.iter().map(process).collect(), instance))
    }

    fn instances(&mut self, device: &Device<'_>) -> Vec<MigInstance> {
        let count = self.value(device.mig_device_count()).unwrap_or(0);
        (0..count).filter_map(|index| self.instance(device, index)).collect()
    }

    /// Reads one instance; `None` where the index is unused: there may be gaps.
    fn instance(&mut self, device: &Device<'_>, index: u32) -> Option<MigInstance> {
        let instance = self.value(device.mig_device_by_index(index))?;
        let name = self.value(instance.name()).unwrap_or_default();
        let processes = self.processes(&instance);
        Some(MigInstance {
            index,
            uuid: self.value(instance.uuid())?,
            // "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
            profile: name.rsplit_once("MIG ").map(|(_, profile)| profile.to_owned()).unwrap_or_default(),
            gpu_instance: processes.as_ref().and_then(|(_, instance)| *instance),
            memory: self.value(instance.memory_info()).map(memory),
            processes: processes.map(|(processes, _)| processes),
        })
    }
}

fn ratio(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn hertz(megahertz: u32) -> f64 {
    f64::from(megahertz) * 1e6
}

fn memory(info: MemoryInfo) -> GpuMemory {
    GpuMemory { used: info.used, free: info.free, reserved: info.reserved, total: info.total }
}

fn process(info: &ProcessInfo) -> GpuProcess {
    let memory_bytes = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    GpuProcess { pid: info.pid, memory_bytes }
}

fn integer(value: SampleValue) -> Option<u64> {
    match value {
        SampleValue::U32(value) => Some(value.into()),
        SampleValue::U64(value) => Some(value),
        SampleValue::I64(value) => u64::try_from(value).ok(),
        SampleValue::F64(_) => None,
    }
}

fn throttles(reasons: ThrottleReasons) -> Vec<Throttle> {
    let reason = |throttle| match throttle {
        Throttle::Idle => ThrottleReasons::GPU_IDLE,
        Throttle::ApplicationClocks => ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
        Throttle::PowerCap => ThrottleReasons::SW_POWER_CAP,
        Throttle::HardwareSlowdown => ThrottleReasons::HW_SLOWDOWN,
        Throttle::SyncBoost => ThrottleReasons::SYNC_BOOST,
        Throttle::SoftwareThermal => ThrottleReasons::SW_THERMAL_SLOWDOWN,
        Throttle::HardwareThermal => ThrottleReasons::HW_THERMAL_SLOWDOWN,
        Throttle::PowerBrake => ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN,
        Throttle::Display => ThrottleReasons::DISPLAY_CLOCK_SETTING,
    };
    Throttle::ALL.into_iter().filter(|throttle| reasons.contains(reason(*throttle))).collect()
}
