//! The alerting rules, and what each of them must have beside it.

use super::files::{self, File};
use super::lint;
use serde_json::Value;

/// Where the rules stand: the project's own, and those for the names of other systems.
pub(super) const FOLDERS: &[&str] = &["prometheus/rules", "prometheus/compat"];

const SEVERITIES: &[&str] = &["critical", "warning", "info"];

/// An alerting rule as it is shipped.
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) expr: String,
    /// Where it stands, from the root of the repository.
    pub(super) file_name: String,
    rule: Value,
    file: String,
}

/// Every alerting rule, in the order of the files.
pub(super) fn alerts() -> Vec<Alert> {
    let mut alerts = Vec::new();
    for file in files::shipped(FOLDERS, &["yml"]) {
        let parsed = file.parse().expect("the rules parse");
        for rule in each(&parsed["groups"]).flat_map(|group| each(&group["rules"])) {
            if let (Some(name), Some(expr)) = (rule["alert"].as_str(), rule["expr"].as_str()) {
                let (file_name, file) = (file.name.clone(), file.text.clone());
                let (name, expr) = (name.to_owned(), expr.to_owned());
                alerts.push(Alert { name, expr, file_name, rule: rule.clone(), file });
            }
        }
    }
    assert!(!alerts.is_empty(), "no alerts are shipped");
    alerts
}

/// A recording rule as it is shipped.
pub(super) struct Record {
    pub(super) name: String,
    pub(super) expr: String,
    /// Where it stands, from the root of the repository.
    pub(super) file_name: String,
}

/// Every recording rule, in the order of the files.
pub(super) fn records() -> Vec<Record> {
    let files = files::shipped(FOLDERS, &["yml"]);
    let of_a_file = |file: &File| {
        let parsed = file.parse().expect("the rules parse");
        let rules = each(&parsed["groups"]).flat_map(|group| each(&group["rules"]));
        let record = |rule: &Value| {
            let (name, expr) = (rule["record"].as_str()?.to_owned(), rule["expr"].as_str()?.to_owned());
            Some(Record { name, expr, file_name: file.name.clone() })
        };
        rules.filter_map(record).collect::<Vec<_>>()
    };
    let records: Vec<_> = files.iter().flat_map(of_a_file).collect();
    assert!(!records.is_empty(), "no recording rules are shipped");
    records
}

/// Words of PromQL that make one series of many.
const AGGREGATIONS: [&str; 12] =
    ["sum", "min", "max", "avg", "group", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"];

/// Recording rules of a folder or file that aggregate, a line each. Where a rule only renames, that would be wrong: the
/// sum over two proxies falls when one of them restarts, and `rate` takes that for a reset.
pub(super) fn aggregations_in(place: &str) -> Vec<String> {
    let words = |expr: &str| -> Vec<String> {
        expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    let of_the_file = records().into_iter().filter(|record| record.file_name.starts_with(place));
    of_the_file
        .filter(|record| words(&record.expr).iter().any(|word| AGGREGATIONS.contains(&word.as_str())))
        .map(|record| format!("{} aggregates: {}", record.name, record.expr))
        .collect()
}

/// The names that recording rules make.
pub(super) fn recorded() -> Vec<String> {
    records().into_iter().map(|record| record.name).collect()
}

/// What is missing beside the alerts, a line each.
pub(super) fn complaints() -> Vec<String> {
    let runbook = files::read(&files::root().join("prometheus/runbook.md"));
    let tests = files::shipped(&["prometheus/tests"], &["yml"]);
    let alerts = alerts();
    let of_each = alerts.iter().flat_map(|alert| {
        let mut lines = of_the_rule(alert, &runbook);
        lines.extend(of_its_test(&alert.name, &tests));
        lines.into_iter().map(|line| format!("{}: {line}", alert.name)).collect::<Vec<_>>()
    });
    of_each.chain(of_names(&alerts, &runbook)).collect()
}

/// One trouble, one alert, one heading: two of a name would ring twice, and a link would find the first only.
fn of_names(alerts: &[Alert], runbook: &str) -> Vec<String> {
    let names: Vec<_> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    let headings: Vec<_> = runbook.lines().filter_map(|line| line.strip_prefix("## Inferometer")).collect();
    let twice = |all: &[&str], what: &str| {
        let counted = all.iter().filter(|name| all.iter().filter(|other| other == name).count() > 1);
        counted.map(|name| format!("{name}: {what} twice")).collect::<Vec<_>>()
    };
    let idle = headings.iter().filter(|heading| !names.contains(&&*format!("Inferometer{heading}")));
    let idle: Vec<_> = idle.map(|heading| format!("Inferometer{heading}: a heading without an alert")).collect();
    [twice(&names, "an alert that is there"), twice(&headings, "a heading that is there"), idle].concat()
}

fn of_the_rule(alert: &Alert, runbook: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut demand = |holds: bool, line: &str| {
        if !holds {
            lines.push(line.to_owned());
        }
    };
    let annotation = |name: &str| alert.rule["annotations"][name].as_str().unwrap_or_default();
    demand(alert.name.starts_with("Inferometer"), "its name does not begin with Inferometer");
    demand(alert.rule["labels"]["severity"].as_str().is_some_and(|it| SEVERITIES.contains(&it)), "no known severity");
    demand(!annotation("summary").is_empty(), "no summary");
    demand(!annotation("description").is_empty(), "no description");
    let anchor = format!("prometheus/runbook.md#{}", alert.name.to_lowercase());
    demand(annotation("runbook_url") == anchor, &format!("runbook_url is not {anchor}"));
    demand(runbook.lines().any(|line| line == format!("## {}", alert.name)), "no heading in the runbook");
    demand(!lint::matches_le(&alert.expr), "matches `le` literally");
    let line_before = |name: &str| {
        let (before, _) = alert.file.split_once(&format!("- alert: {name}\n"))?;
        before.trim_end_matches(' ').trim_end().lines().last()
    };
    let explained = line_before(&alert.name).is_some_and(|line| line.trim_start().starts_with('#'));
    demand(explained, "no comment above it explains the threshold");
    lines
}

/// Some test must see it silent, a minute later at most firing, and silent again.
fn of_its_test(name: &str, files: &[File]) -> Option<String> {
    let parsed: Vec<_> = files.iter().map(|file| file.parse().expect("the rule tests parse")).collect();
    let mut cases = parsed.iter().flat_map(|file| each(&file["tests"])).map(|test| course(name, test));
    let proved = cases.any(|course| {
        course.windows(2).any(|pair| {
            let [(silent_at, silent), (firing_at, firing)] = [pair[0], pair[1]];
            let clears = course.iter().any(|(at, firing)| *at > firing_at && !firing);
            !silent && firing && firing_at - silent_at <= 60 && clears
        })
    });
    (!proved).then(|| "no test sees it silent, firing within a minute of that, and clear".to_owned())
}

/// When (in seconds) a test looks at this alert, and whether it is to fire then.
fn course(name: &str, test: &Value) -> Vec<(u64, bool)> {
    let mut course: Vec<_> = each(&test["alert_rule_test"])
        .filter(|look| look["alertname"] == name)
        .map(|look| {
            let at = look["eval_time"].as_str().expect("a test says when it looks");
            (seconds(at), each(&look["exp_alerts"]).next().is_some())
        })
        .collect();
    course.sort_unstable();
    course
}

/// `1h2m3s` in seconds.
fn seconds(text: &str) -> u64 {
    let (mut total, mut number) = (0, 0);
    for c in text.chars() {
        let unit = match c {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => {
                number = number * 10 + u64::from(c.to_digit(10).unwrap_or_else(|| panic!("{text} is no duration")));
                continue;
            }
        };
        total += number * unit;
        number = 0;
    }
    total
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
