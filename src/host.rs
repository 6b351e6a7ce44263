//! The local machine: facts about its processors, memory, disks and GPUs, collected apart from the traffic.
//!
//! Promises: each source has its own named thread, so that a slow or hanging one affects no other; [`Host::snapshot`]
//! never waits for a source; unknown or stale facts are absent, never zero. Left out: metric names, and everything that
//! needs privileges (the helper's job, of which only the client is here).
//!
//! A new collector is
//! 1. a file here with its part and an `impl` of [`collector::Collector`];
//! 2. a field in [`HostSnapshot`] and in [`Host`];
//! 3. a line each in [`Host::start`], [`Host::snapshot`] and `Host::health`.

pub mod amd;
pub mod cgroups;
pub mod collector;
pub mod cpu;
pub mod disks;
pub mod energy;
pub mod filesystems;
pub mod gpu;
pub mod helper;
mod kernel_file;
pub mod memory;
pub mod networks;
pub mod nvidia;
pub mod places;
#[cfg(any(test, not(target_os = "linux")))]
pub mod portable;
pub mod pressure;
pub mod processes;
mod restarts;
pub mod sockets;
pub mod source;
pub mod temperatures;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::{Collector, CollectorHealth};
use energy::Meter;
use gpu::Gpu;
use helper::{HelperAddress, HelperPart};
use source::Source;

/// The sources and how often they are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interval of readings.
    pub period: Duration,
    /// The address of the helper; `None` where none is configured.
    pub helper: Option<HelperAddress>,
    /// The mount point of procfs.
    pub proc: PathBuf,
    /// The mount point of sysfs.
    pub sys: PathBuf,
    /// Candidates for NVIDIA's library; the first that can be loaded is used.
    pub nvml: Vec<PathBuf>,
    /// The machine's name.
    pub node: Arc<str>,
}

impl Default for Settings {
    /// This machine without a helper, read as often as metrics are scraped.
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            helper: None,
            proc: "/proc".into(),
            sys: "/sys".into(),
            nvml: nvidia::default_libraries(),
            node: node(),
        }
    }
}

/// The host name of this machine (uname).
#[must_use]
pub fn node() -> Arc<str> {
    rustix::system::uname().nodename().to_string_lossy().into()
}

/// The product name of this machine's processor; `None` where the system does not tell it. Reads a file.
#[must_use]
pub fn processor() -> Option<Arc<str>> {
    let text = kernel_file::read(std::path::Path::new("/proc/cpuinfo")).ok()??;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().into())
}

/// The facts about the machine at one instant. `None` is unknown, not present, or stale.
#[derive(Clone, Debug, Default)]
pub struct HostSnapshot {
    /// The processors.
    pub cpu: Option<Arc<cpu::Cpu>>,
    /// Memory and swap.
    pub memory: Option<Arc<memory::Memory>>,
    /// How long tasks wait for resources.
    pub pressure: Option<Arc<pressure::Pressure>>,
    /// Disks.
    pub disks: Option<Arc<disks::Disks>>,
    /// Filesystems and their free space.
    pub filesystems: Option<Arc<Vec<filesystems::Filesystem>>>,
    /// Network interfaces.
    pub networks: Option<Arc<Vec<networks::Network>>>,
    /// TCP sockets.
    pub sockets: Option<Arc<sockets::Sockets>>,
    /// Temperatures.
    pub temperatures: Option<Arc<temperatures::Temperatures>>,
    /// The inference server's processes.
    pub processes: Option<Arc<processes::Processes>>,
    /// AMD's GPUs.
    pub amd: Option<Arc<Vec<Gpu>>>,
    /// NVIDIA's GPUs.
    pub nvidia: Option<Arc<nvidia::Nvidia>>,
    /// The helper's facts, not older than [`helper::STALE`].
    pub helper: Option<Arc<HelperPart>>,
    /// Whether the helper answers with fresh facts; `None` where none is configured, or before the first request.
    pub helper_up: Option<bool>,
    /// The health of each collector.
    pub collectors: Vec<CollectorHealth>,
    /// The machine's name.
    pub node: Arc<str>,
}

impl HostSnapshot {
    /// The GPUs of all vendors. The helper's GPU (Apple's) is included only where no driver reports one.
    #[must_use]
    pub fn gpus(&self) -> Vec<Gpu> {
        let nvidia = self.nvidia.iter().flat_map(|nvidia| nvidia.gpus.iter().map(nvidia::NvidiaGpu::gpu));
        let known: Vec<Gpu> = nvidia.chain(self.amd.iter().flat_map(|gpus| gpus.iter().cloned())).collect();
        let helper_gpus = || self.helper.iter().filter_map(|helper| helper.reading.gpu()).collect();
        if known.is_empty() { helper_gpus() } else { known }
    }

    /// The temperature of the hottest processor, of the helper where no sensor reports one.
    #[must_use]
    pub fn cpu_celsius(&self) -> Option<f64> {
        let own = self.temperatures.as_ref().and_then(|it| it.cpu_celsius);
        own.or_else(|| self.helper.as_ref()?.reading.cpu_celsius)
    }
}

/// All sources. Dropping it ends their threads.
#[derive(Debug)]
pub struct Host {
    cpu: Source<cpu::Cpu>,
    memory: Source<memory::Memory>,
    pressure: Source<pressure::Pressure>,
    disks: Source<disks::Disks>,
    filesystems: Source<Vec<filesystems::Filesystem>>,
    networks: Source<Vec<networks::Network>>,
    sockets: Source<sockets::Sockets>,
    temperatures: Source<temperatures::Temperatures>,
    processes: Source<processes::Processes>,
    amd: Source<Vec<Gpu>>,
    nvidia: Source<nvidia::Nvidia>,
    helper: Option<Source<HelperPart>>,
    node: Arc<str>,
}

impl Host {
    /// Starts a thread for each source. `meter` attributes the energy that they measure.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    #[cfg(target_os = "linux")]
    pub fn start(settings: &Settings, meter: &Arc<Meter>) -> io::Result<Self> {
        let (proc, sys, period) = (|| settings.proc.clone(), || settings.sys.clone(), settings.period);
        Ok(Self {
            cpu: Source::spawn(cpu::CpuCollector::new(proc()).with_sys(sys()), period)?,
            memory: Source::spawn(memory::MemoryCollector::new(proc()), period)?,
            pressure: Source::spawn(pressure::PressureCollector::new(proc()), period)?,
            disks: Source::spawn(disks::DisksCollector::new(proc(), sys()), period)?,
            filesystems: Source::spawn(filesystems::FilesystemsCollector::new(proc()), period)?,
            networks: Source::spawn(networks::NetworksCollector::new(proc()), period)?,
            sockets: Source::spawn(sockets::SocketsCollector::new(proc()), period)?,
            temperatures: Source::spawn(temperatures::TemperaturesCollector::new(sys()), period)?,
            processes: Source::spawn(processes::ProcessesCollector::new(proc()), period)?,
            amd: spawn_metered(amd::AmdCollector::new(sys()), settings, meter)?,
            nvidia: nvidia_source(settings, meter)?,
            helper: helper_source(settings, meter)?,
            node: Arc::clone(&settings.node),
        })
    }

    /// Starts a thread for each source. `meter` attributes the energy that they measure.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    #[cfg(not(target_os = "linux"))]
    pub fn start(settings: &Settings, meter: &Arc<Meter>) -> io::Result<Self> {
        let (proc, sys, period) = (|| settings.proc.clone(), || settings.sys.clone(), settings.period);
        Ok(Self {
            cpu: Source::spawn(portable::CpuCollector::default(), period)?,
            memory: Source::spawn(portable::MemoryCollector::default(), period)?,
            pressure: Source::spawn(pressure::PressureCollector::new(proc()), period)?,
            disks: Source::spawn(portable::DisksCollector::default(), period)?,
            filesystems: Source::spawn(portable::FilesystemsCollector::default(), period)?,
            networks: Source::spawn(portable::NetworksCollector::default(), period)?,
            sockets: Source::spawn(sockets::SocketsCollector::new(proc()), period)?,
            temperatures: Source::spawn(portable::TemperaturesCollector::default(), period)?,
            processes: Source::spawn(portable::ProcessesCollector::default(), period)?,
            amd: spawn_metered(amd::AmdCollector::new(sys()), settings, meter)?,
            nvidia: nvidia_source(settings, meter)?,
            helper: helper_source(settings, meter)?,
            node: Arc::clone(&settings.node),
        })
    }

    /// Copies the current facts, without waiting.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> HostSnapshot {
        let helper = self.helper.as_ref().and_then(|source| source.latest(now));
        let helper = helper.filter(|part| now.saturating_duration_since(part.at) <= helper::STALE);
        let helper_asked = self.helper.as_ref().is_some_and(|source| source.health(now).success.is_some());
        HostSnapshot {
            cpu: self.cpu.latest(now),
            memory: self.memory.latest(now),
            pressure: self.pressure.latest(now),
            disks: self.disks.latest(now),
            filesystems: self.filesystems.latest(now),
            networks: self.networks.latest(now),
            sockets: self.sockets.latest(now),
            temperatures: self.temperatures.latest(now),
            processes: self.processes.latest(now),
            amd: self.amd.latest(now),
            nvidia: self.nvidia.latest(now),
            helper_up: helper_asked.then_some(helper.is_some()),
            helper,
            collectors: self.health(now),
            node: Arc::clone(&self.node),
        }
    }

    fn health(&self, now: Instant) -> Vec<CollectorHealth> {
        let mut all = vec![
            self.cpu.health(now),
            self.memory.health(now),
            self.pressure.health(now),
            self.disks.health(now),
            self.filesystems.health(now),
            self.networks.health(now),
            self.sockets.health(now),
            self.temperatures.health(now),
            self.processes.health(now),
            self.amd.health(now),
            self.nvidia.health(now),
        ];
        all.extend(self.helper.as_ref().map(|source| source.health(now)));
        all
    }
}

fn helper_source(settings: &Settings, meter: &Arc<Meter>) -> io::Result<Option<Source<HelperPart>>> {
    let collector = settings.helper.clone().map(helper::HelperCollector::new);
    collector.map(|collector| spawn_metered(collector, settings, meter)).transpose()
}

fn nvidia_source(settings: &Settings, meter: &Arc<Meter>) -> io::Result<Source<nvidia::Nvidia>> {
    spawn_metered(nvidia::NvidiaCollector::new(settings.nvml.clone(), settings.period), settings, meter)
}

/// Spawns a source whose readings `meter` observes.
fn spawn_metered<C: Collector<Part: energy::Metered>>(
    collector: C,
    settings: &Settings,
    meter: &Arc<Meter>,
) -> io::Result<Source<C::Part>> {
    Source::spawn(energy::WithMeter { collector, meter: Arc::clone(meter) }, settings.period)
}
