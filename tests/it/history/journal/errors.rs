//! Errors, with their severity: failed exchanges and grave events.

use serde_json::Value;

use super::{list, wait_for};
use crate::support::client::ask;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 39\r\n\r\n{\"model\":\"llama3:latest\",\"messages\":[]}";

#[test]
fn errors_have_a_severity_by_what_they_are() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = Program::before(ollama.address);
    program.wait_for("model_info", &[], 1.0);
    let token = r#"{"model":"llama3:latest","message":{"content":"x"},"done":false}"#;
    let cases: [(&str, &'static str, &[&str]); 4] = [
        ("http_5xx", "500 Internal Server Error", &[r#"{"error":"x"}"#]),
        ("truncated", "200 OK", &[token]),
        ("stream_error", "200 OK", &[token, r#"{"error":"x"}"#]),
        ("", "404 Not Found", &[r#"{"error":"x"}"#]),
    ];
    for (_, status, lines) in cases {
        ollama.answer("POST /api/chat", status, lines);
        ask(program.clients, CHAT);
    }
    let malformed =
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    ask(program.clients, malformed);
    ollama.fall_silent(true);
    ask(program.clients, CHAT);
    wait_for(program.state(), &["errors"], |error| error["kind"] == "backend_down");
    let mut found: Vec<_> = list(program.state(), &["errors"]);
    found.reverse();
    let of = |kind: &str| {
        let error = found.iter().find(|error| error["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {found:#?}"));
        (error["level"].as_str(), error["component"].as_str(), error["resource"].as_str(), error["status"].as_u64())
    };
    let model = Some("llama3:latest");
    assert_eq!(of("http_5xx"), (Some("high"), Some("upstream"), model, Some(500)));
    assert_eq!(of("truncated"), (Some("medium"), Some("upstream"), model, Some(200)));
    assert_eq!(of("stream_error"), (Some("medium"), Some("upstream"), model, Some(200)));
    let client_body = of("client_body");
    assert_eq!((client_body.0, client_body.1), (Some("low"), Some("downstream")));
    assert_eq!(of("backend_down"), (Some("critical"), Some("backend"), None, None));
    let silent = found.iter().find(|error| error["status"] == 502).expect("the backend closed without an answer");
    assert_eq!((&silent["level"], &silent["backend"]), (&"high".into(), &"test".into()));
    assert!(found.iter().all(|error| error["message"].as_str().is_some_and(|it| it.len() > 5)));
    assert_eq!(found.iter().filter(|error| error["status"] == 404).count(), 0, "4xx are not errors");

    let kinds = |arguments: &[&str]| {
        let errors = list(program.state(), arguments);
        errors.iter().map(|error| error["kind"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&["errors", "--level=critical"]), ["backend_down"]);
    assert_eq!(kinds(&["errors", "--kind=truncated"]), ["truncated"]);
    assert_eq!(kinds(&["errors", "--component=upstream", "--level=high"]).len(), 2);
    assert_eq!(kinds(&["errors", "--resource=llama3:latest", "--kind=http_5xx", "--on=test"]).len(), 1);
    assert_eq!(kinds(&["errors", "--since=2000-01-01", "--until=2001-01-01"]).len(), 0);
    let all = kinds(&["errors"]);
    let paged: Vec<_> =
        (0..all.len()).flat_map(|at| kinds(&["errors", "--limit=1", &format!("--offset={at}")])).collect();
    assert_eq!(paged, all, "pages over both sources have each once");
    assert_eq!(list(program.state(), &["errors", "--on=another"]), Vec::<Value>::new());
}
