//! From the library's calls to facts.

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

use super::facts::{
    ClockSpeed, Ecc, Facts, GpuProcess, Memory, MigInstance, NvLink, Pcie, Remapped, Retired, TemperatureLimit,
    Throttle, ThrottlePolicy,
};
use super::{Identity, NvidiaGpu};

/// The library's own limit of links on a card.
const MOST_LINKS: u32 = 18;

/// The slowest state; what is above means that it is not known.
const SLOWEST_STATE: u32 = 15;

/// Reads one card after the other, and notices what is wrong with more than a single fact.
#[derive(Debug, Default)]
pub(super) struct Reader {
    driver_gone: bool,
    card_lost: bool,
}

impl Reader {
    /// The library has no driver beneath it any more.
    pub(super) fn driver_gone(&self) -> bool {
        self.driver_gone
    }

    /// What is read from here on is of another card.
    pub(super) fn next_card(&mut self) {
        self.card_lost = false;
    }

    /// The card fell off the bus, or needs a reset.
    pub(super) fn card_lost(&self) -> bool {
        self.card_lost
    }

    /// A fact, where there is one. What a card does not support or allow is simply not there.
    pub(super) fn seen<T>(&mut self, answer: Result<T, NvmlError>) -> Option<T> {
        match answer {
            Ok(value) => return Some(value),
            Err(NvmlError::GpuLost | NvmlError::ResetRequired) => self.card_lost = true,
            Err(NvmlError::Uninitialized | NvmlError::DriverNotLoaded) => self.driver_gone = true,
            Err(_) => {}
        }
        None
    }

    /// Everything. `None` where the card does not even tell which it is, or is lost.
    pub(super) fn whole(&mut self, device: &Device<'_>, index: u32) -> Option<NvidiaGpu> {
        let identity = Identity {
            index,
            uuid: self.seen(device.uuid())?,
            name: self.seen(device.name()).unwrap_or_default(),
            pci_bus_id: self.seen(device.pci_info()).map(|pci| pci.bus_id).unwrap_or_default(),
            minor: self.seen(device.minor_number()),
        };
        let mut facts = Facts::default();
        self.quick_facts(device, &mut facts);
        self.power_and_heat(device, &mut facts);
        self.clocks(device, &mut facts);
        self.fields(device, &mut facts);
        facts.encoder = self.seen(device.encoder_utilization()).map(|it| ratio(it.utilization));
        facts.decoder = self.seen(device.decoder_utilization()).map(|it| ratio(it.utilization));
        facts.ecc = self.ecc(device);
        facts.retired = self.retired(device);
        facts.pcie = self.pcie(device);
        facts.nvlinks = self.nvlinks(device);
        facts.processes = self.processes(device).map(|(processes, _)| processes);
        facts.mig = self.seen(device.mig_mode()).map(|mode| mode.current != 0);
        if facts.mig == Some(true) {
            facts.instances = self.instances(device);
        }
        (!self.card_lost).then_some(NvidiaGpu { identity, up: true, facts })
    }

    /// What changes every second; the rest is as it was before. `None` also where another card has its number now.
    pub(super) fn quick(&mut self, device: &Device<'_>, before: &NvidiaGpu) -> Option<NvidiaGpu> {
        self.seen(device.uuid()).filter(|uuid| *uuid == before.identity.uuid)?;
        let mut gpu = before.clone();
        self.quick_facts(device, &mut gpu.facts);
        (!self.card_lost).then_some(gpu)
    }

    fn quick_facts(&mut self, device: &Device<'_>, facts: &mut Facts) {
        let utilization = self.seen(device.utilization_rates());
        facts.utilization = utilization.as_ref().map(|it| ratio(it.gpu));
        facts.memory_busy = utilization.map(|it| ratio(it.memory));
        facts.memory = self.seen(device.memory_info()).map(memory);
        facts.power_watts = self.seen(device.power_usage()).map(|milliwatts| f64::from(milliwatts) / 1e3);
        facts.energy_joules = self.seen(device.total_energy_consumption()).map(|millijoules| millijoules as f64 / 1e3);
    }

    fn power_and_heat(&mut self, device: &Device<'_>, facts: &mut Facts) {
        facts.power_limit_watts = self.seen(device.enforced_power_limit()).map(|limit| f64::from(limit) / 1e3);
        facts.temperature_celsius = self.seen(device.temperature(TemperatureSensor::Gpu)).map(f64::from);
        facts.fan = self.seen(device.fan_speed(0)).map(ratio);
        for (threshold, limit) in [
            (TemperatureThreshold::Shutdown, TemperatureLimit::Shutdown),
            (TemperatureThreshold::Slowdown, TemperatureLimit::Slowdown),
            (TemperatureThreshold::GpuMax, TemperatureLimit::Operating),
            (TemperatureThreshold::MemoryMax, TemperatureLimit::Memory),
        ] {
            let celsius = self.seen(device.temperature_threshold(threshold)).filter(|celsius| *celsius != 0);
            facts.limits_celsius.extend(celsius.map(|celsius| (limit, f64::from(celsius))));
        }
    }

    fn clocks(&mut self, device: &Device<'_>, facts: &mut Facts) {
        for (kind, clock) in
            [(Clock::Graphics, "graphics"), (Clock::SM, "sm"), (Clock::Memory, "memory"), (Clock::Video, "video")]
        {
            let now_hertz = self.seen(device.clock_info(kind)).map(hertz);
            let most_hertz = self.seen(device.max_clock_info(kind)).map(hertz);
            facts.clocks.push(ClockSpeed { clock, now_hertz, most_hertz });
        }
        let state = self.seen(device.performance_state()).map(|state| state.as_c());
        facts.performance_state = state.filter(|state| *state <= SLOWEST_STATE);
        facts.throttles = self.seen(device.current_throttle_reasons()).map(throttles);
        for (policy, name) in [
            (PerformancePolicy::Power, ThrottlePolicy::Power),
            (PerformancePolicy::Thermal, ThrottlePolicy::Thermal),
            (PerformancePolicy::SyncBoost, ThrottlePolicy::SyncBoost),
            (PerformancePolicy::BoardLimit, ThrottlePolicy::BoardLimit),
            (PerformancePolicy::Reliability, ThrottlePolicy::Reliability),
        ] {
            let time = self.seen(device.violation_status(policy));
            facts.throttled.extend(time.map(|time| (name, Duration::from_nanos(time.violation_time))));
        }
    }

    /// What has no call of its own (nvml.h, "Field Identifiers").
    fn fields(&mut self, device: &Device<'_>, facts: &mut Facts) {
        let ids = [
            field_id::NVML_FI_DEV_MEMORY_TEMP,
            field_id::NVML_FI_DEV_REMAPPED_COR,
            field_id::NVML_FI_DEV_REMAPPED_UNC,
            field_id::NVML_FI_DEV_REMAPPED_PENDING,
            field_id::NVML_FI_DEV_REMAPPED_FAILURE,
        ];
        let values = self.seen(device.field_values_for(&ids.map(FieldId))).unwrap_or_default();
        let mut values = values.into_iter().map(|value| self.seen(value.and_then(|it| it.value)).and_then(whole));
        let mut next = || values.next().flatten();
        // A sensor that is not there reads 0.
        facts.memory_celsius = next().filter(|celsius| *celsius != 0).map(|celsius| celsius as f64);
        facts.remapped = Remapped {
            corrected: next(),
            uncorrected: next(),
            pending: next().map(|pending| pending != 0),
            failed: next().map(|failed| failed != 0),
        };
    }

    fn ecc(&mut self, device: &Device<'_>) -> Ecc {
        let mut count = |kind, since| self.seen(device.total_ecc_errors(kind, since));
        let counts = Ecc {
            corrected_since_load: count(MemoryError::Corrected, EccCounter::Volatile),
            uncorrected_since_load: count(MemoryError::Uncorrected, EccCounter::Volatile),
            corrected_in_life: count(MemoryError::Corrected, EccCounter::Aggregate),
            uncorrected_in_life: count(MemoryError::Uncorrected, EccCounter::Aggregate),
            enabled: None,
        };
        Ecc { enabled: self.seen(device.is_ecc_enabled()).map(|mode| mode.currently_enabled), ..counts }
    }

    fn retired(&mut self, device: &Device<'_>) -> Retired {
        let mut pages = |cause| self.seen(device.retired_pages(cause)).map(|pages| pages.len() as u64);
        let single_bit = pages(RetirementCause::MultipleSingleBitEccErrors);
        let double_bit = pages(RetirementCause::DoubleBitEccError);
        Retired { single_bit, double_bit, pending: self.seen(device.are_pages_pending_retired()) }
    }

    fn pcie(&mut self, device: &Device<'_>) -> Pcie {
        // In KB, which the documentation leaves open; NVIDIA's own tools show 1000.
        let bytes = |thousands: u32| u64::from(thousands) * 1000;
        Pcie {
            generation: self.seen(device.current_pcie_link_gen()),
            most_generation: self.seen(device.max_pcie_link_gen()),
            width: self.seen(device.current_pcie_link_width()),
            most_width: self.seen(device.max_pcie_link_width()),
            replays: self.seen(device.pcie_replay_counter()).map(u64::from),
            sent_per_second: self.seen(device.pcie_throughput(PcieUtilCounter::Send)).map(bytes),
            received_per_second: self.seen(device.pcie_throughput(PcieUtilCounter::Receive)).map(bytes),
        }
    }

    fn nvlinks(&mut self, device: &Device<'_>) -> Vec<NvLink> {
        let mut links = Vec::new();
        for link in 0..MOST_LINKS {
            let wrapper = device.link_wrapper_for(link);
            let Some(up) = self.seen(wrapper.is_active()) else { break };
            let mut errors = Vec::new();
            for (counter, kind) in [
                (ErrorCounter::DlReplay, "replay"),
                (ErrorCounter::DlRecovery, "recovery"),
                (ErrorCounter::DlCrcFlit, "crc_flit"),
                (ErrorCounter::DlCrcData, "crc_data"),
            ] {
                errors.extend(self.seen(wrapper.error_counter(counter)).map(|count| (kind, count)));
            }
            links.push(NvLink { link, up, errors });
        }
        links
    }

    /// Programs that compute and programs that draw; one that does both counts once. Beside them, the number of the
    /// GPU instance where one of them runs in one.
    fn processes(&mut self, device: &Device<'_>) -> Option<(Vec<GpuProcess>, Option<u32>)> {
        let compute = self.seen(device.running_compute_processes());
        let graphics = self.seen(device.running_graphics_processes());
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
        let most = self.seen(device.mig_device_count()).unwrap_or(0);
        (0..most).filter_map(|index| self.instance(device, index)).collect()
    }

    /// There may be fewer than the card can be cut into, and the places between may be empty.
    fn instance(&mut self, device: &Device<'_>, index: u32) -> Option<MigInstance> {
        let instance = self.seen(device.mig_device_by_index(index))?;
        let name = self.seen(instance.name()).unwrap_or_default();
        let processes = self.processes(&instance);
        Some(MigInstance {
            index,
            uuid: self.seen(instance.uuid())?,
            // "NVIDIA A100-SXM4-40GB MIG 1g.5gb"
            profile: name.rsplit_once("MIG ").map(|(_, profile)| profile.to_owned()).unwrap_or_default(),
            gpu_instance: processes.as_ref().and_then(|(_, instance)| *instance),
            memory: self.seen(instance.memory_info()).map(memory),
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

fn memory(info: MemoryInfo) -> Memory {
    Memory { used: info.used, free: info.free, reserved: info.reserved, total: info.total }
}

fn process(info: &ProcessInfo) -> GpuProcess {
    let memory_bytes = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    GpuProcess { pid: info.pid, memory_bytes }
}

fn whole(value: SampleValue) -> Option<u64> {
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
