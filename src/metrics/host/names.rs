//! Every name of the machine's metrics.

use super::exposition::{Kind, Name};

/// What every series of one GPU carries.
const GPU: &[&str] = &["gpu", "gpu_uuid", "gpu_name", "node"];

/// All of them.
pub(super) static ALL: [&Name; 42] = [
    &CPU_USAGE_PERCENT,
    &CPU_UTILIZATION_RATIO,
    &CPU_PROCESSORS,
    &LOAD_AVERAGE,
    &MEMORY_USAGE_BYTES,
    &MEMORY_TOTAL_BYTES,
    &SWAP_USED_BYTES,
    &SWAP_TOTAL_BYTES,
    &MEMORY_PRESSURE_PERCENT,
    &MEMORY_PRESSURE_RATIO,
    &PRESSURE_STALLED,
    &CPU_POWER_MILLIWATTS,
    &CPU_POWER_WATTS,
    &CPU_ENERGY_JOULES,
    &CPU_TEMPERATURE,
    &TEMPERATURE,
    &THERMAL_PRESSURE,
    &GPU_ACTIVE_RESIDENCY_PERCENT,
    &GPU_POWER_MILLIWATTS,
    &GPU_UTILIZATION_RATIO,
    &GPU_POWER_WATTS,
    &GPU_ENERGY_JOULES,
    &GPU_TEMPERATURE,
    &GPU_MEMORY_USED,
    &GPU_MEMORY_TOTAL,
    &DISK_READ_RATE,
    &DISK_WRITE_RATE,
    &DISK_IOPS,
    &DISK_READ_BYTES,
    &DISK_WRITTEN_BYTES,
    &DISK_OPERATIONS,
    &FILESYSTEM_SIZE,
    &FILESYSTEM_AVAILABLE,
    &NETWORK_RECEIVED,
    &NETWORK_TRANSMITTED,
    &INFERENCE_PROCESSES,
    &INFERENCE_PROCESS_MEMORY,
    &INFERENCE_PROCESS_CPU,
    &COLLECTOR_SUCCESS,
    &COLLECTOR_DURATION,
    &COLLECTOR_LAST_SUCCESS,
    &HELPER_UP,
];

pub(super) static CPU_USAGE_PERCENT: Name = Name {
    name: "ollama_proxy_cpu_usage_percent",
    help: "Share of the processors' time that was not idle, over the whole machine, 0 to 100.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static CPU_UTILIZATION_RATIO: Name = Name {
    name: "ollama_proxy_cpu_utilization_ratio",
    help: "Share of the processors' time that was not idle, over the whole machine, 0 to 1.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static CPU_PROCESSORS: Name =
    Name { name: "ollama_proxy_cpu_processors", help: "Processors that are online.", kind: Kind::Gauge, labels: &[] };
pub(super) static LOAD_AVERAGE: Name = Name {
    name: "ollama_proxy_load_average",
    help: "Tasks that run or wait to, averaged over the window.",
    kind: Kind::Gauge,
    labels: &["window"],
};
pub(super) static MEMORY_USAGE_BYTES: Name = Name {
    name: "ollama_proxy_memory_usage_bytes",
    help: "Memory in use: total less available.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static MEMORY_TOTAL_BYTES: Name = Name {
    name: "ollama_proxy_memory_total_bytes",
    help: "All memory that the system can use.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static SWAP_USED_BYTES: Name =
    Name { name: "ollama_proxy_swap_used_bytes", help: "Swap space in use.", kind: Kind::Gauge, labels: &[] };
pub(super) static SWAP_TOTAL_BYTES: Name =
    Name { name: "ollama_proxy_swap_total_bytes", help: "All swap space.", kind: Kind::Gauge, labels: &[] };
pub(super) static MEMORY_PRESSURE_PERCENT: Name = Name {
    name: "ollama_proxy_memory_pressure_percent",
    help: "Pressure on memory, 0 to 100: on Linux the share of the last ten seconds in which a task waited for memory, on macOS the share of memory that is not free.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static MEMORY_PRESSURE_RATIO: Name = Name {
    name: "ollama_proxy_memory_pressure_ratio",
    help: "Pressure on memory, 0 to 1; see memory_pressure_percent.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static PRESSURE_STALLED: Name = Name {
    name: "ollama_proxy_pressure_stalled_seconds_total",
    help: "Time in which some task, or all of them at once (full), waited for the resource.",
    kind: Kind::Counter,
    labels: &["resource", "kind"],
};
pub(super) static CPU_POWER_MILLIWATTS: Name = Name {
    name: "ollama_proxy_cpu_power_milliwatts",
    help: "What the processors draw, in milliwatts.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static CPU_POWER_WATTS: Name = Name {
    name: "ollama_proxy_cpu_power_watts",
    help: "What the processors draw, in watts.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static CPU_ENERGY_JOULES: Name = Name {
    name: "ollama_proxy_cpu_energy_joules_total",
    help: "Energy that the processors took.",
    kind: Kind::Counter,
    labels: &[],
};
pub(super) static CPU_TEMPERATURE: Name = Name {
    name: "ollama_proxy_cpu_temperature_celsius",
    help: "Temperature of the hottest processor.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static TEMPERATURE: Name = Name {
    name: "ollama_proxy_temperature_celsius",
    help: "Temperature that a sensor shows.",
    kind: Kind::Gauge,
    labels: &["chip", "device", "sensor"],
};
pub(super) static THERMAL_PRESSURE: Name = Name {
    name: "ollama_proxy_thermal_pressure",
    help: "1 for the level at which macOS brakes because of heat, 0 for the others.",
    kind: Kind::Gauge,
    labels: &["level"],
};
pub(super) static GPU_ACTIVE_RESIDENCY_PERCENT: Name = Name {
    name: "ollama_proxy_gpu_active_residency_percent",
    help: "Share of time in which the GPU was busy, 0 to 100; the mean over all GPUs.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static GPU_POWER_MILLIWATTS: Name = Name {
    name: "ollama_proxy_gpu_power_milliwatts",
    help: "What all GPUs together draw, in milliwatts.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static GPU_UTILIZATION_RATIO: Name = Name {
    name: "ollama_proxy_gpu_utilization_ratio",
    help: "Share of time in which the GPU was busy, 0 to 1.",
    kind: Kind::Gauge,
    labels: GPU,
};
pub(super) static GPU_POWER_WATTS: Name = Name {
    name: "ollama_proxy_gpu_power_watts",
    help: "What the GPU draws, in watts.",
    kind: Kind::Gauge,
    labels: GPU,
};
pub(super) static GPU_ENERGY_JOULES: Name = Name {
    name: "ollama_proxy_gpu_energy_joules_total",
    help: "Energy that the GPU took.",
    kind: Kind::Counter,
    labels: GPU,
};
pub(super) static GPU_TEMPERATURE: Name = Name {
    name: "ollama_proxy_gpu_temperature_celsius",
    help: "Temperature of the GPU's chip.",
    kind: Kind::Gauge,
    labels: GPU,
};
pub(super) static GPU_MEMORY_USED: Name = Name {
    name: "ollama_proxy_gpu_memory_used_bytes",
    help: "Memory of the GPU in use.",
    kind: Kind::Gauge,
    labels: GPU,
};
pub(super) static GPU_MEMORY_TOTAL: Name = Name {
    name: "ollama_proxy_gpu_memory_total_bytes",
    help: "All memory of the GPU.",
    kind: Kind::Gauge,
    labels: GPU,
};
pub(super) static DISK_READ_RATE: Name = Name {
    name: "ollama_proxy_disk_read_bytes_per_second",
    help: "Bytes read from all disks a second, between the last two readings.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static DISK_WRITE_RATE: Name = Name {
    name: "ollama_proxy_disk_write_bytes_per_second",
    help: "Bytes written to all disks a second, between the last two readings.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static DISK_IOPS: Name = Name {
    name: "ollama_proxy_disk_iops",
    help: "Reads and writes of all disks a second, between the last two readings.",
    kind: Kind::Gauge,
    labels: &[],
};
pub(super) static DISK_READ_BYTES: Name = Name {
    name: "ollama_proxy_disk_read_bytes_total",
    help: "Bytes read from the device.",
    kind: Kind::Counter,
    labels: &["device"],
};
pub(super) static DISK_WRITTEN_BYTES: Name = Name {
    name: "ollama_proxy_disk_written_bytes_total",
    help: "Bytes written to the device.",
    kind: Kind::Counter,
    labels: &["device"],
};
pub(super) static DISK_OPERATIONS: Name = Name {
    name: "ollama_proxy_disk_operations_total",
    help: "Reads and writes of the device.",
    kind: Kind::Counter,
    labels: &["device", "operation"],
};
pub(super) static FILESYSTEM_SIZE: Name = Name {
    name: "ollama_proxy_filesystem_size_bytes",
    help: "Size of the filesystem.",
    kind: Kind::Gauge,
    labels: &["device", "mountpoint", "fstype"],
};
pub(super) static FILESYSTEM_AVAILABLE: Name = Name {
    name: "ollama_proxy_filesystem_available_bytes",
    help: "What programs without privileges can still write to the filesystem.",
    kind: Kind::Gauge,
    labels: &["device", "mountpoint", "fstype"],
};
pub(super) static NETWORK_RECEIVED: Name = Name {
    name: "ollama_proxy_network_received_bytes_total",
    help: "Bytes that the interface received.",
    kind: Kind::Counter,
    labels: &["interface"],
};
pub(super) static NETWORK_TRANSMITTED: Name = Name {
    name: "ollama_proxy_network_transmitted_bytes_total",
    help: "Bytes that the interface sent.",
    kind: Kind::Counter,
    labels: &["interface"],
};
pub(super) static INFERENCE_PROCESSES: Name = Name {
    name: "ollama_proxy_inference_processes",
    help: "Processes of the inference server.",
    kind: Kind::Gauge,
    labels: &["role"],
};
pub(super) static INFERENCE_PROCESS_MEMORY: Name = Name {
    name: "ollama_proxy_inference_process_memory_bytes",
    help: "Resident memory of the inference server's processes.",
    kind: Kind::Gauge,
    labels: &["role"],
};
pub(super) static INFERENCE_PROCESS_CPU: Name = Name {
    name: "ollama_proxy_inference_process_cpu_seconds_total",
    help: "Processor time of the inference server's processes since this program watches them.",
    kind: Kind::Counter,
    labels: &["role"],
};
pub(super) static COLLECTOR_SUCCESS: Name = Name {
    name: "ollama_proxy_collector_success",
    help: "Whether the last reading of the source went well and none hangs.",
    kind: Kind::Gauge,
    labels: &["collector"],
};
pub(super) static COLLECTOR_DURATION: Name = Name {
    name: "ollama_proxy_collector_duration_seconds",
    help: "How long the last reading of the source took, or how long one has been hanging.",
    kind: Kind::Gauge,
    labels: &["collector"],
};
pub(super) static COLLECTOR_LAST_SUCCESS: Name = Name {
    name: "ollama_proxy_collector_last_success_timestamp_seconds",
    help: "When a reading of the source last went well.",
    kind: Kind::Gauge,
    labels: &["collector"],
};
pub(super) static HELPER_UP: Name = Name {
    name: "ollama_proxy_helper_up",
    help: "Whether the privileged helper answers with facts that are not stale.",
    kind: Kind::Gauge,
    labels: &[],
};
