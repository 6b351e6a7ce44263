//! What the benchmark runs on, and which core does what.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Socket, Type};

/// Connections that may wait to be accepted: enough for all streams of a test at once.
const BACKLOG: i32 = 4096;

/// Who runs where.
#[derive(Clone, Debug)]
pub struct Cores {
    /// Cores of what is measured.
    pub server: Vec<usize>,
    /// Cores of client and backend.
    pub load: Vec<usize>,
}

impl Cores {
    /// Everything on the last core that may be used.
    ///
    /// To wake a core that sleeps is charged to whoever writes, and in a virtual machine it costs ten times what the
    /// write itself does: on cores of their own, contestants differ mostly in how often their peers had fallen asleep.
    /// On one core each pays for its own work, and a short wait for the others is in all times alike.
    #[must_use]
    pub fn together() -> Self {
        let last: Vec<usize> = allowed().last().copied().into_iter().collect();
        Self { server: last.clone(), load: last }
    }

    /// The same with what is measured on another core. None where there is none.
    #[must_use]
    pub fn apart(&self) -> Option<Self> {
        let other = allowed().into_iter().rev().find(|core| !self.load.contains(core))?;
        Some(Self { server: vec![other], load: self.load.clone() })
    }
}

/// Cores that the calling thread may use now.
#[must_use]
pub fn allowed() -> Vec<usize> {
    sched_getaffinity(None)
        .map_or_else(|_| Vec::new(), |set| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Keeps the calling thread, and processes that it starts from now on, on these cores. Not allowed is not done.
pub fn pin(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    if !cores.is_empty() {
        let _ = sched_setaffinity(None, &set);
    }
}

/// Niceness of client, backend and what is measured, where that is allowed.
const NICENESS: i32 = -10;

/// Goes before other processes, so that they disturb less, with everything that is started from now on; whether that
/// was allowed.
#[must_use]
pub fn go_first() -> bool {
    setpriority_process(None, NICENESS).is_ok()
}

/// Raises the limit on descriptors as far as is allowed, and gives it. None is no limit.
#[must_use]
pub fn raise_descriptors() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

/// Listens on a free port of the loopback address, without blocking, with room for many who wait.
///
/// # Errors
/// When the system gives no socket.
pub fn listen_deep() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A port of the loopback address that was free a moment ago.
///
/// # Errors
/// When the system gives no socket.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Processor, cores, memory and kernel in one line.
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
