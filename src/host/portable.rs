//! The same facts through the `sysinfo` crate, for systems without /proc (macOS). On Linux the tests compare both.
//!
//! Left out: temperatures by chip (all are of one chip, `smc`), and counts of disk operations, which `sysinfo` lacks.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use sysinfo::{
    Components, CpuRefreshKind, Disks as SystemDisks, MemoryRefreshKind, Networks, ProcessRefreshKind,
    ProcessesToUpdate, RefreshKind, System, UpdateKind,
};

use super::collector::{Collector, ReadError};
use super::cpu::Cpu;
use super::disks::{Disk, DiskRates, Disks};
use super::filesystems::Filesystem;
use super::memory::Memory;
use super::networks::Network;
use super::processes::{Process, Processes, Role, RoleUsage, mark_children_as_runners, role_of};
use super::temperatures::{Temperature, Temperatures};

/// Collects the processors.
#[derive(Debug, Default)]
pub struct CpuCollector {
    system: System,
    read_before: bool,
}

impl Collector for CpuCollector {
    type Part = Cpu;

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Cpu>, ReadError> {
        self.system.refresh_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing().with_cpu_usage()));
        let load = System::load_average();
        let read_before = std::mem::replace(&mut self.read_before, true);
        let utilization = f64::from(self.system.global_cpu_usage()) / 100.0;
        Ok(Some(Cpu {
            utilization: read_before.then_some(utilization.clamp(0.0, 1.0)),
            load: Some([load.one, load.five, load.fifteen]),
            processors: u32::try_from(self.system.cpus().len()).ok().filter(|n| *n > 0),
            per_processor: self
                .system
                .cpus()
                .iter()
                .map(|cpu| read_before.then(|| f64::from(cpu.cpu_usage()) / 100.0))
                .collect(),
            megahertz: None,
        }))
    }
}

/// Collects memory and swap.
#[derive(Debug, Default)]
pub struct MemoryCollector {
    system: System,
}

impl Collector for MemoryCollector {
    type Part = Memory;

    fn name(&self) -> &'static str {
        "memory"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Memory>, ReadError> {
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        Ok(Some(Memory {
            total_bytes: Some(self.system.total_memory()).filter(|total| *total > 0),
            available_bytes: Some(self.system.available_memory()).filter(|available| *available > 0),
            swap_total_bytes: Some(self.system.total_swap()),
            swap_used_bytes: Some(self.system.used_swap()),
            ..Memory::default()
        }))
    }
}

/// Collects disks. The number of operations and its rate are unknown.
#[derive(Debug, Default)]
pub struct DisksCollector {
    disks: SystemDisks,
    before: Option<(Instant, u64, u64)>,
}

impl Collector for DisksCollector {
    type Part = Disks;

    fn name(&self) -> &'static str {
        "disks"
    }

    fn read(&mut self, now: Instant) -> Result<Option<Disks>, ReadError> {
        self.disks.refresh(true);
        let mut devices: Vec<Disk> = Vec::new();
        for disk in self.disks.list() {
            let device = disk.name().to_string_lossy().into_owned();
            let usage = disk.usage();
            // Volumes of one container share its counters.
            if !devices.iter().any(|known| known.device == device) {
                devices.push(Disk {
                    device,
                    stacked: false,
                    read_bytes: usage.total_read_bytes,
                    written_bytes: usage.total_written_bytes,
                    operations: None,
                });
            }
        }
        let read = devices.iter().map(|disk| disk.read_bytes).sum();
        let written = devices.iter().map(|disk| disk.written_bytes).sum();
        let rates = self.before.replace((now, read, written)).and_then(|(then, read_before, written_before)| {
            let seconds = (now - then).as_secs_f64();
            let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
            (seconds > 0.0).then(|| DiskRates {
                read_bytes: rate(read, read_before),
                written_bytes: rate(written, written_before),
                operations: None,
                ..DiskRates::default()
            })
        });
        Ok(Some(Disks { devices, rates }))
    }
}

/// Collects how full disks are.
#[derive(Debug, Default)]
pub struct FilesystemsCollector {
    disks: SystemDisks,
}

impl Collector for FilesystemsCollector {
    type Part = Vec<Filesystem>;

    fn name(&self) -> &'static str {
        "filesystems"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Vec<Filesystem>>, ReadError> {
        self.disks.refresh(true);
        let filesystem = |disk: &sysinfo::Disk| Filesystem {
            device: disk.name().to_string_lossy().into_owned(),
            mountpoint: disk.mount_point().to_string_lossy().into_owned(),
            kind: disk.file_system().to_string_lossy().into_owned(),
            size_bytes: disk.total_space(),
            free_bytes: disk.available_space(),
            available_bytes: disk.available_space(),
        };
        Ok(Some(self.disks.list().iter().filter(|disk| disk.total_space() > 0).map(filesystem).collect()))
    }
}

/// Collects networks.
#[derive(Debug, Default)]
pub struct NetworksCollector {
    networks: Networks,
}

impl Collector for NetworksCollector {
    type Part = Vec<Network>;

    fn name(&self) -> &'static str {
        "networks"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Vec<Network>>, ReadError> {
        self.networks.refresh(true);
        let network = |(interface, data): (&String, &sysinfo::NetworkData)| Network {
            interface: interface.clone(),
            received_bytes: data.total_received(),
            transmitted_bytes: data.total_transmitted(),
            received_packets: Some(data.total_packets_received()),
            transmitted_packets: Some(data.total_packets_transmitted()),
            errors: data.total_errors_on_received().checked_add(data.total_errors_on_transmitted()),
        };
        let mut found: Vec<_> = self.networks.iter().map(network).filter(Network::is_reported).collect();
        found.sort_by(|one, other| one.interface.cmp(&other.interface));
        Ok(Some(found))
    }
}

/// Collects temperatures.
#[derive(Debug, Default)]
pub struct TemperaturesCollector {
    components: Components,
}

impl Collector for TemperaturesCollector {
    type Part = Temperatures;

    fn name(&self) -> &'static str {
        "temperatures"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Temperatures>, ReadError> {
        self.components.refresh(true);
        let sensor = |component: &sysinfo::Component| {
            let celsius = f64::from(component.temperature()?);
            let sensor = component.label().to_owned();
            Some(Temperature { chip: "smc".to_owned(), device: String::new(), sensor, celsius })
        };
        let found = self.components.iter().filter_map(sensor).filter(Temperature::is_plausible);
        let sensors: Vec<_> = found.collect();
        let of_cpu =
            |it: &&Temperature| it.sensor.contains("CPU") || it.sensor.contains("pACC") || it.sensor.contains("eACC");
        let cpu_celsius = sensors.iter().filter(of_cpu).map(|it| it.celsius).reduce(f64::max);
        let found = Temperatures { cpu_celsius, sensors };
        Ok(Some(found).filter(|found| *found != Temperatures::default()))
    }
}

/// Process id and start time.
type ProcessKey = (u32, u64);

/// Collects the inference server's processes.
#[derive(Debug, Default)]
pub struct ProcessesCollector {
    system: System,
    /// The previous reading, and the milliseconds of each process then; `None` before the first.
    before: Option<(Instant, HashMap<ProcessKey, u64>)>,
    /// Milliseconds of each role so far.
    spent: HashMap<Role, u64>,
}

impl Collector for ProcessesCollector {
    type Part = Processes;

    fn name(&self) -> &'static str {
        "processes"
    }

    fn read(&mut self, now: Instant) -> Result<Option<Processes>, ReadError> {
        let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().with_cmd(UpdateKind::OnlyIfNotSet);
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, wanted);
        let mut current = HashMap::new();
        let (mut processes, mut parents, mut spents) = (Vec::new(), Vec::new(), Vec::new());
        for (pid, process) in self.system.processes() {
            let arguments: Vec<_> = process.cmd().iter().map(|argument| argument.to_string_lossy()).collect();
            let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
            // On Linux, threads are listed too.
            let Some(role) = role_of(&arguments).filter(|_| process.thread_kind().is_none()) else { continue };
            let spent = process.accumulated_cpu_time();
            let identity = (pid.as_u32(), process.start_time());
            let earlier = self.before.as_ref().and_then(|(at, times)| Some((*at, *times.get(&identity)?)));
            let known = earlier.map_or(if self.before.is_some() { 0 } else { spent }, |(_, time)| time);
            let seconds = earlier.map(|(at, _)| now.saturating_duration_since(at).as_secs_f64());
            let used = spent.saturating_sub(known) as f64 / 1000.0;
            let cpu = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| used / seconds);
            spents.push(spent.saturating_sub(known));
            parents.push(process.parent().map_or(0, |parent| parent.as_u32()));
            current.insert(identity, spent);
            processes.push(Process { pid: pid.as_u32(), role, memory_bytes: process.memory(), cpu, cgroup: None });
        }
        mark_children_as_runners(processes.iter_mut().zip(parents));
        for (process, spent) in processes.iter().zip(spents) {
            *self.spent.entry(process.role).or_default() += spent;
        }
        self.before = Some((now, current));
        let of_role = |role: Role| {
            let milliseconds = *self.spent.get(&role)?;
            Some((role, RoleUsage::of(role, &processes, milliseconds as f64 / 1000.0)))
        };
        let roles = Role::ALL.into_iter().filter_map(of_role).collect();
        Ok(Some(Processes { roles, processes, groups: None, restarts: BTreeMap::new() }))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::host::{cpu, memory, networks};

    /// Asserts that both values agree within a relative tolerance.
    fn assert_close(what: &str, one: f64, other: f64, tolerance: f64) {
        assert!((one - other).abs() <= other.abs() * tolerance + 1e-9, "{what}: {one} and {other}");
    }

    fn read<C: Collector>(mut collector: C) -> C::Part {
        collector.read(Instant::now()).expect("it reads").expect("it is there")
    }

    #[test]
    fn two_independent_readings_of_this_machine_agree() {
        let (ours, theirs) = (read(cpu::CpuCollector::new("/proc".into())), read(CpuCollector::default()));
        assert_eq!(ours.processors, theirs.processors);
        assert_close("load", ours.load.expect("known")[2], theirs.load.expect("known")[2], 0.1);

        let (ours, theirs) = (read(memory::MemoryCollector::new("/proc".into())), read(MemoryCollector::default()));
        assert_eq!((ours.total_bytes, ours.swap_total_bytes), (theirs.total_bytes, theirs.swap_total_bytes));
        let available = |memory: &Memory| memory.available_bytes.expect("known") as f64;
        assert_close("available", available(&ours), available(&theirs), 0.05);

        let ours = read(networks::NetworksCollector::new("/proc".into()));
        let theirs = read(NetworksCollector::default());
        let names =
            |all: &[Network]| all.iter().map(|it| it.interface.clone()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&ours), names(&theirs));
    }
}
