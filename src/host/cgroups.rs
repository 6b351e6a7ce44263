//! The control groups (cgroups(7)) of inference processes: who made them, what they may use, and what they use. Of both
//! versions of the kernel's interface, and of machines that have both.
//!
//! Promises: a limit is the least of the group's own and of those that it lies in; what the kernel does not show to this
//! program (another namespace) is `None`, and "no limit" is a fact of its own.

pub mod maker;
mod membership;
mod mounts;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use super::kernel_file;
pub(super) use membership::Membership;
use membership::{CPU, CPU_USAGE, MEMORY, PIDS};
use mounts::{Mounts, Version};

/// One control group with inference processes. Its figures are of all processes in it.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlGroup {
    /// Its path, as systemd or a container engine made it, and as /proc/PID/cgroup shows it.
    pub path: Box<str>,
    /// The most processors that it may use at a time.
    pub cpu_limit: Option<Limit>,
    /// Processors that it used since the previous reading; `None` at the first.
    pub cpu: Option<f64>,
    /// The most memory that it may use, in bytes.
    pub memory_limit: Option<Limit>,
    /// Memory in use, in bytes: also what the kernel keeps of the files that it read, such as weights.
    pub memory_bytes: Option<u64>,
    /// The most processes and threads that it may have.
    pub pids_limit: Option<Limit>,
    /// Processes and threads in it.
    pub pids: Option<u64>,
}

/// A limit of a control group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So much.
    Of(f64),
    /// None is set.
    Unlimited,
}

impl Limit {
    fn least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(one), Self::Of(other)) => Self::Of(one.min(other)),
            (Self::Unlimited, limit) | (limit, Self::Unlimited) => limit,
        }
    }
}

/// Reads control groups, and remembers the processor time of each.
#[derive(Debug, Default)]
pub(super) struct Reader {
    before: HashMap<Box<str>, (Instant, f64)>,
}

impl Reader {
    /// The groups of these processes, each once, by path. `None` where the system has no control groups.
    pub(super) fn read<'a>(
        &mut self,
        proc: &Path,
        members: impl Iterator<Item = &'a Membership>,
        now: Instant,
    ) -> Option<Vec<ControlGroup>> {
        let mounts = Mounts::parse(&kernel_file::read(&proc.join("self/mountinfo")).ok()??)?;
        let mut groups: Vec<ControlGroup> = Vec::new();
        let before = std::mem::take(&mut self.before);
        for member in members {
            let path = member.place().unwrap_or("/");
            if groups.iter().any(|group| *group.path == *path) {
                continue;
            }
            let group = Folders { mounts: &mounts, member };
            let seconds = group.cpu_seconds();
            if let Some(seconds) = seconds {
                self.before.insert(path.into(), (now, seconds));
            }
            let cpu = before.get(path).zip(seconds).and_then(|((at, before), seconds)| {
                let elapsed = now.saturating_duration_since(*at).as_secs_f64();
                (elapsed > 0.0 && seconds >= *before).then(|| (seconds - before) / elapsed)
            });
            groups.push(ControlGroup { path: path.into(), cpu, ..group.read() });
        }
        // The root of a machine is no group with limits; that of a container's namespace is.
        groups.retain(|group| *group.path != *"/" || group.memory_limit.is_some());
        groups.sort_by(|one, other| one.path.cmp(&other.path));
        Some(groups)
    }
}

/// Where the files of one group are.
struct Folders<'a> {
    mounts: &'a Mounts,
    member: &'a Membership,
}

impl Folders<'_> {
    fn read(&self) -> ControlGroup {
        let memory = match self.version(MEMORY) {
            Some(Version::Two) => ["memory.max", "memory.current"],
            _ => ["memory.limit_in_bytes", "memory.usage_in_bytes"],
        };
        ControlGroup {
            path: Box::default(),
            cpu_limit: match self.version(CPU) {
                Some(Version::Two) => self.limit(CPU, |folder| cpu_max(&kernel_file::line(&folder.join("cpu.max"))?)),
                _ => self.limit(CPU, cpu_quota),
            },
            cpu: None,
            memory_limit: self.limit(MEMORY, |folder| most(&kernel_file::line(&folder.join(memory[0]))?)),
            memory_bytes: self.integer(MEMORY, memory[1]),
            pids_limit: self.limit(PIDS, |folder| most(&kernel_file::line(&folder.join("pids.max"))?)),
            pids: self.integer(PIDS, "pids.current"),
        }
    }

    fn version(&self, controller: &str) -> Option<Version> {
        Some(self.mounts.folders(controller, self.member)?.version)
    }

    /// The least of the limits of the group and of those that it lies in.
    fn limit(&self, controller: &str, read: impl Fn(&Path) -> Option<Limit>) -> Option<Limit> {
        let folders = self.mounts.folders(controller, self.member)?;
        folders.up().filter_map(read).reduce(Limit::least)
    }

    fn integer(&self, controller: &str, file: &str) -> Option<u64> {
        kernel_file::integer(&self.mounts.folders(controller, self.member)?.own.join(file))
    }

    /// Processor time of all processes that were ever in the group.
    fn cpu_seconds(&self) -> Option<f64> {
        let folders = self.mounts.folders(CPU_USAGE, self.member)?;
        match folders.version {
            Version::One => kernel_file::number(&folders.own.join("cpuacct.usage")).map(|nanos| nanos / 1e9),
            Version::Two => {
                let text = kernel_file::line(&folders.own.join("cpu.stat"))?;
                let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                used.parse::<f64>().ok().map(|micros| micros / 1e6)
            }
        }
    }
}

/// Larger numbers of version 1 say that there is no limit: it writes the largest multiple of a page.
const NO_LIMIT: f64 = (1_u64 << 62) as f64;

/// A number, or `max`.
fn most(text: &str) -> Option<Limit> {
    if text == "max" {
        return Some(Limit::Unlimited);
    }
    let number: u64 = text.parse().ok()?;
    Some(if number as f64 >= NO_LIMIT { Limit::Unlimited } else { Limit::Of(number as f64) })
}

/// `max 100000`, or the microseconds of processor time in each period: `150000 100000`.
fn cpu_max(text: &str) -> Option<Limit> {
    let (quota, period) = text.split_once(' ')?;
    if quota == "max" {
        return Some(Limit::Unlimited);
    }
    share(quota.parse().ok()?, period.parse().ok()?)
}

/// Of version 1, where a quota of -1 is none.
fn cpu_quota(folder: &Path) -> Option<Limit> {
    let quota: i64 = kernel_file::line(&folder.join("cpu.cfs_quota_us"))?.parse().ok()?;
    let Ok(quota) = u64::try_from(quota) else { return Some(Limit::Unlimited) };
    share(quota, kernel_file::integer(&folder.join("cpu.cfs_period_us"))?)
}

fn share(quota: u64, period: u64) -> Option<Limit> {
    (period > 0).then(|| Limit::Of(quota as f64 / period as f64))
}

#[cfg(test)]
mod tests;
