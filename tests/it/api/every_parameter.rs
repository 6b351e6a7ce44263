//! Each query parameter of the document changes an answer: one without a case here fails.

use std::collections::BTreeSet;

use inferometer::history::timestamp::Timestamp;
use serde_json::{Value, json};

use super::conformance::exchanges;
use super::inference::Inference;
use super::samples::{Demo, post};
use super::{get, send};
use crate::access::material::write_private;
use crate::support::authority::folder;
use crate::support::look_until;

/// What of an answer is compared: nothing that changes by itself.
#[derive(Clone, Copy)]
enum View {
    /// The entries of a list, by a key of each.
    List(&'static str, &'static str),
    /// A value.
    At(&'static str),
    /// What numbers add up to.
    Sum(&'static str),
    /// The minutes between two instants: those at two places, or both at one with a slash between them.
    Minutes(&'static str, &'static str),
}

impl View {
    fn of(self, answer: &Value) -> Value {
        let at = |pointer: &str| answer.pointer(pointer).cloned().unwrap_or(Value::Null);
        match self {
            Self::List(list, key) => {
                at(list).as_array().into_iter().flatten().map(|entry| entry[key].clone()).collect()
            }
            Self::At(pointer) => at(pointer),
            Self::Sum(list) => json!(at(list).as_array().into_iter().flatten().filter_map(Value::as_f64).sum::<f64>()),
            Self::Minutes(from, to) => {
                let text = |pointer: &str| at(pointer).as_str().expect("text").to_owned();
                let both = if to.is_empty() { text(from) } else { format!("{}/{}", text(from), text(to)) };
                let (from, to) = both.split_once('/').expect("two instants");
                let millis = |text: &str| Timestamp::parse(text).expect("an instant").0;
                json!((millis(to) - millis(from)) / 60_000)
            }
        }
    }
}

/// A path of the document with parameters: each with what else is asked, a value, and what changes with it.
type Case = (&'static str, &'static str, &'static str, View);

use View::{At, List, Minutes, Sum};

const LOGS: View = List("/logs", "message");
const AUDIT: View = List("/entries", "timestamp");
const ERRORS: View = List("/recent_errors", "timestamp");
const JOBS: View = List("/completed_jobs", "id");
const EXCHANGES: View = List("/exchanges", "id");
const TRACES: View = List("/traces", "trace_id");
const ALERTS: View = List("/data", "rule");
const NODES: View = List("/nodes", "_id");
const PLACES: View = List("/resources", "_id");
const MODELS: View = List("/models", "_id");
const DEPLOYMENTS: View = List("/deployments", "_id");
const AGENTS: View = List("/agents", "_id");
const EXECUTIONS: View = List("/executions", "_id");
const KINDS: View = List("/failures", "newest_id");
const REQUESTS: View = Sum("/series/0/values");
/// A page of a list with one entry ends where it is full.
const LIMIT: View = At("/pagination/limit");

const CASES: [(&str, &[Case]); 22] = [
    (
        "/dashboard/models",
        &[
            ("period", "", "7d", Minutes("/from", "/to")),
            ("from", "", "2026-01-01", At("/from")),
            ("to", "", "2026-01-01", At("/to")),
        ],
    ),
    (
        "/dashboard/cache",
        &[
            ("period", "", "7d", Minutes("/from", "/to")),
            ("from", "", "2026-01-01", At("/from")),
            ("to", "", "2026-01-01", At("/cache_types/prompt/prompt_tokens")),
        ],
    ),
    ("/api/metrics/timeseries", &[("hours", "", "720", At("/data/request_rate/0/x"))]),
    (
        "/dashboard/logs",
        &[
            ("level", "", "error", LOGS),
            ("since", "", "1s", LOGS),
            ("limit", "", "1", LOGS),
            ("component", "", "nothing", LOGS),
        ],
    ),
    (
        "/dashboard/audit",
        &[
            ("user", "", "nobody", AUDIT),
            ("action", "", "model_pull", AUDIT),
            ("resource", "", "nothing", AUDIT),
            ("since", "", "1s", AUDIT),
            ("level", "", "critical", AUDIT),
            ("limit", "", "1", AUDIT),
        ],
    ),
    (
        "/dashboard/errors",
        &[
            ("since", "", "1s", ERRORS),
            ("limit", "", "1", ERRORS),
            ("severity", "", "critical", ERRORS),
            ("type", "", "dns", ERRORS),
            ("backend", "", "other", ERRORS),
            ("model", "", "other", ERRORS),
        ],
    ),
    ("/dashboard/jobs", &[("since", "", "1s", JOBS), ("limit", "", "1", JOBS)]),
    (
        "/dashboard/exchanges",
        &[
            ("period", "", "7d", Minutes("/from", "/to")),
            ("from", "", "2026-01-01", Minutes("/from", "/to")),
            ("to", "", "2026-01-01", EXCHANGES),
            ("model", "", "other", EXCHANGES),
            ("backend", "", "other", EXCHANGES),
            ("tenant", "", "other", EXCHANGES),
            ("client", "", "other", EXCHANGES),
            ("conversation", "", "0000000000000000", EXCHANGES),
            ("endpoint", "", "other", EXCHANGES),
            // Of the newest ten all may be embeddings.
            ("operation", "limit=100", "embeddings", EXCHANGES),
            ("inference", "limit=100", "true", EXCHANGES),
            ("outcome", "", "rejected", EXCHANGES),
            ("failed", "", "true", EXCHANGES),
            ("error", "", "http_5xx", EXCHANGES),
            ("status", "", "999", EXCHANGES),
            ("min_ms", "", "31536000000", EXCHANGES),
            ("order", "limit=100", "longest", EXCHANGES),
            ("page", "", "2", EXCHANGES),
            ("limit", "", "1", EXCHANGES),
        ],
    ),
    (
        "/dashboard/exchanges/failures",
        &[
            ("period", "", "7d", Minutes("/from", "/to")),
            ("from", "", "2026-01-01", Minutes("/from", "/to")),
            ("to", "", "2026-01-01", KINDS),
            ("model", "", "other", KINDS),
            ("backend", "", "other", KINDS),
            ("tenant", "", "other", KINDS),
            ("client", "", "other", KINDS),
            ("inference", "", "true", KINDS),
            ("limit", "", "1", KINDS),
        ],
    ),
    (
        "/dashboard/series",
        &[
            ("metrics", "metrics=requests", "failed", At("/series/0/metric")),
            ("period", "metrics=requests", "30d", At("/interval_seconds")),
            ("from", "metrics=requests&to=2026-02-01", "2026-01-01", At("/from")),
            ("to", "metrics=requests&from=2026-01-01", "2026-02-01", At("/to")),
            ("interval", "metrics=requests", "5m", At("/interval_seconds")),
            ("compare", "metrics=requests", "day", List("/compared", "metric")),
            ("by", "metrics=requests", "model", List("/series", "group")),
            ("model", "metrics=requests", "other", REQUESTS),
            ("backend", "metrics=requests", "other", REQUESTS),
            ("tenant", "metrics=requests", "other", REQUESTS),
            ("client", "metrics=requests", "other", REQUESTS),
            ("operation", "metrics=requests", "embeddings", REQUESTS),
            ("inference", "metrics=requests", "true", REQUESTS),
        ],
    ),
    (
        "/dashboard/traces",
        &[
            ("q", "", "nothing", TRACES),
            ("min_ms", "", "31536000000", TRACES),
            ("errors", "", "true", TRACES),
            ("model", "", "other", TRACES),
            ("since", "", "1s", TRACES),
            ("limit", "", "1", TRACES),
        ],
    ),
    (
        "/dashboard/alerts",
        &[
            ("severity", "", "critical", ALERTS),
            ("rule", "", "other", ALERTS),
            ("acknowledged", "", "true", ALERTS),
            ("page", "", "2", ALERTS),
            ("limit", "", "1", LIMIT),
        ],
    ),
    (
        "/dashboard/alerts/history",
        &[
            ("period", "", "24h", Minutes("/metadata/period", "")),
            ("from", "", "2026-01-01", Minutes("/metadata/period", "")),
            ("to", "", "2026-01-01", ALERTS),
            ("severity", "", "critical", ALERTS),
            ("rule", "", "other", ALERTS),
            ("page", "", "2", ALERTS),
            ("limit", "", "1", LIMIT),
        ],
    ),
    (
        "/dashboard/infrastructure/nodes",
        &[
            ("status", "", "offline", NODES),
            ("role", "", "storage", NODES),
            ("peers", "", "false", NODES),
            ("page", "", "2", NODES),
            ("limit", "", "1", NODES),
        ],
    ),
    ("/dashboard/infrastructure/nodes/{id}", &[("period", "", "6h", At("/metrics/period"))]),
    (
        "/dashboard/infrastructure/resources",
        &[
            ("resourceType", "", "vm", PLACES),
            ("status", "", "stopped", PLACES),
            ("nodeId", "", "elsewhere", PLACES),
            ("page", "", "2", PLACES),
            ("limit", "", "1", LIMIT),
        ],
    ),
    (
        "/dashboard/workload/models",
        &[
            ("status", "", "failed", MODELS),
            ("type", "", "embedding", MODELS),
            ("backend", "", "other", MODELS),
            ("page", "", "2", MODELS),
            ("limit", "", "1", MODELS),
        ],
    ),
    (
        "/dashboard/workload/deployments",
        &[
            ("status", "", "failed", DEPLOYMENTS),
            ("backend", "", "other", DEPLOYMENTS),
            ("model", "", "other", DEPLOYMENTS),
            ("page", "", "2", DEPLOYMENTS),
            ("limit", "", "1", DEPLOYMENTS),
        ],
    ),
    (
        "/dashboard/workload/deployments/{id}/metrics",
        &[("period", "", "1h", At("/period")), ("interval", "", "5m", At("/interval"))],
    ),
    (
        "/dashboard/workload/agents",
        &[("status", "", "inactive", AGENTS), ("page", "", "2", AGENTS), ("limit", "", "1", AGENTS)],
    ),
    (
        "/dashboard/workload/agents/{id}/performance",
        &[("period", "", "1h", At("/timeline/period")), ("interval", "", "5m", At("/timeline/interval"))],
    ),
    (
        "/dashboard/workload/executions",
        &[
            ("period", "", "1h", At("/metadata/period")),
            ("status", "", "failed", EXECUTIONS),
            ("page", "", "2", EXECUTIONS),
            ("limit", "", "1", EXECUTIONS),
        ],
    ),
];

/// The tickets of WebSockets, which `access::socket` opens with and without.
const SOCKETS: [&str; 2] = ["/dashboard/ws", "/ws"];

/// A program with something in each list: an alert of too many models, a silent peer, an inference process.
fn filled() -> (Demo, Inference) {
    let inference = Inference::start();
    let file = folder().join("token");
    write_private(&file, "k\n");
    let peer =
        format!("peers = [{{name = \"far\", url = \"http://127.0.0.1:9\", token_file = \"{}\"}}]\n", file.display());
    let demo = Demo::with("every-parameter", &format!("max_models = 1\nalerts.period = \"1s\"\n{peer}"));
    exchanges(&demo);
    let clients = demo.program.clients;
    for _ in 0..2 {
        post(clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"[[refuse]]"}"#);
    }
    post(clients, "/api/pull", r#"{"model":"llama3.2:3b"}"#);
    // No model works for what did not complete here.
    post(clients, "/api/show", r#"{"model":"nowhere"}"#);
    look_until(|| {
        post(clients, "/api/embed", r#"{"model":"nomic-embed-text","input":"a text"}"#);
        let alerts = get(&demo.program, "/dashboard/alerts/history");
        if alerts["data"][0]["rule"].is_string() { Ok(()) } else { Err(alerts.to_string()) }
    });
    inference.is_seen_by(&demo.program);
    (demo, inference)
}

/// The path with this parameter and what else is asked.
fn target(path: &str, base: &str, parameter: Option<(&str, &str)>) -> String {
    let others = base.split('&').filter(|pair| !pair.is_empty());
    let others = others.filter(|pair| parameter.is_none_or(|(name, _)| pair.split('=').next() != Some(name)));
    let pairs = others.map(str::to_owned).chain(parameter.map(|(name, value)| format!("{name}={value}")));
    let id = match path {
        "/dashboard/infrastructure/nodes/{id}" => "local",
        "/dashboard/workload/agents/{id}/performance" => "curl",
        _ => "test%2Fllama3.2:3b",
    };
    format!("{}?{}", path.replace("{id}", id), pairs.collect::<Vec<_>>().join("&"))
}

#[test]
fn every_parameter_of_the_document_changes_an_answer() {
    let (demo, _inference) = filled();
    let document = get(&demo.program, "/openapi.json");
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for parameter in methods["get"]["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && !SOCKETS.contains(&&**path) {
                documented.insert((path.as_str(), parameter["name"].as_str().expect("a name")));
            }
        }
    }
    assert!(documented.len() > 100, "{documented:?}");
    let cases = || CASES.into_iter();
    let with_case = cases().flat_map(|(path, of)| of.iter().map(move |(name, ..)| (path, *name)));
    // Every list and series has it, as JSON without one.
    let formats = documented.iter().filter(|(_, name)| *name == "format").copied();
    assert_eq!(documented, with_case.chain(formats.clone()).collect(), "parameters, and those that have a case here");

    for (path, _) in formats {
        let base = if path == "/dashboard/series" { "metrics=requests" } else { "" };
        let answer = crate::support::client::ask(
            demo.program.admin,
            format!(
                "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                target(path, base, Some(("format", "csv")))
            ),
        );
        assert!(answer.contains("\r\ncontent-type: text/csv;"), "{path}: {answer}");
        let json = send(demo.program.admin, "GET", &target(path, base, None), "");
        assert_eq!(json.field("content-type"), Some("application/json"), "{path}");
    }
    // Rows and sums are written a little later, and a second has to pass for what is older than that.
    let faults = look_until(|| {
        let mut faults = Vec::new();
        for (path, of) in cases() {
            for (name, base, value, view) in of {
                let ask = |parameter| view.of(&get(&demo.program, &target(path, base, parameter)));
                let (without, with, again) = (ask(None), ask(Some((*name, *value))), ask(None));
                if without != again || with == without {
                    faults.push(format!("{path} {name}: {without} without it, {with} with it, then {again}"));
                }
            }
        }
        if faults.is_empty() { Ok(documented.len()) } else { Err(faults.join("\n")) }
    });
    println!("{faults} parameters");
}
