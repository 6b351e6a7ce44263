//! The control groups of inference processes, in `/dashboard/resources`.

use serde::Serialize;
use utoipa::ToSchema;

use super::machine::{GIB, part};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::host::HostSnapshot;
use crate::host::cgroups::maker::{Maker, Name};
use crate::host::cgroups::{self, Limit};
use crate::host::processes::Process;

/// What made a control group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ControlGroupRuntime)]
enum Runtime {
    Docker,
    Podman,
    Kubernetes,
    /// Or CRI-O; neither under Kubernetes.
    Containerd,
    /// A service.
    Systemd,
}

/// The control group of inference processes. Its figures are of all processes in it.
#[derive(Serialize, ToSchema)]
pub(super) struct ControlGroup {
    /// As whoever made it names it: the first twelve characters of a container's id, or the unit; else the last part of the
    /// path.
    name: String,
    runtime: Maybe<Runtime>,
    /// The UID of the pod.
    pod: Maybe<String>,
    path: String,
    /// The inference processes in it.
    pids: Vec<u32>,
    /// The most processors that it may use at a time; unknown (`not_applicable`) without a limit.
    cpu_limit_cores: Maybe<f64>,
    /// Since the previous reading, in percent of one processor.
    cpu_usage_percent: Maybe<f64>,
    /// Unknown (`not_applicable`) without a limit.
    memory_limit_gb: Maybe<f64>,
    /// Also what the kernel keeps of the files that it read, such as weights.
    memory_used_gb: Maybe<f64>,
    /// The most processes and threads; unknown (`not_applicable`) without a limit.
    tasks_limit: Maybe<f64>,
    /// Processes and threads.
    tasks: Maybe<u64>,
}

/// Those of this machine, by path.
pub(super) fn control_groups(machine: Option<&HostSnapshot>) -> Maybe<Vec<ControlGroup>> {
    part(machine, "processes", |machine| &machine.processes).and_then(|processes| {
        let shown = |groups: &Vec<cgroups::ControlGroup>| {
            groups.iter().map(|group| control_group(group, &processes.processes)).collect()
        };
        processes.groups.as_ref().map(shown).or_unknown(Reason::NotApplicable)
    })
}

fn control_group(group: &cgroups::ControlGroup, processes: &[Process]) -> ControlGroup {
    let named = Name::of(&group.path);
    let is_in = |process: &&Process| process.cgroup.as_deref().unwrap_or("/") == &*group.path;
    ControlGroup {
        name: named.name,
        runtime: named.maker.map(runtime).or_unknown(Reason::NotReported),
        pod: named.pod.or_unknown(Reason::NotApplicable),
        path: group.path.to_string(),
        pids: processes.iter().filter(is_in).map(|process| process.pid).collect(),
        cpu_limit_cores: limit(group.cpu_limit),
        cpu_usage_percent: group.cpu.map(|share| share * 100.0).or_unknown(Reason::NotYet),
        memory_limit_gb: limit(group.memory_limit).map(|bytes| bytes / GIB),
        memory_used_gb: group.memory_bytes.map(|bytes| bytes as f64 / GIB).or_unknown(Reason::NotReported),
        tasks_limit: limit(group.pids_limit),
        tasks: group.pids.or_unknown(Reason::NotReported),
    }
}

const fn runtime(maker: Maker) -> Runtime {
    match maker {
        Maker::Docker => Runtime::Docker,
        Maker::Podman => Runtime::Podman,
        Maker::Kubernetes => Runtime::Kubernetes,
        Maker::Containerd => Runtime::Containerd,
        Maker::Systemd => Runtime::Systemd,
    }
}

/// A group without a limit has no number to give: not applicable, where an unread one is not reported.
pub(in crate::api) fn limit(limit: Option<Limit>) -> Maybe<f64> {
    match limit {
        Some(Limit::Of(most)) => Maybe::Known(most),
        Some(Limit::Unlimited) => Maybe::Unknown(Reason::NotApplicable),
        None => Maybe::Unknown(Reason::NotReported),
    }
}
