//! CPU time and memory of a process with its children, from the operating system.
//!
//! CPU time is the scheduler's own account of each thread in nanoseconds (user and system together), not the clock tick's
//! of 10 ms. A thread that ended takes its account with it, so what is measured must keep its threads.

use std::fs;
use std::time::Duration;

/// A process and its descendants.
#[derive(Clone, Debug)]
pub struct Tree(Vec<u32>);

/// Memory of a process tree, in bytes. What the kernel holds in socket buffers is not in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident pages, shared ones divided by those who share them.
    pub pss: u64,
    /// Resident pages.
    pub rss: u64,
}

impl Tree {
    /// The processes that descend from this one now, with it.
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

    /// CPU time used so far. None where the kernel keeps no such account.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        self.0.iter().map(|pid| process_cpu(*pid)).sum()
    }

    /// CPU time in the kernel's ticks, as coarse as these are; with that of threads that have ended. None where it cannot
    /// be read.
    #[must_use]
    pub fn whole_cpu(&self) -> Option<Duration> {
        let second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
        let ticks = self.0.iter().try_fold(0.0, |sum, pid| {
            // The name in the second field may hold anything, so counting begins behind it (proc_pid_stat(5)).
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
            let mut ticks = || fields.next()?.parse::<f64>().ok();
            Some(sum + ticks()? + ticks()?)
        })?;
        Some(Duration::from_secs_f64(ticks / second))
    }

    /// Memory held now. None where it cannot be read.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        self.0.iter().try_fold(Memory::default(), |sum, pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let (pss, rss) = (kib(&text, "Pss:")?, kib(&text, "Rss:")?);
            Some(Memory { pss: sum.pss + pss * 1024, rss: sum.rss + rss * 1024 })
        })
    }

    /// The most that was resident in each process since it started, together, in bytes. None where it cannot be read.
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
    // The name in parentheses may hold anything: the fields begin behind the last one.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn process_cpu(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads
        .flatten()
        // One that has ended meanwhile took its account with it.
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .map(|text| text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos))
        .sum()
}

fn kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

/// What all cores did since the system started, in seconds of one core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    /// Work of any process and of the kernel.
    pub work: f64,
    /// Taken away by the hypervisor.
    pub stolen: f64,
}

/// Clock ticks a second in `/proc/stat`: fixed at 100 in the kernel's interface to user space.
const TICKS: f64 = 100.0;

/// Reads the account of the whole machine. None where it cannot be read.
#[must_use]
pub fn busy() -> Option<Busy> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let numbers: Vec<f64> =
        text.lines().next()?.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal: proc(5).
    let work = [0, 1, 2, 5, 6].into_iter().map(|at| numbers.get(at).copied().unwrap_or(0.0)).sum::<f64>();
    Some(Busy { work: work / TICKS, stolen: numbers.get(7).copied().unwrap_or(0.0) / TICKS })
}
