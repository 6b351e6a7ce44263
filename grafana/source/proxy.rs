//! The Proxy dashboard: what the program itself costs, and what it could not do or understand.

use super::layout::Dashboard;
use super::overview::UP_DOWN;
use super::panel::{Panel, Unit};
use super::query::{Metric, share, what_happened};
use serde_json::{Value, json};

const OVERHEAD: Metric = Metric::of_instance("overhead_seconds");
const DURATION: Metric = Metric::of_model("request_duration_seconds");
const STARTED: Metric = Metric::of_backend("requests_started_total");
const FINISHED: Metric = Metric::of_model("requests_total");
const ERRORS: Metric = Metric::of_model("errors_total");
const UP: Metric = Metric::of_target("up");
const START_TIME: Metric = Metric::of_instance("start_time_seconds");
const OPEN_FDS: Metric = Metric::of_target("process_open_fds");
const MAX_FDS: Metric = Metric::of_target("process_max_fds");
const CPU: Metric = Metric::of_target("process_cpu_seconds_total");
const MEMORY: Metric = Metric::of_target("process_resident_memory_bytes");
const SAMPLES: Metric = Metric::of_target("scrape_samples_scraped");
const SCRAPE: Metric = Metric::of_target("scrape_duration_seconds");
const DROPPED: Metric = Metric::of_instance("series_dropped_total");

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-proxy",
        "Inferometer / Proxy",
        "The proxy itself: its cost, its connections, what it could not understand, and the series it keeps.",
    )
    .line(4, stats())
    .line(5, vec![builds()])
    .heading("Cost")
    .line(9, cost())
    .heading("Connections")
    .line(8, connections())
    .heading("What it could not understand or keep")
    .line(8, defects())
    .heading("Process and scrapes")
    .line(8, process())
    .build()
}

fn stats() -> Vec<Panel> {
    let descriptors = "Open file descriptors, as a share of what is allowed. Each request needs three.";
    vec![
        Panel::stat("Proxies", "DOWN as soon as Prometheus cannot scrape one of the selected.", Unit::Count)
            .query(&format!("min({})", UP.now()), "proxies")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")])
            .filled(),
        Panel::stat("Running since", "Time since the youngest of the selected proxies was started.", Unit::Seconds)
            .query(&format!("time() - max({})", START_TIME.now()), "uptime")
            .thresholds("orange", &[(300.0, "blue")]),
        Panel::stat(
            "Own cost, p99",
            "Work of the proxy itself on a request; the alert stands at 20 ms.",
            Unit::Seconds,
        )
        .query(&OVERHEAD.quantile(0.99, ""), "p99")
        .thresholds("green", &[(0.005, "orange"), (0.02, "red")]),
        Panel::stat("Processor", "Cores in use, over all selected proxies.", Unit::Count)
            .query(&CPU.rate(""), "cores")
            .thresholds("blue", &[]),
        Panel::stat("Memory", "Resident memory, over all selected proxies.", Unit::Bytes)
            .query(&format!("sum({})", MEMORY.now()), "memory")
            .thresholds("blue", &[]),
        Panel::stat("Descriptors", descriptors, Unit::Share)
            .query(&format!("max({} / {})", OPEN_FDS.now(), MAX_FDS.now()), "used")
            .thresholds("green", &[(0.7, "orange"), (0.9, "red")]),
        Panel::stat("Samples", "Samples of one scrape, of the largest of the selected proxies.", Unit::Count)
            .query(&format!("max({})", SAMPLES.now()), "samples")
            .thresholds("green", &[(50_000.0, "orange"), (200_000.0, "red")]),
        Panel::stat("Label sets refused", "In each step; above 0 a limit of series is reached.", Unit::Count)
            .query(&DROPPED.increase(""), "refused")
            .thresholds("green", &[(1.0, "red")]),
    ]
}

fn builds() -> Panel {
    let info = Metric::of_instance("build_info");
    let hidden = json!([{ "id": "custom.hidden", "value": true }]);
    Panel::table("Builds", "Which version each proxy is, and whether its configuration was read as it stands.")
        .label_column("instance", "Instance", json!([]))
        .label_column("version", "Version", json!([]))
        .label_column("revision", "Revision", json!([]))
        .column("Is there", &format!("max by (instance, version, revision) ({})", info.now()), Unit::Count, hidden)
        .column(
            "Configuration",
            &format!("min by (instance) ({})", Metric::of_instance("config_last_reload_successful").now()),
            Unit::Count,
            json!([{ "id": "mappings", "value": [{ "type": "value", "options": {
                "0": { "text": "refused", "color": "red", "index": 0 },
                "1": { "text": "loaded", "color": "green", "index": 1 },
            }}]}]),
        )
        .sorted_by("Instance")
}

fn cost() -> Vec<Panel> {
    vec![
        Panel::heatmap("Own cost, distribution", "How much work how many requests were.", Unit::Seconds)
            .query(&OVERHEAD.buckets(), "{{le}}"),
        Panel::series("Own cost", "Work of the proxy itself on a request; waiting is not in it.", Unit::Seconds)
            .quantiles(|q| OVERHEAD.quantile(q, ""))
            .thresholds("green", &[(0.02, "red")])
            .wide(6),
        Panel::series("Share of the proxy", "Its mean work, of the mean duration of a request.", Unit::Share)
            .query(&share(&OVERHEAD.mean(""), &DURATION.mean("")), "share")
            .wide(6),
    ]
}

fn connections() -> Vec<Panel> {
    let errors = ERRORS.with(r#"origin!="upstream""#).rate("error_type, origin");
    vec![
        Panel::series("Started and finished", "Apart for long: requests pile up.", Unit::RequestsPerSecond)
            .query(&STARTED.rate(""), "started")
            .query(&FINISHED.rate(""), "finished"),
        Panel::series("Open descriptors", "Of each proxy; each request needs three.", Unit::Count)
            .query(&format!("max by (instance) ({})", OPEN_FDS.now()), "{{instance}}"),
        Panel::series("Refused heads", "Heads that cannot be forwarded safely, by what is wrong.", Unit::Count)
            .query(&what_happened(&Metric::of_instance("http_malformed_total").increase("kind"), &["kind"]), "{{kind}}")
            .bars(),
        Panel::series("Errors of the proxy and of clients", "By type and origin.", Unit::RequestsPerSecond)
            .query(&what_happened(&errors, &["error_type", "origin"]), "{{error_type}} ({{origin}})")
            .bars(),
        Panel::series("Request bodies", "Their size.", Unit::Bytes)
            .quantiles(|q| Metric::of_backend("request_size_bytes").quantile(q, "")),
        Panel::series("Response bodies", "Their size.", Unit::Bytes)
            .quantiles(|q| Metric::of_backend("response_size_bytes").quantile(q, "")),
    ]
}

fn defects() -> Vec<Panel> {
    let parse = Metric::of_instance("parse_defects_total");
    vec![
        Panel::series("Defects", "Parts of answers that could not be understood. Traffic is not touched.", Unit::Count)
            .query(&what_happened(&parse.increase("dialect, kind"), &["dialect", "kind"]), "{{dialect}}: {{kind}}")
            .bars(),
        Panel::series("Label sets refused by metric", "A limit of series is reached: they are `other`.", Unit::Count)
            .query(&what_happened(&DROPPED.increase("metric"), &["metric"]), "{{metric}}")
            .bars(),
        Panel::series("Facts dropped", "Facts that a receiver (log, history) could not take in time.", Unit::Count)
            .query(&Metric::of_instance("sink_dropped_total").increase("sink"), "{{sink}}")
            .bars(),
    ]
}

fn process() -> Vec<Panel> {
    let of_each = |metric: Metric| format!("max by (instance) ({})", metric.now());
    vec![
        Panel::series("Processor by proxy", "Cores in use.", Unit::Count).query(&CPU.rate("instance"), "{{instance}}"),
        Panel::series("Memory by proxy", "Resident memory.", Unit::Bytes).query(&of_each(MEMORY), "{{instance}}"),
        Panel::series("Threads", "Threads of the process.", Unit::Count)
            .query(&of_each(Metric::of_target("process_threads")), "{{instance}}"),
        Panel::series("Scrape duration", "How long Prometheus waits for the figures.", Unit::Seconds)
            .query(&of_each(SCRAPE), "{{instance}}")
            .wide(12),
        Panel::series("Samples of a scrape", "What each scrape of a proxy brings.", Unit::Count)
            .query(&of_each(SAMPLES), "{{instance}}")
            .wide(12),
    ]
}
