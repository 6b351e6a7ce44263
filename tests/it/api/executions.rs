//! Executions of a busy day: each is counted and listed once, and no number of generations hides a pull.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inferometer::history::query::lists::{ListFilter, ListQuery};
use serde_json::{Value, json};

use super::{get, send, unlimited_with};
use crate::history::{EVER, reading};
use crate::support::client::{Client, ask};
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;

const EXECUTIONS: &str = "/dashboard/workload/executions";

const DONE: &str = r#"{"model":"m","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}"#;

fn request(path: &str, body: &str) -> String {
    let head = "Host: a\r\nUser-Agent: curl/8\r\nContent-Type: application/json";
    format!("POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn asked(program: &Program, path: &str, body: &str) {
    let answer = ask(program.clients, request(path, body).replace("Host: a", "Host: a\r\nConnection: close"));
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
}

/// The entries of every page of a listing, with how many it says there are.
fn every_page(program: &Program, query: &str) -> (Vec<Value>, u64) {
    let (mut all, mut page) = (Vec::new(), 1);
    loop {
        let answer = get(program, &format!("{EXECUTIONS}?limit=100&page={page}{query}"));
        let entries = answer["executions"].as_array().expect("a list").clone();
        let total = answer["pagination"]["total"].as_u64().expect("a number");
        assert!(!entries.is_empty() || total == 0, "page {page} of {total} is empty");
        all.extend(entries);
        if answer["pagination"]["hasMore"] == false {
            return (all, total);
        }
        page += 1;
    }
}

fn counted(executions: &[Value], field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for execution in executions {
        *counts.entry(execution[field].as_str().expect("a word").to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn thousands_of_generations_hide_no_pull_and_thousands_of_pulls_are_all_counted() {
    let ollama = Ollama::listing(&["m"]);
    let success = r#"{"status":"success"}"#;
    for path in ["POST /api/pull", "POST /api/create", "POST /api/push"] {
        ollama.answer(path, "200 OK", &[success]);
    }
    ollama.answer("POST /api/chat", "200 OK", &[DONE]);
    // No row is left out because too many come.
    let program = Program::with(ollama.address, &["--config", &unlimited_with("history_raw_rate = 1000000\n")]);
    program.wait_for("backend_up", &["test"], 1.0);
    program.wait_for_history();
    let idle = get(&program, EXECUTIONS);
    assert_eq!((&idle["summary"]["total"], &idle["executions"]), (&json!(0), &json!([])));

    // More of each than fit on one page, and than were once looked at.
    let (pulls, creates, pushes, failed_pulls, chats, failed_chats) = (1_100, 3, 2, 5, 1_300, 7);
    for _ in 0..pulls {
        asked(&program, "/api/pull", r#"{"model":"new:1b"}"#);
    }
    (0..creates).for_each(|_| asked(&program, "/api/create", r#"{"model":"mine"}"#));
    (0..pushes).for_each(|_| asked(&program, "/api/push", r#"{"model":"m"}"#));
    ollama.answer("POST /api/pull", "200 OK", &[r#"{"error":"pull model manifest: file does not exist"}"#]);
    (0..failed_pulls).for_each(|_| asked(&program, "/api/pull", r#"{"model":"none"}"#));
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    (0..chats).for_each(|_| asked(&program, "/api/chat", chat));
    ollama.answer("POST /api/chat", "500 Internal Server Error", &[r#"{"error":"no"}"#]);
    (0..failed_chats).for_each(|_| asked(&program, "/api/chat", chat));
    // A list of models is no execution.
    ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");

    let jobs = pulls + creates + pushes + failed_pulls;
    let (generations, failed) = (chats + failed_chats, failed_pulls + failed_chats);
    let total = jobs + generations;
    let summary = look_until(|| {
        let summary = get(&program, EXECUTIONS)["summary"].clone();
        if summary["total"] == total { Ok(summary) } else { Err(format!("{total}: {summary}")) }
    });
    assert_eq!(
        (&summary["completed"], &summary["failed"], &summary["running"]),
        (&json!(total - failed), &json!(failed), &json!(0)),
        "{summary}"
    );
    assert_eq!(
        summary["byType"],
        json!({"modelDownload": pulls + failed_pulls, "deploymentCreate": creates, "modelUpload": pushes,
               "inference": generations, "multiStep": 0})
    );
    let rate = (total - failed) as f64 / total as f64 * 100.0;
    assert!((summary["performance"]["successRate"].as_f64().expect("known") - rate).abs() < 1e-9, "{summary}");
    assert!(summary["performance"]["avgDuration"].as_f64().is_some_and(|mean| mean > 0.0), "{summary}");
    assert_eq!(get(&program, "/dashboard/overview")["workload"]["executions"]["total"], total);

    // It is in no memory, as far as is known, and has answered a moment ago.
    let deployment = get(&program, "/dashboard/workload/deployments")["deployments"][0].clone();
    assert_eq!((&deployment["modelName"], &deployment["status"]), (&json!("m"), &json!("running")), "{deployment}");

    // All pages together have each of them once, jobs first.
    let (all, said) = every_page(&program, "");
    let ids: BTreeSet<_> = all.iter().map(|it| it["_id"].as_str().expect("an id")).collect();
    assert_eq!((all.len(), ids.len(), said), (total, total, total as u64));
    let kinds = counted(&all, "type");
    assert_eq!(
        kinds.values().copied().collect::<Vec<_>>(),
        [creates, generations, pulls + failed_pulls, pushes],
        "{kinds:?}"
    );
    assert!(all[..jobs].iter().all(|it| it["type"] != "inference"), "a generation is before a job");
    for (query, expected) in [("&status=completed", total - failed), ("&status=failed", failed), ("&status=running", 0)]
    {
        let (found, said) = every_page(&program, query);
        assert_eq!((found.len(), said), (expected, expected as u64), "{query}");
        let status = query.rsplit('=').next().expect("a word");
        assert!(found.iter().all(|it| it["status"] == status), "{query}");
    }
    // One of each kind is found by its id, however old.
    for of in [&all[0], &all[jobs - 1], &all[jobs], &all[total - 1]] {
        let one = get(&program, &format!("{EXECUTIONS}/{}", of["_id"].as_str().expect("an id")));
        assert_eq!((&one["name"], &one["status"]), (&of["name"], &of["status"]), "{one}");
    }
    for id in ["job_1", "exchange_1", "exchange_99999999999999999999", "nothing"] {
        assert_eq!(send(program.admin, "GET", &format!("{EXECUTIONS}/{id}"), "").status, 404, "{id}");
    }

    // What runs comes before everything that is over.
    ollama.answer("POST /api/chat", "200 OK", &[DONE]);
    ollama.slow("POST /api/chat", Duration::from_secs(60), Duration::ZERO);
    let mut waiting = Client::connect(program.clients);
    waiting.send(request("/api/chat", chat));
    let first = look_until(|| match get(&program, EXECUTIONS) {
        listing if listing["summary"]["running"] == 1 => Ok(listing),
        listing => Err(listing["summary"].to_string()),
    });
    assert_eq!(
        (&first["executions"][0]["status"], &first["executions"][0]["type"], &first["executions"][1]["type"]),
        (&json!("running"), &json!("inference"), &json!("model.download"))
    );
    assert_eq!((&first["summary"]["total"], &first["pagination"]["total"]), (&json!(total + 1), &json!(total + 1)));

    // A pull that runs is counted once, also when the files have it as well.
    ollama.slow("POST /api/pull", Duration::from_secs(60), Duration::ZERO);
    let mut pulling = Client::connect(program.clients);
    pulling.send(request("/api/pull", r#"{"model":"new:1b"}"#));
    let running = ListFilter { state: Some("running".into()), ..ListFilter::default() };
    let running = ListQuery { range: EVER, filter: running, offset: 0, limit: 10 };
    look_until(|| match reading(program.state()).jobs(&running) {
        Ok(found) if found.total == 1 => Ok(()),
        found => Err(format!("{found:?}")),
    });
    let both = get(&program, EXECUTIONS);
    assert_eq!(
        (&both["summary"]["running"], &both["summary"]["total"], &both["summary"]["byType"]["modelDownload"]),
        (&json!(2), &json!(total + 2), &json!(pulls + failed_pulls + 1)),
        "{}",
        both["summary"]
    );
    let kinds = [0, 1, 2].map(|at: usize| both["executions"][at]["type"].clone());
    assert_eq!(kinds, [json!("model.download"), json!("inference"), json!("model.download")]);
    drop((waiting, pulling));
}

#[test]
fn without_a_history_what_is_over_is_unknown_and_not_zero() {
    let ollama = Ollama::listing(&["m"]);
    let settings = unlimited_with("");
    let program = Program::with(ollama.address, &["--history", "off", "--config", &settings]);
    asked(&program, "/api/chat", r#"{"model":"m","messages":[]}"#);
    let answer = get(&program, EXECUTIONS);
    let (summary, unknown) = (&answer["summary"], &answer["unknown"]);
    for field in ["total", "completed", "failed", "byType/inference", "byType/modelDownload", "performance/successRate"]
    {
        let pointer = format!("/summary/{field}");
        assert_eq!(answer.pointer(&pointer), Some(&Value::Null), "{field}: {summary}");
        assert_eq!(unknown[&pointer], "not_configured", "{field}: {unknown}");
    }
    assert_eq!(summary["running"], 0, "what runs is known");
    let overview = get(&program, "/dashboard/overview");
    let counts = &overview["workload"]["executions"];
    assert_eq!((&counts["completed"], &counts["running"]), (&Value::Null, &json!(0)), "{overview}");
}
