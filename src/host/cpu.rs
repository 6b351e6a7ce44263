//! The processors: /proc/stat, /proc/loadavg, and their clocks in /proc/cpuinfo or cpufreq.

use std::collections::HashMap;
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
    /// Share of each processor's time that was not idle since the previous reading, 0 to 1, in the order of the kernel;
    /// `None` at the first reading and for one that has just come online.
    pub per_processor: Vec<Option<f64>>,
    /// The mean clock of the processors in MHz; `None` where the system does not report it.
    pub megahertz: Option<f64>,
}

/// Collects them.
#[derive(Debug)]
pub struct CpuCollector {
    proc: PathBuf,
    sys: Option<PathBuf>,
    before: Option<Ticks>,
    each_before: HashMap<String, Ticks>,
}

impl CpuCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc, sys: None, before: None, each_before: HashMap::new() }
    }

    /// Reads the clocks below this sysfs where procfs does not have them.
    #[must_use]
    pub fn with_sys(self, sys: PathBuf) -> Self {
        Self { sys: Some(sys), ..self }
    }

    fn megahertz(&self) -> Option<f64> {
        let text = kernel_file::read(&self.proc.join("cpuinfo")).ok().flatten().unwrap_or_default();
        mean(text.lines().filter_map(|line| line.strip_prefix("cpu MHz")?.split_once(':')?.1.trim().parse().ok()))
            .or_else(|| {
                let policies = kernel_file::entries(&self.sys.as_ref()?.join("devices/system/cpu/cpufreq")).ok()??;
                // In kHz.
                mean(policies.iter().filter_map(|it| Some(kernel_file::number(&it.join("scaling_cur_freq"))? / 1e3)))
            })
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
        let each: Vec<(String, Ticks)> =
            text.lines().filter(|line| is_processor(line)).filter_map(parse_processor).collect();
        let processors = each.len();
        let since = |(name, ticks): &(String, Ticks)| ticks.utilization_since(*self.each_before.get(name)?);
        let per_processor = each.iter().map(since).collect();
        self.each_before = each.into_iter().collect();
        Ok(Some(Cpu {
            per_processor,
            megahertz: self.megahertz(),
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

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

fn is_processor(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Parses the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal, then guest times, which
/// user and nice already include (proc(5)). Waiting for disks is idle.
fn parse_ticks(text: &str) -> Option<Ticks> {
    parse_times(text.lines().find_map(|line| line.strip_prefix("cpu "))?)
}

/// The line of one processor, such as `cpu0 1 2 …`.
fn parse_processor(line: &str) -> Option<(String, Ticks)> {
    let (name, times) = line.split_once(' ')?;
    Some((name.to_owned(), parse_times(times)?))
}

fn parse_times(line: &str) -> Option<Ticks> {
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
    fn each_processor_has_its_own_share_and_a_new_one_none() {
        let folder = std::env::temp_dir().join(format!("inferometer-cpu-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
        write("cpuinfo", "cpu MHz\t\t: 2000.0\nflags: x\ncpu MHz\t\t: 3000.0\n");
        write("stat", "cpu  20 0 0 20\ncpu0 10 0 0 10\ncpu1 10 0 0 10\n");
        let mut collector = CpuCollector::new(folder.clone());
        let first = collector.read(Instant::now()).expect("it reads").expect("it exists");
        assert_eq!((first.per_processor, first.megahertz), (vec![None, None], Some(2500.0)));
        write("stat", "cpu  31 0 0 30\ncpu0 20 0 0 10\ncpu1 10 0 0 20\ncpu2 1 0 0 0\n");
        let second = collector.read(Instant::now()).expect("it reads").expect("it exists");
        assert_eq!(second.per_processor, [Some(1.0), Some(0.0), None]);
        std::fs::remove_dir_all(folder).expect("it was made above");
    }

    #[test]
    fn load_is_three_finite_numbers() {
        assert_eq!(parse_load("0.20 0.18 0.12 1/80 11206\n"), Some([0.20, 0.18, 0.12]));
        for text in ["", "0.2 0.1", "nan 0 0", "-1 0 0", "x"] {
            assert_eq!(parse_load(text), None, "{text}");
        }
    }
}
