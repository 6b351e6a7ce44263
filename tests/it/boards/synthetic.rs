//! What the program would expose, made up: every family of the catalogue with its type and labels, growing.
//!
//! Promises: names, types and labels are the catalogue's; counters grow at every tick, so that each rate has a
//! value. Left out: plausible numbers, and the real buckets (nothing that is shipped may depend on them).

use inferometer::exchange::outcome::{ErrorType, Origin, Outcome, Phase};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

/// Name without the prefix, type, labels.
const CATALOGUE: &[(&str, Kind, &str)] = &[
    ("requests_total", Counter, "model method endpoint status backend outcome"),
    ("requests_ended_total", Counter, "model backend"),
    ("requests_failed_total", Counter, "model backend"),
    ("requests_started_total", Counter, "backend endpoint"),
    ("request_duration_seconds", Histogram, "model method endpoint backend"),
    ("active_requests", Gauge, "model backend"),
    ("exchanges_in_phase", Gauge, "model backend phase"),
    ("active_generations", Gauge, "model backend"),
    ("prompt_tokens_total", Counter, "model backend source"),
    ("generated_tokens_total", Counter, "model backend source"),
    ("cached_prompt_tokens_total", Counter, "model backend"),
    ("reasoning_tokens_total", Counter, "model backend"),
    ("draft_tokens_total", Counter, "model backend result"),
    ("tokens_per_chunk_ratio", Gauge, "model backend"),
    ("tokens_per_second", Histogram, "model backend"),
    ("time_to_first_token_seconds", Histogram, "model backend"),
    ("time_to_first_byte_seconds", Histogram, "model backend"),
    ("time_to_first_answer_token_seconds", Histogram, "model backend"),
    ("time_to_first_token_excluding_load_seconds", Histogram, "model backend"),
    ("model_load_duration_seconds", Histogram, "model backend"),
    ("cold_starts_total", Counter, "model backend cause"),
    ("prefill_duration_seconds", Histogram, "model backend"),
    ("decode_duration_seconds", Histogram, "model backend"),
    ("inter_token_latency_seconds", Histogram, "model backend"),
    ("time_per_output_token_seconds", Histogram, "model backend"),
    ("stream_stalls_total", Counter, "model backend"),
    ("stream_chunks_total", Counter, "model backend"),
    ("errors_total", Counter, "model backend error_type origin"),
    ("client_cancellations_total", Counter, "model backend phase"),
    ("wasted_tokens_total", Counter, "model backend phase"),
    ("usage_missing_total", Counter, "model backend endpoint"),
    ("prompt_truncation_suspected_total", Counter, "model backend"),
    ("request_size_bytes", Histogram, "endpoint backend"),
    ("response_size_bytes", Histogram, "endpoint backend"),
    ("context_length_tokens", Histogram, "model"),
    ("overhead_seconds", Histogram, ""),
    ("http_malformed_total", Counter, "kind"),
    ("progress_bytes_total", Counter, "backend operation"),
    ("history_rows_written_total", Counter, ""),
    ("history_rows_thinned_total", Counter, ""),
    ("history_rows_other_client_total", Counter, ""),
    ("history_rows_dropped_total", Counter, "reason"),
    ("history_damaged_files_total", Counter, ""),
    ("history_rows_waiting", Gauge, ""),
    ("history_paused", Gauge, ""),
    ("history_last_commit_timestamp_seconds", Gauge, ""),
    ("history_oldest_row_timestamp_seconds", Gauge, ""),
    ("history_replica_rows_total", Counter, ""),
    ("history_replica_synced_timestamp_seconds", Gauge, ""),
    ("history_size_bytes", Gauge, ""),
    ("router_decisions_total", Counter, "backend reason"),
    ("cold_start_joins_total", Counter, "model"),
    ("router_hold_seconds", Histogram, ""),
    ("router_hold_overflow_total", Counter, ""),
    ("router_held_bytes", Gauge, ""),
    ("backend_available", Gauge, "backend"),
    ("backend_weight", Gauge, "backend"),
    ("backend_inflight", Gauge, "backend"),
    ("backend_slots", Gauge, "backend"),
    ("backend_state", Gauge, "backend state"),
    ("backend_ejections_total", Counter, "backend reason"),
    ("probe_failures_ignored_total", Counter, "backend"),
    ("fleet_listing_age_seconds", Gauge, "backend route"),
    ("backend_up", Gauge, "backend"),
    ("backend_probe_duration_seconds", Gauge, "backend"),
    ("backend_info", Gauge, "backend runtime version node zone"),
    ("backend_requests_waiting", Gauge, "backend model"),
    ("backend_requests_running", Gauge, "backend model"),
    ("backend_kv_cache_usage_ratio", Gauge, "backend model"),
    ("model_info", Gauge, "model backend revision quant family parameter_size format"),
    ("model_loaded", Gauge, "model backend"),
    ("model_vram_bytes", Gauge, "model backend"),
    ("model_size_bytes", Gauge, "model backend"),
    ("model_context_length", Gauge, "model backend"),
    ("model_expires_timestamp_seconds", Gauge, "model backend"),
    ("model_loads_total", Counter, "model backend"),
    ("model_evictions_total", Counter, "model backend"),
    ("memory_usage_bytes", Gauge, ""),
    ("gpu_active_residency_percent", Gauge, ""),
    ("collector_success", Gauge, "collector"),
    ("collector_duration_seconds", Gauge, "collector"),
    ("config_last_reload_successful", Gauge, ""),
    ("config_last_reload_success_timestamp_seconds", Gauge, ""),
    ("build_info", Gauge, "version revision rustc"),
    ("start_time_seconds", Gauge, ""),
    ("series_dropped_total", Counter, "metric"),
    ("parse_defects_total", Counter, "dialect kind"),
    ("sink_dropped_total", Counter, "sink"),
    ("access_refused_total", Counter, "reason"),
];

/// What the machine underneath would show if it had everything. A real one lacks some of it.
const MACHINE: &[(&str, Kind, &str)] = &[
    ("cpu_usage_percent", Gauge, ""),
    ("cpu_utilization_ratio", Gauge, ""),
    ("cpu_processors", Gauge, ""),
    ("load_average", Gauge, "window"),
    ("memory_usage_bytes", Gauge, ""),
    ("memory_total_bytes", Gauge, ""),
    ("swap_used_bytes", Gauge, ""),
    ("swap_total_bytes", Gauge, ""),
    ("memory_pressure_percent", Gauge, ""),
    ("memory_pressure_ratio", Gauge, ""),
    ("pressure_stalled_seconds_total", Counter, "resource kind"),
    ("cpu_power_milliwatts", Gauge, ""),
    ("cpu_power_watts", Gauge, ""),
    ("cpu_energy_joules_total", Counter, ""),
    ("cpu_temperature_celsius", Gauge, ""),
    ("temperature_celsius", Gauge, "chip device sensor"),
    ("thermal_pressure", Gauge, "level"),
    ("gpu_active_residency_percent", Gauge, ""),
    ("gpu_power_milliwatts", Gauge, ""),
    ("gpu_utilization_ratio", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_power_watts", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_energy_joules_total", Counter, "gpu gpu_uuid gpu_name node"),
    ("gpu_temperature_celsius", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_memory_used_bytes", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_memory_total_bytes", Gauge, "gpu gpu_uuid gpu_name node"),
    ("disk_read_bytes_per_second", Gauge, ""),
    ("disk_write_bytes_per_second", Gauge, ""),
    ("disk_iops", Gauge, ""),
    ("disk_read_bytes_total", Counter, "device"),
    ("disk_written_bytes_total", Counter, "device"),
    ("disk_operations_total", Counter, "device operation"),
    ("filesystem_size_bytes", Gauge, "device mountpoint fstype"),
    ("filesystem_available_bytes", Gauge, "device mountpoint fstype"),
    ("network_received_bytes_total", Counter, "interface"),
    ("network_transmitted_bytes_total", Counter, "interface"),
    ("inference_processes", Gauge, "role"),
    ("inference_process_memory_bytes", Gauge, "role"),
    ("inference_process_cpu_seconds_total", Counter, "role"),
    ("collector_success", Gauge, "collector"),
    ("collector_duration_seconds", Gauge, "collector"),
    ("collector_last_success_timestamp_seconds", Gauge, "collector"),
    ("helper_up", Gauge, ""),
];

/// What NVIDIA's cards would show if they had everything, and energy.
const CARDS: &[(&str, Kind, &str)] = &[
    ("gpu_up", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_info", Gauge, "gpu gpu_uuid gpu_name node pci_bus_id driver cuda"),
    ("gpu_memory_busy_ratio", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_memory_reserved_bytes", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_power_limit_watts", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_memory_temperature_celsius", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_temperature_limit_celsius", Gauge, "gpu gpu_uuid gpu_name node limit"),
    ("gpu_fan_speed_ratio", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_clock_hertz", Gauge, "gpu gpu_uuid gpu_name node clock"),
    ("gpu_clock_max_hertz", Gauge, "gpu gpu_uuid gpu_name node clock"),
    ("gpu_performance_state", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_throttled", Gauge, "gpu gpu_uuid gpu_name node reason"),
    ("gpu_throttled_seconds_total", Counter, "gpu gpu_uuid gpu_name node reason"),
    ("gpu_encoder_utilization_ratio", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_decoder_utilization_ratio", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_ecc_enabled", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_ecc_errors_total", Counter, "gpu gpu_uuid gpu_name node severity"),
    ("gpu_ecc_errors_since_load_total", Counter, "gpu gpu_uuid gpu_name node severity"),
    ("gpu_remapped_rows_total", Counter, "gpu gpu_uuid gpu_name node severity"),
    ("gpu_row_remap_pending", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_row_remap_failed", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_retired_pages_total", Counter, "gpu gpu_uuid gpu_name node severity"),
    ("gpu_page_retirement_pending", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_link_generation", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_link_generation_max", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_link_lanes", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_link_lanes_max", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_replays_total", Counter, "gpu gpu_uuid gpu_name node"),
    ("gpu_pcie_bytes_per_second", Gauge, "gpu gpu_uuid gpu_name node direction"),
    ("gpu_nvlink_up", Gauge, "gpu gpu_uuid gpu_name node link"),
    ("gpu_nvlink_errors_total", Counter, "gpu gpu_uuid gpu_name node link kind"),
    ("gpu_processes", Gauge, "gpu gpu_uuid gpu_name node role"),
    ("gpu_process_memory_bytes", Gauge, "gpu gpu_uuid gpu_name node role"),
    ("gpu_mig_enabled", Gauge, "gpu gpu_uuid gpu_name node"),
    ("gpu_mig_memory_used_bytes", Gauge, "gpu gpu_uuid gpu_name node mig_uuid mig_profile"),
    ("gpu_mig_memory_total_bytes", Gauge, "gpu gpu_uuid gpu_name node mig_uuid mig_profile"),
    ("gpu_xid_errors_total", Counter, "gpu gpu_uuid gpu_name node class"),
    ("gpu_last_xid", Gauge, "gpu gpu_uuid gpu_name node"),
    ("inference_process_gpu_memory_bytes", Gauge, "role"),
    ("energy_joules_total", Counter, "model backend"),
    ("energy_idle_watts", Gauge, ""),
    ("electricity_price_per_kilowatt_hour", Gauge, "currency"),
];

/// What the program exposes of itself without its prefix.
const OF_THE_PROCESS: &[(&str, Kind, &str)] = &[
    ("process_cpu_seconds_total", Counter, ""),
    ("process_open_fds", Gauge, ""),
    ("process_max_fds", Gauge, ""),
    ("process_resident_memory_bytes", Gauge, ""),
    ("process_threads", Gauge, ""),
];

/// Names of NVIDIA's exporter that are asked for, with its labels and the seed's.
const OF_DCGM: &[(&str, Kind, &str)] = &[
    ("DCGM_FI_DEV_GPU_UTIL", Gauge, DCGM_LABELS),
    ("DCGM_FI_DEV_FB_USED", Gauge, DCGM_LABELS),
    ("DCGM_FI_DEV_FB_TOTAL", Gauge, DCGM_LABELS),
    ("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", Counter, DCGM_LABELS),
];
const DCGM_LABELS: &str =
    "gpu UUID pci_bus_id device modelName Hostname GPU_I_ID GPU_I_PROFILE gpu_uuid node mig_profile";

/// What Prometheus itself adds to every scrape.
const OF_THE_SCRAPE: &[(&str, Kind, &str)] =
    &[("up", Gauge, ""), ("scrape_duration_seconds", Gauge, ""), ("scrape_samples_scraped", Gauge, "")];

/// Upper bounds that suit no unit in particular.
const BOUNDS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 100.0];

const HISTORY_SECONDS: u64 = 3600;
const HISTORY_STEP_SECONDS: u64 = 10;

/// One sample of a family: the end of its name, its labels, and how much it grows a tick (for a gauge: its value).
struct Series {
    suffix: &'static str,
    labels: String,
    per_tick: f64,
}

impl Series {
    fn value(&self, kind: Kind, tick: u64) -> f64 {
        if kind == Gauge { self.per_tick } else { self.per_tick * f64::from(u32::try_from(tick).expect("few ticks")) }
    }
}

/// A family: full name, type, labels.
type Family = (String, Kind, String);

/// The exposition in text format 0.0.4 after so many ticks.
pub(super) fn exposition(tick: u64) -> String {
    exposition_of(&exposed(), tick)
}

/// The machine's part of it.
pub(super) fn machine(tick: u64) -> String {
    exposition_of(&of_the_machine(), tick)
}

/// The part of several backends.
pub(super) fn fleet(tick: u64) -> String {
    let of_several = |name: &str| name.starts_with("router_") || OF_SEVERAL.contains(&name);
    let families = CATALOGUE.iter().filter(|(name, ..)| of_several(name));
    exposition_of(&families.map(|family| owned("ollama_proxy_", family)).collect::<Vec<_>>(), tick)
}

const OF_SEVERAL: &[&str] = &[
    "cold_start_joins_total",
    "backend_available",
    "backend_weight",
    "backend_inflight",
    "backend_slots",
    "backend_state",
    "backend_ejections_total",
    "probe_failures_ignored_total",
    "fleet_listing_age_seconds",
];

/// The part of the history's copy in PostgreSQL.
pub(super) fn copy(tick: u64) -> String {
    let copied = CATALOGUE.iter().filter(|(name, ..)| name.starts_with("history_replica_"));
    exposition_of(&copied.map(|family| owned("ollama_proxy_", family)).collect::<Vec<_>>(), tick)
}

fn exposition_of(families: &[Family], tick: u64) -> String {
    let mut text = String::new();
    for (name, kind, labels) in families {
        writeln!(text, "# HELP {name} Made up.\n# TYPE {name} {}", word(*kind)).expect("text");
        for series in series(*kind, labels) {
            let value = series.value(*kind, tick);
            writeln!(text, "{name}{}{{{}}} {value}", series.suffix, series.labels).expect("text");
        }
    }
    text
}

/// Every family as it is exposed, once.
fn exposed() -> Vec<Family> {
    let mut all = of_the_machine();
    let program = CATALOGUE.iter().map(|family| owned("ollama_proxy_", family));
    for family in program.chain(OF_THE_PROCESS.iter().map(|family| owned("", family))) {
        if all.iter().all(|(name, ..)| *name != family.0) {
            all.push(family);
        }
    }
    all
}

fn of_the_machine() -> Vec<Family> {
    let prefixed = MACHINE.iter().chain(CARDS).map(|family| owned("ollama_proxy_", family));
    prefixed.chain(OF_DCGM.iter().map(|family| owned("", family))).collect()
}

fn owned(prefix: &str, (name, kind, labels): &(&str, Kind, &str)) -> Family {
    (format!("{prefix}{name}"), *kind, (*labels).to_owned())
}

/// Every family that an hour leaves in Prometheus: with the scrape's own, and what these rules recorded. The level
/// before the first colon of a rule's name lists its labels.
fn kept(recorded: &[String]) -> Vec<(String, Kind, String)> {
    let rules = recorded.iter().filter_map(|name| {
        let (level, _) = name.split_once(':')?;
        let labels = if level == "instance" { String::new() } else { level.replace('_', " ") };
        Some((name.clone(), Gauge, labels))
    });
    let of_the_scrape =
        OF_THE_SCRAPE.iter().map(|(name, kind, labels)| ((*name).to_owned(), *kind, (*labels).to_owned()));
    exposed().into_iter().chain(of_the_scrape).chain(rules).collect()
}

/// Writes an hour up to now in OpenMetrics, as one scrape target would have left it, and returns its last second.
pub(super) fn write_history(path: &Path, recorded: &[String]) -> u64 {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
    let mut text = String::new();
    for (name, kind, labels) in kept(recorded) {
        let family = if kind == Counter { name.trim_end_matches("_total") } else { &name };
        writeln!(text, "# TYPE {family} {}", word(kind)).expect("text");
        for series in series(kind, &labels) {
            let comma = if series.labels.is_empty() { "" } else { "," };
            let target = r#"job="ollama_proxy",instance="localhost:8001""#;
            for tick in 0..=HISTORY_SECONDS / HISTORY_STEP_SECONDS {
                let at = end - HISTORY_SECONDS + tick * HISTORY_STEP_SECONDS;
                let value = series.value(kind, tick);
                let Series { suffix, labels, .. } = &series;
                writeln!(text, "{name}{suffix}{{{target}{comma}{labels}}} {value} {at}").expect("text");
            }
        }
    }
    text.push_str("# EOF\n");
    std::fs::write(path, text).expect("the scratch folder can be written");
    end
}

/// A target that exposes all of it on `/metrics` and grows by a tick a scrape; dropping it ends it.
pub(super) struct Target {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    /// Starts it on a free port.
    pub(super) fn start() -> Self {
        Self::serving(exposition)
    }

    /// With an exposition of the test's own, by the number of the scrape.
    pub(super) fn serving(exposition: impl Fn(u64) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for (tick, connection) in (1..).zip(listener.incoming()) {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                // A scraper that hangs up is its own affair; the next one is served.
                let _ = connection.and_then(|connection| answer(connection, &exposition(tick)));
            }
        });
        Self { address, over, thread: Some(thread) }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut connection: TcpStream, body: &str) -> std::io::Result<()> {
    let head = BufReader::new(&connection).lines();
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Every series of a family: each combination of label values, for a histogram each of its parts.
fn series(kind: Kind, labels: &str) -> Vec<Series> {
    let mut all = Vec::new();
    for (index, labels) in (1_u32..).zip(combinations(labels)) {
        let weight = f64::from(index);
        match kind {
            Counter => all.push(Series { suffix: "", labels, per_tick: weight }),
            Gauge => all.push(Series { suffix: "", labels, per_tick: 1.0 }),
            Histogram => histogram(&labels, weight, &mut all),
        }
    }
    all
}

/// Each bucket takes `weight` samples a tick.
fn histogram(labels: &str, weight: f64, into: &mut Vec<Series>) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut count = 0.0;
    for bound in BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]) {
        count += weight;
        into.push(Series { suffix: "_bucket", labels: format!("{labels}{comma}le=\"{bound}\""), per_tick: count });
    }
    into.push(Series { suffix: "_sum", labels: labels.to_owned(), per_tick: weight * 50.0 });
    into.push(Series { suffix: "_count", labels: labels.to_owned(), per_tick: count });
}

fn combinations(labels: &str) -> Vec<String> {
    labels.split_whitespace().fold(vec![String::new()], |so_far, label| {
        let values = values_of(label);
        let longer = |begun: &String| {
            let comma = if begun.is_empty() { "" } else { "," };
            values.iter().map(|value| format!("{begun}{comma}{label}=\"{value}\"")).collect::<Vec<_>>()
        };
        so_far.iter().flat_map(longer).collect()
    })
}

fn values_of(label: &str) -> Vec<&'static str> {
    match label {
        "model" => vec!["", "llama3.2:1b", "qwen3:8b", "other"],
        "outcome" => Outcome::ALL.iter().map(|it| it.as_str()).collect(),
        "error_type" => ErrorType::ALL.iter().map(|it| it.as_str()).collect(),
        "origin" => Origin::ALL.iter().map(|it| it.as_str()).collect(),
        "phase" => Phase::ALL.iter().map(|it| it.as_str()).collect(),
        "source" => vec!["reported", "chunks"],
        "gpu_uuid" => vec!["GPU-0", "GPU-1"],
        "result" => vec!["proposed", "accepted"],
        "backend" => vec!["127.0.0.1:11434"],
        "endpoint" => vec!["/api/chat"],
        "method" => vec!["POST"],
        "status" => vec!["200"],
        "operation" => vec!["pull", "read", "write"],
        "state" => vec!["up", "loading", "half_open", "ejected", "draining", "down"],
        "window" => vec!["1m", "5m", "15m"],
        "resource" => vec!["cpu", "memory", "io"],
        "kind" => vec!["any", "some", "full"],
        "level" => vec!["nominal", "heavy"],
        "role" => vec!["server", "runner"],
        "collector" => vec!["cpu", "helper", "nvidia"],
        "class" => vec!["application", "memory", "nvlink", "bus", "firmware", "other"],
        "severity" => vec!["corrected", "uncorrected"],
        "clock" => vec!["sm", "memory"],
        "reason" => vec!["idle", "power_cap", "power_brake", "hardware_thermal"],
        _ => vec!["any"],
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Counter => "counter",
        Gauge => "gauge",
        Histogram => "histogram",
    }
}
