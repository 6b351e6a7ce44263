//! CPU time and memory of a process with its children, from the operating system.
//!
//! CPU time is the scheduler's nanoseconds for each thread (user and system together), not ticks of 10 ms. The time of
//! a thread that has ended is lost, so a measured program must keep its threads.

use std::fs;
use std::time::Duration;

/// A process and its descendants.
#[derive(Clone, Debug)]
pub struct Tree(Vec<u32>);

/// Memory of a process tree, in bytes, without socket buffers, which the kernel holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident pages, with shared ones divided by the number of processes that share them.
    pub pss: u64,
    /// Resident pages.
    pub rss: u64,
}

impl Tree {
    /// This process and its current descendants.
    #[must_use]
    pub fn of(root: u32) -> Self {
        let mut tree = vec![root];
        let parents: Vec<(u32, u32)> = processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
        let mut at = 0;
        while let Some(&pid) = tree.get(at) {
            tree.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
            at += 1;
        }
        Self(tree)
    }

    /// CPU time used so far by the threads that still run. `None` where the kernel does not report it.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        self.0.iter().map(|pid| process_cpu(*pid)).sum()
    }

    /// CPU time with a resolution of one tick, including threads that have ended. `None` where it cannot be read.
    #[must_use]
    pub fn total_cpu(&self) -> Option<Duration> {
        let second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
        let ticks = self.0.iter().try_fold(0.0, |sum, pid| {
            // The name in the second field may contain anything, so count from its closing parenthesis
            // (proc_pid_stat(5)).
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
            let mut ticks = || fields.next()?.parse::<f64>().ok();
            Some(sum + ticks()? + ticks()?)
        })?;
        Some(Duration::from_secs_f64(ticks / second))
    }

    /// Current memory. `None` where it cannot be read.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        self.0.iter().try_fold(Memory::default(), |sum, pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let (pss, rss) = (kib(&text, "Pss:")?, kib(&text, "Rss:")?);
            Some(Memory { pss: sum.pss + pss * 1024, rss: sum.rss + rss * 1024 })
        })
    }

    /// The sum of each process's peak resident memory since its start, in bytes. `None` where it cannot be read.
    #[must_use]
    pub fn peak(&self) -> Option<u64> {
        self.0.iter().try_fold(0, |sum, pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            Some(sum + kib(&text, "VmHWM:")? * 1024)
        })
    }
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything: the fields begin after the last parenthesis.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn process_cpu(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads
        .flatten()
        // A thread that has ended meanwhile is left out.
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .map(|text| text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos))
        .sum()
}

fn kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// CPU time of all cores since the system started, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineCpu {
    /// Used by processes and the kernel.
    pub work: f64,
    /// Taken by the hypervisor.
    pub stolen: f64,
}

/// Ticks per second in `/proc/stat`: fixed at 100 in the kernel's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// `None` where it cannot be read.
#[must_use]
pub fn read_machine_cpu() -> Option<MachineCpu> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let numbers: Vec<f64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal: proc(5).
    let work = [0, 1, 2, 5, 6].into_iter().map(|at| numbers.get(at).copied().unwrap_or(0.0)).sum::<f64>();
    Some(MachineCpu {
        work: work / TICKS_PER_SECOND,
        stolen: numbers.get(7).copied().unwrap_or(0.0) / TICKS_PER_SECOND,
    })
}
