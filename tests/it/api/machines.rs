//! The hardware of another machine, as a real Prometheus has scraped it from exporters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{get, unlimited_with};
use crate::support::backend::Backend;
use crate::support::ollama::Ollama;
use crate::support::program::Program;
use crate::support::servers::{Server, free, written};
use crate::support::{look_for, look_until};

/// What a node exporter exposes, after so many scrapes a second apart: of two processors one was busy all the time.
fn node_exporter(scrapes: u64) -> String {
    let mut page = String::new();
    for (processor, idle) in [(0, scrapes), (1, 0)] {
        page += &format!("node_cpu_seconds_total{{cpu=\"{processor}\",mode=\"idle\"}} {idle}\n");
        page += &format!("node_cpu_seconds_total{{cpu=\"{processor}\",mode=\"user\"}} {}\n", scrapes - idle);
        page += &format!("node_cpu_info{{cpu=\"{processor}\",model_name=\"EPYC 7543\"}} 1\n");
    }
    let gib = 1_u64 << 30;
    page += &format!("node_memory_MemTotal_bytes {}\nnode_memory_MemAvailable_bytes {}\n", 256 * gib, 128 * gib);
    // One disk that is mounted twice and another one. The others are in memory and on a server, and must not count.
    for (device, kind, at, size, free) in [
        ("/dev/a", "ext4", "/", 100, 40),
        ("/dev/a", "ext4", "/again", 100, 40),
        ("/dev/b", "xfs", "/models", 900, 500),
        ("tmpfs", "tmpfs", "/run", 50, 50),
        ("far:/x", "nfs4", "/far", 7_000, 7_000),
    ] {
        let labels = format!("device=\"{device}\",fstype=\"{kind}\",mountpoint=\"{at}\"");
        page += &format!("node_filesystem_size_bytes{{{labels}}} {}\n", size * gib);
        page += &format!("node_filesystem_free_bytes{{{labels}}} {}\n", free * gib);
    }
    page + "node_boot_time_seconds 1000000\nnode_uname_info{nodename=\"gpu-box.invalid\",sysname=\"Linux\"} 1\n"
}

fn dcgm_exporter() -> String {
    let labels = r#"gpu="0",modelName="NVIDIA A100",Hostname="gpu-box.invalid""#;
    let facts = [("GPU_UTIL", 78), ("FB_USED", 65 << 10), ("FB_FREE", 15 << 10), ("GPU_TEMP", 75)];
    facts.map(|(fact, value)| format!("DCGM_FI_DEV_{fact}{{{labels}}} {value}\n")).concat()
}

fn exporter(page: impl Fn() -> String + Send + Sync + 'static) -> Backend {
    Backend::start(move |connection| {
        while connection.request().is_some() {
            let body = page();
            let head = format!("Content-Type: text/plain; version=0.0.4\r\nContent-Length: {}", body.len());
            connection.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes());
        }
    })
}

fn node(program: &Program) -> Value {
    let nodes = get(program, "/dashboard/infrastructure/nodes?limit=100");
    let of = nodes["nodes"].as_array().expect("a list").iter().position(|node| node["name"] == "gpu-box.invalid");
    let at = of.unwrap_or_else(|| panic!("{nodes}"));
    let mut node = nodes["nodes"][at].clone();
    node["why"] = nodes["unknown"][format!("/nodes/{at}/hardware/cpuUsage")].clone();
    node
}

#[test]
fn hardware_of_another_machine_is_what_prometheus_has_scraped_of_its_exporters() {
    let scrapes = AtomicU64::new(1_000);
    let node_exporter = exporter(move || node_exporter(scrapes.fetch_add(1, Ordering::SeqCst)));
    let dcgm = exporter(dcgm_exporter);
    let folder = crate::support::authority::folder();
    // A server that is nowhere: its host is a machine of its own.
    let members = written(&folder, "sd.json", "[{\"targets\":[\"gpu-box.invalid:9\"]}]");
    let ollama = Ollama::listing(&["m"]);
    let start = |url: &str| {
        let text = format!("prometheus_url = \"{url}\"\n[fleet]\nfile_sd = [\"{}\"]\n", members.display());
        Program::with(ollama.address, &["--config", &unlimited_with(&text)])
    };
    let at = free();
    let program = start(&format!("http://{at}"));
    // Nobody answers, and that is why nothing is known.
    let alone = look_until(|| match node(&program) {
        node if node["why"] == "collector_failed" => Ok(node),
        node => Err(node.to_string()),
    });
    assert_eq!(alone["uptime"], Value::Null);

    let config = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [
            { "job_name": "node", "static_configs": [{ "targets": [node_exporter.address] }] },
            { "job_name": "dcgm", "static_configs": [{ "targets": [dcgm.address] }] },
        ],
    });
    let _server = Server::prometheus(at, &config.to_string(), &[]);
    let seen = look_for(Duration::from_secs(60), || match node(&program) {
        node if node["hardware"]["cpuUsage"].is_f64() && node["hardware"]["gpus"].is_array() => Ok(node),
        node => Err(node.to_string()),
    });
    let hardware = &seen["hardware"];
    assert_eq!((&hardware["cpuModel"], &hardware["cpuCores"]), (&json!("EPYC 7543"), &json!(2)), "{seen}");
    // Half of its processors, however short Prometheus has known them.
    assert!(hardware["cpuUsage"].as_f64().is_some_and(|used| (used - 50.0).abs() < 1e-6), "{seen}");
    assert_eq!((&hardware["ramTotal"], &hardware["ramUsage"]), (&json!(256.0), &json!(128.0)));
    assert_eq!((&hardware["diskTotal"], &hardware["diskUsage"]), (&json!(1_000.0), &json!(460.0)), "{seen}");
    assert_eq!(
        hardware["gpus"],
        json!([{"deviceId": "GPU-0", "model": "NVIDIA A100", "memoryTotal": 80.0, "memoryFree": 15.0,
                "utilization": 78.0, "temperature": 75.0}])
    );
    assert!(seen["uptime"].as_u64().is_some_and(|seconds| seconds > 1_000_000_000), "since 1970: {seen}");
    let one = get(&program, "/dashboard/infrastructure/nodes/gpu-box.invalid");
    assert_eq!((&one["hardware"]["cpuCores"], &one["status"]), (&json!(2), &json!("offline")), "{one}");
}
