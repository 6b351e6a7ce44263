//! Counters exist at 0 before they count: Prometheus sees no increase in a series that begins at 1.

use std::collections::BTreeSet;

use super::*;
use crate::backend::inventory::{Inventory, ListedModel, Runtime};
use crate::exchange::outcome::ErrorType;
use crate::metrics::{Kind, families};

/// The names, without the prefix, of the counters that shipped alerts and dashboards read with `increase`. Counters of
/// the hardware are left out: they run before the program does. Those of the history and of
/// several backends are all made at each scrape: `tests/it/history/exposed.rs` and `tests/golden/fleet.txt` have them.
fn read_as_increases() -> BTreeSet<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let boards = std::fs::read_dir(format!("{root}grafana/dashboards")).unwrap();
    let files = boards.map(|file| file.unwrap().path()).chain([format!("{root}prometheus/rules/alerts.yml").into()]);
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for after in text.split("increase(ollama_proxy_").skip(1) {
            let end = after.find(|character: char| !(character.is_ascii_lowercase() || character == '_')).unwrap();
            names.insert(after[..end].to_owned());
        }
    }
    let elsewhere = ["gpu_", "energy_", "history_", "backend_ejections_", "probe_failures_", "router_hold_"];
    let elsewhere = |name: &String| elsewhere.iter().any(|prefix| name.starts_with(prefix));
    names.retain(|name| name.ends_with("_total") && !elsewhere(name));
    names
}

/// The series of a family with their values.
fn series(metrics: &Metrics, name: &str) -> Vec<(String, f64)> {
    let start = format!("ollama_proxy_{name}{{");
    let text = text(metrics);
    let lines = text.lines().filter(|line| line.starts_with(&start));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

#[test]
fn every_counter_that_is_read_as_an_increase_exists_at_0_before_it_counts() {
    let metrics = metrics();
    let backend: Arc<str> = "local".into();
    let model = ListedModel { name: "m:latest".into(), ..ListedModel::default() };
    let inventory = Inventory {
        runtime: Runtime::Ollama,
        models: vec![model],
        resident: Some(vec![]),
        polled: true,
        ..Inventory::default()
    };
    metrics.subjects.catalogue.set_listed(&backend, ["m:latest"].into_iter());
    metrics.listed(&backend, &inventory);
    metrics.resident(&backend, &inventory, &[]);
    let _dropped = metrics.sink_dropped("log");
    let _refused = metrics.access_refused("wrong_password");
    let first = series(&metrics, "cold_starts_total");
    assert!(matches!(&first[..], [(first, 0.0)] if first.contains("cause=\"first\"")), "{first:?}");
    let mut watch = begin(&metrics, &start(CHAT));
    watch.requested(Some(&"m".into()));

    let streams = of("time_to_first_token_seconds_count");
    assert_eq!(value(&metrics, &streams), Some(0.0), "stalls, which are there, are divided by it");

    let names = read_as_increases();
    assert!(names.len() > 10, "{names:?}");
    let mut before = BTreeSet::new();
    for name in &names {
        let spec = families().find(|spec| spec.name.ends_with(&format!("_proxy_{name}"))).unwrap();
        assert_eq!(spec.kind, Kind::Counter, "{name}");
        let found = series(&metrics, name);
        let of_model = |series: &str| !spec.labels.contains(&"model") || series.contains("model=\"m:latest\"");
        let zeros = found.iter().filter(|(series, value)| of_model(series) && *value == 0.0).count();
        assert!(zeros > 0, "{name} does not exist before it counts: {found:?}");
        before.extend(found.into_iter().map(|(series, _)| series));
    }

    watch.tokens(frame(1, None, false));
    watch.tokens(frame(1, Some(9000), true));
    finish(watch, &Record { cold: Some(ColdCause::Evicted.into()), ..full_chat() });
    let cancelled = Outcome::ClientCancelled;
    for record in [
        Record { truncation_suspected: true, generated_tokens: None, ..full_chat() },
        Record {
            outcome: Outcome::Truncated,
            error: Some(ErrorType::Truncated),
            generated_tokens: None,
            ..full_chat()
        },
        Record { outcome: cancelled, phase: Phase::Decode, generated_tokens: None, ..full_chat() },
    ] {
        complete(&metrics, "m", &record);
    }
    let after = names.iter().flat_map(|name| series(&metrics, name)).map(|(series, _)| series);
    let begun_late: Vec<String> = after.filter(|series| !before.contains(series)).collect();
    // How a request ends, and a source other than the backend's report, are compared with others of their kind alone.
    let expected = |series: &String| series.contains("requests_total{") || series.contains("source=\"chunks\"");
    assert!(begun_late.iter().all(expected), "{begun_late:#?}");
}

#[test]
fn shares_of_requests_count_from_0_before_a_model_is_asked_for() {
    let metrics = metrics();
    let backend: Arc<str> = "local".into();
    let model = ListedModel { name: "m:latest".into(), ..ListedModel::default() };
    let inventory = Inventory { models: vec![model], polled: true, ..Inventory::default() };
    let named = |name: &str, model: &str| value(&metrics, &format!("{name}{{backend=\"local\",model=\"{model}\"}}"));
    let both = |model: &str| ["requests_ended_total", "requests_failed_total"].map(|name| named(name, model));
    assert_eq!((both(""), both("unknown")), ([Some(0.0); 2], [Some(0.0); 2]), "before anything was asked for");
    metrics.subjects.catalogue.set_listed(&backend, ["m:latest"].into_iter());
    metrics.listed(&backend, &inventory);
    assert_eq!(both("m:latest"), [Some(0.0); 2], "before its first request");
    complete(&metrics, "m", &full_chat());
    let failed = Record { outcome: Outcome::Truncated, error: Some(ErrorType::Truncated), ..full_chat() };
    complete(&metrics, "m", &failed);
    assert_eq!(both("m:latest"), [Some(2.0), Some(1.0)]);
    assert_eq!(both(""), [Some(0.0); 2]);
}
