//! What a Prometheus is asked for of other machines: the series of its node exporter and of NVIDIA's DCGM exporter.

/// Filesystems in memory, of other machines, and of images that are mounted.
const NO_DISKS: &str = "tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660|nfs.*|cifs|fuse.*|9p|autofs";

/// What is asked for, as `what` names it, with what it is. Bytes, percent, seconds since the epoch, degrees Celsius.
const FACTS: [(&str, &str); 13] = [
    // By the rate of all modes, and not by the number of processors: the rate of a series that is younger than the window is
    // too small.
    (
        "cpu_usage",
        r#"100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode=~"idle|iowait"}[2m])) / sum by (instance) (rate(node_cpu_seconds_total[2m])))"#,
    ),
    ("cpu_cores", r#"count by (instance) (node_cpu_seconds_total{mode="idle"})"#),
    ("cpu_model", "max by (instance, model_name) (node_cpu_info)"),
    ("ram_total", "max by (instance) (node_memory_MemTotal_bytes)"),
    ("ram_used", "max by (instance) (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)"),
    ("disk_total", "sum by (instance) (max by (instance, device) (node_filesystem_size_bytes{DISKS}))"),
    (
        "disk_used",
        "sum by (instance) (max by (instance, device) (node_filesystem_size_bytes{DISKS} - node_filesystem_free_bytes{DISKS}))",
    ),
    ("booted", "max by (instance) (node_boot_time_seconds)"),
    ("name", "max by (instance, nodename) (node_uname_info)"),
    ("gpu_usage", "max by (instance, Hostname, gpu, modelName) (DCGM_FI_DEV_GPU_UTIL)"),
    ("gpu_total", "max by (instance, Hostname, gpu, modelName) (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE) * 1048576"),
    ("gpu_free", "max by (instance, Hostname, gpu, modelName) (DCGM_FI_DEV_FB_FREE) * 1048576"),
    ("gpu_celsius", "max by (instance, Hostname, gpu, modelName) (DCGM_FI_DEV_GPU_TEMP)"),
];

/// One question for all of it: series by `instance` and `what`.
#[must_use]
pub fn query() -> String {
    let disks = format!(r#"device=~"/.*", fstype!~"{NO_DISKS}""#);
    let fact = |(what, of): &(&str, &str)| {
        let of = of.replace("DISKS", &disks);
        format!(r#"label_replace({of}, "what", "{what}", "", "")"#)
    };
    FACTS.iter().map(fact).collect::<Vec<_>>().join("\nor\n")
}
