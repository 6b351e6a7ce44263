//! Real engines and the official clients: what the program counts is what the clients counted.

use serde_json::Value;

use crate::support::program::Program;
use crate::support::python::{LlamaServer, run};
use crate::support::simulator::Simulator;

/// Runs a client's script through the program, and gives its calls together with the program's line for each.
fn drive(program: &Program, script: &str, arguments: &[&str]) -> Vec<(Value, Value)> {
    let base = format!("http://{}", program.clients);
    let tally = run(script, &[&[base.as_str()], arguments].concat());
    let calls = tally["calls"].as_array().expect("calls").clone();
    assert!(!calls.is_empty(), "the client made calls");
    calls.into_iter().map(|call| (call, program.logged(|line| line["endpoint"].is_string()))).collect()
}

/// What a client counted itself must stand in the program's line too. What it could not know is not compared.
fn compare(calls: &[(Value, Value)]) {
    for (call, line) in calls {
        for key in ["prompt_tokens", "generated_tokens"] {
            assert!(call[key].is_null() || call[key] == line[key], "{key} of {call} against {line}");
        }
        let left = call["case"].as_str().expect("a name").contains("cancelled");
        assert_eq!(line["outcome"], if left { "client_cancelled" } else { "completed" }, "{call} against {line}");
    }
}

/// The sum of what the clients counted of one key, cancelled calls left out.
fn sum(calls: &[(Value, Value)], key: &str) -> f64 {
    let whole = calls.iter().filter(|(call, _)| call["outcome"] == "completed");
    whole.filter_map(|(call, _)| call[key].as_f64()).sum()
}

/// Both stopwatches on the first token: the error is told, not judged.
fn tell_ttft(program: &Program, calls: &[(Value, Value)]) {
    let streamed = calls.iter().filter(|(call, _)| call["ttft_seconds"].is_f64()).count();
    let client: f64 = calls.iter().filter_map(|(call, _)| call["ttft_seconds"].as_f64()).sum();
    let ours = program.metric("time_to_first_token_seconds_sum", &[]);
    assert!(ours <= client, "the program sees a token before its client does: {ours} against {client}");
    let each = (client - ours) * 1e3 / streamed.max(1) as f64;
    println!("TTFT of {streamed} streams: clients {client:.4} s, histogram {ours:.4} s, {each:.3} ms apart each");
}

#[test]
fn the_openai_client_and_llama_cpp_count_the_same_as_the_program() {
    let server = LlamaServer::start();
    let program = Program::before(server.address);
    let calls = drive(&program, "clients/openai_client.py", &["--embedding-model", ""]);
    compare(&calls);
    tell_ttft(&program, &calls);
    // llama.cpp's timings make every stream exactly countable, also where the client asked for no usage.
    let reported = program.metric("generated_tokens_total", &["source=\"reported\""]);
    let lines: f64 = calls
        .iter()
        .filter(|(call, _)| call["outcome"] == "completed")
        .filter_map(|(_, line)| line["generated_tokens"].as_f64())
        .sum();
    assert!((reported - lines).abs() < 1e-9, "{reported} in the counter, {lines} in the log");
    assert!(reported >= sum(&calls, "generated_tokens"), "{reported}");
    assert!(program.metric("usage_missing_total", &[]) < 1e-9, "every count was reported");
}

#[test]
fn the_ollama_client_and_the_simulated_server_count_the_same_as_the_program() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    let calls =
        drive(&program, "clients/ollama_client.py", &["--model", "qwen3:8b", "--embedding-model", "nomic-embed-text"]);
    compare(&calls);
    tell_ttft(&program, &calls);
    let reported = program.metric("generated_tokens_total", &["source=\"reported\""]);
    assert!((reported - sum(&calls, "generated_tokens")).abs() < 1e-9, "{reported} in the counter");
    program.wait_for("active_requests", &[], 0.0);
}
