//! `/dashboard/series` and one trace, against what clients sent.

use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::history::Directory;
use inferometer::history::timestamp::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::exchanges::wait_for;
use super::totals::{again, ended};
use super::{get, send, shape};
use crate::history::rows::{CHAT, ollama};
use crate::support::client::ask;
use crate::support::look_until;
use crate::support::program::{Program, State};

/// In seconds.
const DAY: i64 = 24 * 3_600;

const LOST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n";

fn series(program: &Program, query: &str) -> Value {
    get(program, &format!("/dashboard/series?{query}"))
}

/// The sum of a metric's values.
fn sum(answer: &Value, index: usize) -> f64 {
    let values = answer["series"][index]["values"].as_array().expect("a list");
    values.iter().filter_map(Value::as_f64).sum()
}

#[test]
fn series_add_up_to_what_clients_sent_and_have_gaps_where_nothing_ran() {
    let backend = ollama();
    let program = Program::before(backend.address);
    for _ in 0..2 {
        ask(program.clients, CHAT);
    }
    ask(program.clients, LOST);
    wait_for(&program, 3);
    let answer =
        series(&program, "metrics=requests,failed,generated_tokens,ttft_p95,cached_tokens&period=15m&interval=1m");
    assert_eq!([0, 1, 2].map(|index| sum(&answer, index)), [3.0, 0.0, 6.0], "a 404 is no failure");
    let timestamps = answer["timestamps"].as_array().expect("a list");
    assert!((15..=17).contains(&timestamps.len()), "{answer:#}");
    assert_eq!((&answer["interval_seconds"], &answer["from"]), (&json!(60), &timestamps[0]));
    for (index, (metric, unit)) in
        [("requests", "count"), ("failed", "count"), ("generated_tokens", "count"), ("ttft_p95", "ms")]
            .iter()
            .enumerate()
    {
        let one = &answer["series"][index];
        assert_eq!((&one["metric"], &one["unit"]), (&json!(metric), &json!(unit)));
        assert_eq!(one["values"].as_array().map(Vec::len), Some(timestamps.len()));
        assert_eq!(one["values"][0], Value::Null, "the program did not run yet");
    }
    let first_token = answer["series"][3]["values"].as_array().expect("a list").iter().find_map(Value::as_f64);
    assert!(first_token.is_some_and(|millis| millis > 0.0), "{answer:#}");
    assert_eq!(sum(&answer, 4), 0.0);
    assert!(
        answer["series"][4]["values"].as_array().is_some_and(|values| values.iter().all(Value::is_null)),
        "unknown is no zero"
    );

    for (query, requests) in [
        ("model=llama3:latest", 2.0),
        ("backend=test", 3.0),
        ("backend=another", 0.0),
        ("tenant=a", 0.0),
        ("client=curl", 1.0),
        ("operation=chat", 2.0),
        ("from=2020-01-01&to=2020-01-02", 0.0),
        ("interval=1d&period=7d", 3.0),
        ("interval=5m", 3.0),
        ("interval=1h", 3.0),
    ] {
        assert_eq!(sum(&series(&program, &format!("metrics=requests&{query}")), 0), requests, "{query}");
    }
    let compared = series(&program, "metrics=requests&compare=day");
    let before = compared["compared"][0]["values"].as_array().expect("a list");
    assert_eq!(Some(before.len()), compared["timestamps"].as_array().map(Vec::len));
    assert!(before.iter().all(Value::is_null), "yesterday nothing ran: {compared:#}");

    let request = "GET /dashboard/series?metrics=requests,ttft_p50&format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let csv = ask(program.admin, request);
    let (_, body) = csv.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body.lines().next(), Some("at,requests,ttft_p50"));
    let requests: f64 = body.lines().skip(1).filter_map(|line| line.split(',').nth(1)?.parse::<f64>().ok()).sum();
    assert_eq!(requests, 3.0, "{body}");
    let compared = ask(program.admin, request.replace("&format", "&compare=week&format"));
    let (_, body) = compared.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body.lines().next(), Some("at,requests,ttft_p50,requests_compared,ttft_p50_compared"));
}

/// Moves what has been summed up so far back by so many seconds.
fn age(state: &State, seconds: i64) {
    let file = Connection::open(Directory::within(&state.0).main()).expect("it can be opened");
    for table in ["rollups", "ran"] {
        file.execute(&format!("UPDATE {table} SET at = at - {seconds}"), []).expect("it can be written");
    }
}

#[test]
fn a_day_is_compared_with_the_week_before_with_the_settings_that_there_are_without_a_file() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    wait_for(&program, 1);
    let state = ended(program);
    // The oldest minute of a day, a week ago.
    age(&state, 8 * DAY - 3_600);
    let program = again(&state, backend.address);
    program.wait_for_history();
    let answer = series(&program, "metrics=requests&period=24h&compare=week");
    let before = answer["compared"][0]["values"].as_array().expect("a list").iter().filter_map(Value::as_f64);
    assert_eq!((before.sum::<f64>(), sum(&answer, 0)), (1.0, 0.0), "{answer:#}");
    assert!(answer["interval_seconds"].as_f64() < Some(3_600.0), "{answer:#}");
}

#[test]
fn where_minutes_are_gone_hours_answer_unless_an_interval_is_asked_for() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    wait_for(&program, 1);
    let state = ended(program);
    age(&state, 20 * DAY);
    let program = again(&state, backend.address);
    program.wait_for_history();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after the epoch").as_secs() as i64;
    let days_ago = |days: i64| Timestamp((now - days * DAY) * 1_000).to_string();
    let old = format!("metrics=requests&from={}&to={}", days_ago(21), days_ago(19));
    let answer = series(&program, &old);
    assert_eq!((&answer["interval_seconds"], sum(&answer, 0)), (&json!(3_600), 1.0), "{answer:#}");
    assert_eq!(sum(&series(&program, &format!("{old}&interval=5m")), 0), 0.0, "what is asked for is answered");
    // Of a range that begins later, minutes answer, although the program has not run for the whole of it.
    assert_eq!(series(&program, "metrics=requests&period=15m")["interval_seconds"], 60);
}

#[test]
fn durations_are_of_those_whose_first_token_is_compared() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    (0..9).for_each(|_| {
        drop(ask(program.clients, "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
    });
    let kept = wait_for(&program, 10);
    let is_chat = |it: &&Value| it["operation"] == "chat";
    let chat = kept["exchanges"].as_array().and_then(|all| all.iter().find(is_chat)).expect("the chat");
    let took = chat["duration_ms"].as_f64().expect("a duration");
    // A list of models takes longer or shorter than the chat, and has no first token.
    for query in [
        "interval=10s&period=15m",
        "interval=1m",
        "interval=1h",
        "interval=1h&by=backend",
        "interval=1h&operation=chat",
    ] {
        let answer = series(&program, &format!("metrics=duration_mean,duration_p50,ttft_p50,requests&{query}"));
        let requests = if query.contains("chat") { 1.0 } else { 10.0 };
        assert_eq!(sum(&answer, 3), requests, "{query}");
        for at in [0, 1] {
            let values = answer["series"][at]["values"].as_array().expect("a list").iter().filter_map(Value::as_f64);
            let values: Vec<_> = values.collect();
            assert!(
                values.len() == 1 && (values[0] - took).abs() <= took * 0.011 + 0.002,
                "{query}: {values:?} for {took}"
            );
        }
        assert!(sum(&answer, 1) >= sum(&answer, 2) * 0.98, "{query}: no answer ends before its first token");
    }
    let all = series(&program, "metrics=duration_mean&interval=1h&operation=other");
    assert!(sum(&all, 0) > 0.0, "what is asked for is answered: {all}");
}

#[test]
fn a_series_that_cannot_be_had_says_what_can() {
    let backend = ollama();
    let program = Program::before(backend.address);
    for (query, parameter) in [
        ("", "metrics"),
        ("metrics=", "metrics"),
        ("metrics=nonsense", "metrics"),
        ("metrics=requests&interval=2m", "interval"),
        ("metrics=requests&interval=1m&period=30d", "interval"),
        ("metrics=requests&compare=year", "compare"),
        ("metrics=requests&endpoint=other", "endpoint"),
        ("metrics=requests&interval=10s&period=1h", "interval"),
        ("metrics=requests&by=endpoint", "by"),
        ("metrics=requests,gpu_watts&by=model", "by"),
    ] {
        let answer = send(program.admin, "GET", &format!("/dashboard/series?{query}"), "");
        let details = &answer.json["error"]["details"];
        assert_eq!((answer.status, &details["parameter"]), (400, &json!(parameter)), "{query}: {}", answer.json);
    }
    let unknown = send(program.admin, "GET", "/dashboard/series?metrics=nonsense", "");
    let allowed = unknown.json["error"]["details"]["allowed"].as_array().expect("a list").clone();
    assert!(allowed.contains(&json!("requests")) && allowed.contains(&json!("ttft_warm_p99")), "{allowed:?}");
    let documented = include_str!("../../../docs/api.md");
    for metric in &allowed {
        let name = metric.as_str().expect("a name");
        let base =
            name.rsplit_once('_').filter(|(_, statistic)| ["mean", "p50", "p90", "p95", "p99"].contains(statistic));
        let shown = base.map_or(name.to_owned(), |(measure, _)| format!("{measure}_*"));
        assert!(documented.contains(&format!("`{shown}`")), "docs/api.md lists no {shown}");
    }
}

#[test]
fn series_are_divided_by_model_the_busiest_first() {
    let backend = ollama();
    let program = Program::before(backend.address);
    for _ in 0..2 {
        ask(program.clients, CHAT);
    }
    ask(program.clients, LOST);
    wait_for(&program, 3);
    let of = |query: &str| {
        let answer = series(&program, query);
        let all = answer["series"].as_array().expect("a list").iter().enumerate();
        let one = |(at, one): (usize, &Value)| (one["metric"].clone(), one["group"].clone(), sum(&answer, at));
        (all.map(one).collect::<Vec<_>>(), answer.clone())
    };
    let (by_model, answer) = of("metrics=requests,generated_tokens&by=model");
    let named = |metric: &str, group: Value, sum: f64| (json!(metric), group, sum);
    assert_eq!(
        by_model,
        [
            named("requests", json!("llama3:latest"), 2.0),
            named("generated_tokens", json!("llama3:latest"), 6.0),
            named("requests", Value::Null, 1.0),
            named("generated_tokens", Value::Null, 0.0),
        ],
        "{answer:#}"
    );
    assert_eq!(
        (&answer["groups_left_out"], &answer["unknown"]["/series/2/group"]),
        (&json!(0), &json!("not_applicable"))
    );
    let zeros =
        answer["series"][2]["values"].as_array().expect("a list").iter().filter(|it| **it == json!(0.0)).count();
    let nulls = answer["series"][0]["values"].as_array().expect("a list").iter().filter(|it| it.is_null()).count();
    assert!(nulls >= 55, "there is nothing from before the program ran: {zeros} {answer:#}");
    assert_eq!(of("metrics=requests&by=backend").0, [named("requests", json!("test"), 3.0)]);
    assert_eq!(of("metrics=requests&by=tenant&model=llama3:latest").0.len(), 1);
    assert_eq!(of("metrics=requests&by=model&interval=10s&period=5m").0, [by_model[0].clone(), by_model[2].clone()]);
    assert!(series(&program, "metrics=requests")["series"][0].get("group").is_none());

    let csv = ask(
        program.admin,
        "GET /dashboard/series?metrics=requests&by=model&format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let (_, body) = csv.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body.lines().next(), Some("at,requests of llama3:latest,requests of none"));
}

#[test]
fn ten_seconds_are_added_up_from_rows_and_are_as_the_minutes() {
    let backend = ollama();
    let program = Program::before(backend.address);
    for _ in 0..3 {
        ask(program.clients, CHAT);
    }
    wait_for(&program, 3);
    let all = "requests,generated_tokens,prompt_tokens,failed,request_bytes,cold_starts";
    let (fine, minutes) = (
        series(&program, &format!("metrics={all}&period=15m&interval=10s")),
        series(&program, &format!("metrics={all}&period=15m&interval=1m")),
    );
    assert_eq!(fine["interval_seconds"], 10);
    for index in 0..all.split(',').count() {
        assert_eq!(sum(&fine, index), sum(&minutes, index), "{fine:#} {minutes:#}");
    }
    assert_eq!(sum(&series(&program, "metrics=requests&period=5m&interval=10s&client=nobody"), 0), 0.0);
    // Seconds in flight: 10 s of each interval's mean.
    let busy = |answer: &Value, seconds: f64| sum(answer, 0) * seconds;
    let of = |interval: &str| series(&program, &format!("metrics=active&period=15m&interval={interval}"));
    assert!(busy(&of("10s"), 10.0) > 0.0);
}

#[test]
fn the_machine_has_series_of_its_own() {
    let backend = ollama();
    let program = Program::before(backend.address);
    look_until(|| {
        let answer = series(&program, "metrics=memory_used,gpu_watts&period=5m&interval=10s");
        (sum(&answer, 0) > 0.0).then_some(()).ok_or(answer.to_string())
    });
    let of = |metric: &str, query: &str| {
        let answer = series(&program, &format!("metrics={metric}&{query}"));
        (answer["series"][0]["unit"].clone(), sum(&answer, 0))
    };
    let (unit, minutes) = of("memory_used", "period=1h");
    assert_eq!(unit, "bytes");
    assert!(minutes > 0.0, "what the file does not have yet is in memory");
    let (unit, filtered) = of("memory_used", "period=1h&model=llama3:latest");
    assert!(filtered > 0.0 && unit == "bytes", "a filter does not divide the machine");
    for (metric, unit) in [("cpu_watts", "watts"), ("energy_per_token", "joules"), ("network_received", "bytes/s")] {
        assert_eq!(of(metric, "period=30d").0, unit);
    }
}

#[test]
fn a_trace_has_its_exchanges_with_their_time() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    ask(program.clients, LOST);
    wait_for(&program, 2);
    let trace = get(&program, "/dashboard/traces/4BF92F3577b34da6a3ce929d0e0e4736");
    assert_eq!(shape::faults(&json!({"unknown": {}}), &trace), Vec::<String>::new(), "{trace:#}");
    assert_eq!(trace["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let exchanges = trace["exchanges"].as_array().expect("a list");
    assert_eq!((exchanges.len(), &exchanges[0]["endpoint"]), (1, &json!("/api/chat")));
    assert!(exchanges[0]["timeline"].as_array().is_some_and(|steps| !steps.is_empty()), "{trace:#}");
    for id in [
        "00000000000000000000000000000001",
        "0",
        "x",
        "00000000000000000000000000000000",
        "+bf92f3577b34da6a3ce929d0e0e4736",
    ] {
        assert_eq!(send(program.admin, "GET", &format!("/dashboard/traces/{id}"), "").status, 404, "{id}");
    }
}
