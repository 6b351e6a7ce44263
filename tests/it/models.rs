//! What is said of models, before a server that behaves as Ollama does on an ordinary day: it takes any spelling, loads,
//! evicts, cuts, queues and restarts.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::client::{Client, ask};
use crate::support::program::Program;
use crate::support::simulator::Simulator;

const MODEL: &str = "llama3.2:3b";

fn request(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// One exchange to its end. Returns its line in the log.
fn exchange(program: &Program, path: &str, body: &Value) -> Value {
    let answer = Client::connect(program.clients).send(request(path, body)).until("0\r\n\r\n");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    finished(program)
}

fn finished(program: &Program) -> Value {
    program.logged(|line| line["endpoint"].is_string())
}

fn chat(program: &Program, model: &str) -> Value {
    let body = json!({"model": model, "max_tokens": 4, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    exchange(program, "/v1/chat/completions", &body)
}

fn generate(program: &Program, prompt: &str, context: Option<u32>) -> Value {
    let options = json!({"num_predict": 4, "num_ctx": context});
    exchange(program, "/api/generate", &json!({"model": MODEL, "prompt": prompt, "options": options}))
}

/// A program that has looked at what is in memory: nothing.
fn before(server: &Simulator) -> Program {
    let program = Program::before(server.address);
    looked(&program, MODEL, 0);
    program
}

/// Waits until the model was seen to be in memory, or not to be.
fn looked(program: &Program, model: &str, loaded: u8) {
    let series = format!("ollama_proxy_model_loaded{{backend=\"test\",model=\"{model}\"}} {loaded}\n");
    let begun = Instant::now();
    while !program.fetch("/metrics").contains(&series) {
        assert!(begun.elapsed() < PATIENCE, "{series} in {}", program.fetch("/metrics"));
        std::thread::yield_now();
    }
}

fn cold(program: &Program, cause: &str) -> f64 {
    program.metric("cold_starts_total", &[&format!("cause=\"{cause}\"")])
}

#[test]
fn one_model_has_one_name_in_labels_residency_page_and_log() {
    let server = Simulator::start();
    let program = before(&server);
    let spellings = [MODEL, "LLaMA3.2:3B", "library/llama3.2:3b", "registry.ollama.ai/library/Llama3.2:3B"];
    for spelling in spellings {
        for line in [chat(&program, spelling), generate_as(&program, spelling)] {
            assert_eq!(line["model"], MODEL, "{line}");
        }
    }
    let counted = |model: &str| program.metric("requests_total", &[&format!("model=\"{model}\""), "POST"]);
    assert!((counted(MODEL) - 8.0).abs() < 1e-9, "{}", program.fetch("/metrics"));
    let total = program.metric("cold_starts_total", &[]);
    assert!((total - 1.0).abs() < 1e-9, "{total} cold starts");
    let body = json!({"model": spellings[3], "prompt": "[[stall]]"});
    let mut client = Client::connect(program.clients);
    client.send(request("/api/generate", &body)).until("\"response\"");
    program.wait_for("active_generations", &[&format!("model=\"{MODEL}\"")], 1.0);
    let page = program.fetch("/plain");
    assert!(page.contains(MODEL) && !page.contains("Llama3.2:3B"), "{page}");
}

fn generate_as(program: &Program, model: &str) -> Value {
    exchange(program, "/api/generate", &json!({"model": model, "prompt": "x", "options": {"num_predict": 4}}))
}

#[test]
fn every_switch_between_models_is_a_cold_start_with_the_evicting_model() {
    let server = Simulator::with(&["--max-loaded", "1"]);
    let program = before(&server);
    let models = [MODEL, "qwen3:8b"];
    for switch in 0..6 {
        let (model, other) = (models[switch % 2], models[(switch + 1) % 2]);
        let line = chat(&program, model);
        let expected = if switch < 2 { json!(["first", null]) } else { json!(["evicted", other]) };
        assert_eq!(json!([line["cold"], line["evicted_by"]]), expected, "{switch}: {line}");
        // The answer brought on a look, long before the next is due.
        looked(&program, model, 1);
    }
    assert!((cold(&program, "evicted") - 4.0).abs() < 1e-9);
    let loads = program.metric("model_loads_total", &[]);
    assert!((loads - 6.0).abs() < 1e-9, "{loads} loads");
}

#[test]
fn two_clients_with_different_context_lengths_reload_the_model_each_time() {
    let server = Simulator::start();
    let program = before(&server);
    let contexts = [4096, 2048, 4096, 2048];
    let causes: Vec<Value> = contexts
        .iter()
        .map(|context| {
            let line = generate(&program, "x", Some(*context));
            program.wait_for("model_context_length", &[MODEL], f64::from(*context));
            line["cold"].clone()
        })
        .collect();
    assert_eq!(causes, ["first", "options_changed", "options_changed", "options_changed"]);
}

fn in_memory(server: &Simulator) -> String {
    ask(server.address, "GET /api/ps HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// As in Ollama (`server/sched.go`): a request that does not say how long leaves that as it is.
#[test]
fn the_simulated_server_keeps_a_model_as_the_last_request_that_says_how_long_wants_it() {
    let server = Simulator::start();
    let expires = |keep_alive: Value| {
        let body = json!({"model": MODEL, "prompt": "x", "keep_alive": keep_alive, "options": {"num_predict": 1}});
        Client::connect(server.address).send(request("/api/generate", &body)).until("0\r\n\r\n");
        in_memory(&server).split("\"expires_at\":\"").nth(1).expect("it is in memory")[..2].to_owned()
    };
    assert_eq!(expires(Value::Null), "20");
    assert_eq!([expires(json!(-1)), expires(Value::Null)], ["21", "21"], "in a hundred years");
    assert_eq!([expires(json!("1h")), expires(Value::Null)], ["20", "20"]);
}

#[test]
fn the_simulated_server_unloads_a_busy_model_once_it_is_idle() {
    let server = Simulator::start();
    let mut busy = Client::connect(server.address);
    let body = json!({"model": MODEL, "prompt": "[[stall]]", "keep_alive": "1h"});
    busy.send(request("/api/generate", &body)).until("\"response\"");
    let unload = request("/api/generate", &json!({"model": MODEL, "keep_alive": 0}));
    Client::connect(server.address).send(unload).until("\"unload\"");
    assert!(in_memory(&server).contains(MODEL), "it works");
    drop(busy);
    let left = Instant::now();
    while in_memory(&server).contains(MODEL) {
        assert!(left.elapsed() < PATIENCE, "it stays: {}", in_memory(&server));
        std::thread::yield_now();
    }
}

#[test]
fn a_second_name_of_weights_in_memory_is_never_cold() {
    let server = Simulator::start();
    let program = before(&server);
    assert_eq!(generate(&program, "x", None)["cold"], "first");
    looked(&program, MODEL, 1);
    let persona = |program: &Program| {
        let body = json!({"model": "pirate", "prompt": "x", "options": {"num_predict": 4}});
        exchange(program, "/api/generate", &body)["cold"].clone()
    };
    assert_eq!(persona(&program), Value::Null, "its load says that nothing was loaded");
    assert_eq!(persona(&program), Value::Null);
    // Over a route that reports no load, too.
    let colds: Vec<Value> = (0..50).map(|_| chat(&program, "pirate")["cold"].clone()).collect();
    assert!(colds.iter().all(Value::is_null), "{colds:?}");
    assert_eq!(chat(&program, MODEL)["cold"], Value::Null);
    let total = program.metric("cold_starts_total", &[]);
    assert!((total - 1.0).abs() < 1e-9, "{total} cold starts, also later");
}

#[test]
fn a_model_loaded_under_its_second_name_is_counted_once_the_backend_lists_it() {
    let server = Simulator::start();
    let program = before(&server);
    generate(&program, "x", None);
    looked(&program, MODEL, 1);
    let unload = request("/api/generate", &json!({"model": MODEL, "keep_alive": 0}));
    Client::connect(program.clients).send(unload).until("}");
    finished(&program);
    looked(&program, MODEL, 0);
    // Nothing that could share its weights is in memory: certain at once.
    assert_eq!(chat(&program, "pirate")["cold"], "first");
    looked(&program, "pirate:latest", 1);
    assert_eq!(chat(&program, MODEL)["cold"], Value::Null, "it was sent away, and its weights came back");
    let total = program.metric("cold_starts_total", &[]);
    assert!((total - 2.0).abs() < 1e-9, "{total} cold starts");
}

#[test]
fn a_model_sent_away_and_loaded_by_another_client_for_a_shorter_time_is_in_memory() {
    let server = Simulator::start();
    let program = before(&server);
    let body = |keep_alive: &str| json!({"model": MODEL, "prompt": "x", "options": {"num_predict": 4}, "keep_alive": keep_alive});
    exchange(&program, "/api/generate", &body("1h"));
    looked(&program, MODEL, 1);
    let unload = request("/api/generate", &json!({"model": MODEL, "keep_alive": 0}));
    Client::connect(program.clients).send(unload).until("}");
    finished(&program);
    looked(&program, MODEL, 0);
    let _direct = Client::connect(server.address).send(request("/api/generate", &body("5m"))).until("0\r\n\r\n");
    looked(&program, MODEL, 1);
    assert_eq!(chat(&program, MODEL)["cold"], Value::Null);
}

#[test]
fn an_unloaded_model_is_cold() {
    let server = Simulator::start();
    let program = before(&server);
    generate(&program, "x", None);
    looked(&program, MODEL, 1);
    for keep_alive in [json!(0), json!("0"), json!("0m")] {
        let unload = request("/api/generate", &json!({"model": MODEL, "keep_alive": keep_alive}));
        Client::connect(program.clients).send(unload).until("}");
        assert_eq!(finished(&program)["cold"], Value::Null);
        assert_eq!(generate(&program, "x", None)["cold"], "unloaded", "{keep_alive}");
        let options = json!({"num_predict": 4});
        let last = json!({"model": MODEL, "prompt": "x", "options": options, "keep_alive": keep_alive});
        assert_eq!(exchange(&program, "/api/generate", &last)["cold"], Value::Null);
        assert_eq!(generate(&program, "x", None)["cold"], "unloaded", "{keep_alive}");
    }
    assert_eq!(generate(&program, "x", None)["cold"], Value::Null);
}

#[test]
fn a_restarted_backend_is_cold() {
    let server = Simulator::start();
    let program = before(&server);
    generate(&program, "x", None);
    looked(&program, MODEL, 1);
    let _closed = ask(server.address, request("/simulated/restart", &json!({})));
    let body = json!({"model": MODEL, "prompt": "x", "options": {"num_predict": 4}});
    let begun = Instant::now();
    let mut refused = 0;
    let line = loop {
        let mut client = Client::connect(program.clients);
        // A client that leaves before the end makes the model be loaded all the same: the next finds it in memory.
        if client.send(request("/api/generate", &body)).until("\r\n\r\n").starts_with(b"HTTP/1.1 200 ") {
            client.until("0\r\n\r\n");
        }
        let line = finished(&program);
        if line["outcome"] == "completed" || begun.elapsed() > PATIENCE {
            break line;
        }
        refused += usize::from(line["error"] == "connect_refused");
    };
    assert!(refused > 0, "{line}");
    assert_eq!(line["cold"], "restart", "{line}");
}

#[test]
fn a_prompt_cut_while_its_model_is_cold_is_suspected_and_so_is_the_next() {
    let server = Simulator::with(&["--ps-delay", "200"]);
    let program = before(&server);
    let long = "words and ".repeat(3_000);
    for cut in 1..=3_u8 {
        generate(&program, &long, None);
        program.wait_for("prompt_truncation_suspected_total", &[MODEL], f64::from(cut));
    }
    generate(&program, "words and", None);
    program.wait_for("prompt_truncation_suspected_total", &[MODEL], 3.0);
}

#[test]
fn an_answer_that_comes_before_the_request_is_over_is_counted_like_any_other() {
    let server = Simulator::start();
    let program = before(&server);
    let body = json!({"model": MODEL, "prompt": "x", "options": {"num_predict": 4}}).to_string();
    let head = format!("POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len() + 2);
    let mut client = Client::connect(program.clients);
    client.send(head + &body).until("\"done\":true");
    client.send("\r\n");
    let line = finished(&program);
    assert_eq!(json!([line["outcome"], line["generated_tokens"]]), json!(["completed", 4]), "{line}");
}

#[test]
fn an_unreported_queue_of_the_backend_shows_as_waiting_requests() {
    let server = Simulator::with(&["--parallel", "1"]);
    let program = before(&server);
    let body = json!({"model": MODEL, "prompt": "[[stall]]"});
    let mut clients: Vec<Client> = (0..6).map(|_| Client::connect(program.clients)).collect();
    for client in &mut clients {
        client.send(request("/api/generate", &body));
    }
    let phase = |phase: &str| format!("phase=\"{phase}\"");
    program.wait_for("exchanges_in_phase", &[MODEL, &phase("decode")], 1.0);
    program.wait_for("exchanges_in_phase", &[MODEL, &phase("waiting")], 5.0);
    program.wait_for("active_generations", &[MODEL], 6.0);
    drop(clients);
    program.wait_for("exchanges_in_phase", &[], 0.0);
}
