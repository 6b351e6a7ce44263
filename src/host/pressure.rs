//! Pressure: how long tasks wait for processors, memory and disks (/proc/pressure, Linux 4.20 and later).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// Pressure on each resource; `None` where the kernel does not report it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pressure {
    /// On the processors.
    pub cpu: Option<ResourceStall>,
    /// On memory.
    pub memory: Option<ResourceStall>,
    /// On disks.
    pub io: Option<ResourceStall>,
}

/// How long tasks were stalled for lack of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceStall {
    /// At least one task was.
    pub some: Share,
    /// All tasks were at once; `None` where that makes no sense.
    pub full: Option<Share>,
}

/// A share of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Share of the last ten seconds, 0 to 1.
    pub of_ten_seconds: f64,
    /// Time since the system started.
    pub total: Duration,
}

/// Collects it.
#[derive(Debug)]
pub struct PressureCollector {
    proc: PathBuf,
}

impl PressureCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self { proc }
    }
}

impl Collector for PressureCollector {
    type Part = Pressure;

    fn name(&self) -> &'static str {
        "pressure"
    }

    fn read(&mut self, _: Instant) -> Result<Option<Pressure>, ReadError> {
        let folder = self.proc.join("pressure");
        // Where it is compiled in but disabled, opening fails with "not supported", which counts as absent.
        let stall = |name: &str| kernel_file::line(&folder.join(name)).as_deref().and_then(parse_stall);
        let found = Pressure { cpu: stall("cpu"), memory: stall("memory"), io: stall("io") };
        Ok(Some(found).filter(|found| *found != Pressure::default()))
    }
}

/// Parses `some avg10=0.50 avg60=0.52 avg300=0.90 total=17971976`, and a line `full` where it makes sense; averages in
/// percent, the total in microseconds (Linux, Documentation/accounting/psi.rst).
fn parse_stall(text: &str) -> Option<ResourceStall> {
    let share = |kind: &str| parse_share(text.lines().find_map(|line| line.strip_prefix(kind))?);
    Some(ResourceStall { some: share("some ")?, full: share("full ") })
}

fn parse_share(line: &str) -> Option<Share> {
    let field = |key: &str| line.split_ascii_whitespace().find_map(|field| field.strip_prefix(key));
    let percent: f64 = field("avg10=")?.parse().ok()?;
    let total = Duration::from_micros(field("total=")?.parse().ok()?);
    (0.0..=100.0).contains(&percent).then_some(Share { of_ten_seconds: percent / 100.0, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_become_shares_and_microseconds_a_duration() {
        let stall = parse_stall(
            "some avg10=12.50 avg60=0.52 avg300=0.90 total=17971976\nfull avg10=0.00 avg60=0 avg300=0 total=2\n",
        )
        .expect("it parses");
        assert_eq!(stall.some, Share { of_ten_seconds: 0.125, total: Duration::from_micros(17_971_976) });
        assert_eq!(stall.full.map(|full| full.total), Some(Duration::from_micros(2)));
    }

    #[test]
    fn an_implausible_line_is_unknown() {
        for text in [
            "",
            "some",
            "some avg10=101 total=1",
            "some avg10=-1 total=1",
            "some avg10=nan total=1",
            "some avg10=1 total=x",
        ] {
            assert_eq!(parse_stall(text), None, "{text}");
        }
    }
}
