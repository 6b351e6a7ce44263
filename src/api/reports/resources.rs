//! `/dashboard/infrastructure/resources`: the inference processes of this machine, by control group.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_now, paged};
use crate::alert::labels::Labels;
use crate::api::endpoints::control_groups::limit;
use crate::api::endpoints::machine::{GIB, part};
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::host::HostSnapshot;
use crate::host::cgroups::maker::Name;
use crate::host::cgroups::{ControlGroup, Limit};
use crate::host::places::{Place, PlaceKind};

/// What kind of place processes run in.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ResourceType)]
pub(super) enum Kind {
    Vm,
    /// A service of the system.
    AppContainer,
    /// A container of an engine.
    InferenceContainer,
    /// Neither.
    Process,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ResourceStatus)]
enum Status {
    Running,
    Stopped,
    Deploying,
    Failed,
}

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    #[serde(rename_all = "camelCase")]
    #[into_params(rename_all = "camelCase")]
    pub(crate) struct ResourcesQuery {
        #[param(inline)]
        resource_type: Option<Kind>,
        #[param(inline)]
        status: Option<Status>,
        /// The name of a node, or `local`.
        node_id: Option<String>,
    }
}

/// The inference processes of this machine, by control group.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportedResources)]
pub(crate) struct Resources {
    timestamp: String,
    /// Of all, whatever is asked for.
    summary: ResourceSummary,
    resources: Maybe<Vec<Resource>>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceSummary {
    pub(super) total: Maybe<usize>,
    pub(super) running: Maybe<usize>,
    /// Only what runs is seen.
    pub(super) stopped: Maybe<usize>,
    pub(super) deploying: Maybe<usize>,
    pub(super) failed: Maybe<usize>,
    pub(super) by_type: ByType,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ResourcesByType)]
pub(super) struct ByType {
    /// None can be seen from inside.
    vm: Maybe<usize>,
    app_container: Maybe<usize>,
    inference_container: Maybe<usize>,
    process: Maybe<usize>,
}

/// Processes of an inference server that run in one place.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(rename = "_id")]
    pub(super) id: String,
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    /// Of the control group; `pid N` of a process without one.
    pub(super) path: String,
    status: &'static str,
    node_id: String,
    pids: Vec<u32>,
    /// Of the container or service, else of the inference processes, in percent of one processor.
    cpu_usage: Maybe<f64>,
    /// The most processors that it may use at a time; `not_applicable` without a limit.
    cpu_limit: Maybe<f64>,
    /// Of its inference processes, in GiB.
    ram_usage: f64,
    /// GiB; `not_applicable` without a limit.
    ram_limit: Maybe<f64>,
    /// Processes and threads of the control group.
    tasks: Maybe<u64>,
    /// The most of them; `not_applicable` without a limit.
    tasks_limit: Maybe<f64>,
    /// GiB of all GPUs.
    vram_usage: Maybe<f64>,
    /// No container engine is asked.
    image: Maybe<String>,
    /// How often its servers were seen to be started again since this program started.
    restarts: Maybe<u64>,
}

impl Table for Resources {
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "type",
        "status",
        "ram_usage_gb",
        "ram_limit_gb",
        "cpu_usage_percent",
        "cpu_limit",
        "tasks",
        "tasks_limit",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Resource| {
            let kind = serde_json::to_value(it.kind).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default().to_owned();
            let number = |of: &Maybe<f64>| of.known().map_or_else(String::new, f64::to_string);
            let tasks = it.tasks.known().map_or_else(String::new, u64::to_string);
            let (ram, cpu) = (number(&it.ram_limit), [number(&it.cpu_usage), number(&it.cpu_limit)]);
            let [used, most] = cpu;
            let text = [it.name.clone(), kind, it.status.to_owned(), it.ram_usage.to_string()];
            text.into_iter().chain([ram, used, most, tasks, number(&it.tasks_limit)]).collect()
        };
        self.resources.known().into_iter().flatten().map(row).collect()
    }
}

/// The inference processes of this machine, by control group.
#[utoipa::path(
    get,
    path = "/dashboard/infrastructure/resources",
    params(ResourcesQuery),
    responses((status = 200, description = "The inference processes of this machine.", body = Resources), ApiError)
)]
pub(crate) async fn resources(
    Parameters(query): Parameters<ResourcesQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Resources>, ApiError> {
    let now = Instant::now();
    let pages = query.pages()?;
    let found = all(parts.machine(now).as_ref(), &parts);
    let fits = |it: &Resource| {
        query.resource_type.is_none_or(|kind| kind == it.kind)
            && query.status.is_none_or(|status| status == Status::Running)
            && query.node_id.as_ref().is_none_or(|node| node == "local" || *node == it.node_id)
    };
    let summary = summary(&found);
    let (resources, pagination) = match found {
        Maybe::Known(found) => {
            let (page, pagination) = paged(found.into_iter().filter(fits).collect(), pages);
            (Maybe::Known(page), pagination)
        }
        Maybe::Unknown(reason) => (Maybe::Unknown(reason), paged(Vec::<Resource>::new(), pages).1),
    };
    let body = Resources {
        timestamp: parts.text(now),
        summary,
        resources,
        pagination,
        metadata: of_now(&parts, now),
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

pub(super) fn summary(found: &Maybe<Vec<Resource>>) -> ResourceSummary {
    let of = |kind: Kind| found.as_ref().map(|found| found.iter().filter(|it| it.kind == kind).count());
    let unseen = Maybe::Unknown(Reason::NotReported);
    ResourceSummary {
        total: found.as_ref().map(Vec::len),
        running: found.as_ref().map(Vec::len),
        stopped: unseen,
        deploying: unseen,
        failed: unseen,
        by_type: ByType {
            vm: unseen,
            app_container: of(Kind::AppContainer),
            inference_container: of(Kind::InferenceContainer),
            process: of(Kind::Process),
        },
    }
}

/// Every place in which inference processes of this machine run, by path.
pub(super) fn all(machine: Option<&HostSnapshot>, parts: &Parts) -> Maybe<Vec<Resource>> {
    part(machine, "processes", |machine| &machine.processes)
        .map(|processes| processes.places().iter().map(|place| resource(place, machine, parts)).collect())
}

fn resource(place: &Place<'_>, machine: Option<&HostSnapshot>, parts: &Parts) -> Resource {
    let pids: Vec<u32> = place.processes.iter().map(|process| process.pid).collect();
    let of_group = |of: fn(&ControlGroup) -> Option<Limit>| limit(place.group.and_then(of));
    Resource {
        id: id_of(&place.path),
        name: Name::of(&place.path).name,
        kind: match place.kind() {
            PlaceKind::Container => Kind::InferenceContainer,
            PlaceKind::Service => Kind::AppContainer,
            PlaceKind::Process => Kind::Process,
        },
        path: place.path.clone(),
        status: "running",
        node_id: parts.node.to_string(),
        cpu_usage: place.cpu().map(|share| share * 100.0).or_unknown(Reason::NotYet),
        cpu_limit: of_group(|group| group.cpu_limit),
        ram_usage: place.memory_bytes() as f64 / GIB,
        ram_limit: of_group(|group| group.memory_limit).map(|bytes| bytes / GIB),
        tasks: place.group.and_then(|group| group.pids).or_unknown(Reason::NotReported),
        tasks_limit: of_group(|group| group.pids_limit),
        vram_usage: gpu_memory(machine, &pids).map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported),
        image: Maybe::Unknown(Reason::NotReported),
        restarts: place.restarts.or_unknown(Reason::NotReported),
        pids,
    }
}

/// The memory of these processes on all GPUs; `None` where no driver tells of processes.
fn gpu_memory(machine: Option<&HostSnapshot>, pids: &[u32]) -> Option<u64> {
    let nvidia = machine?.nvidia.as_ref()?;
    let known = nvidia.gpus.iter().filter_map(|gpu| gpu.facts.processes.as_ref());
    let of = |list: &Vec<crate::host::nvidia::facts::GpuProcess>| {
        list.iter().filter(|it| pids.contains(&it.pid)).filter_map(|it| it.memory_bytes).sum::<u64>()
    };
    known.map(of).reduce(|one, other| one + other)
}

/// The same for the same place, in every build of the program: it is part of addresses that people keep.
fn id_of(place: &str) -> String {
    format!("{:016x}", Labels::default().fingerprint(place))
}
