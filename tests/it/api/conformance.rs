//! The program against its own OpenAPI document: schemathesis makes up requests, as the document allows them and as it
//! does not, and holds each answer against it. `INFEROMETER_API_CASES` sets how many, as `make api-conformance` does.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::get;
use super::inference::Inference;
use super::samples::{Demo, post, traffic};
use crate::support::client::ask;
use crate::support::{look_until, python};

/// What does not answer with 200 to anything that is made up: there is nothing of the kind, or it is no plain GET.
const NOT_ANSWERED: [&str; 4] =
    ["GET /dashboard/ws", "GET /ws", "POST /dashboard/alerts/{id}/ack", "POST /dashboard/exchanges/{id}/stop"];

fn cases() -> u32 {
    std::env::var("INFEROMETER_API_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(500)
}

/// Exchanges of several clients with several models, some of which fail.
pub(super) fn exchanges(demo: &Demo) {
    traffic(demo);
    let clients = demo.program.clients;
    for (agent, model) in [("python-httpx/1", "qwen3:8b"), ("ollama-js/2", "llama3.2:3b"), ("demo-agent/1", "nowhere")]
    {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"stream":false}}"#);
        let head = format!("Host: a\r\nUser-Agent: {agent}\r\nConnection: close\r\nContent-Length: {}", body.len());
        ask(clients, format!("POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{body}"));
    }
    post(clients, "/api/embed", r#"{"model":"nomic-embed-text","input":"a text"}"#);
    post(clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"[[refuse]]"}"#);
    look_until(|| match get(&demo.program, "/dashboard/workload/agents") {
        agents if agents["pagination"]["total"] == 4 => Ok(()),
        agents => Err(agents.to_string()),
    });
    look_until(|| match get(&demo.program, "/dashboard/exchanges") {
        exchanges if exchanges["pagination"]["total"].as_u64() >= Some(12) => Ok(()),
        exchanges => Err(exchanges.to_string()),
    });
}

#[test]
fn every_answer_is_as_the_document_says() {
    let (demo, inference) = (Demo::start("conformance"), Inference::start());
    exchanges(&demo);
    inference.is_seen_by(&demo.program);
    let (url, cases) = (format!("http://{}", demo.program.admin), cases().to_string());
    // Some hundred requests a second; what is made up takes more time than the answers.
    let deadline = Duration::from_secs(120 + u64::from(self::cases()) / 5);
    let tally = python::run_within(deadline, "tools/api_conformance.py", &[&url, "--cases", &cases]);
    let failures: Vec<_> = tally["failures"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(failures.is_empty(), "{} failures\n\n{}", failures.len(), failures.join("\n\n"));
    let document = get(&demo.program, "/openapi.json");
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        })
        .collect();
    let answered = tally["answered"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let answered: BTreeSet<String> = answered.map(str::to_owned).collect();
    let silent: Vec<_> = operations.difference(&answered).collect();
    assert_eq!(silent, NOT_ANSWERED, "all others answer to something: {}", tally["statuses"]);
    // How often one may guess credentials stays as it is.
    let limited = tally["limited"].as_array().expect("a list");
    assert!(limited.iter().all(|it| it == "POST /dashboard/session"), "the limits are raised: {limited:?}");
    let count = |name: &str| tally[name].as_u64().expect(name);
    assert!(count("cases") >= u64::from(self::cases()) && count("positive") > 100 && count("negative") > 100);
    println!("{tally:#}");
}
