//! Prometheus files and Grafana dashboards, held against real Prometheus tools.
//!
//! Promises checked here: every file parses; promtool accepts the configuration, the rules and their tests; every
//! alert has a severity, a heading in the runbook and a test; dashboards keep their lint and are what their source
//! says; no file uses a metric that does not exist; a real Prometheus answers every panel, variable and alert.
//! Left out: how Grafana draws them.

mod arrivals;
mod colours;
#[path = "../../grafana/source/dashboards.rs"]
mod dashboards;
mod engines;
mod evaluator;
mod exemplars;
mod files;
mod limits;
mod lint;
mod live;
mod names;
mod panels;
mod prometheus;
mod promtool;
mod rules;
mod seeds;
mod states;
mod synthetic;

use crate::support::golden;
use files::Scratch;
use inferometer::exchange::outcome::Outcome;
use panels::Api;
use prometheus::Prometheus;
use serde_json::{Value, json};
use std::time::Duration;

/// How long rates may take to have a value, in scrapes of one second on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn every_shipped_json_and_yaml_file_parses() {
    let parsed = files::shipped(&["prometheus", "grafana"], &["json", "yml"]);
    assert!(parsed.len() >= 8, "only {} files were found", parsed.len());
    let broken: Vec<_> = parsed.iter().filter_map(|file| file.parse().err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// With `UPDATE_DASHBOARDS` set the files are written instead of compared.
#[test]
fn dashboards_are_what_their_source_says() {
    let update = std::env::var_os("UPDATE_DASHBOARDS").is_some();
    for (name, dashboard) in dashboards::all() {
        let path = files::root().join(format!("grafana/dashboards/{name}.json"));
        let text = format!("{dashboard:#}\n");
        if update {
            std::fs::write(&path, &text).expect("the dashboard's file can be written");
        }
        if let Some(difference) = golden::difference(&files::read(&path), &text) {
            panic!(
                "grafana/dashboards/{name}.json (-) is not what grafana/source says (+):\n{difference}\n\
                 `UPDATE_DASHBOARDS=1 cargo test --test it boards::dashboards_are` writes it."
            );
        }
    }
    let shipped = files::shipped(&["grafana/dashboards"], &["json"]).len();
    assert_eq!(shipped, dashboards::all().len(), "a dashboard without a source, or a source without its file");
}

#[test]
fn dashboards_keep_the_lint() {
    let complaints: Vec<_> = shipped_dashboards().iter().flat_map(lint::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_lint_sees_each_kind_of_fault() {
    for (fault, pointer, value) in [
        ("numeric id", "/id", json!(7)),
        ("no stable uid", "/uid", json!("")),
        ("schemaVersion", "/schemaVersion", json!(36)),
        ("editable", "/editable", json!(true)),
        ("variable model", "/templating/list/4/name", json!("modell")),
        ("includes all", "/templating/list/4/includeAll", json!(false)),
        ("no unit", "/panels/0/fieldConfig/defaults/unit", json!("")),
        ("no description", "/panels/0/description", json!("")),
        ("datasource", "/panels/0/datasource/uid", json!("prometheus")),
        ("rate or increase", "/panels/0/targets/0/expr", json!("sum(ollama_proxy_requests_total)")),
        ("$__rate_interval", "/panels/0/targets/0/expr", json!("rate(ollama_proxy_requests_total[5m])")),
        ("process_x_total is a counter", "/panels/0/targets/0/expr", json!("sum(process_x_total)")),
        ("not selected", "/panels/0/targets/0/expr", json!("sum(scrape_samples_scraped)")),
        ("`le`", "/panels/0/targets/0/expr", json!(r#"rate(ollama_proxy_a_bucket{le="1"}[$__rate_interval])"#)),
        ("overlaps", "/panels/1/gridPos/x", json!(1)),
        ("beyond", "/panels/1/gridPos/w", json!(40)),
        ("chunks", "/panels/0/targets/0/expr", json!("rate(ollama_proxy_generated_tokens_total[$__rate_interval])")),
        ("twice", "/panels/1/title", json!("Backends")),
        ("without a legend", "/panels/0/targets/0/legendFormat", json!("")),
        ("threshold", "/panels/0/fieldConfig/defaults/thresholds/steps", json!([])),
        ("title that is cut", "/panels/0/title", json!("Tokens generated a second")),
        ("says nothing", "/panels/0/description", json!("Backends.")),
        ("end at 100 %", "/panels/3/fieldConfig/defaults/max", json!(2)),
        ("end at 100 %", "/panels/15/fieldConfig/overrides/3/properties/2/value", json!(2)),
        ("asked for now", "/panels/3/targets/0/instant", json!(false)),
        ("asked for now", "/panels/3/targets/0/range", json!(true)),
        ("nothing to say it with", "/panels/3/fieldConfig/defaults/noValue", json!("")),
        ("line that has no room", "/panels/3/options/graphMode", json!("area")),
        ("long ago", "/panels/13/options/legend/calcs", json!(["mean", "lastNotNull"])),
        ("least interval", "/panels/18/interval", json!("")),
        ("more than once", "/panels/18/targets/0/expr", json!("sum(increase(ollama_proxy_a_total[$__rate_interval]))")),
        ("without their sum", "/panels/18/options/legend/calcs", json!(["mean"])),
        ("parts of events", "/panels/18/fieldConfig/defaults/decimals", json!(1)),
        ("as a line", "/panels/13/targets/0/expr", json!("increase(ollama_proxy_a_total[$__rate_interval])")),
        ("axis from 0", "/panels/20/fieldConfig/defaults/min", json!(0)),
        ("longer than two screens", "/panels/20/gridPos/y", json!(80)),
        ("window $__range", "/panels/13/targets/0/expr", json!("rate(ollama_proxy_a_total[$__range])")),
        ("hidden and used", "/templating/list/4/hide", json!(2)),
        ("shown and not used", "/templating/list/5/hide", json!(0)),
    ] {
        let mut dashboard = overview();
        set(&mut dashboard, pointer, value);
        let complaints = lint::complaints(&dashboard);
        assert!(complaints.iter().any(|line| line.contains(fault)), "{fault} at {pointer} is not seen: {complaints:?}");
    }
}

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    promtool::run(&["check", "config", "prometheus.yml"]);
    for folder in ["rules", "compat"] {
        promtool::run_over(folder, &["check", "rules"]);
    }
}

#[test]
fn promtool_sees_every_alert_fire_and_clear() {
    promtool::run_over("tests", &["test", "rules"]);
}

/// With `UPDATE_GOLDEN` set the files are written instead of compared.
#[test]
fn the_files_of_alerts_are_written_from_the_rules_of_the_program() {
    for group in inferometer::alert::rules::GROUPS {
        let path = files::root().join(format!("prometheus/rules/{}.yml", group.file));
        golden::hold(&path, &inferometer::alert::yaml::file(&group));
    }
}

#[test]
fn the_built_in_evaluator_says_at_each_look_what_promtool_says() {
    let (faults, looks) = evaluator::of_all_files();
    assert!(faults.is_empty(), "{} of {looks} looks differ:\n{}", faults.len(), faults.join("\n"));
    println!("{looks} looks agree");
    assert!(looks > 150, "only {looks} looks were found");
}

#[test]
fn the_runbook_names_the_actions_of_each_rule() {
    let runbook = files::read(&files::root().join("prometheus/runbook.md"));
    let faults: Vec<_> = inferometer::alert::rules::all()
        .filter_map(|rule| {
            let (_, section) = runbook.split_once(&format!("## {}\n", rule.name))?;
            let section = section.split("\n## ").next().unwrap_or_default();
            let actions: Vec<_> = rule.actions.iter().map(|action| format!("`{action}`")).collect();
            let line = format!("**Actions.** {}", actions.join(", "));
            (!section.lines().any(|it| it == line)).then(|| format!("{}: {line}", rule.name))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_alert_has_a_severity_a_runbook_heading_and_a_test() {
    let complaints = rules::complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn rules_that_rename_keep_every_series() {
    let complaints = rules::aggregations_in("prometheus/compat/");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(!rules::aggregations_in("prometheus/rules/recording.yml").is_empty(), "aggregations are seen");
}

#[test]
fn shipped_files_use_only_metrics_of_the_catalogue() {
    let unknown = names::names_unknown_to(&synthetic::exposition(1));
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn a_name_that_no_exposition_has_is_seen() {
    let without = synthetic::exposition(1).replace("stream_chunks_total", "stream_parts_total");
    let unknown = names::names_unknown_to(&without);
    assert!(unknown.iter().any(|line| line.contains("alerts.yml: ollama_proxy_stream_chunks_total")), "{unknown:?}");
}

#[test]
fn an_exposition_of_another_shape_than_the_catalogue_is_seen() {
    let known = synthetic::exposition(1);
    assert_eq!(names::differences(&known, &known), Vec::<String>::new());
    let other = known.replace("phase=", "stage=").replace("backend_up gauge", "backend_up counter");
    let differences = names::differences(&other, &known);
    for name in ["client_cancellations_total", "wasted_tokens_total", "backend_up"] {
        assert!(differences.iter().any(|line| line.contains(name)), "{name}: {differences:?}");
    }
}

#[test]
fn every_panel_is_answered_on_synthetic_history() {
    let tmp = Scratch::new("history");
    let end = synthetic::write_history(&tmp.join("history.om"), &rules::recorded());
    promtool::blocks(&tmp.join("history.om"), &tmp.join("data"));
    let prometheus = Prometheus::start(&[], &tmp);
    let api = Api::at(prometheus.address(), end);

    let unanswered = panels::panels_without_data(&api, &shipped_dashboards());
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    let unmeasured = panels::alerts_without_data(&api, &rules::alerts());
    assert!(unmeasured.is_empty(), "{}", unmeasured.join("\n"));
    let unrecorded = panels::records_without_data(&api, &rules::records(), false);
    assert!(unrecorded.is_empty(), "{}", unrecorded.join("\n"));
}

#[test]
fn a_panel_a_variable_and_an_alert_without_data_are_named() {
    let tmp = Scratch::new("named");
    let end = synthetic::write_history(&tmp.join("history.om"), &rules::recorded());
    promtool::blocks(&tmp.join("history.om"), &tmp.join("data"));
    let prometheus = Prometheus::start(&[], &tmp);
    let api = Api::at(prometheus.address(), end);

    let mut dashboard = overview();
    set(&mut dashboard, "/panels/2/targets/0/expr", json!("sum(ollama_proxy_no_such_gauge)"));
    set(&mut dashboard, "/panels/3/targets/0/expr", json!("sum(rate(up[$__rate_interval])"));
    set(&mut dashboard, "/templating/list/4/query/query", json!("label_values(ollama_proxy_no_such_gauge, model)"));
    let unanswered = panels::panels_without_data(&api, &[dashboard]);
    assert_eq!(unanswered.len(), 3, "{unanswered:?}");
    for name in ["variable model", "panel \"Requests\"", "panel \"Errors\""] {
        assert!(unanswered.iter().any(|line| line.contains(name)), "{name}: {unanswered:?}");
    }
    let mut alert = rules::alerts().remove(0);
    alert.expr = "ollama_proxy_no_such_gauge == 0".to_owned();
    assert_eq!(panels::alerts_without_data(&api, &[alert]).len(), 1);
}

#[test]
fn a_real_prometheus_with_the_shipped_rules_answers_from_what_it_scrapes() {
    let tmp = Scratch::new("scraped");
    let target = synthetic::Target::start();
    let prometheus = Prometheus::start(&[target.address()], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());

    let unanswered = prometheus.wait_until_answered(|| unanswered(&api, &Part::ALL));
    assert!(unanswered.is_empty(), "{}", unanswered.join("\n"));
    let loaded = prometheus.loaded_alerts();
    assert_eq!(loaded, rules::alerts().into_iter().map(|alert| alert.name).collect::<Vec<_>>());
}

/// What something that is shipped is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Exchanges, models, backends, the proxy.
    Traffic,
    /// GPUs and energy.
    Cards,
    /// The rest of the machine underneath.
    Machine,
    /// Several backends behind one address.
    Fleet,
    /// The history's copy in PostgreSQL, which is there where it is asked for.
    Copy,
}

impl Part {
    const ALL: [Self; 5] = [Self::Traffic, Self::Cards, Self::Machine, Self::Fleet, Self::Copy];

    /// By the name of a file, or what a dashboard's uid ends in.
    fn of(name: &str) -> Self {
        match name.rsplit(['/', '-']).next().unwrap_or(name).trim_end_matches(".yml") {
            "gpu" | "energy" => Self::Cards,
            "host" => Self::Machine,
            "fleet" | "router" => Self::Fleet,
            _ => Self::Traffic,
        }
    }

    fn of_alert(alert: &rules::Alert) -> Self {
        if alert.expr.contains("_history_replica_") { Self::Copy } else { Self::of(&alert.file_name) }
    }
}

/// Everything about these parts that is asked of a Prometheus that scrapes and finds nothing: panels, alerts,
/// recording rules and the queries of others.
fn unanswered(api: &Api, parts: &[Part]) -> Vec<String> {
    let wanted = |name: &str| parts.contains(&Part::of(name));
    let (mut dashboards, mut alerts, mut records) = (shipped_dashboards(), rules::alerts(), rules::records());
    dashboards.retain(|dashboard| dashboard["uid"].as_str().is_some_and(wanted));
    alerts.retain(|alert| parts.contains(&Part::of_alert(alert)));
    records.retain(|record| wanted(&record.file_name));
    let mut lines = panels::panels_without_data(api, &dashboards);
    lines.extend(panels::alerts_without_data(api, &alerts));
    lines.extend(panels::records_without_data(api, &records, true));
    lines.extend(seeds::without_data(api, parts));
    lines
}

/// The Overview, on which faults are tried.
fn overview() -> Value {
    let mut all = shipped_dashboards();
    let at = all.iter().position(|it| it["uid"] == "inferometer-overview").expect("the Overview is shipped");
    all.swap_remove(at)
}

/// In the order of their source, the overview first.
fn shipped_dashboards() -> Vec<Value> {
    let path = |name: &str| format!("grafana/dashboards/{name}.json");
    let shipped = |(name, _): &(&str, Value)| files::shipped(&[&path(name)], &["json"]).remove(0);
    dashboards::all().iter().map(|dashboard| shipped(dashboard).parse().expect("it parses")).collect()
}

/// Colours that a reader learns must hold for every value.
#[test]
fn every_outcome_has_a_colour_of_its_own() {
    let dashboard = overview();
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let panel = panels.iter().find(|panel| panel["title"] == "Requests by outcome").expect("the panel is there");
    let overrides = panel["fieldConfig"]["overrides"].as_array().expect("it has overrides");
    for outcome in Outcome::ALL {
        let coloured = overrides.iter().any(|it| it["matcher"]["options"] == outcome.as_str());
        assert!(coloured, "{} has no colour", outcome.as_str());
    }
}

/// Sets the value at a JSON pointer, making the last key where it is not there.
fn set(json: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    json.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"))[key] = value;
}
