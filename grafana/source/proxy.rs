//! The Proxy dashboard: what the program itself takes, and what it could not do or understand.

use super::column::{hidden, wide, worded};
use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit, colour};
use super::query::Metric;
use super::shared::{self, DURATION, ERRORS, OVERHEAD, OVERHEAD_LIMIT, REQUESTS, UP_DOWN, state_tile};
use serde_json::Value;

const STARTED: Metric = Metric::of_backend("requests_started_total");
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
        "The proxy itself: its overhead, its connections, what it could not understand, and the series it keeps.",
    )
    .tiles(tiles())
    .line(5, vec![builds()])
    .heading("Overhead")
    .line(GRAPH, overhead())
    .heading("Requests")
    .line(GRAPH, requests())
    .folded("Bodies", vec![(GRAPH, bodies())])
    .folded("What it could not understand or keep", vec![(GRAPH, defects())])
    .folded("Process and scrapes", vec![(GRAPH, process())])
    .build()
}

fn tiles() -> Vec<Panel> {
    vec![
        state_tile("Proxies", "DOWN as soon as Prometheus cannot scrape one of the selected.", UP, UP_DOWN),
        Panel::tile("Uptime", "Time since the youngest of the selected proxies was started.", Unit::Seconds)
            .query(&format!("time() - max({})", START_TIME.now()), "uptime")
            .neutral(),
        Panel::tile(
            "Overhead p99",
            "Work of the proxy itself on 99 of 100 requests of the last minute; orange from 20 ms, where the alert stands.",
            Unit::Seconds,
        )
        .query(&OVERHEAD.quantile(0.99, ""), "p99")
        .thresholds("green", &[(OVERHEAD_LIMIT, "orange")]),
        Panel::tile("CPU", "Cores in use, over all selected proxies.", Unit::Cores).query(&CPU.rate(""), "cores").neutral(),
        Panel::tile("Memory", "Resident memory, over all selected proxies.", Unit::Bytes)
            .query(&format!("sum({})", MEMORY.now()), "memory")
            .neutral(),
        Panel::tile(
            "Open descriptors",
            "File descriptors, as a share of what is allowed. Each request needs three, and a third of them at most are \
            connections of clients.",
            Unit::Share,
        )
        .query(&format!("max({} / {})", OPEN_FDS.now(), MAX_FDS.now()), "used")
        .neutral(),
        Panel::tile("Samples", "Samples of one scrape, of the largest of the selected proxies.", Unit::Large)
            .query(&format!("max({})", SAMPLES.now()), "samples")
            .neutral(),
        Panel::tile(
            "Label sets refused",
            "Series that were not made in the time range shown because a limit of series was reached; orange from the first, \
             as the alert.",
            Unit::Count,
        )
        .query(&DROPPED.count_in_range(""), "refused")
        .thresholds("green", &[(1.0, "orange")])
        .filled(),
    ]
}

fn builds() -> Panel {
    let info = Metric::of_instance("build_info");
    Panel::table("Builds", "Which version each proxy is, and whether its configuration was read as it stands.")
        .label_column("instance", "Instance", wide(200))
        .label_column("version", "Version", wide(100))
        .label_column("revision", "Revision", wide(100))
        .column("Is there", &format!("max by (instance, version, revision) ({})", info.now()), Unit::Count, hidden())
        .column(
            "Configuration",
            &format!("min by (instance) ({})", Metric::of_instance("config_last_reload_successful").now()),
            Unit::Count,
            worded(&[("0", "refused", "red"), ("1", "loaded", "green")]),
        )
        .sorted_by("Instance")
}

fn overhead() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "Proxy overhead, distribution",
            "How many requests took which time of work of the proxy itself; each column is a step of time.",
            Unit::Seconds,
        )
        .query(&OVERHEAD.buckets(), "{{le}}"),
        shared::overhead().wide(6),
        Panel::series(
            "Mean time per request",
            "All of the time between a request and the end of its answer, and the part of it in which the proxy itself worked.",
            Unit::Seconds,
        )
        .query(&DURATION.mean(""), "whole request")
        .query(&OVERHEAD.mean(""), "proxy")
        .family(&[("whole request", colour::BLUE), ("proxy", colour::ORANGE)])
        .logarithmic()
        .wide(6),
    ]
}

fn requests() -> Vec<Panel> {
    vec![
        Panel::series("Started and ended", "Apart for long: requests pile up.", Unit::RequestsPerSecond)
            .query(&STARTED.rate(""), "started")
            .query(&REQUESTS.rate(""), "ended")
            .family(&[("started", colour::BLUE), ("ended", colour::ORANGE)])
            .wide(6),
        Panel::events(
            "Errors of proxy and clients",
            "Requests that ended in an error, by its type and by whose doing it was: downstream is the client, internal the proxy.",
        )
        .query(&ERRORS.with(r#"origin!="upstream""#).events(&["error_type", "origin"]), "{{event}}")
        .wide(6),
        Panel::events(
            "Refused heads",
            "Requests that were refused before they were forwarded because their head is malformed or ambiguous, by what is wrong.",
        )
        .query(&Metric::of_instance("http_malformed_total").events(&["kind"]), "{{event}}")
        .wide(6),
        Panel::series("Open descriptors by proxy", "File descriptors; each request needs three.", Unit::Count)
            .query(&format!("max by (instance) ({})", OPEN_FDS.now()), "{{instance}}")
            .wide(6),
    ]
}

fn bodies() -> Vec<Panel> {
    vec![
        Panel::series("Request bodies", "How large the bodies of requests are.", Unit::Bytes)
            .quantiles(|q| Metric::of_backend("request_size_bytes").quantile(q, ""))
            .wide(12),
        Panel::series("Response bodies", "How large the bodies of answers are.", Unit::Bytes)
            .quantiles(|q| Metric::of_backend("response_size_bytes").quantile(q, ""))
            .wide(12),
    ]
}

fn defects() -> Vec<Panel> {
    vec![
        Panel::events(
            "Defects",
            "Parts of answers that could not be understood, by dialect and kind. Traffic is not touched.",
        )
        .query(&Metric::of_instance("parse_defects_total").events(&["dialect", "kind"]), "{{event}}"),
        Panel::events(
            "Label sets refused by metric",
            "Series that were not made because a limit of series was reached; their samples are counted under `other`.",
        )
        .query(&DROPPED.events(&["metric"]), "{{event}}"),
        Panel::events("Facts dropped", "Facts that a receiver (log, history) could not take in time.")
            .query(&Metric::of_instance("sink_dropped_total").events(&["sink"]), "{{event}}"),
    ]
}

fn process() -> Vec<Panel> {
    let of_each = |metric: Metric| format!("max by (instance) ({})", metric.now());
    vec![
        Panel::series("CPU by proxy", "Cores in use, of each proxy.", Unit::Cores)
            .query(&CPU.rate("instance"), "{{instance}}"),
        Panel::series("Memory by proxy", "Resident memory of each proxy.", Unit::Bytes)
            .query(&of_each(MEMORY), "{{instance}}"),
        Panel::series("Threads", "Threads of each proxy's process.", Unit::Count)
            .query(&of_each(Metric::of_target("process_threads")), "{{instance}}"),
        Panel::series("Scrape duration", "How long Prometheus waits for the figures.", Unit::Seconds)
            .query(&of_each(SCRAPE), "{{instance}}")
            .logarithmic()
            .wide(12),
        Panel::series("Samples per scrape", "How many samples each scrape of a proxy brings.", Unit::Large)
            .query(&of_each(SAMPLES), "{{instance}}")
            .wide(12),
    ]
}
