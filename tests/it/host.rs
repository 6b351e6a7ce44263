//! The machine underneath: golden expositions from made-up trees, real readings held against the system's own tools,
//! and sources that hang.

#[cfg(target_os = "linux")]
mod seeds;
mod tree;

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inferometer::clock::Clock;
use inferometer::host::collector::{Collector, CollectorHealth};
use inferometer::host::helper::{HelperPart, parse_answer};
use inferometer::host::{Host, HostSnapshot, Settings, amd, cpu, disks, filesystems, memory, networks, pressure};
use inferometer::host::{processes, temperatures};
use inferometer::metrics::host::HostMetrics;
use prometheus::{Registry, TextEncoder};
use tree::Tree;

use crate::support::{golden, tools};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn exposition(snapshot: &HostSnapshot) -> String {
    let registry = Registry::new();
    let snapshot = snapshot.clone();
    HostMetrics::register(&registry, Clock::start(), move |_| snapshot.clone());
    TextEncoder::new().encode_to_string(&registry.gather()).expect("it can be written")
}

/// Reads a collector twice, two seconds apart, with what happened meanwhile.
fn read_twice<C: Collector>(mut collector: C, meanwhile: impl FnOnce()) -> Option<Arc<C::Part>> {
    let start = Instant::now();
    collector.read(start).expect("it reads");
    meanwhile();
    collector.read(start + Duration::from_secs(2)).expect("it reads").map(Arc::new)
}

/// Everything that can be read of a made-up machine.
fn snapshot_of(tree: &Tree) -> HostSnapshot {
    let (proc, sys) = (|| tree.path("proc"), || tree.path("sys"));
    HostSnapshot {
        cpu: read_twice(cpu::CpuCollector::new(proc()), || tree.cpu_works()),
        memory: read_twice(memory::MemoryCollector::new(proc()), || ()),
        pressure: read_twice(pressure::PressureCollector::new(proc()), || ()),
        disks: read_twice(disks::DisksCollector::new(proc(), sys()), || tree.disks_work()),
        filesystems: None,
        networks: read_twice(networks::NetworksCollector::new(proc()), || ()),
        temperatures: read_twice(temperatures::TemperaturesCollector::new(sys()), || ()),
        processes: read_twice(processes::ProcessesCollector::new(proc()), || tree.runner_works()),
        amd: read_twice(amd::AmdCollector::new(sys()), || ()),
        node: "gpu-box".into(),
        ..HostSnapshot::default()
    }
}

fn health(name: &'static str, success: bool) -> CollectorHealth {
    let last_success = success.then(Instant::now);
    CollectorHealth { name, success: Some(success), duration: Some(Duration::from_millis(250)), last_success }
}

/// With every time of a last success the same, so that two expositions can be compared.
fn at_a_fixed_time(exposition: &str) -> String {
    let fixed = |line: &str| match line.split_once("} ") {
        Some((series, _)) if line.contains("_last_success_") => format!("{series}}} 1700000000\n"),
        _ => format!("{line}\n"),
    };
    exposition.lines().map(fixed).collect()
}

fn hold_against(name: &str, text: &str) {
    golden::hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/host").join(name), text);
}

#[test]
fn a_linux_machine_is_exposed_as_the_golden_file_says() {
    let tree = Tree::linux("linux");
    let mut snapshot = snapshot_of(&tree);
    let answer = br#"{"cpu_power": 35500, "cpu_energy_joules": 1200.5, "cpu_temperature": 70, "memory_pressure": 99}"#;
    let reading = parse_answer(answer).expect("it parses");
    snapshot.helper = Some(Arc::new(HelperPart { reading, at: Instant::now() }));
    snapshot.helper_up = Some(true);
    snapshot.filesystems = Some(Arc::new(vec![filesystems::Filesystem {
        device: "/dev/md0".into(),
        mountpoint: "/my \"models\"".into(),
        kind: "ext4".into(),
        size_bytes: 4_000_000_000_000,
        free_bytes: 1_200_000_000_000,
        available_bytes: 1_000_000_000_000,
    }]));
    // AMD's driver has no energy; others do.
    if let Some(gpu) = snapshot.amd.as_mut().and_then(Arc::get_mut).and_then(|gpus| gpus.first_mut()) {
        gpu.energy_joules = Some(250.5);
    }
    snapshot.collectors = vec![health("cpu", true), health("helper", false)];
    hold_against("linux.prom", &at_a_fixed_time(&exposition(&snapshot)));
}

#[test]
fn a_mac_with_its_helper_alone_is_exposed_as_the_golden_file_says() {
    let answer = br#"{"gpu_utilization": 42.5, "gpu_power": 8500, "cpu_power": 3250, "cpu_temperature": 61.5,
        "memory_pressure": 12.5, "thermal_pressure": "Heavy", "timestamp": 1700000000}"#;
    let reading = parse_answer(answer).expect("it parses");
    let snapshot = HostSnapshot {
        helper: Some(Arc::new(HelperPart { reading, at: Instant::now() })),
        helper_up: Some(true),
        node: "mac".into(),
        ..HostSnapshot::default()
    };
    hold_against("mac.prom", &exposition(&snapshot));
}

#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_known_facts_has_no_series() {
    assert_eq!(exposition(&HostSnapshot::default()), "");
    let empty = Tree::empty("empty");
    let host = Host::start(
        &Settings { proc: empty.path("proc"), sys: empty.path("sys"), ..Settings::default() },
        &Arc::default(),
    );
    let host = host.expect("threads");
    let mut snapshot = wait_for(&host, |snapshot| snapshot.collectors.iter().all(|it| it.success.is_some()));
    assert!(snapshot.collectors.iter().all(|it| it.success == Some(true)), "nothing there is no failure");
    snapshot.collectors.clear();
    assert_eq!(exposition(&snapshot), "", "and no zero");
}

#[test]
fn an_unknown_gpu_leaves_out_only_the_sum() {
    let tree = Tree::linux("unknown");
    tree.remove("sys/class/drm/card1/device/gpu_busy_percent");
    let text = exposition(&snapshot_of(&tree));
    assert!(!text.contains("gpu_active_residency_percent"), "{text}");
    assert!(text.contains("ollama_proxy_gpu_utilization_ratio{gpu=\"0\""), "{text}");
    assert!(text.contains("ollama_proxy_gpu_power_milliwatts 310000"), "{text}");
}

#[test]
fn the_golden_files_are_accepted_but_for_the_units_that_are_older_than_the_rules() {
    for name in ["linux.prom", "mac.prom"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/host").join(name);
        let file = std::fs::File::open(path).expect("it is there");
        let output = tools::promtool().args(["check", "metrics"]).stdin(file).output().expect("promtool runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let complaints: Vec<_> =
            said.lines().filter(|line| !line.contains("milliwatts") && !line.contains("_percent")).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:?}");
    }
}

#[test]
fn collectors_report_their_health_and_last_success() {
    let snapshot =
        HostSnapshot { collectors: vec![health("cpu", true), health("helper", false)], ..HostSnapshot::default() };
    let text = exposition(&snapshot);
    for line in [
        "ollama_proxy_collector_success{collector=\"cpu\"} 1",
        "ollama_proxy_collector_success{collector=\"helper\"} 0",
        "ollama_proxy_collector_duration_seconds{collector=\"helper\"} 0.25",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let last: Vec<_> = text.lines().filter(|line| line.starts_with("ollama_proxy_collector_last_success")).collect();
    assert_eq!(last.len(), 1, "one that never did well has no time: {last:?}");
}

/// Waits for a snapshot that is as wanted.
fn wait_for(host: &Host, wanted: impl Fn(&HostSnapshot) -> bool) -> HostSnapshot {
    wait_for_at(host, Duration::ZERO, wanted)
}

/// Waits for a snapshot that is as wanted to one who looks `ahead` of now.
fn wait_for_at(host: &Host, ahead: Duration, wanted: impl Fn(&HostSnapshot) -> bool) -> HostSnapshot {
    let until = Instant::now() + PATIENCE;
    loop {
        let snapshot = host.snapshot(Instant::now() + ahead);
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < until, "{snapshot:?}");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hanging_source_and_a_hanging_helper_are_reported_and_block_nothing_else() {
    let tree = Tree::linux("hanging");
    // A pipe without a writer: whoever opens it waits.
    tree.remove("proc/meminfo");
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.path("proc/meminfo"), 0o600.into()).expect("it can be made");
    // A helper that accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", silent.local_addr().expect("it has one"));
    let host = Host::start(
        &Settings {
            period: Duration::from_secs(1),
            helper: Some(url.parse().expect("an address")),
            proc: tree.path("proc"),
            sys: tree.path("sys"),
            node: "box".into(),
            ..Settings::default()
        },
        &Arc::default(),
    )
    .expect("threads");
    let snapshot = wait_for(&host, |snapshot| snapshot.helper_up.is_some() && snapshot.disks.is_some());
    assert_eq!(snapshot.helper_up, Some(false), "it was given up after its time");
    assert!(snapshot.memory.is_none() && snapshot.cpu.is_some() && snapshot.pressure.is_some());
    // A source still hangs: a snapshot that waited for it would never come. Another one may be in the middle of a
    // reading, which looks as old to one who looks from so far ahead, but only until it has ended.
    wait_for_at(&host, CollectorHealth::HANGING + Duration::from_secs(1), |later| {
        later.collectors.iter().filter(|it| it.success == Some(false)).map(|it| it.name).eq(["memory", "helper"])
    });
}

/// What a command prints.
#[cfg(target_os = "linux")]
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// That two numbers are the same but for what happens between two readings.
#[cfg(target_os = "linux")]
fn agree(what: &str, ours: u64, theirs: u64, tolerance: f64) {
    let (ours, theirs) = (ours as f64, theirs as f64);
    assert!((ours - theirs).abs() <= theirs * tolerance, "{what}: {ours} here, {theirs} there");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_and_disks_are_what_free_and_df_say() {
    let host = Host::start(&Settings::default(), &Arc::default()).expect("threads");
    let snapshot = wait_for(&host, |snapshot| snapshot.memory.is_some() && snapshot.filesystems.is_some());
    let memory = snapshot.memory.expect("it was waited for");
    if let Some(free) = said("free", &["-b"]) {
        let numbers: Vec<u64> =
            free.lines().nth(1).expect("a line").split_whitespace().filter_map(|it| it.parse().ok()).collect();
        agree("total", memory.total_bytes.expect("known"), numbers[0], 0.0);
        agree("available", memory.available_bytes.expect("known"), numbers[5], 0.05);
    }
    for filesystem in snapshot.filesystems.expect("it was waited for").iter() {
        let arguments = ["-B1", "--output=size,avail", filesystem.mountpoint.as_str()];
        let Some(df) = said("df", &arguments) else { continue };
        let numbers: Vec<u64> =
            df.lines().nth(1).expect("a line").split_whitespace().filter_map(|it| it.parse().ok()).collect();
        agree("size", filesystem.size_bytes, numbers[0], 0.0);
        agree("available", filesystem.available_bytes, numbers[1], 0.05);
    }
}

/// A process that calls itself a server, so that it is found; `ps` is asked about the same one.
#[cfg(target_os = "linux")]
#[test]
fn a_server_s_memory_and_time_are_what_ps_says() {
    use std::os::unix::process::CommandExt;
    let mut collector = processes::ProcessesCollector::new("/proc".into());
    collector.read(Instant::now()).expect("it reads");
    // It works for a while, says that it has, and rests until it is killed.
    let script = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo; read rest";
    let mut command = Command::new("sh");
    command.arg0("/opt/llama-server").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdout.take().expect("piped").read_exact(&mut [0]).expect("it says so");
    let part = collector.read(Instant::now()).expect("it reads").expect("there is a /proc");
    let ps = said("ps", &["-o", "rss=,cputimes=", "-p", &child.id().to_string()]);
    child.kill().and_then(|()| child.wait().map(drop)).expect("it ends");
    let found = part.processes.iter().find(|it| it.pid == child.id()).expect("it is found");
    assert_eq!(found.role, processes::Role::Server);
    let (_, used) = part.roles.iter().find(|(role, _)| *role == processes::Role::Server).expect("there is one");
    assert!(used.cpu_seconds > 0.05, "it has worked: {used:?}");
    if let Some(ps) = ps {
        let numbers: Vec<u64> = ps.split_whitespace().map(|it| it.parse().expect("a number")).collect();
        agree("resident", found.memory_bytes, numbers[0] * 1024, 0.01);
        // ps shows whole seconds, and other tests' servers may be counted with it for moments.
        assert!(used.cpu_seconds >= numbers[1] as f64, "{used:?}, ps: {ps}");
    }
}

/// The numbers of each line of a file, by the word that the line begins with.
#[cfg(target_os = "linux")]
fn numbers(path: &str, name: usize) -> std::collections::BTreeMap<String, Vec<u64>> {
    let text = std::fs::read_to_string(path).expect("it can be read").replace(':', " ");
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let numbers = words.iter().skip(name + 1).filter_map(|word| word.parse().ok()).collect();
        Some((words.get(name)?.clone(), numbers))
    };
    text.lines().filter_map(line).collect()
}

/// Counters that grow meanwhile lie between a reading before and one after.
#[cfg(target_os = "linux")]
#[test]
fn disks_networks_load_and_pressure_are_what_proc_says() {
    let read = || {
        let pressure = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
        let stalled = pressure.split("total=").nth(1).and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
        let load = std::fs::read_to_string("/proc/loadavg").expect("it can be read");
        (numbers("/proc/diskstats", 2), numbers("/proc/net/dev", 0), stalled, load)
    };
    let begun = Instant::now();
    let before = read();
    let disks = disks::DisksCollector::new("/proc".into(), "/sys".into()).read(begun).expect("it reads");
    let networks = networks::NetworksCollector::new("/proc".into()).read(begun).expect("it reads").expect("known");
    let pressure = pressure::PressureCollector::new("/proc".into()).read(begun).expect("it reads");
    let cpu = cpu::CpuCollector::new("/proc".into()).read(begun).expect("it reads").expect("known");
    let after = read();

    let within = |what: &str, ours: u64, before: u64, after: u64| {
        assert!((before..=after).contains(&ours), "{what}: {ours} is not within {before} and {after}");
    };
    for it in disks.iter().flat_map(|disks| &disks.devices) {
        let (old, new) = (&before.0[&it.device], &after.0[&it.device]);
        within(&it.device, it.read_bytes / 512, old[2], new[2]);
        within(&it.device, it.written_bytes / 512, old[6], new[6]);
        let operations = it.operations.expect("Linux counts them");
        within(&it.device, operations.reads, old[0], new[0]);
        within(&it.device, operations.writes, old[4], new[4]);
    }
    for it in networks {
        let (old, new) = (&before.1[&it.interface], &after.1[&it.interface]);
        within(&it.interface, it.received_bytes, old[0], new[0]);
        within(&it.interface, it.transmitted_bytes, old[8], new[8]);
    }
    if let (Some(stall), Some(old), Some(new)) = (pressure.and_then(|it| it.cpu), before.2, after.2) {
        within("pressure", u64::try_from(stall.some.total.as_micros()).expect("it fits"), old, new);
    }
    let ours = cpu.load.expect("known").map(|load| format!("{load:.2}")).join(" ");
    assert!(before.3.starts_with(&ours) || after.3.starts_with(&ours), "{ours}: {} or {}", before.3, after.3);
    let online = said("getconf", &["_NPROCESSORS_ONLN"]).and_then(|it| it.trim().parse().ok());
    assert!(online.is_none_or(|online| cpu.processors == Some(online)), "{:?} of {online:?}", cpu.processors);
}

/// Filesystems are asked of the system, not of a tree.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_filesystem_is_left_out() {
    let tree = Tree::empty("mounts");
    tree.write(
        "proc/self/mounts",
        "/dev/sda1 /no/such/place ext4 rw 0 0\n/dev/sdb1 / ext4 rw 0 0\n/dev/sdb1 /tmp ext4 rw 0 0\n",
    );
    let mut collector = filesystems::FilesystemsCollector::new(tree.path("proc"));
    let found = collector.read(Instant::now()).expect("it reads").expect("there are mounts");
    assert_eq!(found.iter().map(|it| it.mountpoint.as_str()).collect::<Vec<_>>(), ["/"], "and each device once");
}
