//! The Host: what the machine underneath does, and whether it is what slows answers down.

use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit, colour};
use super::query::Metric;
use super::shared::{UP_DOWN, state_tile};
use serde_json::Value;

const CPU: Metric = Metric::of_instance("cpu_utilization_ratio");
const LOAD: Metric = Metric::of_instance("load_average");
const PROCESSORS: Metric = Metric::of_instance("cpu_processors");
const MEMORY_USED: Metric = Metric::of_instance("memory_usage_bytes");
const MEMORY_TOTAL: Metric = Metric::of_instance("memory_total_bytes");
const SWAP_USED: Metric = Metric::of_instance("swap_used_bytes");
const MEMORY_PRESSURE: Metric = Metric::of_instance("memory_pressure_ratio");
const STALLED: Metric = Metric::of_instance("pressure_stalled_seconds_total").with(r#"kind="some""#);
const CPU_POWER: Metric = Metric::of_instance("cpu_power_watts");
const CPU_TEMPERATURE: Metric = Metric::of_instance("cpu_temperature_celsius");
const TEMPERATURE: Metric = Metric::of_instance("temperature_celsius");
const THERMAL: Metric = Metric::of_instance("thermal_pressure");
const GPU: Metric = Metric::of_instance("gpu_utilization_ratio");
const GPU_POWER: Metric = Metric::of_instance("gpu_power_watts");
const DISK_READ: Metric = Metric::of_instance("disk_read_bytes_total");
const DISK_WRITTEN: Metric = Metric::of_instance("disk_written_bytes_total");
const DISK_OPERATIONS: Metric = Metric::of_instance("disk_operations_total");
const SIZE: Metric = Metric::of_instance("filesystem_size_bytes");
const AVAILABLE: Metric = Metric::of_instance("filesystem_available_bytes");
const RECEIVED: Metric = Metric::of_instance("network_received_bytes_total");
const TRANSMITTED: Metric = Metric::of_instance("network_transmitted_bytes_total");
const PROCESSES: Metric = Metric::of_instance("inference_processes");
const PROCESS_MEMORY: Metric = Metric::of_instance("inference_process_memory_bytes");
const PROCESS_CPU: Metric = Metric::of_instance("inference_process_cpu_seconds_total");
const SOURCE_UP: Metric = Metric::of_instance("collector_success");
const SOURCE_DURATION: Metric = Metric::of_instance("collector_duration_seconds");
const HELPER: Metric = Metric::of_instance("helper_up");

const WORKS: &[(&str, &str, &str)] = &[("0", "FAILS", "red"), ("1", "works", "green")];
const LEVEL: &[(&str, &str, &str)] = &[("0", "–", "transparent"), ("1", "now", "orange")];
/// The two directions of disks.
const OPERATIONS: &[(&str, &str)] = &[("read", colour::BLUE), ("write", colour::ORANGE)];
/// What tasks wait for.
const RESOURCES: &[(&str, &str)] = &[("cpu", colour::BLUE), ("memory", colour::RED), ("io", colour::ORANGE)];
/// What a process of the inference server does.
const ROLES: &[(&str, &str)] = &[("server", colour::BLUE), ("runner", colour::GREEN)];

/// Shown when no process on this machine has the name of a known inference server, as when the server runs elsewhere.
const NO_PROCESS: &str = "No process of an inference server is known on this machine";

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-host",
        "Inferometer / Host",
        "The machine underneath the inference server: CPU, memory, disks, power and heat. What a machine does \
         not report stays empty.",
    )
    .tiles(tiles())
    .heading("CPU and memory")
    .line(GRAPH, cpu_and_memory())
    .heading("The inference server's processes")
    .line(GRAPH, processes())
    .folded("Disks and networks", vec![(GRAPH, disks_and_networks())])
    .folded("Power and temperatures", vec![(GRAPH, power_and_temperatures())])
    .folded("Thermal pressure (macOS)", vec![(GRAPH, thermal_pressure())])
    .folded("Where these figures come from", vec![(GRAPH, sources())])
    .build()
}

/// How full the filesystems are, 0 to 1.
fn full(by: &str) -> String {
    format!("max by ({by}) (1 - {} / {})", AVAILABLE.now(), SIZE.now())
}

fn tiles() -> Vec<Panel> {
    let worst = |metric: Metric| format!("max({})", metric.now());
    vec![
        Panel::tile("CPU", "Share of all processors' time; the busiest of the selected machines.", Unit::Share)
            .query(&worst(CPU), "busy")
            .neutral(),
        Panel::tile(
            "Memory in use",
            "All but what a new program could get; orange from 95 %, where the alert stands.",
            Unit::Share,
        )
        .query(&format!("max({} / {})", MEMORY_USED.now(), MEMORY_TOTAL.now()), "in use")
        .thresholds("green", &[(0.95, "orange")]),
        Panel::tile(
            "Memory pressure",
            "Linux: share of the last ten seconds in which a task waited for memory. macOS: share that is not free.",
            Unit::Share,
        )
        .query(&worst(MEMORY_PRESSURE), "pressure")
        .neutral(),
        Panel::tile(
            "CPU temperature",
            "Of the hottest processor; orange from 90 °C, where the alert stands. Virtual machines report none.",
            Unit::Celsius,
        )
        .query(&worst(CPU_TEMPERATURE), "temperature")
        .thresholds("green", &[(90.0, "orange")]),
        Panel::tile("GPU busy", "Share of time in which something ran on the GPUs, their mean.", Unit::Share)
            .query(&format!("avg({})", GPU.now()), "busy")
            .neutral(),
        Panel::tile(
            "Fullest disk",
            "How full the fullest filesystem is; orange from 95 %, where the alert stands.",
            Unit::Share,
        )
        .query(&format!("max({})", full("instance, mountpoint")), "full")
        .thresholds("green", &[(0.95, "orange")]),
        Panel::tile("Failing sources", "Sources of these figures that fail or hang.", Unit::Count)
            .query(&format!("count({} == 0) or 0 * count({})", SOURCE_UP.now(), SOURCE_UP.now()), "failing")
            .thresholds("green", &[(1.0, "orange")])
            .filled(),
        state_tile(
            "Helper",
            "Whether the privileged helper answers; a dash where none is configured.",
            HELPER,
            UP_DOWN,
        ),
    ]
}

fn cpu_and_memory() -> Vec<Panel> {
    vec![
        Panel::series("CPU by machine", "Share of all processors' time that was not idle.", Unit::Share)
            .query(&format!("max by (instance) ({})", CPU.now()), "{{instance}}")
            .wide(6),
        Panel::series("Load", "Tasks that run or wait to. Above the number of processors some wait.", Unit::Mean)
            .query(&format!("max by (window) ({})", LOAD.now()), "{{window}}")
            .query(&format!("max({})", PROCESSORS.now()), "processors")
            .limit("processors")
            .wide(6),
        Panel::series("Memory", "In use, and all that there is; swap that is in use.", Unit::Bytes)
            .query(&format!("sum({})", MEMORY_USED.now()), "in use")
            .query(&format!("sum({})", MEMORY_TOTAL.now()), "all")
            .query(&format!("sum({})", SWAP_USED.now()), "swap in use")
            .limit("all")
            .family(&[("in use", colour::BLUE), ("swap in use", colour::RED)])
            .wide(6),
        Panel::series(
            "Waiting",
            "Share of time in which some task waited for processors, memory or disks (Linux).",
            Unit::Share,
        )
        .query(&format!("clamp_max(max by (resource) ({}), 1)", STALLED.rate("instance, resource")), "{{resource}}")
        .family(RESOURCES)
        .wide(6),
    ]
}

fn processes() -> Vec<Panel> {
    vec![
        Panel::series("Memory of its processes", "Resident memory. A model on the GPU is not in it.", Unit::Bytes)
            .query(&format!("sum by (role) ({})", PROCESS_MEMORY.now()), "{{role}}")
            .family(ROLES)
            .stacked()
            .otherwise(NO_PROCESS),
        Panel::series("CPU of its processes", "Cores that they keep busy.", Unit::Cores)
            .query(&PROCESS_CPU.rate("role"), "{{role}}")
            .family(ROLES)
            .stacked()
            .otherwise(NO_PROCESS),
        Panel::series("Its processes", "The server, and a runner for each model that is loaded.", Unit::Count)
            .query(&format!("sum by (role) ({})", PROCESSES.now()), "{{role}}")
            .family(ROLES)
            .stacked()
            .otherwise(NO_PROCESS),
    ]
}

fn disks_and_networks() -> Vec<Panel> {
    vec![
        Panel::series("Read from disks", "Bytes a second. Loading a model shows here.", Unit::BytesPerSecond)
            .query(&DISK_READ.rate("device"), "{{device}}"),
        Panel::series("Written to disks", "Bytes a second. Pulling a model shows here.", Unit::BytesPerSecond)
            .query(&DISK_WRITTEN.rate("device"), "{{device}}"),
        Panel::series("Disk operations", "Reads and writes a second, over all disks.", Unit::OperationsPerSecond)
            .query(&DISK_OPERATIONS.rate("operation"), "{{operation}}")
            .family(OPERATIONS),
        Panel::series("How full disks are", "By the place where they are mounted.", Unit::Share)
            .query(&full("instance, mountpoint"), "{{mountpoint}}")
            .limit_at(0.95),
        Panel::series("Received", "Bytes a second, by interface.", Unit::BytesPerSecond)
            .query(&RECEIVED.rate("interface"), "{{interface}}"),
        Panel::series("Sent", "Bytes a second, by interface.", Unit::BytesPerSecond)
            .query(&TRANSMITTED.rate("interface"), "{{interface}}"),
    ]
}

fn power_and_temperatures() -> Vec<Panel> {
    vec![
        Panel::series("Power", "What processors and GPUs draw. The processors' needs the helper.", Unit::Watts)
            .query(&format!("sum by (node, gpu) ({})", GPU_POWER.now()), "{{node}} GPU {{gpu}}")
            .query(&format!("sum({})", CPU_POWER.now()), "CPU")
            .stacked()
            .wide(12),
        Panel::series("Temperatures", "Every sensor that the system shows.", Unit::Celsius)
            .query(&format!("max by (chip, device, sensor) ({})", TEMPERATURE.now()), "{{chip}} {{sensor}}")
            .wide(12),
    ]
}

fn thermal_pressure() -> Vec<Panel> {
    let what = "The level at which macOS throttles because of heat; anything but nominal costs tokens.";
    vec![
        Panel::timeline("Thermal throttling", what)
            .query(&format!("max by (level) ({})", THERMAL.now()), "{{level}}")
            .words(LEVEL)
            .thresholds("transparent", &[(1.0, "orange")])
            .wide(24),
    ]
}

fn sources() -> Vec<Panel> {
    vec![
        Panel::timeline("Sources over time", "Each source of these figures; one that hangs fails as well.")
            .query(&format!("min by (collector) ({})", SOURCE_UP.now()), "{{collector}}")
            .words(WORKS)
            .thresholds("red", &[(1.0, "green")])
            .wide(12),
        Panel::series("How long reading takes", "One that grows without end hangs.", Unit::Seconds)
            .query(&format!("max by (collector) ({})", SOURCE_DURATION.now()), "{{collector}}")
            .logarithmic()
            .wide(12),
    ]
}
