//! The machine that the benchmark runs on, and the assignment of its cores.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Socket, Type};

/// Pending connections: enough for all streams of a test at once.
const BACKLOG: i32 = 4096;

/// The cores of each side.
#[derive(Clone, Debug)]
pub struct Cores {
    /// Cores of the measured program.
    pub server: Vec<usize>,
    /// Cores of client and backend.
    pub load: Vec<usize>,
}

impl Cores {
    /// Everything on the last allowed core.
    ///
    /// Waking a sleeping core is charged to the writer, and in a virtual machine costs ten times as much as the write:
    /// on separate cores, contestants would differ mostly in how often their peers sleep. On one core each pays for its
    /// own work, and all times include the same short wait for the others.
    #[must_use]
    pub fn together() -> Self {
        let last: Vec<usize> = allowed().last().copied().into_iter().collect();
        Self { server: last.clone(), load: last }
    }

    /// The same load cores, with another core for the measured program. `None` where there is no other.
    #[must_use]
    pub fn apart(&self) -> Option<Self> {
        let other = allowed().into_iter().rev().find(|core| !self.load.contains(core))?;
        Some(Self { server: vec![other], load: self.load.clone() })
    }
}

/// The cores that the calling thread may use.
#[must_use]
pub fn allowed() -> Vec<usize> {
    sched_getaffinity(None)
        .map_or_else(|_| Vec::new(), |set| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Pins the calling thread, and processes that it starts later, to these cores. Does nothing for no cores, or where
/// that is not allowed.
pub fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    if !cores.is_empty() {
        let _ = sched_setaffinity(None, &set);
    }
}

/// Niceness of client, backend and measured program, where allowed.
const NICENESS: i32 = -10;

/// Raises the priority of this process and of those it starts later, so that others disturb less. Returns whether that
/// was allowed.
#[must_use]
pub fn raise_priority() -> bool {
    setpriority_process(None, NICENESS).is_ok()
}

/// Raises the limit on descriptors as far as allowed, and returns it. `None` is no limit.
#[must_use]
pub fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// Listens on a free loopback port, non-blocking, with a long queue.
///
/// # Errors
/// When the system gives no socket.
pub fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A loopback address whose port was free a moment ago.
///
/// # Errors
/// When the system gives no socket.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Processor, cores, memory and kernel in one line, for the report.
#[must_use]
pub fn description() -> String {
    let cpu = value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = value("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB of memory", kib.div_ceil(1024 * 1024)));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = allowed().len();
    let plural = if cores == 1 { "" } else { "s" };
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    format!("{cpu}, {cores} core{plural}{memory}, Linux {kernel}")
}

fn value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(key))?.split_once(':')?;
    Some(value.trim().to_owned())
}
