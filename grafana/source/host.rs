//! The Host: what the machine underneath does, and whether it is what slows answers down.

use super::layout::Dashboard;
use super::panel::{Panel, Unit};
use super::query::Metric;
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

const UP_DOWN: &[(&str, &str, &str)] = &[("0", "DOWN", "red"), ("1", "UP", "green")];
const WELL: &[(&str, &str, &str)] = &[("0", "FAILS", "red"), ("1", "well", "green")];
const LEVEL: &[(&str, &str, &str)] = &[("0", "–", "transparent"), ("1", "now", "orange")];

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-host",
        "Inferometer / Host",
        "The machine underneath the inference server: processors, memory, disks, power and heat. What a machine does \
         not tell stays empty.",
    )
    .line(4, stats())
    .heading("Processors and memory")
    .line(8, processors_and_memory())
    .heading("The inference server's processes")
    .line(8, processes())
    .heading("Disks and networks")
    .line(8, disks_and_networks())
    .heading("Power and heat")
    .line(8, power_and_heat())
    .heading("Where these figures come from")
    .line(8, sources())
    .build()
}

/// How full the filesystems are, 0 to 1.
fn full(by: &str) -> String {
    format!("max by ({by}) (1 - {} / {})", AVAILABLE.now(), SIZE.now())
}

fn stats() -> Vec<Panel> {
    let heavy = [(0.75, "orange"), (0.9, "red")];
    let worst = |metric: Metric| format!("max({})", metric.now());
    vec![
        Panel::stat(
            "Processors busy",
            "Share of all processors' time; the busiest of the selected machines.",
            Unit::Share,
        )
        .query(&worst(CPU), "busy")
        .thresholds("green", &heavy),
        Panel::stat(
            "Memory in use",
            "All but what a new program could get; red from 95 %, where the alert stands.",
            Unit::Share,
        )
        .query(&format!("max({} / {})", MEMORY_USED.now(), MEMORY_TOTAL.now()), "in use")
        .thresholds("green", &[(0.85, "orange"), (0.95, "red")]),
        Panel::stat(
            "Memory pressure",
            "Linux: share of the last ten seconds in which a task waited for memory. macOS: share that is not free.",
            Unit::Share,
        )
        .query(&worst(MEMORY_PRESSURE), "pressure")
        .thresholds("blue", &[]),
        Panel::stat(
            "Processor's temperature",
            "Of the hottest processor; red from 90 °C, where the alert stands.",
            Unit::Celsius,
        )
        .query(&worst(CPU_TEMPERATURE), "temperature")
        .thresholds("green", &[(80.0, "orange"), (90.0, "red")]),
        Panel::stat("GPU busy", "Share of time in which the GPUs worked, their mean.", Unit::Share)
            .query(&format!("avg({})", GPU.now()), "busy")
            .thresholds("blue", &[]),
        Panel::stat(
            "Fullest disk",
            "How full the fullest filesystem is; red from 95 %, where the alert stands.",
            Unit::Share,
        )
        .query(&format!("max({})", full("instance, mountpoint")), "full")
        .thresholds("green", &[(0.85, "orange"), (0.95, "red")]),
        Panel::stat("Sources that fail", "Sources of these figures that fail or hang.", Unit::Count)
            .query(&format!("count({} == 0) or vector(0)", SOURCE_UP.now()), "failing")
            .thresholds("green", &[(1.0, "red")])
            .filled(),
        Panel::stat("Helper", "Whether the privileged helper answers, where one is configured.", Unit::Count)
            .query(&format!("min({})", HELPER.now()), "helper")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")])
            .filled(),
    ]
}

fn processors_and_memory() -> Vec<Panel> {
    vec![
        Panel::series("Processors", "Share of all processors' time that was not idle.", Unit::Share)
            .query(&format!("max by (instance) ({})", CPU.now()), "{{instance}}"),
        Panel::series("Load", "Tasks that run or wait to. Above the number of processors some wait.", Unit::Count)
            .query(&format!("max by (window) ({})", LOAD.now()), "{{window}}")
            .query(&format!("max({})", PROCESSORS.now()), "processors")
            .colour("processors", "#8E8E8E"),
        Panel::series("Memory", "In use, and all that there is; swap that is in use.", Unit::Bytes)
            .query(&format!("sum({})", MEMORY_USED.now()), "in use")
            .query(&format!("sum({})", MEMORY_TOTAL.now()), "all")
            .query(&format!("sum({})", SWAP_USED.now()), "swap in use")
            .colour("all", "#8E8E8E")
            .colour("swap in use", "#F2495C"),
        Panel::series(
            "Waiting",
            "Share of time in which some task waited for processors, memory or disks (Linux).",
            Unit::Share,
        )
        .query(&STALLED.rate("resource"), "{{resource}}"),
    ]
}

fn processes() -> Vec<Panel> {
    vec![
        Panel::series("Memory of its processes", "Resident memory. A model on the GPU is not in it.", Unit::Bytes)
            .query(&format!("sum by (role) ({})", PROCESS_MEMORY.now()), "{{role}}")
            .stacked(),
        Panel::series("Processors of its processes", "Processors that they keep busy.", Unit::Count)
            .query(&PROCESS_CPU.rate("role"), "{{role}}")
            .stacked(),
        Panel::series("Its processes", "The server, and a runner for each model that is loaded.", Unit::Count)
            .query(&format!("sum by (role) ({})", PROCESSES.now()), "{{role}}")
            .stacked(),
    ]
}

fn disks_and_networks() -> Vec<Panel> {
    vec![
        Panel::series("Read from disks", "Bytes a second. Loading a model shows here.", Unit::BytesPerSecond)
            .query(&DISK_READ.rate("device"), "{{device}}"),
        Panel::series("Written to disks", "Bytes a second. Pulling a model shows here.", Unit::BytesPerSecond)
            .query(&DISK_WRITTEN.rate("device"), "{{device}}"),
        Panel::series("Disk operations", "Reads and writes a second.", Unit::OperationsPerSecond)
            .query(&DISK_OPERATIONS.rate("device, operation"), "{{device}} {{operation}}"),
        Panel::series("How full disks are", "By the place where they are mounted.", Unit::Share)
            .query(&full("instance, mountpoint"), "{{mountpoint}}"),
        Panel::series("Received", "Bytes a second, by interface.", Unit::BytesPerSecond)
            .query(&RECEIVED.rate("interface"), "{{interface}}"),
        Panel::series("Sent", "Bytes a second, by interface.", Unit::BytesPerSecond)
            .query(&TRANSMITTED.rate("interface"), "{{interface}}"),
    ]
}

fn power_and_heat() -> Vec<Panel> {
    vec![
        Panel::series("Power", "What processors and GPUs draw. The processors' needs the helper.", Unit::Watts)
            .query(&format!("sum({})", CPU_POWER.now()), "processors")
            .query(&format!("sum by (gpu, gpu_name) ({})", GPU_POWER.now()), "GPU {{gpu}} {{gpu_name}}")
            .stacked(),
        Panel::series("Temperatures", "Every sensor that the system shows.", Unit::Celsius)
            .query(&format!("max by (chip, device, sensor) ({})", TEMPERATURE.now()), "{{chip}} {{sensor}}"),
        Panel::timeline(
            "Brakes because of heat",
            "The level at which macOS brakes; anything but nominal costs tokens.",
        )
        .query(&format!("max by (level) ({})", THERMAL.now()), "{{level}}")
        .words(LEVEL)
        .thresholds("transparent", &[(1.0, "orange")]),
    ]
}

fn sources() -> Vec<Panel> {
    vec![
        Panel::timeline("Sources over time", "Each source of these figures; one that hangs fails as well.")
            .query(&format!("min by (collector) ({})", SOURCE_UP.now()), "{{collector}}")
            .words(WELL)
            .thresholds("red", &[(1.0, "green")]),
        Panel::series("How long reading takes", "One that grows without end hangs.", Unit::Seconds)
            .query(&format!("max by (collector) ({})", SOURCE_DURATION.now()), "{{collector}}"),
    ]
}
