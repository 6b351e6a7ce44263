//! Figures that are easily wrong: what counts as an error, of which exchanges a latency is, and what a share divides by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::exchanges::wait_for;
use super::live::{open, subscribe};
use super::samples::post;
use super::{get, send};
use crate::history::rows::{CHAT, ollama};
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::program::{Program, command};
use crate::support::simulator::Simulator;
use crate::support::{PATIENCE, look_until};

const LOST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nConnection: close\r\n\r\n";

#[test]
fn latencies_are_of_generations_and_an_answer_of_404_is_no_error_anywhere() {
    let backend = ollama();
    let program = Program::before(backend.address);
    (0..3).for_each(|_| drop(ask(program.clients, LOST)));
    ask(program.clients, CHAT);
    let kept = wait_for(&program, 4);
    let is_chat = |it: &&Value| it["operation"] == "chat";
    let chat = kept["exchanges"].as_array().and_then(|all| all.iter().find(is_chat)).expect("the chat");
    let took = chat["duration_ms"].as_f64().expect("a duration");
    let about = |value: &Value, of: f64, what: &str| {
        let value = value.as_f64().unwrap_or_else(|| panic!("{what}: {value}"));
        assert!((value - of).abs() <= of * 0.011 + 0.002, "{what}: {value} in place of {of}");
    };

    let metrics = get(&program, "/dashboard/metrics")["metrics"].clone();
    assert_eq!(
        (&metrics["errors"]["total"], &metrics["errors"]["client_errors"]),
        (&json!(0), &json!(3)),
        "{metrics:#}"
    );
    assert_eq!(metrics["errors"]["types"]["validation_error"], 0);
    assert_eq!((&metrics["errors"]["by_type"], &metrics["requests"]["success_rate"]), (&json!({}), &json!(1.0)));
    about(&metrics["latency"]["p50_ms"], took, "p50");
    about(&metrics["latency"]["average_ms"], took, "average");
    assert_eq!(get(&program, "/dashboard/stats")["inference"]["total_errors"], 0);
    let errors = get(&program, "/dashboard/errors");
    assert_eq!(
        (&errors["total_count"], &errors["error_summary"]["last_24_hours"]["total_errors"]),
        (&json!(0), &json!(0))
    );
    let series = get(&program, "/dashboard/series?metrics=requests,failed&period=5m&interval=1h");
    let values = |at: usize| {
        series["series"][at]["values"].as_array().map(|it| it.iter().filter_map(Value::as_f64).sum::<f64>())
    };
    assert_eq!((values(0), values(1)), (Some(4.0), Some(0.0)), "{series}");
    about(&get(&program, "/dashboard/workers")["workers"][0]["current_load"]["average_latency_ms"], took, "worker");
    about(&get(&program, "/dashboard/models")["models"][0]["performance"]["average_latency_ms"], took, "model");
    about(&get(&program, "/api/metrics")["percentiles"]["p95"], took / 1e3, "seconds");
    let hits = get(&program, "/dashboard/cache")["cache_types"]["model"]["hit_rate"].clone();
    assert!(hits == 0.0 || hits == 1.0, "of the only request for a model: {hits}");
    assert_eq!(get(&program, "/dashboard/health")["components"]["cache_system"]["hit_rate"], hits);
}

#[test]
fn errors_are_counted_beyond_those_that_are_listed_and_a_kind_that_does_not_exist_is_refused() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let status = if request.starts_with(b"POST ") { "500 Wrong" } else { "404 Not Found" };
            connection.write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
    let program = Program::before(backend.address);
    (0..5).for_each(|_| drop(ask(program.clients, CHAT)));
    wait_for(&program, 5);
    let errors = get(&program, "/dashboard/errors?limit=2");
    assert_eq!(errors["recent_errors"].as_array().map(Vec::len), Some(2), "{errors:#}");
    assert_eq!(errors["total_count"], 5);
    let summary = &errors["error_summary"];
    assert_eq!((&summary["last_24_hours"]["total_errors"], &summary["last_24_hours"]["high"]), (&json!(5), &json!(5)));
    assert_eq!(summary["top_error_types"], json!([{"type": "http_5xx", "count": 5}]));
    assert_eq!(get(&program, "/dashboard/errors?type=http_5xx")["total_count"], 5);
    let refused = send(program.admin, "GET", "/dashboard/errors?type=bogus", "");
    assert_eq!((refused.status, &refused.json["error"]["details"]["parameter"]), (400, &json!("type")));
    let csv =
        ask(program.admin, "GET /dashboard/errors?format=csv HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(!csv.contains("null"), "what is unknown is empty: {csv}");
    look_until(|| {
        let rate = get(&program, "/dashboard/metrics")["metrics"]["errors"]["rate_per_hour"].clone();
        if rate.as_f64().is_some_and(|rate| rate > 0.0) { Ok(()) } else { Err(rate.to_string()) }
    });
}

#[test]
fn no_exchange_is_graver_than_a_warning() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, LOST);
    ask(program.clients, CHAT);
    wait_for(&program, 2);
    let count = |level: &str| {
        let answer = get(&program, &format!("/dashboard/audit?action=inference_request&level={level}"));
        (answer["entries"].as_array().map(Vec::len), answer["total_count"].clone())
    };
    assert_eq!(count("info"), (Some(2), json!(2)));
    assert_eq!(count("warning"), (Some(1), json!(2)));
    assert_eq!(count("error"), (Some(0), json!(2)));
    assert_eq!(count("critical"), (Some(0), json!(2)));
}

#[test]
fn a_failed_pull_says_why_and_names_no_model_that_no_backend_has() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            if request.starts_with(b"POST /api/pull") {
                let body = "{\"error\":\"pull model manifest: file does not exist\"}\n";
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n";
                connection.write(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
            } else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    let program = Program::before(backend.address);
    let body = "{\"model\":\"no-such:1b\"}";
    let length = body.len();
    ask(
        program.clients,
        format!("POST /api/pull HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"),
    );
    let job = look_until(|| {
        let answer = get(&program, "/dashboard/jobs");
        answer["completed_jobs"].as_array().and_then(|jobs| jobs.first().cloned()).ok_or_else(|| answer.to_string())
    });
    assert_eq!((&job["name"], &job["model"], &job["status"]), (&json!("pull"), &Value::Null, &json!("failed")));
    assert_eq!(job["results"]["error"], "stream_error: the backend reported an error within its answer");
    assert_eq!((&job["results"]["status"], &job["backend"]), (&json!(200), &json!("test")));
}

#[test]
fn a_backend_that_died_has_no_available_model_and_gives_no_more_signs_of_life() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = down.clone();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if is_down.load(Ordering::SeqCst) {
                return;
            }
            let tags = r#"{"models":[{"name":"llama3:latest"}]}"#;
            let (status, body) =
                if request.starts_with(b"GET /api/tags") { ("200 OK", tags) } else { ("404 Not Found", "") };
            let length = body.len();
            connection.write(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes());
        }
    });
    let program = Program::before(backend.address);
    let model = || get(&program, "/dashboard/models")["models"][0]["status"].clone();
    look_until(|| if model() == "available" { Ok(()) } else { Err(model().to_string()) });
    down.store(true, Ordering::SeqCst);
    look_until(|| if model() == "unavailable" { Ok(()) } else { Err(model().to_string()) });
    let worker = || get(&program, "/dashboard/workers")["workers"][0].clone();
    let dead = worker();
    assert_eq!(dead["status"], "down");
    // Another look at it fails.
    let listed = "GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    ask(program.clients, listed);
    assert_eq!(worker()["last_heartbeat"], dead["last_heartbeat"]);
}

#[test]
fn requests_that_reach_no_model_are_no_hits_of_models_in_memory() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    let generate = || post(program.clients, "/api/generate", r#"{"model":"llama3.2:3b","prompt":"hi","stream":false}"#);
    let hits = || get(&program, "/dashboard/cache")["cache_types"]["model"]["hit_rate"].clone();
    (0..2).for_each(|_| drop(generate()));
    wait_for(&program, 2);
    assert_eq!(hits(), 0.5, "the first waited for its load");
    drop(server);
    (0..3).for_each(|_| drop(generate()));
    let kept = wait_for(&program, 5);
    let failed = kept["exchanges"].as_array().expect("a list").iter().filter(|it| it["outcome"] == "backend_failed");
    assert_eq!(failed.filter(|it| it["model"] == "llama3.2:3b").count(), 3, "{kept:#}");
    assert_eq!(hits(), 0.5);
}

#[test]
fn tokens_that_were_generated_for_nobody_are_among_those_that_were_generated() {
    const PIECES: usize = 5;
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            if !request.starts_with(b"POST ") {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let piece = r#"{"model":"llama3:latest","message":{"role":"assistant","content":"a"},"done":false}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 999999\r\n\r\n";
            connection.write(format!("{head}{}", format!("{piece}\n").repeat(PIECES)).as_bytes());
            // It goes on until its client leaves.
            connection.request();
        }
    });
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(CHAT);
    (0..PIECES).for_each(|_| drop(client.until("\"done\":false}\n")));
    drop(client);
    let kept = wait_for(&program, 1);
    let tokens = &kept["exchanges"][0]["tokens"];
    assert_eq!((&tokens["generated"], &tokens["generated_source"]), (&json!(PIECES), &json!("chunks")), "{kept:#}");
    let series = get(&program, "/dashboard/series?metrics=generated_tokens,wasted_tokens&interval=1h");
    for one in series["series"].as_array().expect("two") {
        let sum: f64 = one["values"].as_array().expect("a list").iter().filter_map(Value::as_f64).sum();
        assert_eq!(sum, PIECES as f64, "{one}");
    }
    let largest = get(&program, "/dashboard/exchanges?order=largest");
    assert_eq!(largest["exchanges"].as_array().map(Vec::len), Some(1), "{largest}");
}

#[test]
fn without_a_history_nothing_is_said_to_have_been_none() {
    let backend = ollama();
    let program = Program::with(backend.address, &["--history", "off"]);
    (0..2).for_each(|_| drop(ask(program.clients, CHAT)));
    let executions = get(&program, "/dashboard/workload/executions");
    assert_eq!(
        (&executions["pagination"]["total"], &executions["unknown"]["/pagination/total"]),
        (&Value::Null, &json!("not_configured")),
        "{executions:#}"
    );
    let running = get(&program, "/dashboard/workload/executions?status=running");
    assert_eq!(running["pagination"]["total"], 0, "what runs is known");
    let by_type = look_until(|| {
        let models = get(&program, "/dashboard/overview")["workload"]["models"].clone();
        if models["total"] == 1 { Ok(models["byType"].clone()) } else { Err(models.to_string()) }
    });
    assert_eq!((&by_type["llm"], &by_type["embedding"]), (&Value::Null, &Value::Null), "{by_type}");
    let jobs = get(&program, "/dashboard/jobs");
    assert_eq!(jobs["unknown"]["/scheduled_jobs/0/next_run"], "not_configured", "{jobs}");
}

#[test]
fn a_database_that_cannot_be_reached_is_not_healthy() {
    let backend = ollama();
    let mut program = command();
    program.args(["--history", "postgres://nobody:secret@127.0.0.1:9/none"]);
    let program = Program::start(program, backend.address, &[]);
    let components = look_until(|| {
        let components = get(&program, "/dashboard/health")["components"].clone();
        if components["database"]["status"] == "degraded" { Ok(components) } else { Err(components.to_string()) }
    });
    assert_eq!(components["audit_system"]["status"], "healthy", "the files are written: {components:#}");
    let config = get(&program, "/dashboard/config").to_string();
    assert!(config.contains("postgres://") && !config.contains("secret"), "{config}");
}

#[test]
fn every_exchange_is_pushed_or_said_to_be_missed() {
    const COUNT: u64 = 400;
    let backend = ollama();
    let program = Program::before(backend.address);
    let mut socket = open(program.admin, "/dashboard/ws").expect("it is upgraded");
    subscribe(&mut socket, &["exchanges", "stats"]);
    // The lists are looked at after the figures: with the second push of one, it is known from where on.
    let mut next = |what: &str| {
        let end = Instant::now() + PATIENCE;
        loop {
            let message = super::live::next(&mut socket);
            if message["topic"] == what {
                return message;
            }
            assert!(Instant::now() < end, "no {what} in time");
        }
    };
    (0..2).for_each(|_| drop(next("stats")));
    let mut client = Client::connect(program.clients);
    let lost = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..COUNT {
        client.send(lost).until("\r\n\r\n");
    }
    let (mut pushed, mut missed) = (0, 0);
    while pushed + missed < COUNT {
        let message = next("exchanges");
        match message["type"].as_str() {
            Some("lagged") => missed += message["missed"].as_u64().expect("a count"),
            _ => pushed += message["data"]["weight"].as_u64().expect("a weight"),
        }
    }
    println!("{pushed} pushed, {missed} missed");
    assert_eq!(pushed + missed, COUNT);
}

#[test]
fn a_setting_is_shown_with_its_value_and_its_source() {
    let backend = ollama();
    let file = crate::support::authority::folder().join("sources.toml");
    std::fs::write(&file, "drain_timeout = \"7s\"\nconnect_timeout = \"3s\"\n").expect("a file");
    let mut program = command();
    program.env("INFEROMETER_CONNECT_TIMEOUT", "4s").env("INFEROMETER_CONFIG", file.display().to_string());
    let program = Program::start(program, backend.address, &["--max-models", "17"]);
    let config = get(&program, "/dashboard/config");
    for (key, value, source) in [
        ("max_models", "17", "flag"),
        ("connect_timeout", "\"4s\"", "environment"),
        ("drain_timeout", "\"7s\"", "file"),
        ("http2", "\"on\"", "default"),
    ] {
        assert_eq!((&config["settings"][key], &config["sources"][key]), (&json!(value), &json!(source)), "{key}");
    }
}

#[test]
fn a_search_finds_traces_by_name_length_failure_and_id() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    (0..3).for_each(|_| drop(ask(program.clients, LOST)));
    wait_for(&program, 4);
    let found = |query: &str| {
        let answer = get(&program, &format!("/dashboard/traces?{query}"));
        (answer["traces"].as_array().map(Vec::len), answer["has_more"].clone(), answer)
    };
    for (query, expected) in [
        ("", 4),
        ("q=LLAMA", 1),
        ("q=4bf92f3577b34da6a3ce929d0e0e4736", 1),
        ("q=curl", 3),
        ("q=nothing", 0),
        ("errors=true", 3),
        ("model=llama3:latest", 1),
        ("min_ms=3600000", 0),
        ("since=1h", 4),
    ] {
        let (count, has_more, answer) = found(query);
        assert_eq!((count, &has_more), (Some(expected), &json!(false)), "{query}: {answer:#}");
    }
    assert_eq!(found("limit=2").1, json!(true));
    let chat = found("q=llama").2["traces"][0].clone();
    assert_eq!((&chat["models"], &chat["failed"]), (&json!(["llama3:latest"]), &json!(0)), "{chat}");
    assert_eq!(
        get(&program, &format!("/dashboard/traces/{}", chat["trace_id"].as_str().expect("an id")))["exchanges"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    for query in ["since=yesterday", "limit=0", "errors=maybe", "page=2"] {
        assert_eq!(send(program.admin, "GET", &format!("/dashboard/traces?{query}"), "").status, 400, "{query}");
    }
}
