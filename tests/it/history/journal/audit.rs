//! What acts on a backend's models through the proxy.

use serde_json::Value;

use super::{list, wait_for};
use crate::support::client::ask;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

/// A request, what the backend answers, and what the audit says: action, resource and result.
struct Row {
    request: &'static str,
    body: &'static str,
    status: &'static str,
    answer: &'static [&'static str],
    expected: [Option<&'static str>; 3],
}

const SUCCESS: &[&str] = &[r#"{"status":"success"}"#];
const MODEL: &str = r#"{"model":"llama3:latest"}"#;
const EMPTY: &str = r#"{"model":"llama3:latest","messages":[]}"#;
const LOADED: &[&str] =
    &[r#"{"model":"llama3:latest","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}"#];
const UNLOADED: &[&str] = &[r#"{"model":"llama3:latest","response":"","done":true,"done_reason":"unload"}"#];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { request: "POST /api/pull", body: r#"{"model":"new:1b"}"#, status: "200 OK", answer: SUCCESS, expected: [Some("pull"), Some("new:1b"), Some("success")] },
    Row { request: "POST /api/pull", body: r#"{"model":"no-such"}"#, status: "200 OK", answer: &[r#"{"error":"canary: file does not exist"}"#], expected: [Some("pull"), None, Some("failure")] },
    Row { request: "POST /api/push", body: MODEL, status: "200 OK", answer: SUCCESS, expected: [Some("push"), Some("llama3:latest"), Some("success")] },
    Row { request: "POST /api/push", body: MODEL, status: "403 Forbidden", answer: &["{}"], expected: [Some("push"), Some("llama3:latest"), Some("refused")] },
    Row { request: "POST /api/create", body: r#"{"model":"mine","from":"llama3"}"#, status: "200 OK", answer: SUCCESS, expected: [Some("create"), Some("mine"), Some("success")] },
    Row { request: "POST /api/copy", body: r#"{"source":"llama3:latest","destination":"b"}"#, status: "200 OK", answer: &[], expected: [Some("copy"), Some("llama3:latest"), Some("success")] },
    Row { request: "DELETE /api/delete", body: MODEL, status: "200 OK", answer: &[], expected: [Some("delete"), Some("llama3:latest"), Some("success")] },
    Row { request: "DELETE /api/delete", body: r#"{"model":"no-such"}"#, status: "404 Not Found", answer: &["{}"], expected: [Some("delete"), None, Some("failure")] },
    Row { request: "POST /api/chat", body: EMPTY, status: "200 OK", answer: LOADED, expected: [Some("load"), Some("llama3:latest"), Some("success")] },
    Row { request: "POST /api/generate", body: r#"{"model":"llama3:latest","keep_alive":0}"#, status: "200 OK", answer: UNLOADED, expected: [Some("unload"), Some("llama3:latest"), Some("success")] },
    Row { request: "POST /models/load", body: MODEL, status: "200 OK", answer: &["{}"], expected: [Some("load"), Some("llama3:latest"), Some("success")] },
    Row { request: "POST /models/unload", body: MODEL, status: "200 OK", answer: &["{}"], expected: [Some("unload"), Some("llama3:latest"), Some("success")] },
    Row { request: "POST /api/v1/models/load", body: MODEL, status: "500 Internal Server Error", answer: &["{}"], expected: [Some("load"), Some("llama3:latest"), Some("failure")] },
    Row { request: "POST /api/v1/models/unload", body: r#"{"instance_id":"x"}"#, status: "200 OK", answer: &["{}"], expected: [Some("unload"), None, Some("success")] },
    Row { request: "POST /api/v1/models/download", body: r#"{"model":"new:2b"}"#, status: "200 OK", answer: &["{}"], expected: [Some("pull"), Some("new:2b"), Some("success")] },
    Row { request: "POST /v1/load_lora_adapter", body: r#"{"lora_name":"x"}"#, status: "200 OK", answer: &[], expected: [Some("load"), None, Some("success")] },
    Row { request: "POST /v1/unload_lora_adapter", body: r#"{"lora_name":"x"}"#, status: "200 OK", answer: &[], expected: [Some("unload"), None, Some("success")] },
];

/// What the audit must not have.
#[rustfmt::skip]
const NOTHING: &[(&str, &str, &str)] = &[
    ("GET /api/tags", "", "200 OK"),
    ("GET /models/load", "", "200 OK"),
    ("POST /api/show", MODEL, "200 OK"),
    ("POST /api/chat", r#"{"model":"llama3:latest","messages":[{"role":"user","content":"hi"}]}"#, "200 OK"),
];

#[test]
fn what_acts_on_models_is_in_the_audit_and_nothing_else_is() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = Program::before(ollama.address);
    program.wait_for("model_info", &[], 1.0);
    for (request, body, status) in NOTHING {
        ollama.answer(request, status, &[r#"{"message":{"content":"x"},"done":true,"done_reason":"stop"}"#]);
        send(&program, request, body, 0);
    }
    for (at, row) in TABLE.iter().enumerate() {
        ollama.answer(row.request, row.status, row.answer);
        send(&program, row.request, row.body, at + 1);
    }
    let last = format!("{:032x}", TABLE.len());
    wait_for(program.state(), &["audit", "--limit=200"], |entry| entry["trace"] == *last);
    let mut entries = list(program.state(), &["audit", "--limit=200"]);
    entries.reverse();
    assert_eq!(entries.len(), TABLE.len(), "one each: {entries:#?}");
    for (entry, row) in entries.iter().zip(TABLE) {
        let said = [&entry["action"], &entry["resource"], &entry["result"]].map(Value::as_str);
        assert_eq!(said, row.expected, "{} {}: {entry}", row.request, row.body);
        assert_eq!((&entry["backend"], &entry["user"]), (&"test".into(), &"ollama".into()));
        let status: i64 = row.status[..3].parse().expect("a status");
        assert_eq!(entry["details"]["status"], status, "{entry}");
        assert_eq!(entry["level"], if row.expected[2] == Some("success") { "info" } else { "warning" });
    }
    let pulls = list(program.state(), &["audit", "--action=pull", "--resource=new:1b"]);
    assert_eq!(pulls.len(), 1, "{pulls:?}");
    assert_eq!(list(program.state(), &["audit", "--user=curl"]).len(), 0);
    let failed = list(program.state(), &["audit", "--user=ollama", "--level=warning", "--state=refused"]);
    assert_eq!(failed.len(), 1, "{failed:?}");
    let pages = [0, 10].map(|offset| list(program.state(), &["audit", "--limit=10", &format!("--offset={offset}")]));
    assert_eq!(pages.map(|page| page.len()), [10, TABLE.len() - 10]);
}

fn send(program: &Program, request: &str, body: &str, trace: usize) {
    let traceparent = format!("traceparent: 00-{:032x}-00f067aa0ba902b7-01", trace.max(1));
    let sent = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: ollama/0.12.6 (canary)\r\nContent-Type: application/json\r\n{traceparent}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(program.clients, sent);
    assert!(answer.starts_with("HTTP/1.1 "), "{request}: {answer}");
}
