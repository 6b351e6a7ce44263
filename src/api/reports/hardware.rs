//! What reports show of this machine's hardware.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::endpoints::machine::{GIB, fullness, gpu_usage, part, percent, together};
use crate::api::peers::{PeerGpu, PeerHardware};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::host::HostSnapshot;
use crate::host::gpu::Gpu;

/// The hardware of a machine. Of another one nothing is known but what it says itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeHardware)]
pub(super) struct Hardware {
    cpu_model: Maybe<String>,
    cpu_cores: Maybe<u32>,
    /// Percent.
    cpu_usage: Maybe<f64>,
    /// GiB.
    ram_total: Maybe<f64>,
    /// GiB.
    ram_usage: Maybe<f64>,
    /// GiB, of all local filesystems.
    disk_total: Maybe<f64>,
    /// GiB.
    disk_usage: Maybe<f64>,
    gpus: Maybe<Vec<GpuFacts>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeGpu)]
pub(super) struct GpuFacts {
    device_id: String,
    model: String,
    /// GiB.
    memory_total: Maybe<f64>,
    /// GiB.
    memory_free: Maybe<f64>,
    /// Percent.
    utilization: Maybe<f64>,
    /// Degrees Celsius.
    temperature: Maybe<f64>,
}

/// Percentages of a machine.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NodeUtilization)]
pub(super) struct Utilization {
    pub(super) cpu_utilization: Maybe<f64>,
    pub(super) ram_utilization: Maybe<f64>,
    pub(super) gpu_utilization: Maybe<f64>,
    pub(super) disk_utilization: Maybe<f64>,
}

impl Hardware {
    pub(super) fn of(machine: Option<&HostSnapshot>, processor: Option<&str>) -> Self {
        let cpu = part(machine, "cpu", |machine| &machine.cpu);
        let memory = part(machine, "memory", |machine| &machine.memory);
        let disks = part(machine, "filesystems", |machine| &machine.filesystems);
        let disk = disks.and_then(|all| together(all).or_unknown(Reason::NotReported));
        let gib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported);
        let gpus = machine.map(|machine| machine.gpus().iter().map(gpu).collect());
        Self {
            cpu_model: processor.map(str::to_owned).or_unknown(Reason::NotReported),
            cpu_cores: cpu.and_then(|cpu| cpu.processors.or_unknown(Reason::NotReported)),
            cpu_usage: cpu_usage(machine),
            ram_total: memory.and_then(|memory| gib(memory.total_bytes)),
            ram_usage: memory.and_then(|memory| gib(memory.used_bytes())),
            disk_total: disk.as_ref().map(|disk| disk.size_bytes as f64 / GIB),
            disk_usage: disk.as_ref().map(|disk| disk.used_bytes() as f64 / GIB),
            gpus: gpus.or_unknown(Reason::NotConfigured),
        }
    }

    /// The hardware of another machine, from the answer of a peer or of Prometheus.
    pub(super) fn told(it: &PeerHardware) -> Self {
        fn told<T>(value: Option<T>) -> Maybe<T> {
            value.or_unknown(Reason::NotReported)
        }
        let gpu = |gpu: &PeerGpu| GpuFacts {
            device_id: gpu.device_id.clone(),
            model: gpu.model.clone(),
            memory_total: told(gpu.memory_total),
            memory_free: told(gpu.memory_free),
            utilization: told(gpu.utilization),
            temperature: told(gpu.temperature),
        };
        Self {
            cpu_model: told(it.cpu_model.clone()),
            cpu_cores: told(it.cpu_cores),
            cpu_usage: told(it.cpu_usage),
            ram_total: told(it.ram_total),
            ram_usage: told(it.ram_usage),
            disk_total: told(it.disk_total),
            disk_usage: told(it.disk_usage),
            gpus: told(it.gpus.as_ref().map(|gpus| gpus.iter().map(gpu).collect())),
        }
    }

    /// Of another machine, of which this is why nothing is known.
    pub(super) const fn elsewhere(far: Reason) -> Self {
        Self {
            cpu_model: Maybe::Unknown(far),
            cpu_cores: Maybe::Unknown(far),
            cpu_usage: Maybe::Unknown(far),
            ram_total: Maybe::Unknown(far),
            ram_usage: Maybe::Unknown(far),
            disk_total: Maybe::Unknown(far),
            disk_usage: Maybe::Unknown(far),
            gpus: Maybe::Unknown(far),
        }
    }
}

impl Utilization {
    pub(super) fn of(machine: Option<&HostSnapshot>) -> Self {
        let memory = part(machine, "memory", |machine| &machine.memory);
        let disks = part(machine, "filesystems", |machine| &machine.filesystems);
        let used = |memory: &crate::host::memory::Memory| percent(memory.used_bytes()?, memory.total_bytes?);
        Self {
            cpu_utilization: cpu_usage(machine),
            ram_utilization: memory.and_then(|memory| used(memory).or_unknown(Reason::NotReported)),
            gpu_utilization: gpu_usage(machine),
            disk_utilization: disks
                .and_then(|all| together(all).as_ref().and_then(fullness).or_unknown(Reason::NotReported)),
        }
    }
}

fn cpu_usage(machine: Option<&HostSnapshot>) -> Maybe<f64> {
    let cpu = part(machine, "cpu", |machine| &machine.cpu);
    cpu.and_then(|cpu| cpu.utilization.or_unknown(Reason::NotYet)).map(|share| share * 100.0)
}

fn gpu(gpu: &Gpu) -> GpuFacts {
    let gib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported);
    let free = gpu.memory_total_bytes.zip(gpu.memory_used_bytes).map(|(total, used)| total.saturating_sub(used));
    GpuFacts {
        device_id: format!("GPU-{}", gpu.index),
        model: gpu.name.clone(),
        memory_total: gib(gpu.memory_total_bytes),
        memory_free: gib(free),
        utilization: gpu.utilization.map(|share| share * 100.0).or_unknown(Reason::NotReported),
        temperature: gpu.temperature_celsius.or_unknown(Reason::NotReported),
    }
}

/// GPUs of this machine that are at work, and all of them.
pub(super) fn gpus(machine: Option<&HostSnapshot>) -> (Maybe<usize>, Maybe<usize>) {
    let Some(machine) = machine else {
        return (Maybe::Unknown(Reason::NotConfigured), Maybe::Unknown(Reason::NotConfigured));
    };
    let all = machine.gpus();
    let known = all.iter().filter(|gpu| gpu.utilization.is_some()).count();
    let busy = all.iter().filter(|gpu| gpu.utilization.is_some_and(|share| share > 0.0)).count();
    let active = (all.is_empty() || known > 0).then_some(busy);
    (active.or_unknown(Reason::NotReported), Maybe::Known(all.len()))
}
