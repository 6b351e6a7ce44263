//! NVIDIA's cards, played by a stand-in for their driver's library: what is exposed, and what no fault of a card, a
//! library or a driver can do to anybody else.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use inferometer::host::collector::{Collector, CollectorHealth};
use inferometer::host::energy::{Consumer, Meter, MeterReading};
use inferometer::host::nvidia::facts::Facts;
use inferometer::host::nvidia::xid::XidClass;
use inferometer::host::nvidia::{Nvidia, NvidiaCollector};
use inferometer::host::processes::{Process, Processes, Role};
use inferometer::host::{Host, HostSnapshot, Settings};
use inferometer::metrics::energy::{EnergyMetrics, Price};
use inferometer::metrics::gpu::GpuMetrics;
use prometheus::{Registry, TextEncoder};

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::golden;
use crate::support::nvml::StandIn;
use crate::support::program::Program;
use crate::support::tools;

/// A collector that reads everything each time.
fn collector(stand_in: &StandIn) -> NvidiaCollector {
    NvidiaCollector::new(vec![stand_in.path()], Duration::ZERO)
}

fn read(collector: &mut NvidiaCollector) -> Option<Nvidia> {
    collector.read(Instant::now()).expect("it reads")
}

fn seen(collector: &mut NvidiaCollector) -> Nvidia {
    read(collector).expect("the cards are there")
}

/// One process of an inference server, beside whatever the cards name.
fn snapshot(nvidia: Nvidia) -> HostSnapshot {
    let runner = Process { pid: 4242, role: Role::Runner, memory_bytes: 0, cpu: None, cgroup: None };
    let processes = Processes { processes: vec![runner], ..Processes::default() };
    HostSnapshot {
        nvidia: Some(Arc::new(nvidia)),
        processes: Some(Arc::new(processes)),
        node: "gpu-box".into(),
        ..HostSnapshot::default()
    }
}

fn exposition(nvidia: Nvidia) -> String {
    let registry = Registry::new();
    let snapshot = snapshot(nvidia);
    GpuMetrics::register(&registry, move |_| snapshot.clone());
    TextEncoder::new().encode_to_string(&registry.gather()).expect("it can be written")
}

fn hold_against(name: &str, text: &str) {
    golden::hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), text);
}

#[test]
fn two_cards_one_of_them_in_instances_are_exposed_as_the_golden_file_says() {
    let stand_in = StandIn::new("golden");
    hold_against("gpu.txt", &exposition(seen(&mut collector(&stand_in))));
}

#[test]
fn what_an_older_library_lacks_costs_only_its_own_series() {
    let stand_in = StandIn::old("old");
    hold_against("gpu-old-library.txt", &exposition(seen(&mut collector(&stand_in))));
}

#[test]
fn without_a_library_and_without_a_driver_there_is_nothing_and_no_failure() {
    let mut none = NvidiaCollector::new(vec!["/nowhere/libnvidia-ml.so.1".into()], Duration::ZERO);
    assert_eq!(read(&mut none), None);
    let stand_in = StandIn::new("without");
    stand_in.play("gone");
    assert_eq!(read(&mut collector(&stand_in)), None);
}

#[test]
fn a_driver_may_be_loaded_later_unloaded_and_loaded_again() {
    let stand_in = StandIn::new("comes");
    stand_in.play("gone");
    let mut collector = collector(&stand_in);
    assert_eq!(read(&mut collector), None);
    for _ in 0..2 {
        stand_in.play("");
        assert_eq!(seen(&mut collector).gpus.iter().filter(|gpu| gpu.up).count(), 2);
        stand_in.play("gone");
        assert_eq!(read(&mut collector), None);
    }
}

#[test]
fn a_lost_card_is_marked_and_the_other_is_still_read() {
    for fault in ["lost=1", "fewer"] {
        let stand_in = StandIn::new(&format!("lost-{}", fault.len()));
        let mut collector = collector(&stand_in);
        let well = seen(&mut collector);
        stand_in.play(fault);
        let now = seen(&mut collector);
        assert_eq!(now.gpus[0], well.gpus[0], "{fault}: the first is as it was");
        assert_eq!(now.gpus[1].identity, well.gpus[1].identity, "{fault}: it is still known which is lost");
        let of_lost = Facts { xids: now.gpus[1].facts.xids.clone(), ..Facts::default() };
        assert!(!now.gpus[1].up && now.gpus[1].facts == of_lost, "{fault}: only what was read is reported");
        let text = exposition(now);
        assert!(text.lines().any(|line| line.starts_with("ollama_proxy_gpu_up{gpu=\"1\"") && line.ends_with(" 0")));
        stand_in.play("");
        assert!(seen(&mut collector).gpus[1].up, "{fault}: it came back");
    }
}

#[test]
fn a_card_lost_before_it_reported_its_uuid_is_identified_by_its_index() {
    let stand_in = StandIn::new("unnamed");
    stand_in.play("lost=1");
    let mut collector = collector(&stand_in);
    let up = |nvidia: &Nvidia| nvidia.gpus.iter().map(|gpu| (gpu.identity.index, gpu.up)).collect::<Vec<_>>();
    assert_eq!(up(&seen(&mut collector)), [(0, true), (1, false)]);
    assert_eq!(up(&seen(&mut collector)), [(0, true), (1, false)], "and stays there");
    stand_in.play("");
    assert_eq!(up(&seen(&mut collector)), [(0, true), (1, true)], "once it is back it is one card, not two");
}

#[test]
fn a_card_with_the_index_of_a_lost_one_keeps_its_identity_between_complete_readings() {
    let stand_in = StandIn::new("renumbered");
    let mut collector = NvidiaCollector::new(vec![stand_in.path()], Duration::from_secs(5));
    let start = Instant::now();
    collector.read(start).expect("it reads");
    stand_in.play("without0");
    let now = collector.read(start + Duration::from_secs(1)).expect("it reads").expect("cards");
    let of = |uuid: &str| now.gpus.iter().find(|gpu| gpu.identity.uuid.starts_with(uuid)).expect("it is known");
    assert!(!of("GPU-00000000").up);
    assert_eq!((of("GPU-00000001").up, of("GPU-00000001").identity.index), (true, 0));
}

#[test]
fn between_complete_readings_power_is_updated_and_the_rest_is_kept() {
    let stand_in = StandIn::new("quick");
    let mut collector = NvidiaCollector::new(vec![stand_in.path()], Duration::from_secs(5));
    assert_eq!(collector.period(Duration::from_secs(5)), Duration::from_secs(1));
    let start = Instant::now();
    let first = collector.read(start).expect("it reads").expect("cards");
    stand_in.play("live hot");
    let quick = collector.read(start + Duration::from_secs(1)).expect("it reads").expect("cards");
    assert!(quick.gpus[0].facts.energy_joules > first.gpus[0].facts.energy_joules);
    assert_eq!(quick.gpus[0].facts.throttles, first.gpus[0].facts.throttles);
    assert_eq!(quick.driver, first.driver);
    let whole = collector.read(start + Duration::from_secs(5)).expect("it reads").expect("cards");
    assert_ne!(whole.gpus[0].facts.throttles, first.gpus[0].facts.throttles);
}

#[test]
fn an_error_that_the_driver_reports_is_counted_once_by_its_class_and_card() {
    let stand_in = StandIn::new("xid");
    let mut collector = collector(&stand_in);
    let xids = |nvidia: &Nvidia, gpu: usize| nvidia.gpus[gpu].facts.xids.clone().expect("it is listened to");
    assert_eq!(xids(&seen(&mut collector), 0).last, None);
    stand_in.play("xid=1,0,79");
    let begun = Instant::now();
    let heard = loop {
        let now = seen(&mut collector);
        if xids(&now, 0).last.is_some() {
            break now;
        }
        assert!(begun.elapsed() < PATIENCE, "it is not heard");
        std::thread::yield_now();
    };
    assert_eq!(xids(&heard, 0).last, Some(79));
    assert_eq!(xids(&heard, 0).counts.into_iter().collect::<Vec<_>>(), [(XidClass::Bus, 1)]);
    assert_eq!(xids(&heard, 1).last, None, "the other card is well");
    stand_in.play("gone");
    assert_eq!(read(&mut collector), None);
    stand_in.play("");
    assert_eq!(xids(&seen(&mut collector), 0).counts[&XidClass::Bus], 1, "a driver that comes back forgets nothing");
}

#[test]
fn a_hanging_call_is_reported_and_blocks_nothing_else() {
    let stand_in = StandIn::new("hang");
    stand_in.play("hang");
    let settings = Settings { nvml: vec![stand_in.path()], period: Duration::from_secs(1), ..Settings::default() };
    let host = Host::start(&settings, &Arc::default()).expect("threads");
    let well = |name: &str, at: Instant| {
        let snapshot = host.snapshot(at);
        snapshot.collectors.iter().find(|health| health.name == name).and_then(|health| health.success)
    };
    let begun = Instant::now();
    while well("cpu", Instant::now()).is_none() {
        assert!(begun.elapsed() < PATIENCE, "the others read");
        std::thread::yield_now();
    }
    while well("nvidia", Instant::now() + CollectorHealth::HANGING + Duration::from_secs(1)) != Some(false) {
        assert!(begun.elapsed() < PATIENCE, "it is named");
        std::thread::yield_now();
    }
    assert!(host.snapshot(Instant::now()).nvidia.is_none());

    stand_in.play("");
    while host.snapshot(Instant::now()).nvidia.is_none() {
        assert!(begun.elapsed() < PATIENCE, "it goes on where it hung");
        std::thread::yield_now();
    }
    assert_eq!(well("nvidia", Instant::now()), Some(true));
}

#[test]
fn energy_by_model_is_exposed_as_the_golden_file_says() {
    let (start, meter) = (Instant::now(), Arc::<Meter>::default());
    let read = |seconds: u64, joules| {
        let reading = MeterReading { meter: "card".into(), joules: Some(joules), watts: None };
        meter.observe(start + Duration::from_secs(seconds), &[reading]);
    };
    read(0, 1000.0);
    read(1, 1050.0);
    let consumer = Consumer { model: "llama3:latest".into(), backend: "local".into() };
    meter.begin(&consumer, start + Duration::from_secs(1));
    read(3, 1550.0);
    let registry = Registry::new();
    let price = Price { per_kilowatt_hour: 0.31, currency: "EUR".into() };
    EnergyMetrics::register(&registry, meter, Some(price));
    hold_against("energy.txt", &TextEncoder::new().encode_to_string(&registry.gather()).expect("it can be written"));
}

/// `make gpu-check` before the stand-ins of both.
fn gpu_check(stand_in: &StandIn, changed: &str) -> (Option<i32>, String) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let output = Command::new("python3")
        .arg(tools.join("gpu_check.py"))
        .args(["--program", env!("CARGO_BIN_EXE_inferometer"), "--rounds", "1", "--nvidia-smi"])
        .arg(tools.join("nvidia_smi_stand_in.sh"))
        .env("LD_LIBRARY_PATH", stand_in.folder())
        .env("CHANGED", changed)
        .env("INFEROMETER_HISTORY", "off")
        .output()
        .expect("there is a Python");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn the_check_against_nvidia_smi_covers_every_family_and_finds_differences_and_gaps() {
    let stand_in = StandIn::new("check");
    let (code, said) = gpu_check(&stand_in, "");
    assert_eq!(code, Some(0), "{said}");
    let golden = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gpu.txt"));
    let golden = golden.expect("it is there");
    let families = golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    // No process here is an inference server's.
    let absent = ["inference_process_gpu_memory_bytes"];
    for family in families.map(|name| name.trim_start_matches("ollama_proxy_")).filter(|name| !absent.contains(name)) {
        assert!(said.contains(&format!("\n{family} ")), "{family} is not compared: {said}");
    }
    for (changed, family, verdict) in [
        ("s/>63 C/>80 C/", "gpu_temperature_celsius", "DIFFERS"),
        ("s/>700.00 W/>600.00 W/", "gpu_power_limit_watts", "DIFFERS"),
        ("s/CRC Errors: 12/CRC Errors: 13/", "gpu_nvlink_errors_total", "DIFFERS"),
        ("s/<memory_temp>N.A/<memory_temp>50 C/", "gpu_memory_temperature_celsius", "MISSING"),
    ] {
        let (code, said) = gpu_check(&stand_in, changed);
        assert_eq!(code, Some(1), "{changed}: {said}");
        let seen = said.lines().any(|line| line.starts_with(&format!("{family} ")) && line.ends_with(verdict));
        assert!(seen, "{family} {verdict}: {said}");
    }
    let (code, said) = gpu_check(&stand_in, "d");
    assert_eq!((code, said.contains("nothing was compared")), (Some(2), true), "{said}");
}

#[test]
fn promtool_accepts_all_names_except_those_of_dcgm() {
    let golden = ["gpu.txt", "energy.txt"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        std::fs::read(path).expect("it is there")
    });
    let mut promtool = tools::promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    promtool.stdin.take().expect("piped").write_all(&golden.concat()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| !line.starts_with("DCGM_")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

/// The cards' power goes up and down on its own, with one answer under way for some of the time: whatever is told by
/// model adds up to what the cards have counted.
#[test]
fn joules_by_model_add_up_to_the_cards_own_meters_in_the_real_program() {
    const CHUNK: &str = r#"{"model":"llama3","message":{"role":"assistant","content":"word"},"done":false}"#;
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            if !request.starts_with(b"POST") {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection.write(format!("{:x}\r\n{CHUNK}\n\r\n", CHUNK.len() + 1).as_bytes());
            connection.closed();
        }
    });
    let stand_in = StandIn::new("adds-up");
    stand_in.play("live");
    let program = Program::with_libraries(stand_in.folder(), backend.address, &["--access-log", "off"]);
    let sum = |metric: &str, labels: &[&str]| program.metric(metric, labels);
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            std::thread::yield_now();
        }
    };
    wait("the cards are read", &|| sum("gpu_energy_joules_total", &[]) > 0.0);
    let began_at = sum("gpu_energy_joules_total", &[]) - sum("energy_joules_total", &[]);
    wait("they were seen at rest", &|| sum("energy_joules_total", &[]) > 0.0 && sum("energy_idle_watts", &[]) < 250.0);
    let body = r#"{"model":"llama3","messages":[]}"#;
    let mut client = Client::connect(program.clients);
    client.send(format!("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(body).until("}\n\r\n");
    // More than one of the cards' ups and downs.
    wait("the answer costs energy", &|| sum("energy_joules_total", &["llama3"]) > 3000.0);
    drop(client);
    let text = program.fetch("/metrics");
    let of = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(&format!("ollama_proxy_{name}{{")));
        lines.map(|line| line.rsplit(' ').next().and_then(|it| it.parse::<f64>().ok()).expect("a value")).sum()
    };
    let (counted, told) = (of("gpu_energy_joules_total") - began_at, of("energy_joules_total"));
    assert!((told - counted).abs() <= counted * 0.02, "{told} J reported, {counted} J counted");
}
