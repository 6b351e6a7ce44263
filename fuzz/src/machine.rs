//! The machine's sources: what the kernel's files and a helper's answer may hold.
//!
//! Whatever they hold, no reading panics and no figure is one that its quantity cannot have; what is unknown is absent.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inferometer::host::collector::Collector;
use inferometer::host::helper::parse_answer;
use inferometer::host::{amd, cpu, disks, filesystems, memory, networks, pressure, processes, temperatures};

/// Between the files of an input.
const SEPARATOR: u8 = 0x1e;

/// What is read in turn, by the first byte of an input. A name that comes again is written again before a second reading.
const FILES: [&[&str]; 9] = [
    &["proc/stat", "proc/loadavg", "proc/stat"],
    &["proc/meminfo"],
    &["proc/pressure/cpu", "proc/pressure/memory", "proc/pressure/io"],
    &["proc/diskstats", "proc/diskstats"],
    &["proc/net/dev"],
    &["proc/self/mounts"],
    &["proc/10/cmdline", "proc/10/stat", "proc/10/status", "proc/10/stat"],
    &[
        "sys/class/hwmon/hwmon0/name",
        "sys/class/hwmon/hwmon0/temp1_input",
        "sys/class/hwmon/hwmon0/temp1_label",
        "sys/class/thermal/thermal_zone0/type",
        "sys/class/thermal/thermal_zone0/temp",
    ],
    &[
        "sys/class/drm/card0/device/vendor",
        "sys/class/drm/card0/device/gpu_busy_percent",
        "sys/class/drm/card0/device/mem_info_vram_used",
        "sys/class/drm/card0/device/mem_info_vram_total",
        "sys/class/drm/card0/device/hwmon/hwmon1/power1_average",
        "sys/class/drm/card0/device/hwmon/hwmon1/temp1_input",
    ],
];

/// A folder of one thread's own.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let root = std::env::temp_dir().join(format!("inferometer-fuzz-{}-{number}", std::process::id()));
        for file in FILES.iter().copied().flatten() {
            std::fs::create_dir_all(root.join(file).parent().expect("it has one")).expect("it can be made");
        }
        for device in ["sda", "nvme0n1", "dm-0/slaves/sda", "loop0"] {
            std::fs::create_dir_all(root.join("sys/block").join(device)).expect("it can be made");
        }
        Self(root)
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(file), bytes).expect("it can be written");
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

thread_local!(static TREE: RefCell<Tree> = RefCell::new(Tree::new()));

/// A kind of source, and its files. Kinds of figures have their bounds here.
pub fn host_files(input: &[u8]) {
    let [kind, text @ ..] = input else { return };
    let files = FILES[usize::from(*kind) % FILES.len()];
    let mut pieces = text.split(|byte| *byte == SEPARATOR);
    TREE.with_borrow(|tree| {
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for file in files {
            let piece = pieces.next().unwrap_or_default();
            let list = if first.iter().any(|(known, _)| known == file) { &mut again } else { &mut first };
            list.push((*file, piece));
        }
        first.iter().for_each(|(file, piece)| tree.write(file, piece));
        let meanwhile = || again.iter().for_each(|(file, piece)| tree.write(file, piece));
        check(usize::from(*kind) % FILES.len(), &tree.0, meanwhile);
    });
}

/// Two readings a second apart, with what happened meanwhile.
fn readings<C: Collector>(mut collector: C, meanwhile: impl FnOnce()) -> impl Iterator<Item = C::Part> {
    let start = Instant::now();
    let first = collector.read(start);
    meanwhile();
    [first, collector.read(start + Duration::from_secs(1))].into_iter().flatten().flatten()
}

fn check(kind: usize, root: &Path, meanwhile: impl FnOnce()) {
    let (proc, sys) = (root.join("proc"), root.join("sys"));
    let ratio = |it: f64| (0.0..=1.0).contains(&it);
    let celsius = |it: f64| (-50.0..=150.0).contains(&it);
    match kind {
        0 => readings(cpu::CpuCollector::new(proc), meanwhile).for_each(|it| {
            assert!(it.utilization.is_none_or(ratio), "{it:?}");
            assert!(it.load.is_none_or(|load| load.iter().all(|it| it.is_finite() && *it >= 0.0)), "{it:?}");
        }),
        1 => readings(memory::MemoryCollector::new(proc), meanwhile).for_each(|it| {
            assert!(it.used_bytes() <= it.total_bytes && it.swap_used_bytes <= it.swap_total_bytes, "{it:?}");
        }),
        2 => readings(pressure::PressureCollector::new(proc), meanwhile).for_each(|it| {
            let stalls = [&it.cpu, &it.memory, &it.io].into_iter().flatten();
            let mut shares = stalls.flat_map(|stall| Some(&stall.some).into_iter().chain(&stall.full));
            assert!(shares.all(|share| ratio(share.of_ten_seconds)), "{it:?}");
        }),
        3 => readings(disks::DisksCollector::new(proc, sys), meanwhile).for_each(|it| {
            let rates = it.rates.iter().flat_map(|it| [Some(it.read_bytes), Some(it.written_bytes), it.operations]);
            assert!(rates.flatten().all(|rate| rate.is_finite() && rate >= 0.0), "{it:?}");
            assert!(it.devices.iter().all(|disk| !disk.device.starts_with("loop")), "{it:?}");
        }),
        4 => readings(networks::NetworksCollector::new(proc), meanwhile).for_each(|it| {
            assert!(it.iter().all(|network| !network.interface.is_empty() && network.interface != "lo"), "{it:?}");
        }),
        5 => readings(filesystems::FilesystemsCollector::new(proc), meanwhile).for_each(|it| {
            assert!(it.iter().all(|it| it.available_bytes <= it.size_bytes && !it.device.is_empty()), "{it:?}");
        }),
        6 => {
            let mut before = 0.0;
            readings(processes::ProcessesCollector::new(proc), meanwhile).for_each(|it| {
                for (_, used) in it.roles {
                    assert!(used.cpu_seconds.is_finite() && used.cpu_seconds >= before, "{used:?}");
                    before = used.cpu_seconds;
                }
            });
        }
        7 => readings(temperatures::TemperaturesCollector::new(sys), meanwhile).for_each(|it| {
            assert!(it.cpu_celsius.is_none_or(celsius), "{it:?}");
            assert!(it.sensors.iter().all(|sensor| celsius(sensor.celsius)), "{it:?}");
        }),
        _ => readings(amd::AmdCollector::new(sys), meanwhile).for_each(|it| {
            for gpu in it {
                assert!(gpu.utilization.is_none_or(ratio) && gpu.temperature_celsius.is_none_or(celsius), "{gpu:?}");
                assert!(gpu.power_watts.is_none_or(|watts| (0.0..=10_000.0).contains(&watts)), "{gpu:?}");
                assert!(gpu.memory_total_bytes.is_none() || gpu.memory_used_bytes <= gpu.memory_total_bytes, "{gpu:?}");
            }
        }),
    }
}

/// What a helper answers, of whatever kind it is.
pub fn helper_answer(input: &[u8]) {
    let Some(it) = parse_answer(input) else { return };
    for (figure, most) in [
        (it.gpu_utilization, 1.0),
        (it.memory_pressure, 1.0),
        (it.gpu_power_watts, 10_000.0),
        (it.cpu_power_watts, 10_000.0),
        (it.cpu_energy_joules, 1e13),
        (it.timestamp, 1e12),
    ] {
        assert!(figure.is_none_or(|figure| (0.0..=most).contains(&figure)), "{it:?}");
    }
    for figure in [it.cpu_celsius, it.gpu_celsius] {
        assert!(figure.is_none_or(|figure| (-50.0..=150.0).contains(&figure)), "{it:?}");
    }
}
