//! Disks: /proc/diskstats, for the whole devices that /sys/block lists.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collector::{Collector, ReadError};
use super::kernel_file;

/// The size of the kernel's sectors in bytes, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// Block devices that are memory or files.
const NOT_DISKS: [&str; 3] = ["loop", "ram", "zram"];

/// All disks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disks {
    /// Each device.
    pub devices: Vec<Disk>,
    /// The rates of all devices together since the previous reading; `None` at the first.
    pub rates: Option<DiskRates>,
}

/// The counters of one device since the system started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name of the device.
    pub device: String,
    /// Whether its bytes are counted again for underlying devices (RAID, LVM, encryption).
    pub stacked: bool,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Completed operations; `None` where the system does not count them.
    pub operations: Option<Operations>,
}

/// Completed operations since the system started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// The rates of all devices that are not stacked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskRates {
    /// Bytes read per second.
    pub read_bytes: f64,
    /// Bytes written per second.
    pub written_bytes: f64,
    /// Reads and writes per second; `None` where the system does not count them.
    pub operations: Option<f64>,
    /// Reads per second; `None` where the system does not count them.
    pub reads: Option<f64>,
    /// Writes per second; `None` where the system does not count them.
    pub writes: Option<f64>,
}

/// Collects them.
#[derive(Debug)]
pub struct DisksCollector {
    proc: PathBuf,
    sys: PathBuf,
    before: Option<(Instant, HashMap<String, Disk>)>,
}

impl DisksCollector {
    /// Reads below this procfs and this sysfs.
    #[must_use]
    pub fn new(proc: PathBuf, sys: PathBuf) -> Self {
        Self { proc, sys, before: None }
    }
}

impl Collector for DisksCollector {
    type Part = Disks;

    fn name(&self) -> &'static str {
        "disks"
    }

    fn read(&mut self, now: Instant) -> Result<Option<Disks>, ReadError> {
        let path = self.proc.join("diskstats");
        let Some(text) = kernel_file::read(&path)? else { return Ok(None) };
        let Some(blocks) = kernel_file::entries(&self.sys.join("block"))? else { return Ok(None) };
        let stats: HashMap<_, _> =
            text.lines().filter_map(parse_diskstats).map(|disk| (disk.device.clone(), disk)).collect();
        let devices: Vec<_> = blocks.iter().filter_map(|block| whole_device(block, &stats)).collect();
        let by_name = devices.iter().map(|disk| (disk.device.clone(), disk.clone())).collect();
        let rates = self.before.replace((now, by_name)).and_then(|(then, before)| rates(&before, &devices, now - then));
        Ok(Some(Disks { devices, rates }))
    }
}

fn whole_device(block: &Path, stats: &HashMap<String, Disk>) -> Option<Disk> {
    // A slash in a device's name is an exclamation mark in /sys (`cciss!c0d0`).
    let device = kernel_file::name(block).replace('!', "/");
    if NOT_DISKS
        .iter()
        .any(|kind| device.strip_prefix(kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
    {
        return None;
    }
    let slaves = kernel_file::entries(&block.join("slaves")).ok().flatten();
    let stacked = slaves.is_some_and(|slaves| !slaves.is_empty());
    Some(Disk { stacked, ..stats.get(&device)?.clone() })
}

/// Sums over the devices of the previous reading; a new device counts from the next reading on.
fn rates(before: &HashMap<String, Disk>, devices: &[Disk], elapsed: std::time::Duration) -> Option<DiskRates> {
    let seconds = elapsed.as_secs_f64();
    let mut sum = DiskRates { operations: Some(0.0), reads: Some(0.0), writes: Some(0.0), ..DiskRates::default() };
    for disk in devices.iter().filter(|disk| !disk.stacked) {
        let Some(old) = before.get(&disk.device) else { continue };
        // A counter that decreased belongs to another device of the same name: its rate is unknown.
        let grown = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        sum.read_bytes += grown(disk.read_bytes, old.read_bytes);
        sum.written_bytes += grown(disk.written_bytes, old.written_bytes);
        let both = disk.operations.zip(old.operations);
        let rate = |of: fn(Operations) -> u64| both.map(|(new, old)| grown(of(new), of(old)));
        let add = |sum: Option<f64>, more: Option<f64>| sum.zip(more).map(|(sum, more)| sum + more);
        sum.reads = add(sum.reads, rate(|it| it.reads));
        sum.writes = add(sum.writes, rate(|it| it.writes));
        sum.operations = add(sum.reads, sum.writes);
    }
    (seconds > 0.0).then_some(sum)
}

/// Major, minor, name, reads, reads merged, sectors read, ms, writes, writes merged, sectors written, … (Linux,
/// Documentation/admin-guide/iostats.rst).
fn parse_diskstats(line: &str) -> Option<Disk> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let device = fields.next()?.to_owned();
    let numbers: Vec<u64> = fields.take(7).map_while(|field| field.parse().ok()).collect();
    let [reads, _, sectors_read, _, writes, _, sectors_written] = numbers[..] else { return None };
    Some(Disk {
        device,
        stacked: false,
        read_bytes: sectors_read.checked_mul(SECTOR_BYTES)?,
        written_bytes: sectors_written.checked_mul(SECTOR_BYTES)?,
        operations: Some(Operations { reads, writes }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sectors_are_of_512_bytes_and_merged_requests_are_not_counted_twice() {
        let line =
            " 254       0 vda 211981 17096 24514730 236327 31159 54668 20929104 58298 0 27944 297026 1 2 3 4 5 6";
        let disk = parse_diskstats(line).expect("it parses");
        assert_eq!(disk.operations, Some(Operations { reads: 211_981, writes: 31_159 }));
        assert_eq!((disk.read_bytes, disk.written_bytes), (24_514_730 * 512, 20_929_104 * 512));
    }

    #[test]
    fn a_malformed_line_is_skipped() {
        for line in ["", "8 0", "8 0 sda 1 2 3", "8 0 sda 1 2 3 4 5 6 x", "8 0 sda 1 2 18446744073709551615 4 5 6 7"] {
            assert_eq!(parse_diskstats(line), None, "{line}");
        }
    }

    #[test]
    fn rates_leave_out_stacked_and_new_devices_and_counters_that_decreased() {
        let disk =
            |device: &str, read_bytes, stacked| Disk { device: device.into(), read_bytes, stacked, ..Disk::default() };
        let before = [disk("sda", 1000, false), disk("dm-0", 1000, true), disk("sdb", 500, false)];
        let before = before.into_iter().map(|disk| (disk.device.clone(), disk)).collect();
        let now =
            [disk("sda", 3000, false), disk("dm-0", 3000, true), disk("sdb", 100, false), disk("sdc", 9000, false)];
        let rates = rates(&before, &now, Duration::from_secs(2)).expect("time has passed");
        assert_eq!(rates.read_bytes, 1000.0);
    }
}
