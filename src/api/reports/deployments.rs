//! `/dashboard/workload/deployments`: a model on a backend that has it in memory, or has served it in the last 24 hours.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_period, paged};
use super::hardware::gpus;
use super::places::{is_here, place};
use crate::api::endpoints::backends::listed;
use crate::api::endpoints::machine::{GIB, gpu_usage};
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::range::Period;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Sum, Totals, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown, known_sum};
use crate::backend::address::Address;
use crate::backend::inventory::{Inventory, Resident};
use crate::backend::monitor::Monitor;
use crate::exchange::outcome::Phase;
use crate::history::rollup::Measure;

/// How long after an answer a deployment counts as running.
const LATELY: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeploymentStatus)]
enum Status {
    Running,
    Stopped,
    Deploying,
    Failed,
}

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct DeploymentsQuery {
        #[param(inline)]
        status: Option<Status>,
        /// The name of a backend.
        backend: Option<String>,
        model: Option<String>,
    }
}

/// Models on backends.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deployments {
    timestamp: String,
    /// Of all, whatever is asked for.
    summary: DeploymentSummary,
    deployments: Vec<Deployment>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
struct DeploymentSummary {
    #[serde(flatten)]
    counts: DeploymentCounts,
    usage: Usage,
    resources: DeploymentResources,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct DeploymentCounts {
    /// Unknown until a backend has listed its models, as all that follows from it.
    total: Maybe<usize>,
    /// In memory, or served in the last five minutes.
    running: Maybe<usize>,
    stopped: Maybe<usize>,
    /// A request waits for its load.
    deploying: Maybe<usize>,
    /// No backend says that a load failed.
    failed: Maybe<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeploymentUsage)]
struct Usage {
    period: &'static str,
    total_requests: Maybe<u64>,
    /// Milliseconds.
    avg_latency: Maybe<f64>,
    /// Milliseconds: of 100 requests, 95 take at most as long.
    p95_latency: Maybe<f64>,
    /// Percent of what completed or failed.
    success_rate: Maybe<f64>,
    token_usage: Maybe<u64>,
}

/// Of this machine.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeploymentResources {
    gpus_in_use: Maybe<usize>,
    gpus_total: Maybe<usize>,
    /// Percent.
    avg_gpu_utilization: Maybe<f64>,
    /// GiB of the models in memory, on all machines, where their backend reports it.
    total_vram_used: Maybe<f64>,
}

/// A model on a backend.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deployment {
    /// The backend and the model.
    #[serde(rename = "_id")]
    id: String,
    name: String,
    pub(super) model_name: String,
    backend: String,
    status: &'static str,
    pub(super) node_id: String,
    node_name: String,
    /// Percent of the GPUs of this machine, where it is the only model in its memory.
    gpu_usage: Maybe<f64>,
    /// GiB.
    vram_usage: Maybe<f64>,
    #[serde(rename = "requests24h")]
    requests_24h: Maybe<u64>,
    /// Milliseconds.
    avg_latency: Maybe<f64>,
    /// Milliseconds: of 100 requests, 95 take at most as long.
    p95_latency: Maybe<f64>,
    /// Since it was first seen in memory, in seconds.
    uptime: Maybe<u64>,
}

impl Table for Deployments {
    const COLUMNS: &'static [&'static str] =
        &["backend", "model", "status", "node", "requests_24h", "avg_latency_ms", "p95_latency_ms"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Deployment| {
            vec![
                it.backend.clone(),
                it.model_name.clone(),
                it.status.to_owned(),
                it.node_name.clone(),
                it.requests_24h.known().map_or_else(String::new, u64::to_string),
                it.avg_latency.known().map_or_else(String::new, f64::to_string),
                it.p95_latency.known().map_or_else(String::new, f64::to_string),
            ]
        };
        self.deployments.iter().map(row).collect()
    }
}

/// Models on backends that have them in memory, or have served them in the last 24 hours.
#[utoipa::path(
    get,
    path = "/dashboard/workload/deployments",
    params(DeploymentsQuery),
    responses((status = 200, description = "Models on backends.", body = Deployments), ApiError)
)]
pub(crate) async fn deployments(
    Parameters(query): Parameters<DeploymentsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Deployments>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let mut found = all(&parts, now).await;
    let summary = DeploymentSummary {
        counts: counts(&parts, &found),
        // What no model and no backend has answered is of no deployment.
        usage: usage(
            &of_last(&parts, DAY, now).await.map(|totals| totals.of(|it| it.model.is_some() && it.backend.is_some())),
        ),
        resources: resources(&parts, now),
    };
    found.retain(|it| {
        let status = query.status.is_none_or(|status| match status {
            Status::Running => it.status == "running",
            Status::Stopped => it.status == "stopped",
            Status::Deploying => it.status == "deploying",
            Status::Failed => false,
        });
        status
            && query.backend.as_ref().is_none_or(|backend| *backend == it.backend)
            && query.model.as_ref().is_none_or(|model| *model == it.model_name)
    });
    let (deployments, pagination) = paged(found, pages);
    let body = Deployments {
        timestamp: parts.text(now),
        summary,
        deployments,
        pagination,
        metadata: of_period(&parts, Period::Day, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

pub(super) fn counts(parts: &Parts, found: &[Deployment]) -> DeploymentCounts {
    let listed = listed(parts).map(|_| ());
    let of = |status: &str| listed.map(|()| found.iter().filter(|it| it.status == status).count());
    DeploymentCounts {
        total: listed.map(|()| found.len()),
        running: of("running"),
        stopped: of("stopped"),
        deploying: of("deploying"),
        failed: Maybe::Unknown(Reason::NotReported),
    }
}

fn usage(sum: &Maybe<Sum>) -> Usage {
    let some = |of: fn(&Sum) -> Option<f64>| sum.as_ref().and_then(|sum| of(sum).or_unknown(Reason::NoSamples));
    let tokens = |sum: &Sum| match (sum.0.prompt, sum.0.generated) {
        (None, None) => None,
        (prompt, generated) => Some(prompt.unwrap_or(0) + generated.unwrap_or(0)),
    };
    Usage {
        period: Period::Day.as_str(),
        total_requests: sum.as_ref().map(|sum| sum.0.requests),
        avg_latency: some(|sum| Some(sum.mean(Measure::Duration)? * 1e3)),
        p95_latency: some(|sum| Some(sum.quantile(Measure::Duration, 0.95)? * 1e3)),
        success_rate: some(|sum| Some(sum.success_rate()? * 100.0)),
        token_usage: sum.as_ref().and_then(|sum| tokens(sum).or_unknown(Reason::NoSamples)),
    }
}

fn resources(parts: &Parts, now: Instant) -> DeploymentResources {
    let machine = parts.machine(now);
    let (gpus_in_use, gpus_total) = gpus(machine.as_ref());
    let monitors = parts.monitors();
    let inventories: Vec<_> = monitors.iter().map(|monitor| monitor.inventory()).collect();
    let resident = || inventories.iter().filter_map(|inventory| inventory.resident.as_ref());
    let vram = resident()
        .next()
        .or_unknown(Reason::NotReported)
        .and_then(|_| known_sum(resident().flatten().map(|resident| resident.vram.map(|bytes| bytes as f64 / GIB))));
    DeploymentResources {
        gpus_in_use,
        gpus_total,
        avg_gpu_utilization: gpu_usage(machine.as_ref()),
        total_vram_used: vram,
    }
}

/// Every deployment, in the order of the backends.
pub(super) async fn all(parts: &Parts, now: Instant) -> Vec<Deployment> {
    let monitors = parts.monitors();
    let keys: Vec<(Arc<str>, Box<str>)> = monitors
        .iter()
        .flat_map(|monitor| {
            let backend = monitor.backend.name.clone();
            names(&monitor.inventory()).into_iter().map(move |name| (backend.clone(), name))
        })
        .collect();
    let (day, lately) = (of_last(parts, DAY, now).await, of_last(parts, LATELY, now).await);
    let of = |totals: &Maybe<Totals>, key: &(Arc<str>, Box<str>)| {
        let fits = |backend: Option<&str>, model: Option<&str>| backend == Some(&*key.0) && model == Some(&*key.1);
        totals.as_ref().map(|totals| totals.of(|it| fits(it.backend.as_deref(), it.model.as_deref())))
    };
    let waiting = parts.in_flight.snapshot();
    let mut found = Vec::new();
    for key in keys {
        let Some(monitor) = monitors.iter().find(|monitor| monitor.backend.name == key.0) else { continue };
        let inventory = monitor.inventory();
        let resident = resident_of(&inventory, &key.1);
        let sum = of(&day, &key);
        let requests = |sum: &Maybe<Sum>| sum.known().map_or(0, |sum| sum.0.requests);
        let loads = waiting.iter().any(|exchange| {
            exchange.backend.as_deref() == Some(&*key.0)
                && exchange.model.as_deref() == Some(&*key.1)
                && exchange.phase == Phase::Waiting
        });
        if resident.is_none() && requests(&sum) == 0 && !loads {
            continue;
        }
        let status = if resident.is_some() || requests(&of(&lately, &key)) > 0 {
            "running"
        } else if loads {
            "deploying"
        } else {
            "stopped"
        };
        found.push(deployment(parts, monitor, &key.1, (resident, status), &sum, now));
    }
    found
}

fn deployment(
    parts: &Parts,
    monitor: &Monitor,
    model: &str,
    (resident, status): (Option<&Resident>, &'static str),
    sum: &Maybe<Sum>,
    now: Instant,
) -> Deployment {
    let node = place(parts, &monitor.backend.address);
    let since = resident.and_then(|resident| resident.loaded);
    let loaded = since.and_then(|at| SystemTime::now().duration_since(at).ok()).map(|time| time.as_secs());
    let unheld = if resident.is_some() { Reason::NotYet } else { Reason::NotApplicable };
    let latency = |of: fn(&Sum) -> Option<f64>| {
        sum.as_ref().and_then(|sum| of(sum).or_unknown(Reason::NoSamples)).map(|seconds| seconds * 1e3)
    };
    Deployment {
        id: format!("{}/{model}", monitor.backend.name),
        name: format!("{model} on {}", monitor.backend.name),
        model_name: model.to_owned(),
        backend: monitor.backend.name.to_string(),
        status,
        node_id: node.clone(),
        node_name: node,
        gpu_usage: own_gpus(parts, monitor, resident.is_some(), now),
        vram_usage: match resident {
            Some(resident) => resident.vram.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported),
            None => Maybe::Unknown(Reason::NotApplicable),
        },
        requests_24h: sum.as_ref().map(|sum| sum.0.requests),
        avg_latency: latency(|sum| sum.mean(Measure::Duration)),
        p95_latency: latency(|sum| sum.quantile(Measure::Duration, 0.95)),
        uptime: loaded.or_unknown(unheld),
    }
}

/// The use of this machine's GPUs, where one model alone is in memory here.
fn own_gpus(parts: &Parts, monitor: &Monitor, is_resident: bool, now: Instant) -> Maybe<f64> {
    match alone(parts, monitor, is_resident) {
        Ok(()) => gpu_usage(parts.machine(now).as_ref()),
        Err(reason) => Maybe::Unknown(reason),
    }
}

/// Whether what the GPUs of this machine do is for this deployment, else why that is not known.
pub(super) fn alone(parts: &Parts, monitor: &Monitor, is_resident: bool) -> Result<(), Reason> {
    if !is_here(&monitor.backend.address) {
        return Err(Reason::NotLocal);
    }
    if !is_resident {
        return Err(Reason::NotApplicable);
    }
    let monitors = parts.monitors();
    let here = monitors.iter().filter(|it| is_here(&it.backend.address));
    let resident: usize = here.map(|it| it.inventory().resident.as_ref().map_or(0, Vec::len)).sum();
    if resident == 1 { Ok(()) } else { Err(Reason::SharedProcess) }
}

/// The models that are listed, and those that are in memory under no listed name.
pub(super) fn names(inventory: &Inventory) -> Vec<Box<str>> {
    let mut names: Vec<_> = inventory.models.iter().map(|model| model.name.clone()).collect();
    let others = inventory.resident.iter().flatten().map(|resident| resident.name.clone());
    names.extend(others.filter(|name| !inventory.models.iter().any(|model| model.name == *name)).collect::<Vec<_>>());
    names
}

pub(super) fn resident_of<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a Resident> {
    inventory.resident_names()?.find(|(known, _)| *known == name).map(|(_, resident)| resident)
}

/// Whether an address is one of a service in the open: TLS to a host that is not private.
pub(super) fn is_remote(address: &Address) -> bool {
    let is_private = match address.ip() {
        Some(std::net::IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Some(std::net::IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        None => {
            !address.host.contains('.') || [".lan", ".local", ".internal"].iter().any(|it| address.host.ends_with(it))
        }
    };
    address.tls && !is_private
}
