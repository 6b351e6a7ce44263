//! The exposition as a whole: against a golden file, in both formats, and as `promtool` reads it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::fed::fed;
use super::lint::families;
use super::*;
use crate::backend::inventory::{Inventory, ListedModel};

#[path = "../../../tests/it/support/golden.rs"]
mod golden;
#[path = "../../../tests/it/support/tools.rs"]
mod tools;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/exposition.txt");

/// Names fixed from outside, for this part of the catalogue: their spelling is a promise.
const FIXED: [&str; 8] = [
    "requests_total",
    "request_duration_seconds",
    "active_requests",
    "prompt_tokens_total",
    "generated_tokens_total",
    "tokens_per_second",
    "time_to_first_token_seconds",
    "model_load_duration_seconds",
];

/// Without what the machine decides.
fn steady(text: &str) -> String {
    text.lines().filter(|line| !line.contains("process_")).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_exposition_is_the_golden_one() {
    golden::hold(Path::new(GOLDEN), &steady(&text(&fed())));
}

#[test]
fn every_fixed_name_is_there_once_fed() {
    let text = text(&fed());
    for fixed in FIXED {
        assert!(text.contains(&format!("# TYPE ollama_proxy_{fixed} ")), "{fixed}");
    }
}

#[test]
fn every_family_is_fed_by_something() {
    let text = text(&fed());
    let dropped = "ollama_proxy_series_dropped_total{metric=\"";
    for line in text.lines().filter_map(|line| line.strip_prefix(dropped)) {
        let name = line.split('"').next().unwrap();
        assert!(text.contains(&format!("# TYPE {name} ")), "{name} was never fed");
    }
}

#[test]
fn buckets_ascend_to_the_endless_one_and_so_do_their_counts() {
    for format in [Format::Text, Format::OpenMetrics] {
        let page = String::from_utf8(fed().encode(format)).unwrap();
        for family in families(&page).iter().filter(|family| family.kind == "histogram") {
            let buckets = family.samples.iter().filter_map(|line| line.split_once("le=\""));
            let buckets: Vec<(f64, u64)> = buckets
                .map(|(_, rest)| {
                    let (bound, count) = rest.split_once("\"} ").unwrap();
                    (bound.parse().unwrap(), count.split(' ').next().unwrap().parse().unwrap())
                })
                .collect();
            for pair in buckets.windows(2).filter(|pair| pair[0].0.is_finite()) {
                assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{}: {pair:?}", family.name);
            }
            assert!(buckets.last().unwrap().0.is_infinite(), "{}", family.name);
        }
    }
}

#[test]
fn both_formats_hold_the_same_samples() {
    let metrics = fed();
    let plain = |format| -> Vec<String> {
        let page = String::from_utf8(metrics.encode(format)).unwrap();
        let lines = page.lines().filter(|line| !line.starts_with('#') && !line.starts_with("process_"));
        lines.map(|line| line.split(" # ").next().unwrap().replace(".0\"", "\"")).map(small).collect()
    };
    assert_eq!(plain(Format::Text), plain(Format::OpenMetrics));
}

/// A bound of 10 µs or so is written in two ways.
fn small(line: String) -> String {
    line.replace("le=\"1e-05\"", "le=\"0.00001\"")
        .replace("le=\"2e-05\"", "le=\"0.00002\"")
        .replace("le=\"5e-05\"", "le=\"0.00005\"")
}

#[test]
fn openmetrics_ends_where_it_says_so_and_the_text_format_says_nothing() {
    let metrics = fed();
    let page = String::from_utf8(metrics.encode(Format::OpenMetrics)).unwrap();
    assert!(page.ends_with("\n# EOF\n") && page.matches("# EOF").count() == 1);
    assert!(page.contains("\n# TYPE ollama_proxy_requests counter\n"));
    assert!(page.contains("\n# UNIT ollama_proxy_time_to_first_token_seconds seconds\n"));
    let text = text(&metrics);
    assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains("trace_id"));
}

#[test]
fn the_newest_exchange_of_each_bucket_is_its_exemplar() {
    let metrics = metrics();
    let exchange = |trace: u128, ttft: u64| {
        let start = Start { trace: TraceId::from_random(trace), ..start(CHAT) };
        complete(&metrics, "llama3", &Record { start, time_to_first_token: Some(ms(ttft)), ..plain(CHAT) });
    };
    for (trace, ttft) in [(1, 50), (2, 55), (3, 2000), (4, 1_000_000), (5, 60)] {
        exchange(trace, ttft);
    }
    let page = String::from_utf8(metrics.encode(Format::OpenMetrics)).unwrap();
    let buckets = page.lines().filter(|line| line.starts_with("ollama_proxy_time_to_first_token_seconds_bucket"));
    let seen: Vec<(String, String, String)> = buckets
        .filter_map(|line| {
            let (series, exemplar) = line.split_once(" # {trace_id=\"")?;
            let bound = series.split_once("le=\"")?.1.split('"').next()?;
            let (trace, rest) = exemplar.split_once("\"} ")?;
            let value = rest.split(' ').next()?;
            Some((bound.to_owned(), trace.trim_start_matches('0').to_owned(), value.to_owned()))
        })
        .collect();
    let expected = [("0.06", "5", "0.06"), ("2.5", "3", "2"), ("+Inf", "4", "1000")];
    assert_eq!(seen, expected.map(|(bound, trace, value)| (bound.into(), trace.into(), value.into())));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_describes_itself() {
    let text = text(&metrics());
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(text.contains(&format!("\n{name} ")), "{name}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_processes_cpu_time_has_parts_of_a_second() {
    let metrics = metrics();
    let used = || -> f64 {
        let text = text(&metrics);
        let line = text.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        line.and_then(|value| value.parse().ok()).unwrap()
    };
    let (first, second) = (used(), used());
    assert!(0.0 < first && first < second && second < first + 1.0, "{first} to {second}");
}

#[test]
fn promtool_accepts_the_exposition() {
    let mut child = tools::promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fed().encode(Format::Text)).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.success(), said.trim()), (true, ""));
}

#[test]
fn a_model_that_vanishes_takes_its_gauges_with_it_and_keeps_its_counters() {
    let metrics = fed();
    let series = |name: &str| values(&metrics, name).len();
    assert_eq!((series("model_info"), series("model_loaded"), series("model_vram_bytes")), (1, 1, 1));
    let backend: Arc<str> = "local".into();
    let empty = Inventory { resident: Some(vec![]), polled: true, ..Inventory::default() };
    metrics.listed(&backend, &empty);
    metrics.resident(&backend, &empty, &[]);
    for name in ["model_info", "model_loaded", "model_vram_bytes", "model_size_bytes", "model_context_length"] {
        assert_eq!(series(name), 0, "{name}");
    }
    assert_eq!(values(&metrics, "model_loads_total"), [1.0]);
    assert_eq!(values(&metrics, "backend_info"), [1.0]);
}

#[test]
fn a_listed_model_that_is_not_in_memory_is_a_known_0_and_one_without_a_label_is_absent() {
    let metrics = metrics_with(settings(), Catalogue::new(1));
    metrics.subjects.catalogue.admit("a").unwrap();
    let model = |name: &str| ListedModel { name: name.into(), ..ListedModel::default() };
    let inventory = Inventory {
        models: vec![model("a"), model("beyond the cap")],
        resident: Some(vec![]),
        polled: true,
        ..Inventory::default()
    };
    let backend: Arc<str> = "local".into();
    metrics.listed(&backend, &inventory);
    metrics.resident(&backend, &inventory, &[]);
    assert_eq!(values(&metrics, "model_loaded"), [0.0]);
    assert_eq!(values(&metrics, "model_loads_total"), [0.0]);
    assert_eq!(values(&metrics, "model_info"), [1.0]);
    metrics.resident(&backend, &Inventory { resident: None, ..inventory }, &[]);
    assert_eq!(values(&metrics, "model_loaded"), [0.0; 0], "out of reach, nothing is known of its memory");
}

/// Rules join the labels of `model_info` to other series, and Prometheus refuses to where two rows fit one series.
#[test]
fn a_model_that_is_listed_twice_has_one_row_of_facts() {
    let metrics = metrics_with(settings(), Catalogue::new(1));
    metrics.subjects.catalogue.admit("a:latest").unwrap();
    let model = |name: &str, quant: &str| ListedModel {
        name: name.into(),
        quant: Some(quant.into()),
        ..ListedModel::default()
    };
    let models = vec![model("a:latest", "Q4_K_M"), model("a", "F16")];
    metrics.listed(&"local".into(), &Inventory { models, polled: true, ..Inventory::default() });
    assert_eq!(values(&metrics, "model_info"), [1.0]);
}
