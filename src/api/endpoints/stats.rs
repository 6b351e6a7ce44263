//! `/dashboard/stats`: the machine, its GPUs, and what was answered.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::machine::{GIB, MIB, fullness, part, percent, together};
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::host::HostSnapshot;
use crate::host::gpu::Gpu;
use crate::host::networks::Network;

/// The machine, its GPUs, and what was answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stats {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// Since the program's start.
    uptime_seconds: u64,
    system: System,
    gpu: Gpus,
    inference: Inference,
    unknown: Unknown,
}

/// The machine that the program runs on.
#[derive(Serialize, ToSchema)]
struct System {
    /// Share of all processors' time that was not idle since the previous reading, 0 to 100.
    cpu_usage_percent: Maybe<f64>,
    /// 0 to 100.
    memory_usage_percent: Maybe<f64>,
    /// Memory in use, in GiB: all but what a new program could get without swapping.
    memory_used_gb: Maybe<f64>,
    /// Memory in GiB.
    memory_total_gb: Maybe<f64>,
    /// Of all local filesystems together, 0 to 100.
    disk_usage_percent: Maybe<f64>,
    /// Of all local filesystems together, in GiB.
    disk_used_gb: Maybe<f64>,
    /// Of all local filesystems together, in GiB.
    disk_total_gb: Maybe<f64>,
    /// Tasks that run or wait to run, averaged over 1, 5 and 15 minutes.
    load_average: Maybe<Vec<f64>>,
    network_io: NetworkIo,
}

/// All network interfaces together since they came up, without loopback and containers' own.
#[derive(Serialize, ToSchema)]
struct NetworkIo {
    bytes_sent: Maybe<u64>,
    bytes_received: Maybe<u64>,
    packets_sent: Maybe<u64>,
    packets_received: Maybe<u64>,
}

/// The GPUs of all vendors.
#[derive(Serialize, ToSchema)]
struct Gpus {
    /// Whether there is one.
    available: bool,
    count: usize,
    devices: Vec<Device>,
}

/// One GPU.
#[derive(Serialize, ToSchema)]
struct Device {
    /// From 0, in the order of the list.
    id: usize,
    /// Its product name.
    name: Maybe<String>,
    /// Dedicated memory in use, in MiB.
    memory_used_mb: Maybe<f64>,
    /// Dedicated memory, in MiB.
    memory_total_mb: Maybe<f64>,
    /// Share of time with work, 0 to 100.
    utilization_percent: Maybe<f64>,
    /// Of the chip.
    temperature_celsius: Maybe<f64>,
    /// Power now, in watts.
    power_usage_watts: Maybe<f64>,
}

/// What was answered.
#[derive(Serialize, ToSchema)]
struct Inference {
    /// Exchanges that ended in the last 60 seconds, by second; in the program's first minute, since its start.
    requests_per_second: Maybe<f64>,
    /// Mean duration of the generations that ended in the last 60 seconds.
    average_latency_ms: Maybe<f64>,
    /// Exchanges that have begun and not ended.
    active_requests: usize,
    /// Exchanges that ended since `since`.
    total_requests: u64,
    /// Of these, the ones that failed; `/dashboard/errors` lists them.
    total_errors: u64,
    /// When the counting began: the program's start.
    since: String,
}

/// The machine, its GPUs, and what was answered.
#[utoipa::path(
    get,
    path = "/dashboard/stats",
    params(NoParameters),
    responses((status = 200, description = "The machine, its GPUs, and what was answered.", body = Stats), ApiError)
)]
pub(crate) async fn stats(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Stats> {
    Reply::of(&read(&parts, Instant::now()), OVERVIEW)
}

/// What is to be shown now.
pub(crate) fn read(parts: &Parts, now: Instant) -> Stats {
    let machine = parts.machine(now);
    let gpus = machine.as_ref().map(HostSnapshot::gpus).unwrap_or_default();
    Stats {
        timestamp: parts.text(now),
        uptime_seconds: now.saturating_duration_since(parts.clock.started()).as_secs(),
        system: system(machine.as_ref()),
        gpu: Gpus {
            available: !gpus.is_empty(),
            count: gpus.len(),
            devices: gpus.iter().enumerate().map(|(id, gpu)| device(id, gpu)).collect(),
        },
        inference: inference(parts, now),
        unknown: Unknown::default(),
    }
}

fn system(machine: Option<&HostSnapshot>) -> System {
    let cpu = part(machine, "cpu", |machine| &machine.cpu);
    let memory = part(machine, "memory", |machine| &machine.memory);
    let used = memory.and_then(|memory| memory.used_bytes().or_unknown(Reason::NotReported));
    let total = memory.and_then(|memory| memory.total_bytes.or_unknown(Reason::NotReported));
    let disk = part(machine, "filesystems", |machine| &machine.filesystems)
        .and_then(|filesystems| together(filesystems).or_unknown(Reason::NotReported));
    System {
        cpu_usage_percent: cpu.and_then(|cpu| cpu.utilization.or_unknown(Reason::NotYet)).map(|share| share * 100.0),
        memory_usage_percent: used
            .and_then(|used| total.and_then(|total| percent(used, total).or_unknown(Reason::NotReported))),
        memory_used_gb: used.map(|bytes| bytes as f64 / GIB),
        memory_total_gb: total.map(|bytes| bytes as f64 / GIB),
        disk_usage_percent: disk.as_ref().and_then(|disk| fullness(disk).or_unknown(Reason::NotReported)),
        disk_used_gb: disk.as_ref().map(|disk| disk.used_bytes() as f64 / GIB),
        disk_total_gb: disk.as_ref().map(|disk| disk.size_bytes as f64 / GIB),
        load_average: cpu.and_then(|cpu| cpu.load.map(Vec::from).or_unknown(Reason::NotReported)),
        network_io: network(machine),
    }
}

fn network(machine: Option<&HostSnapshot>) -> NetworkIo {
    let networks = part(machine, "networks", |machine| &machine.networks);
    let sum = |of: fn(&Network) -> Option<u64>| {
        let sum = |all: &Vec<Network>| all.iter().map(of).sum::<Option<u64>>();
        networks.and_then(|all| sum(all).or_unknown(Reason::NotReported))
    };
    NetworkIo {
        bytes_sent: sum(|network| Some(network.transmitted_bytes)),
        bytes_received: sum(|network| Some(network.received_bytes)),
        packets_sent: sum(|network| network.transmitted_packets),
        packets_received: sum(|network| network.received_packets),
    }
}

fn device(id: usize, gpu: &Gpu) -> Device {
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / MIB).or_unknown(Reason::NotReported);
    Device {
        id,
        name: Some(gpu.name.clone()).filter(|name| !name.is_empty()).or_unknown(Reason::NotReported),
        memory_used_mb: mib(gpu.memory_used_bytes),
        memory_total_mb: mib(gpu.memory_total_bytes),
        utilization_percent: gpu.utilization.map(|share| share * 100.0).or_unknown(Reason::NotReported),
        temperature_celsius: gpu.temperature_celsius.or_unknown(Reason::NotReported),
        power_usage_watts: gpu.power_watts.or_unknown(Reason::NotReported),
    }
}

fn inference(parts: &Parts, now: Instant) -> Inference {
    let (minute, length) = parts.recent.last_minute(now);
    let totals = parts.recent.totals().all;
    let rate = (length.as_secs() > 0).then(|| minute.requests as f64 / length.as_secs_f64());
    Inference {
        requests_per_second: rate.or_unknown(Reason::NotYet),
        average_latency_ms: minute.mean_duration().map(|mean| mean.as_secs_f64() * 1e3).or_unknown(Reason::NoSamples),
        active_requests: parts.in_flight.count(),
        total_requests: totals.requests,
        total_errors: totals.failed,
        since: parts.text(parts.clock.started()),
    }
}
