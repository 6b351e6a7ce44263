//! `/dashboard/workers`: the backends as workers, and this program as their coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::backends::{busy, up};
use super::machine::part;
use crate::api::error::ApiError;
use crate::api::export::{FormatQuery, Table, cells};
use crate::api::parameters::Parameters;
use crate::api::reply::{Listing, OVERVIEW};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Totals, generates, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::backend::inventory::{Resident, Runtime};
use crate::backend::monitor::Monitor;
use crate::backend::status::ProbeState;
use crate::exchange::placement::PlacementReason;
use crate::fleet::Member;
use crate::history::in_flight::InFlightExchange;
use crate::history::query::totals::Total;
use crate::history::rollup::Measure;
use crate::host::HostSnapshot;

/// The backends as workers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Workers {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    coordinator: Coordinator,
    workers: Vec<Worker>,
    cluster_stats: Cluster,
    unknown: Unknown,
}

/// This program.
#[derive(Serialize, ToSchema)]
struct Coordinator {
    status: &'static str,
    /// That clients are served on.
    address: String,
    uptime_seconds: u64,
    /// Backends that answer.
    connected_workers: usize,
}

/// One backend.
#[derive(Serialize, ToSchema)]
struct Worker {
    /// Its configured name.
    id: String,
    address: String,
    /// `active`, `down`, or `unknown` before the first probe.
    status: &'static str,
    /// Of several backends, whether it is chosen: `up`, `loading`, `slow`, `ejected`, `half_open`, `draining` or `down`.
    state: Maybe<String>,
    /// Of several, its share in relation to the others', which grows again after it was left out.
    weight: Maybe<f64>,
    /// Of several, how many times more slowly than usual it generates; 1 where it is not slow.
    times_slower: Maybe<f64>,
    /// Those of a higher tier are used where none of a lower one works.
    tier: u32,
    /// Where it is.
    zone: Maybe<String>,
    /// How often it was chosen out of several, by why, since the start of the program or since it was added.
    placed: BTreeMap<String, u64>,
    /// It is given no further exchange, by configuration.
    draining: bool,
    /// Exchanges that it works on at once, as configured, else as it says.
    slots: Maybe<u32>,
    /// When it last answered a probe.
    last_heartbeat: Maybe<String>,
    /// The server software.
    capabilities: Maybe<Vec<String>>,
    resource_usage: WorkerUsage,
    current_load: WorkerLoad,
    /// In memory.
    models_loaded: Maybe<Vec<String>>,
}

/// Of the machine of the backend, where that is this one.
#[derive(Serialize, ToSchema)]
struct WorkerUsage {
    cpu_percent: Maybe<f64>,
    memory_percent: Maybe<f64>,
    gpu_available: Maybe<bool>,
    gpu_usage_percent: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct WorkerLoad {
    /// Exchanges in flight on it.
    active_requests: usize,
    /// Requests that wait, as the engine reports it.
    queue_length: Maybe<f64>,
    /// The mean of generations of the last 24 hours.
    average_latency_ms: Maybe<f64>,
}

#[derive(Serialize, ToSchema)]
struct Cluster {
    /// Exchanges that may be in flight at once.
    total_capacity: Maybe<u64>,
    /// Exchanges in flight.
    current_usage: usize,
    /// Requests that wait, as the engines report it.
    pending_requests: Maybe<f64>,
    /// How evenly the exchanges in flight fall on the backends that are chosen, by their slots, or by weight where those
    /// are unknown: Jain's index, 1 is evenly, and one part of their number is all on one.
    load_balance_efficiency: Maybe<f64>,
}

/// The backends as workers, and this program as their coordinator.
#[utoipa::path(
    get,
    path = "/dashboard/workers",
    params(FormatQuery),
    responses((status = 200, description = "The backends as workers.", body = Workers), ApiError)
)]
pub(crate) async fn workers(
    Parameters(query): Parameters<FormatQuery>,
    State(parts): State<Arc<Parts>>,
) -> Listing<Workers> {
    Listing::of(read(&parts, Instant::now()).await, OVERVIEW, query.format)
}

impl Table for Workers {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "address",
        "status",
        "state",
        "weight",
        "tier",
        "zone",
        "draining",
        "slots",
        "last_heartbeat",
        "current_load.active_requests",
        "current_load.queue_length",
        "current_load.average_latency_ms",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        self.workers.iter().map(|worker| cells(worker, Self::COLUMNS)).collect()
    }
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, now: Instant) -> Workers {
    let (in_flight, machine) = (parts.in_flight.snapshot(), parts.machine(now));
    let totals = of_last(parts, DAY, now).await;
    let worker = |monitor: &Arc<Monitor>| {
        worker((parts, now), monitor, (&in_flight, machine.as_ref()), latency(&totals, monitor))
    };
    Workers {
        timestamp: parts.text(now),
        coordinator: Coordinator {
            status: "active",
            address: parts.clients.to_string(),
            uptime_seconds: now.saturating_duration_since(parts.clock.started()).as_secs(),
            connected_workers: up(parts),
        },
        workers: parts.monitors().iter().map(worker).collect(),
        cluster_stats: cluster(parts, &in_flight, now),
        unknown: Unknown::default(),
    }
}

/// The mean latency of the generations of a backend.
fn latency(totals: &Maybe<Totals>, monitor: &Monitor) -> Maybe<f64> {
    let is_its = |total: &Total| total.backend.as_deref() == Some(&*monitor.backend.name) && generates(total);
    let mean = |totals: &Totals| totals.of(is_its).mean(Measure::Duration).or_unknown(Reason::NoSamples);
    totals.as_ref().and_then(mean).map(|seconds| seconds * 1e3)
}

fn worker(
    (parts, now): (&Parts, Instant),
    monitor: &Monitor,
    (in_flight, machine): (&[InFlightExchange], Option<&HostSnapshot>),
    average_latency_ms: Maybe<f64>,
) -> Worker {
    let (inventory, fleet) = (monitor.inventory(), parts.fleet.borrow().clone());
    let member = fleet.member(&monitor.backend.name);
    let chosen = member.filter(|_| fleet.has_several());
    let state = chosen.map(|member| fleet.state(member, now).as_str().to_owned());
    let names = |resident: &Vec<Resident>| resident.iter().map(|it| it.name.to_string()).collect::<Vec<_>>();
    Worker {
        id: monitor.backend.name.to_string(),
        address: monitor.backend.address.to_string(),
        status: match monitor.status.snapshot().state {
            ProbeState::Up => "active",
            ProbeState::Down(_) => "down",
            ProbeState::Unknown => "unknown",
        },
        state: state.or_unknown(Reason::NotApplicable),
        weight: chosen.map(|member| member.weight(now)).or_unknown(Reason::NotApplicable),
        times_slower: chosen.map(|member| member.slowness(now)).or_unknown(Reason::NotApplicable),
        tier: member.map_or(0, |member| member.share.tier),
        zone: member.and_then(|member| member.share.zone.clone()).or_unknown(Reason::NotConfigured),
        placed: member.map(|member| placed(member)).unwrap_or_default(),
        draining: member.is_some_and(|member| member.share.drains),
        slots: member.and_then(|member| slots(member)).or_unknown(Reason::NotReported),
        last_heartbeat: answered(monitor).map(|at| parts.text(at)).or_unknown(Reason::NotYet),
        capabilities: Some(inventory.runtime)
            .filter(|runtime| *runtime != Runtime::Unknown)
            .map(|runtime| vec![runtime.as_str().to_owned()])
            .or_unknown(Reason::NotYet),
        resource_usage: usage(monitor, machine),
        current_load: WorkerLoad {
            active_requests: busy(monitor, in_flight).count(),
            queue_length: waiting(monitor).or_unknown(Reason::NotReported),
            average_latency_ms,
        },
        models_loaded: inventory.resident.as_ref().map(names).or_unknown(Reason::NotReported),
    }
}

/// `None` where that is unknown, or unlimited.
fn slots(member: &Member) -> Option<u32> {
    member.slots().filter(|slots| *slots < u32::MAX)
}

fn placed(member: &Member) -> BTreeMap<String, u64> {
    let counts = PlacementReason::ALL.into_iter().map(|reason| (reason.as_str().to_owned(), member.placed(reason)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn answered(monitor: &Monitor) -> Option<Instant> {
    monitor.status.snapshot().answered
}

/// Requests that wait, as the engine reports it.
fn waiting(monitor: &Monitor) -> Option<f64> {
    monitor.load().iter().map(|load| load.waiting).sum::<Option<f64>>().filter(|_| !monitor.load().is_empty())
}

fn usage(monitor: &Monitor, machine: Option<&HostSnapshot>) -> WorkerUsage {
    let address = &monitor.backend.address;
    if !address.is_localhost() && !address.ip().is_some_and(|ip| ip.is_loopback()) {
        let far = Reason::NotLocal;
        return WorkerUsage {
            cpu_percent: Maybe::Unknown(far),
            memory_percent: Maybe::Unknown(far),
            gpu_available: Maybe::Unknown(far),
            gpu_usage_percent: Maybe::Unknown(far),
        };
    }
    let gpus = machine.map(HostSnapshot::gpus);
    let cpu = part(machine, "cpu", |machine| &machine.cpu);
    let memory = part(machine, "memory", |machine| &machine.memory);
    let used =
        |memory: &crate::host::memory::Memory| super::machine::percent(memory.used_bytes()?, memory.total_bytes?);
    WorkerUsage {
        cpu_percent: cpu.and_then(|cpu| cpu.utilization.or_unknown(Reason::NotYet)).map(|share| share * 100.0),
        memory_percent: memory.and_then(|memory| used(memory).or_unknown(Reason::NotReported)),
        gpu_available: gpus.as_ref().map(|gpus| !gpus.is_empty()).or_unknown(Reason::NotConfigured),
        gpu_usage_percent: super::machine::gpu_usage(machine),
    }
}

fn cluster(parts: &Parts, in_flight: &[InFlightExchange], now: Instant) -> Cluster {
    let waiting = parts.monitors().iter().map(|monitor| waiting(monitor)).sum::<Option<f64>>();
    let fleet = parts.fleet.borrow().clone();
    let capacity = fleet.members().iter().map(|member| slots(member)).sum::<Option<u32>>();
    let balance = match fleet.has_several() {
        true => fleet.balance(now).or_unknown(Reason::NoSamples),
        false => Maybe::Unknown(Reason::NotApplicable),
    };
    Cluster {
        total_capacity: capacity.map(u64::from).or_unknown(Reason::NotConfigured),
        current_usage: in_flight.len(),
        pending_requests: waiting.or_unknown(Reason::NotReported),
        load_balance_efficiency: balance,
    }
}
