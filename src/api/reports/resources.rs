//! `/dashboard/infrastructure/resources`: the inference processes of this machine, by control group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::common::{Metadata, Pagination, listing_query, of_now, paged};
use crate::alert::labels::Labels;
use crate::api::endpoints::control_groups::limit;
use crate::api::endpoints::machine::{GIB, part};
use crate::api::error::{ApiError, Code};
use crate::api::export::Table;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Listing, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::host::HostSnapshot;
use crate::host::cgroups::maker::{Maker, Name};
use crate::host::processes::Process;

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
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    status: &'static str,
    node_id: String,
    pids: Vec<u32>,
    /// Of the container or service, in percent of one processor; not divided among processes outside of one.
    cpu_usage: Maybe<f64>,
    /// The most processors that it may use at a time; `not_applicable` without a limit.
    cpu_limit: Maybe<f64>,
    /// Of its inference processes, in GiB.
    ram_usage: f64,
    /// GiB; `not_applicable` without a limit.
    ram_limit: Maybe<f64>,
    /// GiB of all GPUs.
    vram_usage: Maybe<f64>,
    /// No container engine is asked.
    image: Maybe<String>,
}

impl Table for Resources {
    const COLUMNS: &'static [&'static str] = &["name", "type", "status", "ram_usage_gb"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &Resource| {
            let kind = serde_json::to_value(it.kind).unwrap_or_default();
            let kind = kind.as_str().unwrap_or_default().to_owned();
            vec![it.name.clone(), kind, it.status.to_owned(), it.ram_usage.to_string()]
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

/// One of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneResource {
    timestamp: String,
    #[serde(flatten)]
    resource: Resource,
    metadata: Metadata,
    unknown: Unknown,
}

/// One place in which inference processes run.
#[utoipa::path(
    get,
    path = "/dashboard/infrastructure/resources/{id}",
    params(("id" = String, Path, description = "The id of a resource."), NoParameters),
    responses(
        (status = 200, description = "One place in which inference processes run.", body = OneResource),
        (status = 404, description = "There is no such resource."),
        ApiError,
    )
)]
pub(crate) async fn resource(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<OneResource>, ApiError> {
    let now = Instant::now();
    let found = match all(parts.machine(now).as_ref(), &parts) {
        Maybe::Known(found) => found.into_iter().find(|it| it.id == id),
        Maybe::Unknown(_) => None,
    };
    let resource = found.ok_or_else(|| ApiError::new(Code::NotFound, "there is no such resource"))?;
    let metadata = of_now(&parts, now);
    Ok(Reply::of(&OneResource { timestamp: parts.text(now), resource, metadata, unknown: Unknown::default() }, LIST))
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

/// Every place in which inference processes of this machine run, by name.
pub(super) fn all(machine: Option<&HostSnapshot>, parts: &Parts) -> Maybe<Vec<Resource>> {
    part(machine, "processes", |machine| &machine.processes).map(|processes| {
        let mut groups: BTreeMap<String, Vec<&Process>> = BTreeMap::new();
        for process in &processes.processes {
            let place = process.cgroup.as_deref().map_or_else(|| format!("pid {}", process.pid), str::to_owned);
            groups.entry(place).or_default().push(process);
        }
        groups.iter().map(|(place, processes)| grouped(place, processes, machine, parts)).collect()
    })
}

fn grouped(place: &str, processes: &[&Process], machine: Option<&HostSnapshot>, parts: &Parts) -> Resource {
    let (kind, name) = kind_of(place);
    let pids: Vec<u32> = processes.iter().map(|process| process.pid).collect();
    let groups = machine.and_then(|machine| machine.processes.as_ref()?.groups.as_ref());
    let group = groups.into_iter().flatten().find(|group| *group.path == *place);
    let cpu = group.map(|group| group.cpu.map(|share| share * 100.0).or_unknown(Reason::NotYet));
    Resource {
        id: id_of(place),
        name,
        kind,
        status: "running",
        node_id: parts.node.to_string(),
        cpu_usage: cpu.filter(|_| kind != Kind::Process).unwrap_or(Maybe::Unknown(Reason::SharedProcess)),
        cpu_limit: limit(group.and_then(|group| group.cpu_limit)),
        ram_usage: processes.iter().map(|process| process.memory_bytes as f64).sum::<f64>() / GIB,
        ram_limit: limit(group.and_then(|group| group.memory_limit)).map(|bytes| bytes / GIB),
        vram_usage: gpu_memory(machine, &pids).map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported),
        image: Maybe::Unknown(Reason::NotReported),
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

/// The kind of a control group, and the name that it has for people.
fn kind_of(place: &str) -> (Kind, String) {
    let named = Name::of(place);
    let kind = match named.maker {
        Some(Maker::Docker | Maker::Podman | Maker::Kubernetes | Maker::Containerd) => Kind::InferenceContainer,
        Some(Maker::Systemd) => Kind::AppContainer,
        None => Kind::Process,
    };
    (kind, named.name)
}

/// The same for the same place, in every build of the program: it is part of addresses that people keep.
fn id_of(place: &str) -> String {
    format!("{:016x}", Labels::default().fingerprint(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_is_a_container_a_service_or_neither() {
        for (place, kind, name) in [
            ("/system.slice/ollama.service", Kind::AppContainer, "ollama.service"),
            ("/system.slice/docker-0123456789abcdef.scope", Kind::InferenceContainer, "0123456789ab"),
            ("/user.slice/session-1.scope", Kind::Process, "session-1.scope"),
            ("pid 12", Kind::Process, "pid 12"),
        ] {
            assert_eq!(kind_of(place), (kind, name.to_owned()), "{place}");
        }
    }
}
