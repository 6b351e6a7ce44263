//! The processors: /proc/stat and /proc/loadavg.

use std::path::PathBuf;
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// The state of the processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Share of all processors' time that was not idle since the previous reading, 0 to 1. `None` at the first reading.
    pub utilization: Option<f64>,
    /// Tasks that run or wait to run, averaged over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Processors that are online.
    pub processors: Option<u32>,
}

/// Collects them.
#[derive(Debug)]
pub struct CpuCollector {
    proc: PathBuf,
    before: Option<Ticks>,
}

impl CpuCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc, before: None }
    }
}

impl Collector for CpuCollector {
    type Part = Cpu;

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Cpu>, ReadError> {
        let path = self.proc.join("stat");
        let Some(text) = kernel_file::read(&path)? else { return Ok(None) };
        let ticks = parse_ticks(&text).ok_or_else(|| ReadError::malformed(path.display()))?;
        let before = self.before.replace(ticks);
        let processors = text.lines().filter(|line| is_processor(line)).count();
        Ok(Some(Cpu {
            utilization: before.and_then(|before| ticks.utilization_since(before)),
            load: kernel_file::read(&self.proc.join("loadavg"))?.as_deref().and_then(parse_load),
            processors: u32::try_from(processors).ok().filter(|n| *n > 0),
        }))
    }
}

/// Time of all processors together, in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    total: u64,
}

impl Ticks {
    /// Share of time that was not idle, 0 to 1. `None` where idle time has decreased, as iowait may (proc(5)).
    fn utilization_since(self, before: Self) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|total| *total > 0)?;
        let idle = self.idle.checked_sub(before.idle).filter(|idle| *idle <= total)?;
        Some((total - idle) as f64 / total as f64)
    }
}

fn is_processor(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Parses the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal, then guest times, which
/// user and nice already include (proc(5)). Waiting for disks is idle.
fn parse_ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut fields = [0; 8];
    let mut given = line.split_ascii_whitespace();
    for (index, field) in fields.iter_mut().enumerate() {
        match given.next() {
            Some(number) => *field = number.parse().ok()?,
            None if index >= 4 => break, // an older kernel with fewer fields
            None => return None,
        }
    }
    let total = fields.iter().try_fold(0_u64, |sum, field| sum.checked_add(*field))?;
    Some(Ticks { idle: fields[3].checked_add(fields[4])?, total })
}

fn parse_load(text: &str) -> Option<[f64; 3]> {
    let mut numbers = text.split_ascii_whitespace();
    let mut next = || numbers.next()?.parse().ok().filter(|load: &f64| load.is_finite() && *load >= 0.0);
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_the_share_that_was_not_idle_nor_waiting_for_disks() {
        let first = parse_ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 …").expect("it parses");
        let second = parse_ticks("cpu  150 0 120 720 110 0 0 0 40 0\n").expect("it parses");
        assert_eq!(second.utilization_since(first), Some(0.7), "100 ticks, of which 30 idle; guest time is not added");
    }

    #[test]
    fn an_empty_or_decreasing_interval_is_unknown() {
        let ticks = |idle, total| Ticks { idle, total };
        assert_eq!(ticks(5, 9).utilization_since(ticks(5, 9)), None);
        assert_eq!(ticks(4, 19).utilization_since(ticks(5, 9)), None);
        assert_eq!(ticks(5, 8).utilization_since(ticks(5, 9)), None);
    }

    #[test]
    fn an_old_kernel_s_line_is_read_and_a_broken_one_is_not() {
        assert_eq!(parse_ticks("cpu  1 2 3 4\n"), Some(Ticks { idle: 4, total: 10 }));
        for text in ["", "cpu", "cpu  1 2 3", "cpu  1 2 3 x", "cpu0 1 2 3 4", "cpu  18446744073709551615 1 1 1"] {
            assert_eq!(parse_ticks(text), None, "{text}");
        }
    }

    #[test]
    fn load_is_three_finite_numbers() {
        assert_eq!(parse_load("0.20 0.18 0.12 1/80 11206\n"), Some([0.20, 0.18, 0.12]));
        for text in ["", "0.2 0.1", "nan 0 0", "-1 0 0", "x"] {
            assert_eq!(parse_load(text), None, "{text}");
        }
    }
}
