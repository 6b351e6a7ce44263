//! The exposition as a whole: against a golden file, a lint of our own, and `promtool` where it is installed.

use std::io::Write;
use std::process::{Command, Stdio};

use prometheus::proto::MetricType;

use super::*;
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::exchange::vocabulary::Defect;

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

/// Feeds every family at least once, with exact values.
fn fed() -> Arc<Metrics> {
    let metrics = metrics();
    let record = full_chat();
    let mut watch = metrics.started(&record.start);
    watch.requested(Some("llama3"));
    watch.forwarded();
    watch.answered("llama3");
    watch.tokens(frame(2, None, false));
    watch.tokens(frame(2, Some(500), false));
    watch.tokens(frame(1, Some(8000), true));
    watch.finished(&record);
    let error = Some(ErrorType::Truncated);
    let mut truncated = Record { outcome: Outcome::Truncated, error, generated_tokens: None, ..full_chat() };
    truncated.defects.add(Defect::Json);
    complete(&metrics, "llama3", &truncated);
    let cancelled = Record { outcome: Outcome::ClientCancelled, generated_tokens: None, ..full_chat() };
    complete(&metrics, "llama3", &cancelled);
    let pull = Route { endpoint: "/api/pull", operation: Operation::Pull, ..CHAT };
    metrics.started(&start(pull)).finished(&Record { progress_bytes: Some(4096), ..plain(pull) });
    metrics.started(&start(TAGS)).finished(&plain(TAGS));
    metrics.refused(Malformed::Host);
    metrics.backend_probe("local", true, ms(5));
    metrics.sink_dropped("log").inc();
    metrics
}

/// Without what the machine decides.
fn steady(text: &str) -> String {
    text.lines().filter(|line| !line.contains("process_")).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_exposition_is_the_golden_one() {
    let text = steady(&text(&fed()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    let differs = golden.lines().zip(text.lines()).find(|(golden, now)| golden != now);
    assert_eq!(differs, None, "golden line and line now; UPDATE_GOLDEN=1 writes the file anew");
    assert_eq!(golden.len(), text.len(), "lines were added or are missing at the end");
}

#[test]
fn names_units_and_help_texts_follow_the_rules() {
    let metrics = fed();
    for family in metrics.registry.gather() {
        let (name, help) = (family.name(), family.help());
        if name.starts_with("process_") {
            continue;
        }
        let short = name.strip_prefix("ollama_proxy_").unwrap_or_else(|| panic!("{name} lacks the prefix"));
        assert!(help.ends_with('.') && help.len() > 10, "{name}: the help text is a sentence");
        let counter = family.get_field_type() == MetricType::COUNTER;
        assert_eq!(name.ends_with("_total"), counter, "{name}: _total is for counters");
        if family.get_field_type() == MetricType::HISTOGRAM && short != "tokens_per_second" {
            assert!(["_seconds", "_bytes", "_tokens"].iter().any(|unit| name.ends_with(unit)), "{name} has a unit");
        }
        for unit in ["_ms", "_milliseconds", "_microseconds", "_kilobytes", "_minutes"] {
            assert!(!name.contains(unit), "{name}: base units only");
        }
        let first: Vec<&str> = family.get_metric()[0].get_label().iter().map(|label| label.name()).collect();
        for metric in family.get_metric() {
            let labels: Vec<&str> = metric.get_label().iter().map(|label| label.name()).collect();
            assert_eq!(labels, first, "{name}: all series have the same labels");
        }
    }
}

#[test]
fn every_fixed_name_is_there_once_fed() {
    let families = fed().registry.gather();
    for fixed in FIXED {
        let name = format!("ollama_proxy_{fixed}");
        assert!(families.iter().any(|family| family.name() == name), "{name}");
    }
}

#[test]
fn every_family_is_fed_by_something() {
    let metrics = fed();
    let names: Vec<String> = metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
    let dropped = "ollama_proxy_series_dropped_total{metric=\"";
    for line in text(&metrics).lines().filter_map(|line| line.strip_prefix(dropped)) {
        let name = line.split('"').next().unwrap();
        assert!(names.iter().any(|known| known == name), "{name} was never fed");
    }
}

#[test]
fn buckets_ascend() {
    for family in fed().registry.gather() {
        for metric in family.get_metric() {
            let bounds: Vec<f64> =
                metric.get_histogram().get_bucket().iter().map(|bucket| bucket.upper_bound()).collect();
            assert!(bounds.is_sorted_by(|low, high| low < high), "{}", family.name());
        }
    }
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
fn promtool_accepts_the_exposition() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("promtool is not installed; its opinion is not asked");
            return;
        }
        Err(error) => panic!("promtool: {error}"),
    };
    child.stdin.take().unwrap().write_all(&fed().encode()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.success(), said.trim()), (true, ""));
}
