//! The built-in evaluator, given the histories of `prometheus/tests`: it must say what these say that Prometheus says, which
//! promtool proves.

use inferometer::alert::engine::Engine;
use inferometer::alert::labels::Labels;
use inferometer::alert::raised::Alert;
use inferometer::alert::rule::Evaluated;
use inferometer::alert::rules;
use serde_json::Value;

use super::files;

/// A series of a test: its metric, its labels, and its values where it has some.
struct Played {
    metric: String,
    labels: Labels,
    values: Vec<Option<f64>>,
}

/// What a test looks at, and whether the alerts are the expected ones. Returns a line for each fault, and the number of looks.
pub(super) fn faults(test: &Value, every: i64) -> (Vec<String>, usize) {
    let interval = millis(test["interval"].as_str().unwrap_or("1m"));
    let series: Vec<_> = list(&test["input_series"]).iter().map(played).collect();
    let looks: Vec<_> = list(&test["alert_rule_test"]).iter().filter(|look| is_here(look)).collect();
    let last = looks.iter().map(|look| at(look)).max().unwrap_or(0);
    let mut engine = Engine::new(rules::all());
    let (mut faults, mut count) = (Vec::new(), 0);
    let (mut now, mut next) = (0, 0);
    while now <= last {
        while next * interval <= now {
            let index = usize::try_from(next).expect("not negative");
            for played in &series {
                if let Some(Some(value)) = played.values.get(index) {
                    engine.samples().push(&played.metric, &played.labels, *value, next * interval);
                }
            }
            next += 1;
        }
        engine.step(now);
        for look in looks.iter().filter(|look| at(look) == now) {
            count += 1;
            faults.extend(fault(look, &engine, test["name"].as_str().unwrap_or_default()));
        }
        now += every;
    }
    (faults, count)
}

fn is_here(look: &Value) -> bool {
    let rule = look["alertname"].as_str().and_then(rules::find);
    rule.is_some_and(|rule| rule.evaluated == Evaluated::Here)
}

fn at(look: &Value) -> i64 {
    millis(look["eval_time"].as_str().expect("a test says when it looks"))
}

fn fault(look: &Value, engine: &Engine, test: &str) -> Option<String> {
    let name = look["alertname"].as_str().expect("a name");
    let shown = |labels: &Labels, summary: &str, description: &str| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} | {summary} | {description}", labels.join(","))
    };
    let of_ours = |alert: Alert| {
        let labels = alert.labels.clone().with("severity", alert.severity.as_str());
        shown(&labels, &alert.summary, &alert.description)
    };
    let fires = |alert: &Alert| *alert.rule == *name && alert.fired.is_some();
    let mut found: Vec<_> = engine.alerts().filter(fires).map(of_ours).collect();
    let of_theirs = |alert: &Value| {
        let labels = alert["exp_labels"].as_object().expect("labels");
        let labels: Labels = labels.iter().map(|(name, value)| (&**name, value.as_str().unwrap_or_default())).collect();
        let text = |name: &str| alert["exp_annotations"][name].as_str().unwrap_or_default().to_owned();
        shown(&labels, &text("summary"), &text("description"))
    };
    let mut expected: Vec<_> = list(&look["exp_alerts"]).iter().map(of_theirs).collect();
    found.sort();
    expected.sort();
    let when = look["eval_time"].as_str().unwrap_or_default();
    (found != expected).then(|| format!("{test}: {name} at {when}:\n  {found:?}\n  is not\n  {expected:?}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], |list| list)
}

fn played(series: &Value) -> Played {
    let text = series["series"].as_str().expect("a series");
    let (metric, labels) = text.trim_end_matches('}').split_once('{').unwrap_or((text, ""));
    let labels = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = labels.map(|(name, value)| (name.trim(), value.trim_end_matches('"'))).collect();
    // YAML takes `0x20`, which is twenty zeros after the first, for a hexadecimal number.
    let hexadecimal = || format!("0x{:x}", series["values"].as_u64().expect("a text or a number"));
    let values = series["values"].as_str().map_or_else(hexadecimal, str::to_owned);
    Played { metric: metric.trim().to_owned(), labels, values: values.split_whitespace().flat_map(expand).collect() }
}

/// `1x3`, `0+2x5`, `10-1x3`, `_x4`, `_` or a number.
fn expand(word: &str) -> Vec<Option<f64>> {
    let (what, times) =
        word.split_once('x').map_or((word, 0), |(what, times)| (what, times.parse().expect("a number")));
    if what == "_" {
        return vec![None; times.max(1)];
    }
    // The sign of a step, and not of the first number.
    let step_at = what[1..].find(['+', '-']).map(|at| at + 1);
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{word}"));
    let (first, step) = step_at.map_or_else(|| (number(what), 0.0), |at| (number(&what[..at]), number(&what[at..])));
    (0..=times).map(|index| Some(first + step * index as f64)).collect()
}

/// `1h2m3s` or `500ms` in milliseconds.
fn millis(text: &str) -> i64 {
    let (mut total, mut number) = (0, 0);
    for c in text.chars() {
        let unit = match c {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => {
                number = number * 10 + i64::from(c.to_digit(10).unwrap_or_else(|| panic!("{text} is no duration")));
                continue;
            }
        };
        total += number * unit;
        number = 0;
    }
    total * 1_000
}

/// Every test of every file: faults, and how many looks were taken.
pub(super) fn of_all_files() -> (Vec<String>, usize) {
    let (mut faults, mut looks) = (Vec::new(), 0);
    for file in files::shipped(&["prometheus/tests"], &["yml"]) {
        let parsed = file.parse().expect("the rule tests parse");
        let every = millis(parsed["evaluation_interval"].as_str().unwrap_or("1m"));
        for test in list(&parsed["tests"]) {
            let (found, count) = self::faults(test, every);
            faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", file.name)));
            looks += count;
        }
    }
    (faults, looks)
}
