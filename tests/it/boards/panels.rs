//! Whether a Prometheus answers what dashboards and alerts ask, in the words they ask it.

use super::lint;
use super::prometheus::get;
use super::rules::{Alert, Record};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A Prometheus, and the moment for which it is asked.
pub(super) struct Api {
    url: String,
    /// Seconds since 1970; absent: now.
    at: Option<u64>,
}

/// What a panel shows of a query.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// Its value now.
    Now,
    /// Its values over the time until now.
    Over(Duration),
}

impl Api {
    /// Asks for now.
    pub(super) fn now(url: &str) -> Self {
        Self { url: url.to_owned(), at: None }
    }

    /// Asks for this moment, in seconds since 1970.
    pub(super) fn at(url: &str, at: u64) -> Self {
        Self { url: url.to_owned(), at: Some(at) }
    }

    /// The series that answer a query. A value that is no number (0/0) is no answer.
    pub(super) fn answers(&self, expr: &str) -> Result<usize, String> {
        let time = self.at.map(|at| format!("&time={at}")).unwrap_or_default();
        let reply = get(&self.url, &format!("/api/v1/query?query={}{time}", percent_encoded(expr)))?;
        let result = reply["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(result.iter().filter(|series| series["value"][1] != "NaN").count())
    }

    /// What a panel shows of one of its targets: the last value of each series, as Prometheus writes it. A step is five seconds.
    pub(super) fn shown(&self, target: &Value, what: Shown) -> Result<Vec<String>, String> {
        let query = with_variables(target["expr"].as_str().unwrap_or_default(), "5s");
        let query = percent_encoded(&query);
        let reply = match what {
            Shown::Now => get(&self.url, &format!("/api/v1/query?query={query}"))?,
            Shown::Over(span) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs();
                let start = now.saturating_sub(span.as_secs());
                get(&self.url, &format!("/api/v1/query_range?query={query}&start={start}&end={now}&step=5"))?
            }
        };
        let result = reply["data"]["result"].as_array().cloned().unwrap_or_default();
        let last = |series: &Value| {
            let sample =
                if series["value"].is_null() { series["values"].as_array()?.last()? } else { &series["value"] };
            sample[1].as_str().map(str::to_owned)
        };
        Ok(result.iter().filter_map(last).collect())
    }

    /// The same, of those series alone that have a value for each of these labels.
    fn labelled_answers(&self, expr: &str, labels: &[&str]) -> Result<usize, String> {
        let reply = get(&self.url, &format!("/api/v1/query?query={}", percent_encoded(expr)))?;
        let result = reply["data"]["result"].as_array().cloned().unwrap_or_default();
        let has_all = |series: &Value| {
            labels.iter().all(|label| series["metric"][label].as_str().is_some_and(|it| !it.is_empty()))
        };
        Ok(result.iter().filter(|series| series["value"][1] != "NaN" && has_all(series)).count())
    }

    /// The value of the only series that answers a query; `None` where no series does.
    pub(super) fn value(&self, expr: &str) -> Result<Option<f64>, String> {
        let reply = get(&self.url, &format!("/api/v1/query?query={}", percent_encoded(expr)))?;
        let series = reply["data"]["result"].as_array().cloned().unwrap_or_default();
        match &*series {
            [] => Ok(None),
            [one] => Ok(one["value"][1].as_str().and_then(|value| value.parse().ok())),
            _ => Err(format!("{} series", series.len())),
        }
    }

    /// The values of a label of the series that a selector finds.
    fn label_values(&self, selector: &str, label: &str) -> Result<usize, String> {
        let reply = get(&self.url, &format!("/api/v1/label/{label}/values?match[]={}", percent_encoded(selector)))?;
        Ok(reply["data"].as_array().map_or(0, |values| values.iter().filter(|value| *value != "").count()))
    }
}

/// Panels and variables that get no data, a line each with dashboard, panel and query. A panel must be answered in
/// each of its queries.
pub(super) fn panels_without_data(api: &Api, dashboards: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for dashboard in dashboards {
        let title = dashboard["title"].as_str().unwrap_or("a dashboard without a title");
        let mut note = |what: String, query: &str, answer: Result<usize, String>| match answer {
            Ok(0) => lines.push(format!("{title}, {what}: no data for {query}")),
            Ok(_) => {}
            Err(error) => lines.push(format!("{title}, {what}: {error} for {query}")),
        };
        let shown = |variable: &&Value| variable["type"] == "query" && variable["hide"] == 0;
        for variable in each(&dashboard["templating"]["list"]).filter(shown) {
            let query = substituted(variable["query"]["query"].as_str().unwrap_or_default());
            note(
                format!("variable {}", variable["name"].as_str().unwrap_or("?")),
                &query,
                variable_values(api, &query),
            );
        }
        for panel in lint::panels(dashboard) {
            for target in each(&panel["targets"]) {
                let query = substituted(target["expr"].as_str().unwrap_or_default());
                note(format!("panel {}", panel["title"]), &query, api.answers(&query));
            }
        }
    }
    lines
}

/// The queries of these dashboards' panels that are wanted, as Prometheus is asked them.
pub(super) fn queries(dashboards: &[Value], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let panels = dashboards.iter().flat_map(lint::panels);
    let targets = panels.flat_map(|panel| each(&panel["targets"]));
    targets.filter_map(|target| target["expr"].as_str()).filter(|query| wanted(query)).map(substituted).collect()
}

/// Alerts of which a part measures nothing, a line each. An alert's whole expression is to find nothing while all is
/// well, so each of its selectors is asked for by itself, and the whole only for being understood.
pub(super) fn alerts_without_data(api: &Api, alerts: &[Alert]) -> Vec<String> {
    let mut lines = Vec::new();
    for alert in alerts {
        if let Err(error) = api.answers(&alert.expr) {
            lines.push(format!("{}: {error}", alert.name));
        }
        for selector in selectors(&alert.expr) {
            match api.answers(selector) {
                Ok(0) => lines.push(format!("{}: no data for {selector}", alert.name)),
                Ok(_) => {}
                Err(error) => lines.push(format!("{}: {error} for {selector}", alert.name)),
            }
        }
    }
    lines
}

/// Recording rules whose expression finds nothing, or whose result is not there where `results` are asked for too.
pub(super) fn records_without_data(api: &Api, records: &[Record], results: bool) -> Vec<String> {
    let questions = records.iter().flat_map(|Record { name, expr, .. }| {
        [(name, expr, expr), (name, expr, name)].into_iter().take(if results { 2 } else { 1 })
    });
    questions
        .filter_map(|(name, expr, question)| match api.answers(question) {
            Ok(0) => Some(format!("{name}: no data for {question} (recorded from {expr})")),
            Ok(_) => None,
            Err(error) => Some(format!("{name}: {error} for {question}")),
        })
        .collect()
}

/// Queries of somebody else that find nothing.
pub(super) fn queries_without_data(api: &Api, queries: &[impl AsRef<str>]) -> Vec<String> {
    let answer = |query: &str| match api.answers(query) {
        Ok(0) => Some(format!("no data for {query}")),
        Ok(_) => None,
        Err(error) => Some(format!("{error} for {query}")),
    };
    queries.iter().filter_map(|query| answer(query.as_ref())).collect()
}

/// Queries that find nothing with a value for each of the labels by which they group, or for each of `labels`.
pub(super) fn queries_without_labels(api: &Api, queries: &[impl AsRef<str>], labels: &[&str]) -> Vec<String> {
    let answer = |query: &str| {
        let wanted = if labels.is_empty() { grouping(query) } else { labels.to_vec() };
        match api.labelled_answers(query, &wanted) {
            Ok(0) => Some(format!("no data with {} for {query}", wanted.join(", "))),
            Ok(_) => None,
            Err(error) => Some(format!("{error} for {query}")),
        }
    };
    queries.iter().filter_map(|query| answer(query.as_ref())).collect()
}

/// The labels that a query's series have: those of its `by`. A quantile takes its bounds away.
fn grouping(query: &str) -> Vec<&str> {
    let list = query.split_once(" by (").and_then(|(_, rest)| rest.split(')').next()).unwrap_or_default();
    list.split(',').map(str::trim).filter(|label| !label.is_empty() && *label != "le").collect()
}

/// A query with Grafana's variables replaced as "All" replaces them.
fn substituted(query: &str) -> String {
    with_variables(query, "30s")
}

/// The same with a window of its own for rates, where the step is five seconds.
fn with_variables(query: &str, rate_interval: &str) -> String {
    let mut text =
        query.replace("$__rate_interval", rate_interval).replace("$__interval_ms", "5000").replace("$__range", "10m");
    for name in ["job", "instance", "backend", "model", "gpu"] {
        text = text.replace(&format!("${{{name}}}"), ".*").replace(&format!("${name}"), ".*");
    }
    text
}

fn variable_values(api: &Api, query: &str) -> Result<usize, String> {
    let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (selector, label) = inside.and_then(|inside| inside.rsplit_once(", ")).ok_or("not label_values(…, …)")?;
    api.label_values(selector, label)
}

/// The selectors of the proxy's own metrics and of what is recorded from them, with their matchers and without their
/// windows.
fn selectors(expr: &str) -> Vec<&str> {
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let starts = expr.match_indices("ollama_proxy_").map(|(start, _)| {
        let level = expr[..start].chars().rev().take_while(|c| of_a_name(*c)).count();
        &expr[start - level..]
    });
    starts
        .map(|rest| {
            let name = rest.find(|c| !of_a_name(c)).unwrap_or(rest.len());
            let matchers =
                if rest[name..].starts_with('{') { rest[name..].find('}').map_or(0, |end| end + 1) } else { 0 };
            &rest[..name + matchers]
        })
        .collect()
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::new(), |all, byte| {
        if plain(byte) { all + char::from(byte).encode_utf8(&mut [0; 4]) } else { format!("{all}%{byte:02X}") }
    })
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
