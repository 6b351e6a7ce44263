//! Linux: energy from RAPL, the processors' temperature from hwmon, pressure from /proc/pressure.
//!
//! Since Linux 5.10 only root may read RAPL's counters, because fine readings reveal what other programs compute
//! (CVE-2020-8694): they are opened before the privileges are dropped, read once an interval and never faster, and
//! reported as an average over it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::facts::Facts;

/// The open files of every source.
#[derive(Debug)]
pub(crate) struct Kernel {
    counters: Vec<Counter>,
    temperatures: Vec<Thermometer>,
    pressures: Pressures,
    interval: Duration,
    /// When everything was last read; `None` before the first reading.
    before: Option<Instant>,
    /// Energy that the processors have used since the start, in microjoules.
    used: u64,
}

/// A RAPL domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// A processor with everything in its package.
    Package,
    Dram,
}

/// A counter of microjoules that wraps around to zero above `range`.
#[derive(Debug)]
struct Counter {
    domain: Domain,
    file: File,
    path: PathBuf,
    range: u64,
    /// The last reading; `None` before the first.
    before: Option<u64>,
}

/// How well a sensor represents a processor's temperature. Only sensors of the best rank present are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SensorRank {
    /// Measures the whole processor.
    Processor,
    /// Has an offset on some processors (AMD's `Tctl`).
    Control,
    /// Measures a part of the processor.
    Part,
}

#[derive(Debug)]
struct Thermometer {
    rank: SensorRank,
    file: File,
}

#[derive(Debug)]
struct Pressures {
    cpu: Option<File>,
    memory: Option<File>,
    io: Option<File>,
}

impl Kernel {
    /// Opens every source that exists. One that may not be read is reported on standard error and left out.
    pub(crate) fn open(proc: &Path, sys: &Path, interval: Duration) -> io::Result<Self> {
        let pressure = |name: &str| File::open(proc.join("pressure").join(name)).ok();
        let kernel = Self {
            counters: entries(&sys.join("class/powercap")).iter().filter_map(|zone| open_counter(zone)).collect(),
            temperatures: open_thermometers(sys),
            pressures: Pressures { cpu: pressure("cpu"), memory: pressure("memory"), io: pressure("io") },
            interval,
            before: None,
            used: 0,
        };
        let none = kernel.counters.is_empty() && kernel.temperatures.is_empty() && kernel.pressures.memory.is_none();
        if none { Err(io::Error::other("neither RAPL nor hwmon nor pressure can be read here")) } else { Ok(kernel) }
    }

    /// Reads everything once.
    ///
    /// # Errors
    /// When a counter can no longer be read: the source has failed.
    fn read(&mut self, now: Instant) -> io::Result<Facts> {
        let elapsed =
            self.before.replace(now).map(|before| (now - before).as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let package = self.microjoules(Domain::Package)?;
        let dram = self.microjoules(Domain::Dram)?;
        self.used += package.unwrap_or(0);
        let milliwatts = |microjoules: Option<u64>| Some(microjoules? as f64 / 1000.0 / elapsed?);
        Ok(Facts {
            cpu_power: milliwatts(package),
            dram_power: milliwatts(dram),
            cpu_energy_joules: package.map(|_| self.used as f64 / 1e6),
            cpu_temperature: self.temperature(),
            cpu_pressure: self.pressures.cpu.as_mut().and_then(some_avg10),
            memory_pressure: self.pressures.memory.as_mut().and_then(some_avg10),
            io_pressure: self.pressures.io.as_mut().and_then(some_avg10),
            ..Facts::default()
        })
    }

    /// Energy used by all domains of a kind since the last reading; `None` at the first, and without such a domain.
    fn microjoules(&mut self, domain: Domain) -> io::Result<Option<u64>> {
        let mut sum = None;
        for counter in self.counters.iter_mut().filter(|counter| counter.domain == domain) {
            if let Some(microjoules) = counter.advance()? {
                *sum.get_or_insert(0) += microjoules;
            }
        }
        Ok(sum)
    }

    /// The hottest sensor of the best rank, in degrees Celsius.
    fn temperature(&mut self) -> Option<f64> {
        let readings: Vec<(SensorRank, f64)> =
            self.temperatures.iter_mut().filter_map(|it| Some((it.rank, it.celsius()?))).collect();
        let best = readings.iter().map(|(rank, _)| *rank).min()?;
        readings.iter().filter(|(rank, _)| *rank == best).map(|(_, celsius)| *celsius).reduce(f64::max)
    }
}

impl Iterator for Kernel {
    type Item = io::Result<Facts>;

    fn next(&mut self) -> Option<io::Result<Facts>> {
        if let Some(before) = self.before {
            std::thread::sleep(self.interval.saturating_sub(before.elapsed()));
        }
        Some(self.read(Instant::now()))
    }
}

impl Counter {
    /// Microjoules since the last reading; `None` at the first.
    fn advance(&mut self) -> io::Result<Option<u64>> {
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.path.display()));
        let text = reread(&mut self.file).map_err(failed)?;
        let now: u64 = text.trim().parse().map_err(|_| failed(ErrorKind::InvalidData.into()))?;
        let before = self.before.replace(now);
        Ok(before.and_then(|before| growth(before, now, self.range)))
    }
}

/// The growth of a counter that wraps around at most once an interval. `None` where the range does not allow it.
fn growth(before: u64, now: u64, range: u64) -> Option<u64> {
    now.checked_sub(before).or_else(|| range.checked_sub(before)?.checked_add(now))
}

/// Opens `intel-rapl:0` and its parts, which AMD has as well. `None` for `intel-rapl-mmio`, which repeats a package,
/// and for the platform's domain (`psys`), which includes the packages.
fn open_counter(zone: &Path) -> Option<Counter> {
    if !zone.file_name()?.to_str()?.starts_with("intel-rapl:") {
        return None;
    }
    let name = std::fs::read_to_string(zone.join("name")).ok()?;
    let domain = match name.trim() {
        name if name.starts_with("package") => Domain::Package,
        "dram" => Domain::Dram,
        _ => return None,
    };
    let path = zone.join("energy_uj");
    let range = std::fs::read_to_string(zone.join("max_energy_range_uj")).ok()?.trim().parse().ok()?;
    match File::open(&path) {
        Ok(file) => Some(Counter { domain, file, path, range, before: None }),
        Err(error) => {
            eprintln!("inferometer-helper: {}: {error}; its power is left out", path.display());
            None
        }
    }
}

fn open_thermometers(sys: &Path) -> Vec<Thermometer> {
    let chips = entries(&sys.join("class/hwmon"));
    chips
        .iter()
        .flat_map(|chip| entries(chip).into_iter().filter_map(move |file| open_thermometer(chip, &file)))
        .collect()
}

fn open_thermometer(chip: &Path, file: &Path) -> Option<Thermometer> {
    let number = file.file_name()?.to_str()?.strip_suffix("_input").filter(|name| name.starts_with("temp"))?;
    let read = |name: &str| std::fs::read_to_string(chip.join(name)).ok().map(|text| text.trim().to_owned());
    let rank = rank(&read("name")?, &read(&format!("{number}_label")).unwrap_or_default())?;
    Some(Thermometer { rank, file: File::open(file).ok()? })
}

/// `None` for a sensor that is not a processor's.
fn rank(chip: &str, label: &str) -> Option<SensorRank> {
    match (chip, label) {
        ("coretemp", label) if label.starts_with("Package") => Some(SensorRank::Processor),
        ("k10temp" | "zenpower", "Tdie") | ("cpu_thermal" | "soc_thermal", _) => Some(SensorRank::Processor),
        ("k10temp" | "zenpower", "Tctl") => Some(SensorRank::Control),
        ("coretemp" | "k10temp" | "zenpower", _) => Some(SensorRank::Part),
        _ => None,
    }
}

impl Thermometer {
    /// `None` where the sensor cannot be read, or reads outside -50 to 150.
    fn celsius(&mut self) -> Option<f64> {
        let thousandths: f64 = reread(&mut self.file).ok()?.trim().parse().ok()?;
        Some(thousandths / 1000.0).filter(|celsius| (-50.0..=150.0).contains(celsius))
    }
}

/// The `avg10` of the line `some`, in percent: the share of ten seconds in which some task waited.
fn some_avg10(file: &mut File) -> Option<f64> {
    let text = reread(file).ok()?;
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent: f64 = some.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Reads from the start, for which the kernel writes a new text.
fn reread(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text)?;
    Ok(text)
}

/// Sorted by name; empty where the folder does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A synthetic tree of kernel files; dropping it removes it.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("inferometer-helper-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&root).expect("it can be made");
            Self(root)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
            std::fs::write(path, text).expect("it can be written");
        }

        fn zone(&self, zone: &str, name: &str, microjoules: u64) {
            let folder = format!("sys/class/powercap/{zone}");
            self.write(&format!("{folder}/name"), name);
            self.write(&format!("{folder}/max_energy_range_uj"), "1000000\n");
            self.write(&format!("{folder}/energy_uj"), &format!("{microjoules}\n"));
        }

        fn open(&self) -> io::Result<Kernel> {
            Kernel::open(&self.0.join("proc"), &self.0.join("sys"), Duration::from_secs(1))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn power_is_energy_over_time_with_each_package_counted_once() {
        let tree = Tree::new("power");
        let write = |one, two, dram| {
            tree.zone("intel-rapl:0", "package-0\n", one);
            tree.zone("intel-rapl:1", "package-1\n", two);
            tree.zone("intel-rapl:0:0", "core\n", one);
            tree.zone("intel-rapl:0:1", "dram\n", dram);
            tree.zone("intel-rapl:2", "psys\n", one);
            tree.zone("intel-rapl-mmio:0", "package-0\n", one);
        };
        write(100_000, 0, 0);
        let mut kernel = tree.open().expect("there is something");
        let start = Instant::now();
        let first = kernel.read(start).expect("it reads");
        assert_eq!((first.cpu_power, first.cpu_energy_joules), (None, None), "there is no interval yet");
        write(500_000, 200_000, 50_000);
        let second = kernel.read(start + Duration::from_secs(2)).expect("it reads");
        assert_eq!((second.cpu_power, second.dram_power), (Some(300.0), Some(25.0)));
        assert_eq!(second.cpu_energy_joules, Some(0.6));
        write(100_000, 200_000, 50_000);
        let third = kernel.read(start + Duration::from_secs(4)).expect("it reads");
        assert_eq!(third.cpu_power, Some(300.0), "the counter passed its end of 1 J");
    }

    #[test]
    fn a_counter_that_fails_ends_the_source() {
        let tree = Tree::new("dies");
        tree.zone("intel-rapl:0", "package-0\n", 5);
        let mut kernel = tree.open().expect("there is something");
        tree.write("sys/class/powercap/intel-rapl:0/energy_uj", "gone\n");
        let error = kernel.read(Instant::now()).expect_err("it died");
        assert!(error.to_string().contains("energy_uj"), "{error}");
    }

    #[test]
    fn temperature_and_pressure_are_read_and_nonsense_is_unknown() {
        let tree = Tree::new("hwmon");
        assert!(tree.open().is_err(), "there is nothing to read");
        tree.write("sys/class/hwmon/hwmon0/name", "nvme\n");
        tree.write("sys/class/hwmon/hwmon0/temp1_input", "80000\n");
        tree.write("sys/class/hwmon/hwmon1/name", "k10temp\n");
        tree.write("sys/class/hwmon/hwmon1/temp1_input", "71125\n");
        tree.write("sys/class/hwmon/hwmon1/temp1_label", "Tctl\n");
        tree.write("sys/class/hwmon/hwmon1/temp3_input", "90000\n");
        tree.write("sys/class/hwmon/hwmon1/temp3_label", "Tccd1\n");
        tree.write("proc/pressure/memory", "some avg10=12.50 avg60=0 avg300=0 total=5\nfull avg10=1 total=2\n");
        tree.write("proc/pressure/io", "some avg10=nan total=5\n");
        let facts = tree.open().expect("there is something").read(Instant::now()).expect("it reads");
        assert_eq!((facts.cpu_temperature, facts.memory_pressure), (Some(71.125), Some(12.5)));
        assert_eq!((facts.io_pressure, facts.cpu_pressure), (None, None));
        tree.write("sys/class/hwmon/hwmon1/temp1_input", "255000\n");
        let facts = tree.open().expect("there is something").read(Instant::now()).expect("it reads");
        assert_eq!(facts.cpu_temperature, Some(90.0), "a broken sensor is ignored");
    }

    #[test]
    fn a_counter_that_wraps_around_without_a_range_is_unknown() {
        assert_eq!(growth(5, 9, 100), Some(4));
        assert_eq!(growth(95, 4, 100), Some(9));
        assert_eq!(growth(95, 4, 0), None);
    }
}
