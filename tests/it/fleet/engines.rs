//! Three real engines behind one address and the official clients before it, in a storm in which one engine is killed,
//! one is slow and one gets another model: every answer is whole or has failed honestly, and each is counted once.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::program::{Program, command};
use crate::support::python::{LlamaServer, run_within};

/// Calls of each client, of which there are six, where `make fleet-test` does not ask for more.
const CALLS: u64 = 8;
const CLIENTS: u64 = 6;

/// How long the storm may take for each call of a client. Wide, as real engines share the cores with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

fn calls() -> u64 {
    std::env::var("INFEROMETER_STORM").map_or(CALLS, |calls| calls.parse().expect("a number"))
}

/// An address of its own before an engine that can be replaced.
fn before(engine: &Arc<Mutex<SocketAddr>>) -> Backend {
    let engine = engine.clone();
    Backend::start(move |connection| {
        let to = *engine.lock().expect("no panic");
        let Ok(engine) = TcpStream::connect(to) else { return connection.reset() };
        let (Ok(client), Ok(back)) = (connection.stream.try_clone(), engine.try_clone()) else { return };
        client.set_read_timeout(None).expect("a socket");
        let answering = std::thread::spawn(move || pass(back, client));
        pass(connection.stream.try_clone().expect("a socket"), engine);
        answering.join().expect("no panic");
    })
}

/// Passes bytes on until either side ends, and ends the other.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let ended = std::io::copy(&mut from, &mut to);
    let how = if ended.is_ok() { std::net::Shutdown::Write } else { std::net::Shutdown::Both };
    // The other side may have ended too.
    let _ = to.shutdown(how);
}

/// Waits until so many exchanges have ended.
fn wait_until_ended(program: &Program, exchanges: u64) {
    let begun = Instant::now();
    while program.metric("requests_total", &["/v1/"]) < exchanges as f64 {
        assert!(begun.elapsed() < PATIENCE, "{}", program.fetch("/metrics"));
        // It sets a pace: the engines need the processors, and nothing tells when an exchange has been counted.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A chat for a model whose answer does not matter.
fn ask_for(model: &str, program: &Program) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x [[plain]]"}}]}}"#);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    ask(program.clients, format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

/// The tokens of the prompt that a whole answer says were cached.
fn cached_of(answer: &str) -> u64 {
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    body["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().expect("a number")
}

/// The program's line of each call, by its trace.
fn lines(program: &mut Program) -> HashMap<String, Value> {
    let lines = program.rest_of_log().into_iter().filter(|line| line["outcome"].is_string());
    let by_trace = lines.map(|line| (line["trace_id"].as_str().expect("a trace").to_owned(), line));
    let mut known = HashMap::new();
    for (trace, line) in by_trace {
        let twice = known.insert(trace, line);
        assert!(twice.is_none(), "counted twice: {twice:?}");
    }
    known
}

/// What a client counted of a call is what the program's line says.
fn compare(call: &Value, line: &Value) {
    let (ended, outcome) = (call["ended"].as_str().expect("text"), line["outcome"].as_str().expect("text"));
    assert_eq!(line["endpoint"], call["route"]);
    match ended {
        "whole" => {
            assert_eq!(outcome, "completed", "{call} against {line}");
            for key in ["prompt_tokens", "generated_tokens"] {
                assert!(line[key] == call[key] && call[key].is_u64(), "{key} of {call} against {line}");
            }
        }
        "failed" => assert!(matches!(outcome, "backend_failed" | "http_error"), "{call} against {line}"),
        _ => panic!("an answer that is neither whole nor an error: {call}"),
    }
}

#[test]
#[ignore = "three engines take the machine for a minute: make fleet-test"]
fn three_real_engines_give_whole_or_failed_answers_each_counted_once_while_one_dies_and_one_changes() {
    let (dying, slow, first) =
        (LlamaServer::start(), LlamaServer::with(&["--feed-forward", "6000"]), LlamaServer::start());
    let at = Arc::new(Mutex::new(first.address));
    let fickle = before(&at);
    let mut command = command();
    for (name, address) in [("slow", slow.address), ("fickle", fickle.address)] {
        command.args(["--backend", &format!("{name}=http://{address}")]);
    }
    let mut program = Program::start(command, dying.address, &["--policy", "least_busy"]);
    program.wait_for("model_info", &["\"script\""], 3.0);

    let (base, each) = (format!("http://{}", program.clients), calls());
    let patience = PATIENCE + Duration::from_secs(2 * each);
    let clients = std::thread::spawn(move || {
        run_within(patience, "clients/storm_client.py", &[&base, "--calls", &each.to_string()])
    });
    wait_until_ended(&program, each * CLIENTS / 4);
    drop(dying);
    wait_until_ended(&program, each * CLIENTS / 2);
    let other = LlamaServer::with(&["--alias", "other"]);
    *at.lock().expect("no panic") = other.address;
    drop(first);
    let tally = clients.join().expect("the clients ended");

    let calls = tally["calls"].as_array().expect("calls");
    let total = each * CLIENTS;
    assert_eq!(calls.len() as u64, total);
    // Where it is not listed yet, it is asked of the home, which is dead, and listed again.
    let asked = ask_for("other", &program);
    program.wait_for("model_info", &["\"other\"", "backend=\"fickle\""], 1.0);
    let answers = [asked, ask_for("other", &program)];
    assert!(answers[1].contains("proxy that listened."), "{}", answers[1]);
    let more: Vec<_> = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200 ")).collect();
    // The two of `ask_for`, the first of them to the one that is dead.
    program.wait_for("requests_total", &["/v1/"], (total + 2) as f64);
    let count = |ended: &str| calls.iter().filter(|call| call["ended"] == ended).count();
    let cached: u64 = calls.iter().filter_map(|call| call["cached_tokens"].as_u64()).sum();
    let of_backend = ["test", "slow", "fickle"]
        .map(|name| program.metric("requests_total", &["completed", &format!("backend=\"{name}\"")]));
    println!("{total} calls: {} whole, {} failed; {cached} cached; {of_backend:?}", count("whole"), count("failed"));
    program.wait_for("active_requests", &[], 0.0);
    for gauge in ["backend_inflight", "router_held_bytes", "active_generations"] {
        program.wait_for(gauge, &[], 0.0);
    }
    program.wait_for("requests_total", &["\"completed\""], (count("whole") + more.len()) as f64);
    program.wait_for(
        "cached_prompt_tokens_total",
        &[],
        (cached + more.iter().map(|answer| cached_of(answer)).sum::<u64>()) as f64,
    );
    assert!(cached > 0, "the engines had read parts of the prompts before");
    let mut lines = lines(&mut program);
    for call in calls {
        let trace = call["trace"].as_str().expect("text");
        let line = lines.remove(trace).unwrap_or_else(|| panic!("not counted: {call}"));
        compare(call, &line);
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(count("whole") as u64 * 10 > total * 8, "the others take over");
    assert!(of_backend.iter().all(|completed| *completed > 0.0), "each had its part: {of_backend:?}");
}
