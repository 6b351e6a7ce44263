//! The machine underneath, as numbers: made from the last snapshot at each scrape.
//!
//! Promises: what a snapshot does not know has no series, so nothing stale is shown and nothing unknown is a zero;
//! a name that breaks the conventions (percent, milliwatts) and its conventional twin come from the same value; two
//! devices that call themselves the same cost one of them, never the scrape. Left out: names of GPUs' makers.

pub(super) mod exposition;
mod names;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::clock::Clock;
use crate::host::HostSnapshot;
use crate::host::collector::Health;
use crate::host::disks::Disks;
use crate::host::gpu::Gpu;
use crate::host::helper::ThermalPressure;
use crate::host::pressure::{Pressure, Stall};
use exposition::Batch;

/// Takes the snapshot of an instant.
type Take = Arc<dyn Fn(Instant) -> HostSnapshot + Send + Sync>;

/// All families of the machine.
#[derive(Clone)]
pub struct HostMetrics {
    take: Take,
    clock: Clock,
    descs: Vec<Desc>,
}

impl HostMetrics {
    /// Makes the families known to a registry. `take` is asked once a scrape and must not wait.
    pub fn register(registry: &Registry, clock: Clock, take: impl Fn(Instant) -> HostSnapshot + Send + Sync + 'static) {
        let descs = names::ALL.iter().map(|name| name.desc()).collect();
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
        places(&mut batch, &snapshot);
        processes(&mut batch, &snapshot);
        collectors(&mut batch, &snapshot.collectors, &self.clock);
        batch.add(&names::HELPER_UP, &[], snapshot.helper_up.map(|up| f64::from(u8::from(up))));
        batch.into_families()
    }
}

fn processors(batch: &mut Batch, snapshot: &HostSnapshot) {
    let Some(cpu) = snapshot.cpu.as_deref() else { return };
    batch.add(&names::CPU_USAGE_PERCENT, &[], cpu.utilization.map(|ratio| ratio * 100.0));
    batch.add(&names::CPU_UTILIZATION_RATIO, &[], cpu.utilization);
    batch.add(&names::CPU_PROCESSORS, &[], cpu.processors.map(f64::from));
    for (index, window) in ["1m", "5m", "15m"].into_iter().enumerate() {
        batch.add(&names::LOAD_AVERAGE, &[window], cpu.load.map(|load| load[index]));
    }
}

fn memory(batch: &mut Batch, snapshot: &HostSnapshot) {
    if let Some(memory) = snapshot.memory.as_deref() {
        batch.add(&names::MEMORY_USAGE_BYTES, &[], memory.used_bytes().map(as_f64));
        batch.add(&names::MEMORY_TOTAL_BYTES, &[], memory.total_bytes.map(as_f64));
        batch.add(&names::SWAP_USED_BYTES, &[], memory.swap_used_bytes.map(as_f64));
        batch.add(&names::SWAP_TOTAL_BYTES, &[], memory.swap_total_bytes.map(as_f64));
    }
    let own = snapshot.pressure.as_deref().and_then(|it| Some(it.memory.as_ref()?.some.of_ten_seconds));
    let pressure = own.or_else(|| snapshot.helper.as_ref()?.reading.memory_pressure);
    batch.add(&names::MEMORY_PRESSURE_PERCENT, &[], pressure.map(|ratio| ratio * 100.0));
    batch.add(&names::MEMORY_PRESSURE_RATIO, &[], pressure);
}

/// What only the helper knows, and the temperature, which it may know alone.
fn power(batch: &mut Batch, snapshot: &HostSnapshot) {
    let helper = snapshot.helper.as_ref().map(|part| &part.reading);
    let watts = helper.and_then(|reading| reading.cpu_power_watts);
    batch.add(&names::CPU_POWER_MILLIWATTS, &[], watts.map(|watts| watts * 1000.0));
    batch.add(&names::CPU_POWER_WATTS, &[], watts);
    batch.add(&names::CPU_ENERGY_JOULES, &[], helper.and_then(|reading| reading.cpu_energy_joules));
    let own = snapshot.temperatures.as_ref().and_then(|it| it.cpu_celsius);
    batch.add(&names::CPU_TEMPERATURE, &[], own.or_else(|| helper?.cpu_celsius));
    if let Some(level) = helper.and_then(|reading| reading.thermal_pressure) {
        for each in ThermalPressure::ALL {
            batch.add(&names::THERMAL_PRESSURE, &[each.as_str()], Some(f64::from(u8::from(each == level))));
        }
    }
}

fn gpus(batch: &mut Batch, snapshot: &HostSnapshot) {
    let gpus = snapshot.gpus();
    let utilization = all(&gpus, |gpu| gpu.utilization).map(|sum| sum / gpus.len() as f64);
    batch.add(&names::GPU_ACTIVE_RESIDENCY_PERCENT, &[], utilization.map(|ratio| ratio * 100.0));
    let watts = all(&gpus, |gpu| gpu.power_watts);
    batch.add(&names::GPU_POWER_MILLIWATTS, &[], watts.map(|watts| watts * 1000.0));
    for gpu in &gpus {
        let labels = [&*gpu.index, &*gpu.uuid, &*gpu.name, &*snapshot.node];
        batch.add(&names::GPU_UTILIZATION_RATIO, &labels, gpu.utilization);
        batch.add(&names::GPU_POWER_WATTS, &labels, gpu.power_watts);
        batch.add(&names::GPU_ENERGY_JOULES, &labels, gpu.energy_joules);
        batch.add(&names::GPU_TEMPERATURE, &labels, gpu.temperature_celsius);
        batch.add(&names::GPU_MEMORY_USED, &labels, gpu.memory_used_bytes.map(as_f64));
        batch.add(&names::GPU_MEMORY_TOTAL, &labels, gpu.memory_total_bytes.map(as_f64));
    }
}

/// The sum over all GPUs; unknown where one of them is, and where there is none.
fn all(gpus: &[Gpu], value: impl Fn(&Gpu) -> Option<f64>) -> Option<f64> {
    if gpus.is_empty() { None } else { gpus.iter().map(value).sum() }
}

fn stalls(batch: &mut Batch, pressure: &Pressure) {
    for (resource, stall) in [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("io", &pressure.io)] {
        let Some(Stall { some, full }) = stall else { continue };
        batch.add(&names::PRESSURE_STALLED, &[resource, "some"], Some(some.total.as_secs_f64()));
        batch.add(&names::PRESSURE_STALLED, &[resource, "full"], full.as_ref().map(|full| full.total.as_secs_f64()));
    }
}

fn disks(batch: &mut Batch, disks: &Disks) {
    batch.add(&names::DISK_READ_RATE, &[], disks.rates.map(|rates| rates.read_bytes));
    batch.add(&names::DISK_WRITE_RATE, &[], disks.rates.map(|rates| rates.written_bytes));
    batch.add(&names::DISK_IOPS, &[], disks.rates.and_then(|rates| rates.operations));
    for disk in &disks.devices {
        let device = disk.device.as_str();
        batch.add(&names::DISK_READ_BYTES, &[device], Some(as_f64(disk.read_bytes)));
        batch.add(&names::DISK_WRITTEN_BYTES, &[device], Some(as_f64(disk.written_bytes)));
        batch.add(&names::DISK_OPERATIONS, &[device, "read"], disk.operations.map(|it| as_f64(it.reads)));
        batch.add(&names::DISK_OPERATIONS, &[device, "write"], disk.operations.map(|it| as_f64(it.writes)));
    }
}

/// Filesystems, networks and sensors: one series each for whatever is there.
fn places(batch: &mut Batch, snapshot: &HostSnapshot) {
    for it in snapshot.filesystems.iter().flat_map(|all| all.iter()) {
        let labels = [&*it.device, &*it.mountpoint, &*it.kind];
        batch.add(&names::FILESYSTEM_SIZE, &labels, Some(as_f64(it.size_bytes)));
        batch.add(&names::FILESYSTEM_AVAILABLE, &labels, Some(as_f64(it.available_bytes)));
    }
    for it in snapshot.networks.iter().flat_map(|all| all.iter()) {
        batch.add(&names::NETWORK_RECEIVED, &[&it.interface], Some(as_f64(it.received_bytes)));
        batch.add(&names::NETWORK_TRANSMITTED, &[&it.interface], Some(as_f64(it.transmitted_bytes)));
    }
    for it in snapshot.temperatures.iter().flat_map(|all| &all.sensors) {
        batch.add(&names::TEMPERATURE, &[&it.chip, &it.device, &it.sensor], Some(it.celsius));
    }
}

fn processes(batch: &mut Batch, snapshot: &HostSnapshot) {
    for (role, used) in snapshot.processes.iter().flat_map(|all| &all.roles) {
        let role = role.as_str();
        batch.add(&names::INFERENCE_PROCESSES, &[role], Some(f64::from(used.count)));
        batch.add(&names::INFERENCE_PROCESS_MEMORY, &[role], Some(as_f64(used.memory_bytes)));
        batch.add(&names::INFERENCE_PROCESS_CPU, &[role], Some(used.cpu_seconds));
    }
}

fn collectors(batch: &mut Batch, all: &[Health], clock: &Clock) {
    for it in all {
        let name = [it.name];
        batch.add(&names::COLLECTOR_SUCCESS, &name, it.success.map(|well| f64::from(u8::from(well))));
        batch.add(&names::COLLECTOR_DURATION, &name, it.duration.map(|took| took.as_secs_f64()));
        let last = it.last_success.map(|at| seconds_since_1970(clock.wall(at)));
        batch.add(&names::COLLECTOR_LAST_SUCCESS, &name, last);
    }
}

fn seconds_since_1970(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Bytes and counts are exact up to 2^53.
fn as_f64(count: u64) -> f64 {
    count as f64
}
