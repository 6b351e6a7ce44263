//! `/dashboard/exchanges` and one exchange, against what a client sent and was answered.

use inferometer::history::query::lists::{ListFilter, ListQuery};
use serde_json::{Value, json};

use super::{get, send, shape};
use crate::history::rows::{CHAT, ollama};
use crate::history::{EVER, reading};
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::program::Program;

const LOST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n";

/// Waits until the history has this many exchanges.
pub(super) fn wait_for(program: &Program, exchanges: usize) -> Value {
    look_until(|| {
        let answer = get(program, "/dashboard/exchanges?limit=100");
        let there = answer["exchanges"].as_array().map_or(0, Vec::len);
        if there == exchanges { Ok(answer) } else { Err(format!("{there} of {exchanges} are there")) }
    })
}

#[test]
fn an_exchange_is_shown_as_its_client_saw_it_with_its_time() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let answer = ask(program.clients, CHAT);
    let list = wait_for(&program, 1);
    let shown = &list["exchanges"][0];
    let expected = json!({
        "backend": "test", "model": "llama3:latest", "endpoint": "/api/chat", "method": "POST", "dialect": "ollama",
        "operation": "chat", "status": 200, "outcome": "completed", "finish_reason": "stop", "streamed": true,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "parent_span_id": "00f067aa0ba902b7", "messages": 1,
        "request_bytes": 41, "response_bytes": answer.split_once("\r\n\r\n").expect("a head").1.len(),
        "error": null, "tenant": null, "cost": null, "weight": 1, "attempts": 1,
    });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&shown[field], value, "{field}");
    }
    let tokens = &shown["tokens"];
    assert_eq!((&tokens["prompt"], &tokens["generated"], &tokens["cached"]), (&json!(5), &json!(3), &Value::Null));
    assert_eq!((&tokens["prompt_source"], &list["pagination"]["total"]), (&json!("reported"), &json!(1)));
    let none = json!({"unknown": {}});
    assert_eq!(shape::faults(&none, &list), Vec::<String>::new(), "{list:#}");
    assert_eq!(list["unknown"]["/exchanges/0/tenant"], "not_configured");

    let id = shown["id"].as_str().expect("digits");
    let one = get(&program, &format!("/dashboard/exchanges/{id}"));
    assert_eq!(shape::faults(&none, &one), Vec::<String>::new(), "{one:#}");
    assert_eq!((&one["id"], &one["tokens"]), (&shown["id"], &shown["tokens"]));
    let timeline = one["timeline"].as_array().expect("a list");
    let mut end = json!(0.0);
    for step in timeline {
        assert_eq!(step["from_ms"], end, "steps follow each other: {one:#}");
        end = step["to_ms"].clone();
    }
    assert_eq!(end, one["duration_ms"]);
    let sentence = one["where_the_time_went"].as_str().expect("a sentence");
    assert!(sentence.starts_with("For ") && sentence.ends_with('.'), "{sentence}");

    let csv = ask(
        program.admin,
        "GET /dashboard/exchanges?format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(csv.contains("content-type: text/csv"), "{csv}");
    let (_, body) = csv.split_once("\r\n\r\n").expect("a head");
    let lines: Vec<_> = body.lines().map(|line| line.split(',').collect::<Vec<_>>()).collect();
    let column = lines[0].iter().position(|name| *name == "tokens.generated").expect("a column");
    assert_eq!((lines.len(), lines[1][column]), (2, "3"), "{body}");
}

#[test]
fn every_filter_of_exchanges_changes_the_answer() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    for _ in 0..3 {
        ask(program.clients, LOST);
    }
    wait_for(&program, 4);
    let count =
        |query: &str| get(&program, &format!("/dashboard/exchanges?{query}"))["exchanges"].as_array().map(Vec::len);
    for (query, expected) in [
        ("period=5m", 4),
        ("from=2020-01-01&to=2020-01-02T00:00:00Z", 0),
        ("model=llama3:latest", 1),
        ("backend=test", 4),
        ("backend=another", 0),
        ("tenant=a", 0),
        ("client=curl", 3),
        ("conversation=0011223344556677", 0),
        ("endpoint=other", 3),
        ("operation=chat", 1),
        ("outcome=http_error", 3),
        ("failed=true", 3),
        ("failed=false", 4),
        ("min_ms=3600000", 0),
        ("limit=2", 2),
        ("limit=3&page=2", 1),
        ("order=longest&limit=1", 1),
        ("order=largest", 1),
        ("order=dearest", 0),
    ] {
        assert_eq!(count(query), Some(expected), "{query}");
    }
    let page = get(&program, "/dashboard/exchanges?limit=3");
    assert_eq!(page["pagination"], json!({"page": 1, "limit": 3, "total": 4, "has_more": true}));
    let longest = get(&program, "/dashboard/exchanges?order=longest&limit=3");
    assert_eq!(
        (&longest["pagination"]["total"], &longest["unknown"]["/pagination/total"]),
        (&Value::Null, &json!("not_applicable")),
        "there are no pages that it could be the total of"
    );
    let filtered = get(&program, "/dashboard/exchanges?endpoint=other");
    assert_eq!(
        (&filtered["pagination"]["total"], &filtered["unknown"]["/pagination/total"]),
        (&Value::Null, &json!("not_reported"))
    );
    for (query, parameter) in [
        ("period=2h", "period"),
        ("period=1h&from=2026-01-01", "period"),
        ("from=yesterday", "from"),
        ("outcome=fine", "outcome"),
        ("operation=x", "operation"),
        ("conversation=1", "conversation"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("page=0", "page"),
        ("page=2&order=longest", "page"),
        ("order=oldest", "order"),
        ("min_ms=-1", "min_ms"),
        ("failed=yes", "failed"),
        ("format=xml", "format"),
    ] {
        let answer = send(program.admin, "GET", &format!("/dashboard/exchanges?{query}"), "");
        let details = &answer.json["error"]["details"];
        assert_eq!((answer.status, &details["parameter"]), (400, &json!(parameter)), "{query}: {}", answer.json);
    }
    for id in ["1", "x", "-1", "99999999999999999999"] {
        assert_eq!(send(program.admin, "GET", &format!("/dashboard/exchanges/{id}"), "").status, 404, "{id}");
    }
}

#[test]
fn a_backend_that_answers_from_the_start_resolves_no_alert() {
    let backend = ollama();
    let program = Program::before(backend.address);
    let query = ListQuery { range: EVER, filter: ListFilter::default(), offset: 0, limit: 100 };
    look_until(|| {
        let events = reading(program.state()).events(&query).expect("sound").entries;
        let is_up = events.iter().any(|event| &*event.what == "backend_up");
        if is_up { Ok(()) } else { Err(format!("{} events are there", events.len())) }
    });
    assert_eq!(get(&program, "/dashboard/alerts")["resolved_alerts"], json!([]));
}

#[test]
fn without_a_history_the_answer_says_how_to_have_one() {
    let backend = ollama();
    let program = Program::with(backend.address, &["--history", "off"]);
    let answer = send(program.admin, "GET", "/dashboard/exchanges", "");
    let error = &answer.json["error"];
    assert_eq!((answer.status, &error["code"]), (503, &json!("UNAVAILABLE")));
    assert!(error["message"].as_str().is_some_and(|text| text.contains("--history sqlite")), "{error}");
}
