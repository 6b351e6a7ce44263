//! The dashboard API of the real program, held against the samples of its documents and against the truth.

mod bounds;
mod clients;
mod conformance;
#[cfg(target_os = "linux")]
mod control_groups;
#[cfg(target_os = "linux")]
mod demo;
mod every_parameter;
mod exchanges;
mod executions;
mod failures;
mod figures;
mod frames;
mod in_flight;
mod inference;
mod listed;
mod live;
mod machines;
mod parameters;
mod peers;
mod replicas;
mod reports;
mod samples;
mod second_address;
mod series;
mod shape;
mod stats;
mod stop;
mod totals;

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::Program;

/// The status, the head and the JSON of an answer.
struct Answer {
    status: u16,
    head: String,
    json: Value,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.split_once(": ").filter(|(field, _)| *field == name));
        line.map(|(_, value)| value)
    }
}

fn send(address: SocketAddr, method: &str, target: &str, fields: &str) -> Answer {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    let whole = ask(address, request);
    let (head, body) = whole.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let json = if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") };
    Answer { status, head: head.to_owned(), json }
}

pub(crate) fn get(program: &Program, target: &str) -> Value {
    let answer = send(program.admin, "GET", target, "");
    assert_eq!(answer.status, 200, "{target}: {}", answer.json);
    answer.json
}

/// A file of settings under which a test may ask as often as it likes.
pub(crate) fn unlimited() -> String {
    unlimited_with("")
}

/// The same with these settings before all tables.
fn unlimited_with(settings: &str) -> String {
    let file = folder().join("config.toml");
    let limits = "[access]\nrequests_per_minute = 100000\nrequests_per_10s = 100000\n";
    std::fs::write(&file, format!("{settings}[host]\nperiod = \"1s\"\n{limits}")).expect("a file");
    file.display().to_string()
}

/// The program before a backend that answers everything with `ok`.
fn program() -> (Program, Backend) {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (Program::with(backend.address, &["--config", &unlimited()]), backend)
}

#[test]
fn every_error_has_the_shape_of_the_document() {
    let (program, _backend) = program();
    let error = |method: &str, target: &str| {
        let answer = send(program.admin, method, target, "");
        let error = &answer.json["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{target}: {}", answer.json);
        assert!(error["details"].is_object(), "{target}: {}", answer.json);
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        (answer.status, error["code"].as_str().expect("a code").to_owned(), error["details"].clone())
    };
    let (status, code, _) = error("GET", "/dashboard/nothing");
    assert_eq!((status, &*code), (404, "NOT_FOUND"));
    let (status, code, details) = error("GET", "/dashboard/stats?colour=red");
    assert_eq!((status, &*code), (400, "INVALID_PARAMETER"));
    assert_eq!(details, serde_json::json!({"parameter": "colour", "allowed": []}));
    let (status, code, _) = error("POST", "/dashboard/stats");
    assert_eq!((status, &*code), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(send(program.admin, "DELETE", "/dashboard/stats", "").field("allow"), Some("GET,HEAD"));
}

#[test]
fn the_dashboard_itself_leads_to_the_page() {
    let (program, _backend) = program();
    let answer = send(program.admin, "GET", "/dashboard", "");
    assert_eq!((answer.status, answer.field("location")), (303, Some("/")));
}

#[test]
fn an_answer_that_has_not_changed_is_not_sent_again() {
    let (program, _backend) = program();
    let first = send(program.admin, "GET", "/openapi.json", "");
    let tag = first.field("etag").expect("a tag").to_owned();
    let again = send(program.admin, "GET", "/openapi.json", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.json), (304, Value::Null));
    let other = send(program.admin, "GET", "/openapi.json", "If-None-Match: \"other\"\r\n");
    assert_eq!((other.status, other.json), (200, first.json));
    let head = send(program.admin, "HEAD", "/dashboard/stats", "");
    assert_eq!((head.status, &head.json, head.field("cache-control")), (200, &Value::Null, Some("private, max-age=2")));
}

#[test]
fn the_document_lists_every_path_with_its_answers() {
    let (program, _backend) = program();
    let document = get(&program, "/openapi.json");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    for name in ["password", "token", "session", "ticket"] {
        assert!(document["components"]["securitySchemes"][name]["type"].is_string(), "{name}");
        let named = serde_json::json!({ name: [] });
        assert!(document["security"].as_array().is_some_and(|all| all.contains(&named)), "{}", document["security"]);
    }
    let get = &document["paths"]["/dashboard/stats"]["get"];
    for status in ["200", "400", "401", "403", "429", "503"] {
        assert!(get["responses"][status]["description"].is_string(), "{status}: {get}");
    }
    let text = document.to_string();
    for (at, _) in text.match_indices("#/components/schemas/") {
        let rest = &text[at + "#/components/schemas/".len()..];
        let name = &rest[..rest.find('"').expect("it ends")];
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not defined");
    }
}
