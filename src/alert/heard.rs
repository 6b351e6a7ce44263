//! What Prometheus, or vmalert, says of alerts: of now from `/api/v1/rules`, of before from the series that it writes of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::board::{MAX_ACTIVE, WatchedRule};
use super::labels::Labels;
use super::promql::parse::parse;
use super::raised::Alert;
use super::rule::{Severity, title};
use super::rules;
use super::template::filled;
use crate::history::timestamp::Timestamp;

/// What is asked for alerts and rules of now.
pub const RULES: &str = "/api/v1/rules?type=alert";

/// Rules that are listed.
const MAX_RULES: usize = 2_000;

/// Alerts of before that are listed.
const MAX_BEFORE: usize = 2_000;

/// Most points of a series.
const POINTS: i64 = 1_000;

/// The shortest time between two of them, in seconds.
const SHORTEST_STEP: i64 = 15;

/// The severity of alerts that always fire, as a sign of life: they say that nothing is wrong.
const NO_SEVERITY: &str = "none";

/// It is not what Prometheus would answer; the text says what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "it does not answer as Prometheus does: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Alerts and rules of now.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Alerts that fire or are pending.
    pub alerts: Vec<Alert>,
    /// Its alerting rules.
    pub rules: Vec<WatchedRule>,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<TheirRule>,
}

#[derive(Deserialize)]
struct TheirRule {
    name: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    health: String,
    #[serde(default, rename = "lastError")]
    last_error: String,
    #[serde(default)]
    alerts: Option<Vec<TheirAlert>>,
}

#[derive(Deserialize)]
struct TheirAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    state: String,
    #[serde(rename = "activeAt")]
    active_at: String,
    #[serde(default)]
    value: String,
}

/// Parses the answer to [`RULES`]. `now` is in milliseconds since the epoch.
///
/// # Errors
/// When it is another answer.
pub fn heard(body: &[u8], now: i64) -> Result<Heard, Malformed> {
    let answer: Answer<Groups> = parsed(body)?;
    let mut heard = Heard::default();
    for rule in answer.data.groups.into_iter().flat_map(|group| group.rules).take(MAX_RULES) {
        if rule.labels.get("severity").is_some_and(|severity| severity == NO_SEVERITY) {
            continue;
        }
        let alerts = rule.alerts.iter().flatten().filter_map(|alert| theirs(&rule, alert, now));
        let room = MAX_ACTIVE - heard.alerts.len();
        heard.alerts.extend(alerts.take(room));
        heard.rules.push(watched(rule));
    }
    Ok(heard)
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed(error.to_string()))
}

fn watched(rule: TheirRule) -> WatchedRule {
    let fails = rule.health == "err";
    WatchedRule {
        category: category(&rule.name, &rule.labels).into(),
        severity: rule.labels.get("severity").map(|word| severity(word)),
        condition: rule.query.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        hold: rule.duration,
        state: if rule.state.is_empty() { "inactive".into() } else { rule.state.into() },
        enabled: !fails,
        reason: fails.then(|| rule.last_error.into()),
        name: rule.name.into(),
    }
}

/// `None` where it says no time, or that it does not fire.
fn theirs(rule: &TheirRule, alert: &TheirAlert, now: i64) -> Option<Alert> {
    let started = instant(&alert.active_at)?;
    let fires = match alert.state.as_str() {
        "firing" => true,
        "pending" => false,
        _ => return None,
    };
    let text = |name: &str| alert.annotations.get(name).filter(|text| !text.is_empty());
    let summary = text("summary").or_else(|| text("message")).cloned();
    let held = started.saturating_add((rule.duration * 1e3) as i64);
    let known = of(&rule.name, &alert.labels, started);
    Some(Alert {
        value: alert.value.parse().ok().filter(|value: &f64| value.is_finite()),
        fired: fires.then(|| held.min(now)),
        summary: summary.map_or_else(|| title(&rule.name).into(), Into::into),
        description: text("description").cloned().unwrap_or_default().into(),
        runbook: text("runbook_url").map(|url| url.as_str().into()).or_else(|| known.runbook.clone()),
        ..known
    })
}

/// An alert of this rule, with what its labels alone say.
fn of(name: &str, labels: &BTreeMap<String, String>, started: i64) -> Alert {
    let rule = rules::find(name);
    let mut own: Labels = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    own.set("alertname", "");
    if rule.is_some() {
        // The rule has it, as the evaluator of this program knows it.
        own.set("severity", "");
    }
    let summary = rule.map_or_else(|| title(name), |rule| filled(rule.summary, &own, f64::NAN));
    Alert {
        id: Alert::id(name, &own, started),
        rule: name.into(),
        severity: labels.get("severity").map_or(Severity::Warning, |word| severity(word)),
        category: category(name, labels).into(),
        value: None,
        threshold: rule.and_then(|rule| parse(rule.expr).ok()?.threshold()),
        started,
        fired: None,
        resolved: None,
        summary: if summary.contains("NaN") { title(name).into() } else { summary.into() },
        description: "".into(),
        runbook: rule.map(|rule| rule.runbook().into()),
        actions: rule.iter().flat_map(|rule| rule.actions).map(|action| (*action).into()).collect::<Vec<_>>().into(),
        acknowledged: None,
        silence: None,
        labels: own,
    }
}

/// Of words that people use.
fn severity(word: &str) -> Severity {
    match word {
        "critical" | "page" | "emergency" | "fatal" => Severity::Critical,
        "info" | "information" | "notice" | NO_SEVERITY => Severity::Info,
        _ => Severity::Warning,
    }
}

fn category(name: &str, labels: &BTreeMap<String, String>) -> String {
    match (rules::find(name), labels.get("category")) {
        (Some(rule), _) => rule.category.as_str().to_owned(),
        (None, Some(category)) => category.clone(),
        (None, None) => "other".to_owned(),
    }
}

/// RFC 3339 with any zone and any fraction, in milliseconds since the epoch.
pub(super) fn instant(text: &str) -> Option<i64> {
    let zone_at = text.rfind(['Z', 'z', '+']).or_else(|| text.rfind('-').filter(|at| *at > 10))?;
    let (time, zone) = text.split_at(zone_at);
    let offset = match zone.split_once(':') {
        None => 0,
        Some((hours, minutes)) => {
            let (sign, hours) = hours.split_at(1);
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let at = Timestamp::parse(&format!("{whole}.{millis}"))?;
    Some(at.0 - offset * 60_000)
}

/// Asks for the alerts that fired within a range, in milliseconds since the epoch, of one rule or of all.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The name of the rule.
    pub rule: Option<&'a str>,
    /// From when.
    pub from: i64,
    /// Until when.
    pub to: i64,
}

impl Before<'_> {
    /// Between two points, in seconds.
    fn step(&self) -> i64 {
        ((self.to - self.from) / 1_000 / POINTS + 1).max(SHORTEST_STEP)
    }

    /// What is asked for. Of each interval the samples within it count, so that no alert falls between two points.
    #[must_use]
    pub fn target(&self) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let named = self.rule.map(|rule| format!("alertname=\"{}\"", quoted(rule))).unwrap_or_default();
        let step = self.step();
        let query = format!(
            "max_over_time(ALERTS_FOR_STATE{{{named}}}[{step}s]) and ignoring (alertstate) \
             max_over_time(ALERTS{{alertstate=\"firing\",{named}}}[{step}s])"
        );
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("query", &query).append_pair("step", &step.to_string());
        let seconds = |millis: i64| format!("{}", millis as f64 / 1e3);
        pairs.append_pair("start", &seconds(self.from)).append_pair("end", &seconds(self.to));
        format!("/api/v1/query_range?{}", pairs.finish())
    }

    /// The alerts of an answer. Their beginnings are exact to the second, their ends to a step.
    ///
    /// # Errors
    /// When it is another answer.
    pub fn alerts(&self, body: &[u8]) -> Result<Vec<Alert>, Malformed> {
        let answer: Answer<Matrix> = parsed(body)?;
        let mut alerts = Vec::new();
        for series in answer.data.result {
            let Some(name) = series.metric.get("alertname") else { continue };
            if series.metric.get("severity").is_some_and(|severity| severity == NO_SEVERITY) {
                continue;
            }
            for (started, (first, last)) in spans(&series.values) {
                let started = started * 1_000;
                let is_over = last + self.step() * 1_000 < self.to;
                alerts.push(Alert {
                    fired: Some(first.max(started)),
                    resolved: is_over.then_some(last.max(started)),
                    ..of(name, &series.metric, started)
                });
            }
            if alerts.len() >= MAX_BEFORE {
                break;
            }
        }
        Ok(alerts)
    }
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// The first and the last point, in milliseconds, of each time that an alert became active, in seconds: the value of the
/// series.
fn spans(values: &[(f64, String)]) -> BTreeMap<i64, (i64, i64)> {
    let mut spans = BTreeMap::new();
    for (at, value) in values {
        let Ok(active) = value.parse::<f64>() else { continue };
        let at = (at * 1e3) as i64;
        spans.entry(active as i64).or_insert((at, at)).1 = at;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_any_zone_and_with_any_fraction() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T00:00:01.25Z", Some(1_250)),
            ("1970-01-01T01:00:00.123456789+01:00", Some(123)),
            ("1970-01-01T00:00:00.5-00:30", Some(1_800_500)),
            ("1970-01-01T00:00:00", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }

    #[test]
    fn alerts_of_prometheus_are_those_of_the_same_rule_here() {
        let body = br#"{"status":"success","data":{"groups":[{"name":"g","rules":[
            {"name":"InferometerBackendDown","query":"x\n ==  0","duration":60,"state":"firing","health":"ok","type":"alerting",
             "labels":{"severity":"critical"},"alerts":[{"labels":{"alertname":"InferometerBackendDown","severity":"critical",
             "job":"j","instance":"i","backend":"b"},"annotations":{"summary":"b is down"},"state":"firing",
             "activeAt":"1970-01-01T00:16:40.5Z","value":"0e+00"}]},
            {"name":"Foreign","query":"y","duration":0,"state":"pending","health":"err","lastError":"why","labels":{"severity":"page"},
             "alerts":[{"labels":{"alertname":"Foreign","severity":"page"},"state":"pending","activeAt":"1970-01-01T00:00:00Z","value":"NaN"}]},
            {"name":"Watchdog","query":"1","labels":{"severity":"none"},"alerts":[{"labels":{"alertname":"Watchdog"},
             "state":"firing","activeAt":"1970-01-01T00:00:00Z","value":"1"}]}]}]}}"#;
        let Heard { alerts, rules } = heard(body, 2_000_000).expect("an answer");
        let labels: Labels = [("job", "j"), ("instance", "i"), ("backend", "b")].into_iter().collect();
        assert_eq!(alerts.len(), 2, "a sign of life is no alert");
        assert_eq!(
            alerts[0].id,
            Alert::id("InferometerBackendDown", &labels, 1_000_500),
            "the same as of our evaluator"
        );
        assert_eq!((alerts[0].fired, &*alerts[0].summary), (Some(1_060_500), "b is down"));
        assert_eq!((alerts[1].fired, alerts[1].severity, alerts[1].value), (None, Severity::Critical, None));
        let of = |at: usize| (&*rules[at].condition, &*rules[at].state, rules[at].reason.as_deref());
        assert_eq!((of(0), of(1)), (("x == 0", "firing", None), ("y", "pending", Some("why"))));
        assert!(heard(b"<html>", 0).is_err() && heard(b"{}", 0).is_err());
    }

    #[test]
    fn alerts_of_before_have_the_ids_of_those_of_now() {
        let body = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"alertname":"A","x":"1"},
            "values":[[2000,"1990"],[2015,"1990"],[2100,"2090"],[2115,"2090"]]}]}}"#;
        let before = Before { rule: Some("A\"}"), from: 1_900_000, to: 2_120_000 };
        let alerts = before.alerts(body).expect("an answer");
        let of = |alert: &Alert| (alert.started, alert.fired, alert.resolved);
        assert_eq!(of(&alerts[0]), (1_990_000, Some(2_000_000), Some(2_015_000)));
        assert_eq!(of(&alerts[1]), (2_090_000, Some(2_100_000), None), "it may go on");
        assert_eq!(alerts[0].id, Alert::id("A", &Labels::default().with("x", "1"), 1_990_999));
        let target = before.target();
        assert!(target.contains("alertname%3D%22A%5C%22%7D%22"), "a name cannot leave its quotes: {target}");
    }
}
