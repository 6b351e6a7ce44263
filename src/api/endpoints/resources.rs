//! `/dashboard/resources`: the processors, memory, disks, networks and GPUs of this machine.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::control_groups::{ControlGroup, control_groups};
use super::machine::{GIB, MIB, fullness, part, percent, processor_power};
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::host::HostSnapshot;
use crate::host::collector::CollectorHealth;
use crate::host::filesystems::Filesystem;
use crate::host::gpu::Gpu;
use crate::host::networks::Network;

/// The processors, memory, disks, networks and GPUs of this machine.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resources {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// The machine's name.
    node: Maybe<String>,
    cpu: Processors,
    memory: MemoryUse,
    disk: DiskUse,
    network: NetworkUse,
    gpu: GpuUse,
    /// Those that inference processes of this machine run in, each once, by path.
    control_groups: Maybe<Vec<ControlGroup>>,
    /// What all of this is read from. The privileged helper is among them where it is configured.
    sources: Maybe<Vec<Source>>,
    unknown: Unknown,
}

/// What a part of the machine is read from.
#[derive(Serialize, ToSchema)]
#[schema(as = MachineSource)]
struct Source {
    /// As `collector` of `ollama_proxy_collector_success`, such as `cpu`, `nvidia` or `helper`.
    name: &'static str,
    /// Whether the last reading succeeded: also where the machine has nothing of the kind.
    success: Maybe<bool>,
    /// When a reading last succeeded: RFC 3339 in UTC.
    last_success: Maybe<String>,
}

#[derive(Serialize, ToSchema)]
struct Processors {
    /// Share of all processors' time that was not idle since the previous reading, 0 to 100.
    usage_percent: Maybe<f64>,
    /// Tasks that run or wait to run, averaged over 1, 5 and 15 minutes.
    load_average: Maybe<Vec<f64>>,
    /// Processors that are online.
    cores: Maybe<u32>,
    /// Mean clock of the processors.
    frequency_mhz: Maybe<f64>,
    /// As `usage_percent`, of each.
    per_core_usage: Maybe<Vec<f64>>,
    /// Of all processors; only the privileged helper can read it.
    power_usage_watts: Maybe<f64>,
    /// Of the hottest.
    temperature_celsius: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct MemoryUse {
    total_gb: Maybe<f64>,
    /// All but what a new program could get without swapping.
    used_gb: Maybe<f64>,
    available_gb: Maybe<f64>,
    usage_percent: Maybe<f64>,
    swap_total_gb: Maybe<f64>,
    swap_used_gb: Maybe<f64>,
    buffers_gb: Maybe<f64>,
    cached_gb: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct DiskUse {
    /// Filesystems on local disks.
    filesystems: Maybe<Vec<Mount>>,
    io_stats: DiskTraffic,
}

#[derive(Serialize, ToSchema)]
struct Mount {
    mount: String,
    total_gb: f64,
    /// All but what unprivileged programs can still use.
    used_gb: f64,
    available_gb: f64,
    usage_percent: Maybe<f64>,
}

/// All disks together since the previous reading.
#[derive(Serialize, ToSchema)]
struct DiskTraffic {
    reads_per_second: Maybe<f64>,
    writes_per_second: Maybe<f64>,
    read_mb_per_second: Maybe<f64>,
    write_mb_per_second: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct NetworkUse {
    /// Those that have carried something, without loopback and containers' own.
    interfaces: Maybe<Vec<Interface>>,
    connections: Connections,
}

/// Since the interface came up.
#[derive(Serialize, ToSchema)]
struct Interface {
    name: String,
    bytes_sent: u64,
    bytes_received: u64,
    packets_sent: Maybe<u64>,
    packets_received: Maybe<u64>,
    /// Of both directions.
    errors: Maybe<u64>,
}

/// TCP sockets of the machine.
#[derive(Serialize, ToSchema)]
struct Connections {
    active: Maybe<u64>,
    time_wait: Maybe<u64>,
    listening: Maybe<u64>,
}

#[derive(Serialize, ToSchema)]
struct GpuUse {
    devices: Vec<GpuDevice>,
}

#[derive(Serialize, ToSchema)]
struct GpuDevice {
    /// From 0, in the order of the list.
    id: usize,
    name: Maybe<String>,
    memory_total_mb: Maybe<f64>,
    memory_used_mb: Maybe<f64>,
    memory_free_mb: Maybe<f64>,
    utilization_percent: Maybe<f64>,
    temperature_celsius: Maybe<f64>,
    power_usage_watts: Maybe<f64>,
    /// Relative to its maximum; above 100 for some fans.
    fan_speed_percent: Maybe<f64>,
}

/// The processors, memory, disks, networks and GPUs of this machine.
#[utoipa::path(
    get,
    path = "/dashboard/resources",
    params(NoParameters),
    responses((status = 200, description = "The machine.", body = Resources), ApiError)
)]
pub(crate) async fn resources(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Resources> {
    let now = Instant::now();
    let machine = parts.machine(now);
    let machine = machine.as_ref();
    let gpus = machine.map(HostSnapshot::gpus).unwrap_or_default();
    let body = Resources {
        timestamp: parts.text(now),
        node: machine.map(|machine| machine.node.to_string()).or_unknown(Reason::NotConfigured),
        cpu: processors(machine),
        memory: memory(machine),
        disk: disk(machine),
        network: network(machine),
        gpu: GpuUse { devices: gpus.iter().enumerate().map(|(id, gpu)| device(id, gpu)).collect() },
        control_groups: control_groups(machine),
        sources: machine.map(|machine| sources(&parts, machine)).or_unknown(Reason::NotConfigured),
        unknown: Unknown::default(),
    };
    Reply::of(&body, OVERVIEW)
}

fn sources(parts: &Parts, machine: &HostSnapshot) -> Vec<Source> {
    let source = |it: &CollectorHealth| Source {
        name: it.name,
        success: it.success.or_unknown(Reason::NotYet),
        last_success: it.last_success.map(|at| parts.text(at)).or_unknown(Reason::NotYet),
    };
    machine.collectors.iter().map(source).collect()
}

fn processors(machine: Option<&HostSnapshot>) -> Processors {
    let cpu = part(machine, "cpu", |machine| &machine.cpu);
    let shares = |cpu: &crate::host::cpu::Cpu| -> Option<Vec<f64>> {
        let shares: Option<Vec<f64>> = cpu.per_processor.iter().map(|share| share.map(|share| share * 100.0)).collect();
        shares.filter(|shares| !shares.is_empty())
    };
    Processors {
        usage_percent: cpu.and_then(|cpu| cpu.utilization.or_unknown(Reason::NotYet)).map(|share| share * 100.0),
        load_average: cpu.and_then(|cpu| cpu.load.map(Vec::from).or_unknown(Reason::NotReported)),
        cores: cpu.and_then(|cpu| cpu.processors.or_unknown(Reason::NotReported)),
        frequency_mhz: cpu.and_then(|cpu| cpu.megahertz.or_unknown(Reason::NotReported)),
        per_core_usage: cpu.and_then(|cpu| shares(cpu).or_unknown(Reason::NotYet)),
        power_usage_watts: processor_power(machine),
        temperature_celsius: machine
            .and_then(HostSnapshot::cpu_celsius)
            .or_unknown(machine.map_or(Reason::NotConfigured, |_| Reason::NotReported)),
    }
}

fn memory(machine: Option<&HostSnapshot>) -> MemoryUse {
    let memory = part(machine, "memory", |machine| &machine.memory);
    let gib = |of: fn(&crate::host::memory::Memory) -> Option<u64>| {
        memory.and_then(|memory| of(memory).or_unknown(Reason::NotReported)).map(|bytes| bytes as f64 / GIB)
    };
    let share = |memory: &crate::host::memory::Memory| percent(memory.used_bytes()?, memory.total_bytes?);
    MemoryUse {
        total_gb: gib(|memory| memory.total_bytes),
        used_gb: gib(|memory| memory.used_bytes()),
        available_gb: gib(|memory| memory.available_bytes),
        usage_percent: memory.and_then(|memory| share(memory).or_unknown(Reason::NotReported)),
        swap_total_gb: gib(|memory| memory.swap_total_bytes),
        swap_used_gb: gib(|memory| memory.swap_used_bytes),
        buffers_gb: gib(|memory| memory.buffers_bytes),
        cached_gb: gib(|memory| memory.cached_bytes),
    }
}

fn disk(machine: Option<&HostSnapshot>) -> DiskUse {
    let rates =
        part(machine, "disks", |machine| &machine.disks).and_then(|disks| disks.rates.or_unknown(Reason::NotYet));
    DiskUse {
        filesystems: part(machine, "filesystems", |machine| &machine.filesystems)
            .map(|all| all.iter().map(mount).collect()),
        io_stats: DiskTraffic {
            reads_per_second: rates.and_then(|rates| rates.reads.or_unknown(Reason::NotReported)),
            writes_per_second: rates.and_then(|rates| rates.writes.or_unknown(Reason::NotReported)),
            read_mb_per_second: rates.map(|rates| rates.read_bytes / MIB),
            write_mb_per_second: rates.map(|rates| rates.written_bytes / MIB),
        },
    }
}

fn mount(filesystem: &Filesystem) -> Mount {
    Mount {
        mount: filesystem.mountpoint.clone(),
        total_gb: filesystem.size_bytes as f64 / GIB,
        used_gb: filesystem.used_bytes() as f64 / GIB,
        available_gb: filesystem.available_bytes as f64 / GIB,
        usage_percent: fullness(filesystem).or_unknown(Reason::NotReported),
    }
}

fn network(machine: Option<&HostSnapshot>) -> NetworkUse {
    let interface = |network: &Network| Interface {
        name: network.interface.clone(),
        bytes_sent: network.transmitted_bytes,
        bytes_received: network.received_bytes,
        packets_sent: network.transmitted_packets.or_unknown(Reason::NotReported),
        packets_received: network.received_packets.or_unknown(Reason::NotReported),
        errors: network.errors.or_unknown(Reason::NotReported),
    };
    let sockets = part(machine, "sockets", |machine| &machine.sockets);
    NetworkUse {
        interfaces: part(machine, "networks", |machine| &machine.networks)
            .map(|all| all.iter().map(interface).collect()),
        connections: Connections {
            active: sockets.and_then(|sockets| sockets.active.or_unknown(Reason::NotReported)),
            time_wait: sockets.and_then(|sockets| sockets.time_wait.or_unknown(Reason::NotReported)),
            listening: sockets.and_then(|sockets| sockets.listening.or_unknown(Reason::NotReported)),
        },
    }
}

fn device(id: usize, gpu: &Gpu) -> GpuDevice {
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / MIB).or_unknown(Reason::NotReported);
    let (used, total) = (gpu.memory_used_bytes, gpu.memory_total_bytes);
    GpuDevice {
        id,
        name: Some(gpu.name.clone()).filter(|name| !name.is_empty()).or_unknown(Reason::NotReported),
        memory_total_mb: mib(total),
        memory_used_mb: mib(used),
        memory_free_mb: mib(total.zip(used).and_then(|(total, used)| total.checked_sub(used))),
        utilization_percent: gpu.utilization.map(|share| share * 100.0).or_unknown(Reason::NotReported),
        temperature_celsius: gpu.temperature_celsius.or_unknown(Reason::NotReported),
        power_usage_watts: gpu.power_watts.or_unknown(Reason::NotReported),
        fan_speed_percent: gpu.fan.map(|share| share * 100.0).or_unknown(Reason::NotReported),
    }
}
