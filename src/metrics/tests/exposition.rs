//! The exposition as a whole: against a golden file, a lint of our own, and `promtool`.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::*;
use crate::backend::Place;
use crate::backend::engine::EngineLoad;
use crate::backend::inventory::{Expiry, Inventory, Model, Resident, Runtime};
use crate::backend::track::Change;
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::exchange::vocabulary::Defect;

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

/// Feeds every family at least once, with exact values.
fn fed() -> Arc<Metrics> {
    let metrics = metrics();
    let record = full_chat();
    let mut watch = begin(&metrics, &record.start);
    watch.requested(Some("llama3"));
    watch.forwarded(Instant::now());
    watch.answered("llama3");
    watch.tokens(frame(2, None, false));
    watch.tokens(frame(2, Some(500), false));
    watch.tokens(frame(1, Some(8000), true));
    finish(watch, &record);
    let error = Some(ErrorType::Truncated);
    let mut truncated = Record { outcome: Outcome::Truncated, error, generated_tokens: None, ..full_chat() };
    truncated.defects.add(Defect::Json);
    complete(&metrics, "llama3", &truncated);
    let cancelled = Record { outcome: Outcome::ClientCancelled, generated_tokens: None, ..full_chat() };
    complete(&metrics, "llama3", &cancelled);
    let pull = Route { endpoint: "/api/pull", operation: Operation::Pull, ..CHAT };
    let mut transfer = begin(&metrics, &start(pull));
    transfer.progress(4096);
    finish(transfer, &Record { progress_bytes: Some(4096), ..plain(pull) });
    begin(&metrics, &start(TAGS)).finished(&plain(TAGS));
    metrics.refused(Malformed::Host);
    metrics.probed(&"local".into(), true, ms(5));
    metrics.sink_dropped("log").inc();
    surveyed(&metrics);
    metrics
}

/// What a backend says of itself.
fn surveyed(metrics: &Metrics) {
    let backend: Arc<str> = "local".into();
    let text = |text: &str| Some(Box::from(text));
    let model = Model {
        name: "llama3".into(),
        revision: text("365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1"),
        quant: text("Q4_0"),
        family: text("llama"),
        parameter_size: text("8.0B"),
        format: text("gguf"),
        elsewhere: false,
    };
    let held = Resident {
        name: "llama3".into(),
        revision: None,
        size: Some(6_000_000_000),
        vram: Some(5_000_000_000),
        context: Some(8192),
        expires: Some(Expiry::At(UNIX_EPOCH + Duration::from_secs(1_700_000_300))),
    };
    let inventory = Inventory {
        runtime: Runtime::Ollama,
        version: text("0.24.0"),
        models: vec![model],
        resident: Some(vec![held]),
        polled: true,
    };
    metrics.set_backend_location(&backend, Place { node: "gpu-box".into(), zone: "rack 7".into() });
    metrics.listed(&backend, &inventory);
    metrics.resident(&backend, &inventory, &[Change::Evicted("llama3".into()), Change::Loaded("llama3".into())]);
    let load = EngineLoad { model: text("llama3"), waiting: Some(3.0), running: Some(2.0), kv_cache: Some(0.25) };
    metrics.load(&backend, &[load]);
}

/// Without what the machine decides.
fn steady(text: &str) -> String {
    text.lines().filter(|line| !line.contains("process_")).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_exposition_is_the_golden_one() {
    golden::hold(Path::new(GOLDEN), &steady(&text(&fed())));
}

/// One family as it stands on a page.
#[derive(Debug, Default)]
struct Lines<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
    unit: Option<&'a str>,
    /// Whole lines.
    samples: Vec<&'a str>,
}

fn families(page: &str) -> Vec<Lines<'_>> {
    let mut families: Vec<Lines<'_>> = Vec::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let (hash, what, name, rest) = (words.next(), words.next(), words.next(), words.next().unwrap_or_default());
        if hash != Some("#") {
            families.last_mut().unwrap().samples.push(line);
            continue;
        }
        let (what, name) = (what.unwrap(), name.unwrap());
        if what == "HELP" {
            families.push(Lines { name, help: rest, ..Lines::default() });
            continue;
        }
        let family = families.last_mut().unwrap();
        assert_eq!(family.name, name, "what is said of a family stands together");
        match what {
            "TYPE" => family.kind = rest,
            "UNIT" => family.unit = Some(rest),
            other => panic!("{other}"),
        }
    }
    families
}

/// The names of a sample's labels.
fn label_names(sample: &str) -> Vec<&str> {
    let sample = sample.split(" # ").next().unwrap();
    let Some((_, labels)) = sample.split_once('{') else { return Vec::new() };
    let names = labels.match_indices("=\"").map(|(at, _)| labels[..at].rsplit([',', '{']).next().unwrap());
    names.filter(|name| *name != "le").collect()
}

/// What is wrong with a page, in words. Both formats keep these rules.
fn complaints(page: &str, format: Format) -> Vec<String> {
    let mut found = Vec::new();
    let families = families(page);
    for Lines { name, kind, help, unit, samples } in &families {
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                found.push(format!("{name}: {rule}"));
            }
        };
        let sentence = help.ends_with('.') && help.len() > 10 && help.starts_with(|first: char| first.is_uppercase());
        must(sentence, "the help text is a sentence");
        must(!help.contains(['\\', '"']), "the help text needs no escaping");
        let counter = *kind == "counter";
        let total = samples.iter().all(|line| line.split(['{', ' ']).next().unwrap().ends_with("_total"));
        must(!samples.is_empty(), "a family without samples is absent");
        must(total == counter, "_total is for counters");
        must(name.ends_with("_total") == (counter && format == Format::Text), "OpenMetrics leaves _total to samples");
        let base = name.strip_suffix("_total").unwrap_or(name);
        let known = base.rsplit('_').next().filter(|last| UNITS.contains(last));
        must(format == Format::Text || *unit == known, "the unit is the one that the name ends in");
        must(*kind != "histogram" || known.is_some() || base.ends_with("tokens_per_second"), "a histogram has a unit");
        let foreign = ["_ms", "_milliseconds", "_microseconds", "_kilobytes", "_minutes", "_mb"];
        must(!foreign.iter().any(|unit| name.ends_with(unit)), "base units only");
        let inner = ["_sum", "_count", "_bucket", "_created"];
        must(!inner.iter().any(|part| base.ends_with(part)), "the end of a sample's name is no name");
        must(name.starts_with("ollama_proxy_") || name.starts_with("process_"), "the prefix");
        let first = label_names(samples[0]);
        must(samples.iter().all(|line| label_names(line) == first), "all series have the same labels");
        must(first.is_sorted(), "labels are sorted");
        let mut whole: Vec<_> = samples.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        whole.sort_unstable();
        whole.dedup();
        must(whole.len() == samples.len(), "a series stands once");
    }
    let mut names: Vec<_> = families.iter().map(|family| family.name).collect();
    // OpenMetrics' families lack `_total`, by which they are sorted.
    if format == Format::Text && !names.is_sorted() {
        found.push("families are sorted by name".to_owned());
    }
    names.sort_unstable();
    names.dedup();
    if names.len() != families.len() {
        found.push("a name stands for one family".to_owned());
    }
    found
}

const UNITS: [&str; 9] = ["seconds", "bytes", "tokens", "ratio", "percent", "celsius", "watts", "milliwatts", "joules"];

#[test]
fn names_units_and_help_texts_follow_the_rules_in_both_formats() {
    let metrics = fed();
    for format in [Format::Text, Format::OpenMetrics] {
        let page = String::from_utf8(metrics.encode(format)).unwrap();
        // The library's own help texts are not ours to write.
        let found: Vec<_> = complaints(&page, format)
            .into_iter()
            .filter(|line| !(line.starts_with("process_") && line.contains("help text")))
            .collect();
        assert!(found.is_empty(), "{format:?}\n{}", found.join("\n"));
    }
}

#[test]
fn the_lint_sees_each_kind_of_fault() {
    let page = |name: &str, kind: &str, help: &str, samples: &str| {
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}\n")
    };
    let good = page("ollama_proxy_a_bytes", "gauge", "A sentence.", "ollama_proxy_a_bytes 1");
    assert_eq!(complaints(&good, Format::Text), Vec::<String>::new());
    for (fault, page) in [
        ("is a sentence", page("ollama_proxy_a", "gauge", "no sentence", "ollama_proxy_a 1")),
        ("escaping", page("ollama_proxy_a", "gauge", "A \"sentence\".", "ollama_proxy_a 1")),
        ("_total is for counters", page("ollama_proxy_a", "counter", "A sentence.", "ollama_proxy_a 1")),
        ("_total is for counters", page("ollama_proxy_a_total", "gauge", "A sentence.", "ollama_proxy_a_total 1")),
        ("has a unit", page("ollama_proxy_a", "histogram", "A sentence.", "ollama_proxy_a_sum 1")),
        ("base units", page("ollama_proxy_a_ms", "gauge", "A sentence.", "ollama_proxy_a_ms 1")),
        ("the prefix", page("a", "gauge", "A sentence.", "a 1")),
        ("same labels", page("ollama_proxy_a", "gauge", "A sentence.", "ollama_proxy_a{b=\"\"} 1\nollama_proxy_a 1")),
        ("stands once", page("ollama_proxy_a", "gauge", "A sentence.", "ollama_proxy_a 1\nollama_proxy_a 2")),
    ] {
        let found = complaints(&page, Format::Text);
        assert!(found.iter().any(|line| line.contains(fault)), "{fault} is not seen: {found:?}");
    }
    let unit = complaints(&good, Format::OpenMetrics);
    assert!(unit.iter().any(|line| line.contains("the unit")), "{unit:?}");
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
        let start = Start { trace: TraceId::made_up(trace), ..start(CHAT) };
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
    let model = |name: &str| Model { name: name.into(), ..Model::default() };
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
    let model = |name: &str, quant: &str| Model { name: name.into(), quant: Some(quant.into()), ..Model::default() };
    let models = vec![model("a:latest", "Q4_K_M"), model("a", "F16")];
    metrics.listed(&"local".into(), &Inventory { models, polled: true, ..Inventory::default() });
    assert_eq!(values(&metrics, "model_info"), [1.0]);
}
