//! Where inference processes run: in a container, as a service, or in neither. Pure.

use std::collections::BTreeMap;

use super::cgroups::ControlGroup;
use super::cgroups::maker::{Maker, Name};
use super::processes::{Process, Processes};

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A container of an engine.
    Container,
    /// A service of systemd.
    Service,
    /// Neither: the control group, if any, has other processes too.
    Process,
}

/// Inference processes that run in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Place<'a> {
    /// The path of the control group; `pid N` of a process without one.
    pub path: String,
    /// At least one.
    pub processes: Vec<&'a Process>,
    /// Its control group; of a process in the root of all groups that of the namespace, where this has limits.
    pub group: Option<&'a ControlGroup>,
    /// How often its servers were seen to be started again since this program started; `None` without a control group, or a
    /// server.
    pub restarts: Option<u64>,
}

impl Processes {
    /// Every place, by path.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut places: BTreeMap<String, Vec<&Process>> = BTreeMap::new();
        for process in &self.processes {
            let path = process.cgroup.as_deref().map_or_else(|| format!("pid {}", process.pid), str::to_owned);
            places.entry(path).or_default().push(process);
        }
        let groups: Vec<_> = self.groups.iter().flatten().collect();
        let placed = places.into_iter().map(|(path, processes)| {
            let named = processes[0].cgroup.as_deref().unwrap_or("/");
            let group = groups.iter().find(|group| *group.path == *named).copied();
            let restarts = self.restarts.get(&*path).copied();
            Place { path, processes, group, restarts }
        });
        placed.collect()
    }
}

impl Place<'_> {
    /// What its path says.
    #[must_use]
    pub fn kind(&self) -> PlaceKind {
        kind_of(&self.path)
    }

    /// Processors that it used since the previous reading: of a container or a service all of it, else its inference
    /// processes. `None` at the first reading.
    #[must_use]
    pub fn cpu(&self) -> Option<f64> {
        let own = || self.processes.iter().map(|process| process.cpu).sum::<Option<f64>>();
        match (self.kind(), self.group) {
            (PlaceKind::Container | PlaceKind::Service, Some(group)) => group.cpu,
            _ => own(),
        }
    }

    /// Resident memory of its inference processes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.processes.iter().map(|process| process.memory_bytes).fold(0, u64::saturating_add)
    }
}

/// The kind of place that a path stands for.
#[must_use]
pub fn kind_of(path: &str) -> PlaceKind {
    match Name::of(path).maker {
        Some(Maker::Docker | Maker::Podman | Maker::Kubernetes | Maker::Containerd) => PlaceKind::Container,
        Some(Maker::Systemd) => PlaceKind::Service,
        None => PlaceKind::Process,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cgroups::Limit;
    use super::super::processes::Role;
    use super::*;

    fn process(pid: u32, cgroup: Option<&str>, cpu: Option<f64>) -> Process {
        Process { pid, role: Role::Server, memory_bytes: 10, cpu, cgroup: cgroup.map(Box::from) }
    }

    fn group(path: &str, cpu: Option<f64>) -> ControlGroup {
        ControlGroup {
            path: path.into(),
            cpu_limit: Some(Limit::Of(2.0)),
            cpu,
            memory_limit: None,
            memory_bytes: Some(99),
            pids_limit: None,
            pids: None,
        }
    }

    #[test]
    fn a_control_group_is_a_container_a_service_or_neither() {
        for (path, kind) in [
            ("/system.slice/ollama.service", PlaceKind::Service),
            ("/system.slice/docker-0123456789abcdef.scope", PlaceKind::Container),
            ("/user.slice/session-1.scope", PlaceKind::Process),
            ("pid 12", PlaceKind::Process),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }

    #[test]
    fn processes_are_together_by_group_and_have_what_is_theirs() {
        let (service, session) = ("/system.slice/ollama.service", "/user.slice/session-1.scope");
        let all = Processes {
            processes: vec![
                process(1, Some(session), Some(0.25)),
                process(2, Some(service), Some(0.5)),
                process(3, Some(session), Some(0.5)),
                process(4, None, Some(1.0)),
                process(5, None, None),
            ],
            groups: Some(vec![group("/", Some(7.0)), group(service, Some(3.0)), group(session, Some(5.0))]),
            ..Processes::default()
        };
        let places = all.places();
        let shown: Vec<_> = places
            .iter()
            .map(|it| {
                let pids: Vec<_> = it.processes.iter().map(|process| process.pid).collect();
                (&*it.path, pids, it.cpu(), it.memory_bytes(), it.group.map(|group| &*group.path))
            })
            .collect();
        assert_eq!(
            shown,
            [
                (service, vec![2], Some(3.0), 10, Some(service)),
                // A session has other processes than these.
                (session, vec![1, 3], Some(0.75), 20, Some(session)),
                ("pid 4", vec![4], Some(1.0), 10, Some("/")),
                ("pid 5", vec![5], None, 10, Some("/")),
            ]
        );
        assert_eq!(Processes { groups: None, ..all.clone() }.places()[0].group, None);
    }
}
