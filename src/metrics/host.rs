//! The machine: families made from the last snapshot at each scrape.
//!
//! Promises: what a snapshot lacks has no series, so nothing stale is exposed and nothing unknown is a zero; a name that
//! breaks the conventions (percent, milliwatts) and its conventional twin come from the same value; of two devices with
//! the same labels one is dropped, never the scrape. Left out: what only some makers' GPUs report ([`super::gpu`]).

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::declare::families;
use super::scraped::Batch;
use crate::clock::Clock;
use crate::host::HostSnapshot;
use crate::host::collector::CollectorHealth;
use crate::host::disks::Disks;
use crate::host::gpu::Gpu;
use crate::host::helper::ThermalPressure;
use crate::host::pressure::{Pressure, ResourceStall};

families! {
    /// The machine and its parts, other than GPUs.
    pub(super) static MACHINE = [] {
        CPU_USAGE_PERCENT: Gauge = "ollama_proxy_cpu_usage_percent" []
            "Share of the processors' time that was not idle, over the whole machine, 0 to 100.";
        CPU_UTILIZATION_RATIO: Gauge = "ollama_proxy_cpu_utilization_ratio" []
            "Share of the processors' time that was not idle, over the whole machine, 0 to 1.";
        CPU_PROCESSORS: Gauge = "ollama_proxy_cpu_processors" [] "Processors that are online.";
        LOAD_AVERAGE: Gauge = "ollama_proxy_load_average" ["window"]
            "Tasks that run or wait to, averaged over the window.";
        MEMORY_USAGE_BYTES: Gauge = "ollama_proxy_memory_usage_bytes" [] "Memory in use: total less available.";
        MEMORY_TOTAL_BYTES: Gauge = "ollama_proxy_memory_total_bytes" [] "All memory that the system can use.";
        SWAP_USED_BYTES: Gauge = "ollama_proxy_swap_used_bytes" [] "Swap space in use.";
        SWAP_TOTAL_BYTES: Gauge = "ollama_proxy_swap_total_bytes" [] "All swap space.";
        MEMORY_PRESSURE_PERCENT: Gauge = "ollama_proxy_memory_pressure_percent" []
            "Pressure on memory, 0 to 100: on Linux the share of the last ten seconds in which a task waited for \
             memory, on macOS the share of memory that is not free.";
        MEMORY_PRESSURE_RATIO: Gauge = "ollama_proxy_memory_pressure_ratio" []
            "Pressure on memory, 0 to 1; see memory_pressure_percent.";
        PRESSURE_STALLED: Counter = "ollama_proxy_pressure_stalled_seconds_total" ["resource", "kind"]
            "Time in which some task, or all of them at once (full), waited for the resource.";
        CPU_POWER_MILLIWATTS: Gauge = "ollama_proxy_cpu_power_milliwatts" [] "What the processors draw, in milliwatts.";
        CPU_POWER_WATTS: Gauge = "ollama_proxy_cpu_power_watts" [] "What the processors draw, in watts.";
        CPU_ENERGY_JOULES: Counter = "ollama_proxy_cpu_energy_joules_total" [] "Energy that the processors took.";
        CPU_TEMPERATURE: Gauge = "ollama_proxy_cpu_temperature_celsius" [] "Temperature of the hottest processor.";
        TEMPERATURE: Gauge = "ollama_proxy_temperature_celsius" ["chip", "device", "sensor"]
            "Temperature that a sensor shows.";
        THERMAL_PRESSURE: Gauge = "ollama_proxy_thermal_pressure" ["level"]
            "1 for the level at which macOS brakes because of heat, 0 for the others.";
        GPU_ACTIVE_RESIDENCY_PERCENT: Gauge = "ollama_proxy_gpu_active_residency_percent" []
            "Share of time in which the GPU was busy, 0 to 100; the mean over all GPUs.";
        GPU_POWER_MILLIWATTS: Gauge = "ollama_proxy_gpu_power_milliwatts" []
            "What all GPUs together draw, in milliwatts.";
        DISK_READ_RATE: Gauge = "ollama_proxy_disk_read_bytes_per_second" []
            "Bytes read from all disks a second, between the last two readings.";
        DISK_WRITE_RATE: Gauge = "ollama_proxy_disk_write_bytes_per_second" []
            "Bytes written to all disks a second, between the last two readings.";
        DISK_IOPS: Gauge = "ollama_proxy_disk_iops" []
            "Reads and writes of all disks a second, between the last two readings.";
        DISK_READ_BYTES: Counter = "ollama_proxy_disk_read_bytes_total" ["device"] "Bytes read from the device.";
        DISK_WRITTEN_BYTES: Counter = "ollama_proxy_disk_written_bytes_total" ["device"] "Bytes written to the device.";
        DISK_OPERATIONS: Counter = "ollama_proxy_disk_operations_total" ["device", "operation"]
            "Reads and writes of the device.";
        FILESYSTEM_SIZE: Gauge = "ollama_proxy_filesystem_size_bytes" ["device", "mountpoint", "fstype"]
            "Size of the filesystem.";
        FILESYSTEM_AVAILABLE: Gauge = "ollama_proxy_filesystem_available_bytes" ["device", "mountpoint", "fstype"]
            "What programs without privileges can still write to the filesystem.";
        NETWORK_RECEIVED: Counter = "ollama_proxy_network_received_bytes_total" ["interface"]
            "Bytes that the interface received.";
        NETWORK_TRANSMITTED: Counter = "ollama_proxy_network_transmitted_bytes_total" ["interface"]
            "Bytes that the interface sent.";
        INFERENCE_PROCESSES: Gauge = "ollama_proxy_inference_processes" ["role"] "Processes of the inference server.";
        INFERENCE_PROCESS_MEMORY: Gauge = "ollama_proxy_inference_process_memory_bytes" ["role"]
            "Resident memory of the inference server's processes.";
        INFERENCE_PROCESS_CPU: Counter = "ollama_proxy_inference_process_cpu_seconds_total" ["role"]
            "Processor time of the inference server's processes since this program watches them.";
        COLLECTOR_SUCCESS: Gauge = "ollama_proxy_collector_success" ["collector"]
            "Whether the last reading of the source went well and none hangs.";
        COLLECTOR_DURATION: Gauge = "ollama_proxy_collector_duration_seconds" ["collector"]
            "How long the last reading of the source took, or how long one has been hanging.";
        COLLECTOR_LAST_SUCCESS: Gauge = "ollama_proxy_collector_last_success_timestamp_seconds" ["collector"]
            "When a reading of the source last went well.";
        HELPER_UP: Gauge = "ollama_proxy_helper_up" []
            "Whether the privileged helper answers with facts that are not stale.";
    }
}

families! {
    /// Facts that every maker's GPUs have.
    pub(super) static GPUS = ["gpu", "gpu_uuid", "gpu_name", "node"] {
        GPU_UTILIZATION_RATIO: Gauge = "ollama_proxy_gpu_utilization_ratio" []
            "Share of time in which the GPU was busy, 0 to 1.";
        GPU_POWER_WATTS: Gauge = "ollama_proxy_gpu_power_watts" [] "What the GPU draws, in watts.";
        GPU_ENERGY_JOULES: Counter = "ollama_proxy_gpu_energy_joules_total" [] "Energy that the GPU took.";
        GPU_TEMPERATURE: Gauge = "ollama_proxy_gpu_temperature_celsius" [] "Temperature of the GPU's chip.";
        GPU_MEMORY_USED: Gauge = "ollama_proxy_gpu_memory_used_bytes" [] "Memory of the GPU in use.";
        GPU_MEMORY_TOTAL: Gauge = "ollama_proxy_gpu_memory_total_bytes" [] "All memory of the GPU.";
    }
}

/// Returns the snapshot at an instant, without waiting.
type TakeSnapshot = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// All families of the machine.
#[derive(Clone)]
pub struct HostMetrics {
    take: TakeSnapshot,
    clock: Clock,
    descs: Vec<Desc>,
}

impl HostMetrics {
    /// Registers the families. `take` is called once a scrape and must not block.
    pub fn register(registry: &Registry, clock: Clock, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let descs = MACHINE.iter().chain(GPUS).map(|spec| spec.desc()).collect();
        let metrics = Self { take: Arc::new(take), clock, descs };
        registry.register(Box::new(metrics)).expect("every name is registered once");
    }
}

impl Collector for HostMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let snapshot = (self.take)(Instant::now());
        let mut batch = Batch::default();
        processors(&mut batch, &snapshot);
        memory(&mut batch, &snapshot);
        power(&mut batch, &snapshot);
        gpus(&mut batch, &snapshot);
        if let Some(pressure) = snapshot.pressure.as_deref() {
            stalls(&mut batch, pressure);
        }
        if let Some(found) = snapshot.disks.as_deref() {
            disks(&mut batch, found);
        }
        devices(&mut batch, &snapshot);
        processes(&mut batch, &snapshot);
        collectors(&mut batch, &snapshot.collectors, &self.clock);
        batch.add(&HELPER_UP, &[], snapshot.helper_up.map(|up| f64::from(u8::from(up))));
        batch.into_families()
    }
}

fn processors(batch: &mut Batch, snapshot: &HostSnapshot) {
    let Some(cpu) = snapshot.cpu.as_deref() else { return };
    batch.add(&CPU_USAGE_PERCENT, &[], cpu.utilization.map(|ratio| ratio * 100.0));
    batch.add(&CPU_UTILIZATION_RATIO, &[], cpu.utilization);
    batch.add(&CPU_PROCESSORS, &[], cpu.processors.map(f64::from));
    for (index, window) in ["1m", "5m", "15m"].into_iter().enumerate() {
        batch.add(&LOAD_AVERAGE, &[window], cpu.load.map(|load| load[index]));
    }
}

fn memory(batch: &mut Batch, snapshot: &HostSnapshot) {
    if let Some(memory) = snapshot.memory.as_deref() {
        batch.add(&MEMORY_USAGE_BYTES, &[], memory.used_bytes().map(as_f64));
        batch.add(&MEMORY_TOTAL_BYTES, &[], memory.total_bytes.map(as_f64));
        batch.add(&SWAP_USED_BYTES, &[], memory.swap_used_bytes.map(as_f64));
        batch.add(&SWAP_TOTAL_BYTES, &[], memory.swap_total_bytes.map(as_f64));
    }
    let own = snapshot.pressure.as_deref().and_then(|it| Some(it.memory.as_ref()?.some.of_ten_seconds));
    let pressure = own.or_else(|| snapshot.helper.as_ref()?.reading.memory_pressure);
    batch.add(&MEMORY_PRESSURE_PERCENT, &[], pressure.map(|ratio| ratio * 100.0));
    batch.add(&MEMORY_PRESSURE_RATIO, &[], pressure);
}

/// What only the helper reads, and the processor's temperature, which the helper provides where the system does not.
fn power(batch: &mut Batch, snapshot: &HostSnapshot) {
    let helper = snapshot.helper.as_ref().map(|part| &part.reading);
    let watts = helper.and_then(|reading| reading.cpu_power_watts);
    batch.add(&CPU_POWER_MILLIWATTS, &[], watts.map(|watts| watts * 1000.0));
    batch.add(&CPU_POWER_WATTS, &[], watts);
    batch.add(&CPU_ENERGY_JOULES, &[], helper.and_then(|reading| reading.cpu_energy_joules));
    batch.add(&CPU_TEMPERATURE, &[], snapshot.cpu_celsius());
    if let Some(level) = helper.and_then(|reading| reading.thermal_pressure) {
        for each in ThermalPressure::ALL {
            batch.add(&THERMAL_PRESSURE, &[each.as_str()], Some(f64::from(u8::from(each == level))));
        }
    }
}

fn gpus(batch: &mut Batch, snapshot: &HostSnapshot) {
    let gpus = snapshot.gpus();
    let utilization = sum(&gpus, |gpu| gpu.utilization).map(|sum| sum / gpus.len() as f64);
    batch.add(&GPU_ACTIVE_RESIDENCY_PERCENT, &[], utilization.map(|ratio| ratio * 100.0));
    let watts = sum(&gpus, |gpu| gpu.power_watts);
    batch.add(&GPU_POWER_MILLIWATTS, &[], watts.map(|watts| watts * 1000.0));
    for gpu in &gpus {
        let labels = [&*gpu.index, &*gpu.uuid, &*gpu.name, &*snapshot.node];
        batch.add(&GPU_UTILIZATION_RATIO, &labels, gpu.utilization);
        batch.add(&GPU_POWER_WATTS, &labels, gpu.power_watts);
        batch.add(&GPU_ENERGY_JOULES, &labels, gpu.energy_joules);
        batch.add(&GPU_TEMPERATURE, &labels, gpu.temperature_celsius);
        batch.add(&GPU_MEMORY_USED, &labels, gpu.memory_used_bytes.map(as_f64));
        batch.add(&GPU_MEMORY_TOTAL, &labels, gpu.memory_total_bytes.map(as_f64));
    }
}

/// The sum over all GPUs; unknown where it is unknown of one of them, or where there is none.
fn sum(gpus: &[Gpu], value: impl Fn(&Gpu) -> Option<f64>) -> Option<f64> {
    if gpus.is_empty() { None } else { gpus.iter().map(value).sum() }
}

fn stalls(batch: &mut Batch, pressure: &Pressure) {
    for (resource, stall) in [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("io", &pressure.io)] {
        let Some(ResourceStall { some, full }) = stall else { continue };
        batch.add(&PRESSURE_STALLED, &[resource, "some"], Some(some.total.as_secs_f64()));
        batch.add(&PRESSURE_STALLED, &[resource, "full"], full.as_ref().map(|full| full.total.as_secs_f64()));
    }
}

fn disks(batch: &mut Batch, disks: &Disks) {
    batch.add(&DISK_READ_RATE, &[], disks.rates.map(|rates| rates.read_bytes));
    batch.add(&DISK_WRITE_RATE, &[], disks.rates.map(|rates| rates.written_bytes));
    batch.add(&DISK_IOPS, &[], disks.rates.and_then(|rates| rates.operations));
    for disk in &disks.devices {
        let device = disk.device.as_str();
        batch.add(&DISK_READ_BYTES, &[device], Some(as_f64(disk.read_bytes)));
        batch.add(&DISK_WRITTEN_BYTES, &[device], Some(as_f64(disk.written_bytes)));
        batch.add(&DISK_OPERATIONS, &[device, "read"], disk.operations.map(|it| as_f64(it.reads)));
        batch.add(&DISK_OPERATIONS, &[device, "write"], disk.operations.map(|it| as_f64(it.writes)));
    }
}

/// Filesystems, networks and sensors: a series for each one found.
fn devices(batch: &mut Batch, snapshot: &HostSnapshot) {
    for it in snapshot.filesystems.iter().flat_map(|all| all.iter()) {
        let labels = [&*it.device, &*it.mountpoint, &*it.kind];
        batch.add(&FILESYSTEM_SIZE, &labels, Some(as_f64(it.size_bytes)));
        batch.add(&FILESYSTEM_AVAILABLE, &labels, Some(as_f64(it.available_bytes)));
    }
    for it in snapshot.networks.iter().flat_map(|all| all.iter()) {
        batch.add(&NETWORK_RECEIVED, &[&it.interface], Some(as_f64(it.received_bytes)));
        batch.add(&NETWORK_TRANSMITTED, &[&it.interface], Some(as_f64(it.transmitted_bytes)));
    }
    for it in snapshot.temperatures.iter().flat_map(|all| &all.sensors) {
        batch.add(&TEMPERATURE, &[&it.chip, &it.device, &it.sensor], Some(it.celsius));
    }
}

fn processes(batch: &mut Batch, snapshot: &HostSnapshot) {
    for (role, used) in snapshot.processes.iter().flat_map(|all| &all.roles) {
        let role = role.as_str();
        batch.add(&INFERENCE_PROCESSES, &[role], Some(f64::from(used.count)));
        batch.add(&INFERENCE_PROCESS_MEMORY, &[role], Some(as_f64(used.memory_bytes)));
        batch.add(&INFERENCE_PROCESS_CPU, &[role], Some(used.cpu_seconds));
    }
}

fn collectors(batch: &mut Batch, all: &[CollectorHealth], clock: &Clock) {
    for it in all {
        let name = [it.name];
        batch.add(&COLLECTOR_SUCCESS, &name, it.success.map(|well| f64::from(u8::from(well))));
        batch.add(&COLLECTOR_DURATION, &name, it.duration.map(|took| took.as_secs_f64()));
        let last = it.last_success.map(|at| seconds_since_epoch(clock.wall(at)));
        batch.add(&COLLECTOR_LAST_SUCCESS, &name, last);
    }
}

fn seconds_since_epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Bytes and counts are exact up to 2^53.
fn as_f64(count: u64) -> f64 {
    count as f64
}
