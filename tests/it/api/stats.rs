//! `/dashboard/stats` against its sample, the machine and what a client counts.

use serde_json::{Value, json};

use super::{get, program, shape};
use crate::support::client::ask;
use crate::support::look_until;

fn sample() -> Value {
    json!({
        "timestamp": "2024-03-15T10:30:00Z",
        "uptime_seconds": 86400,
        "system": {
            "cpu_usage_percent": 45.2, "memory_usage_percent": 67.8, "memory_used_gb": 10.8, "memory_total_gb": 16.0,
            "disk_usage_percent": 23.4, "disk_used_gb": 234.5, "disk_total_gb": 1000.0, "load_average": [1.2, 1.1, 0.9],
            "network_io": {"bytes_sent": 1, "bytes_received": 2, "packets_sent": 5, "packets_received": 7}
        },
        "gpu": {
            "available": true, "count": 2,
            "devices": [{
                "id": 0, "name": "NVIDIA RTX 4090", "memory_used_mb": 8192, "memory_total_mb": 24576,
                "utilization_percent": 78.5, "temperature_celsius": 72
            }]
        },
        "inference": {
            "requests_per_second": 15.3, "average_latency_ms": 150, "active_requests": 5, "total_requests": 125_000,
            "total_errors": 23
        }
    })
}

#[test]
fn stats_count_what_a_client_sent_and_what_the_machine_has() {
    let (program, _backend) = program();
    for _ in 0..5 {
        ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    let stats = look_until(|| {
        let stats = get(&program, "/dashboard/stats");
        let inference = &stats["inference"];
        let counted = inference["total_requests"] == 5 && !inference["requests_per_second"].is_null();
        if counted && stats["system"]["memory_total_gb"].is_number() { Ok(stats) } else { Err(stats.to_string()) }
    });
    assert_eq!(shape::faults(&sample(), &stats), Vec::<String>::new(), "{stats:#}");
    assert_eq!(stats["inference"]["total_errors"], 0);
    assert_eq!(stats["inference"]["active_requests"], 0);
    let text = std::fs::read_to_string("/proc/meminfo").expect("Linux");
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).expect("a line");
    let kibibytes: f64 = total.trim().trim_end_matches(" kB").parse().expect("a number");
    let shown = stats["system"]["memory_total_gb"].as_f64().expect("a number");
    assert!((shown - kibibytes / f64::from(1 << 20)).abs() < 1e-6, "{shown} GiB, {kibibytes} kB");
}
