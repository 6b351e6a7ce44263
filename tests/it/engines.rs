//! Real engines and the official clients: what the program counts is what the clients counted.

use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
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
        let left = call["case"].as_str().expect("a name").contains("cancelled");
        for key in ["prompt_tokens", "generated_tokens"] {
            // A server is ahead of the client that leaves it.
            let agree = call[key] == line[key] || (left && line[key].as_u64() >= call[key].as_u64());
            assert!(call[key].is_null() || agree, "{key} of {call} against {line}");
        }
        assert_eq!(line["outcome"], if left { "client_cancelled" } else { "completed" }, "{call} against {line}");
    }
}

/// The sum of what the clients counted of one key, cancelled calls left out.
fn sum(calls: &[(Value, Value)], key: &str) -> f64 {
    let whole = calls.iter().filter(|(call, _)| call["outcome"] == "completed");
    whole.filter_map(|(call, _)| call[key].as_f64()).sum()
}

/// Both stopwatches on the first token: the error is printed, not judged.
fn tell_ttft(program: &Program, calls: &[(Value, Value)]) {
    let streamed = calls.iter().filter(|(call, _)| call["ttft_seconds"].is_f64()).count();
    let client: f64 = calls.iter().filter_map(|(call, _)| call["ttft_seconds"].as_f64()).sum();
    let ours = program.metric("time_to_first_token_seconds_sum", &[]);
    assert!(ours <= client, "the program sees a token before its client does: {ours} against {client}");
    let each = (client - ours) * 1e3 / streamed.max(1) as f64;
    println!("TTFT of {streamed} streams: clients {client:.4} s, histogram {ours:.4} s, {each:.3} ms apart each");
}

/// The counters of all that clients counted: each token with the source it must have, and nothing else besides.
#[track_caller]
fn compare_counters(program: &Program, calls: &[(Value, Value)]) {
    for (metric, key) in [("prompt_tokens_total", "prompt_tokens"), ("generated_tokens_total", "generated_tokens")] {
        let reported = program.metric(metric, &["source=\"reported\""]);
        // Where a client asked for no usage, llama.cpp's timings count all the same: the line has what the client lacks.
        let lines: f64 = calls
            .iter()
            .filter(|(call, _)| call["outcome"] == "completed")
            .filter_map(|(call, line)| call[key].as_f64().or_else(|| line[key].as_f64()))
            .sum();
        assert!((reported - lines).abs() < 1e-9, "{metric}: {reported} in the counter, {lines} by the clients");
    }
    assert!(program.metric("usage_missing_total", &[]) < 1e-9, "every count was reported");
    program.wait_for("active_requests", &[], 0.0);
}

/// Calls whose client left: what it had counted by then is the least that the server had made.
fn cancelled(calls: &[(Value, Value)]) -> impl Iterator<Item = &(Value, Value)> {
    calls.iter().filter(|(call, _)| call["outcome"] == "cancelled")
}

/// With `source="chunks"`, a lower bound: the events that passed.
#[track_caller]
fn compare_waste(program: &Program, calls: &[(Value, Value)], source: &str) {
    let left = cancelled(calls).count() as f64;
    let cancellations = program.metric("client_cancellations_total", &["phase=\"decode\""]);
    assert!((cancellations - left).abs() < 1e-9, "{cancellations} cancellations in decode, {left} by the clients");
    let read: f64 = cancelled(calls).filter_map(|(call, _)| call["content_chunks"].as_f64()).sum();
    let counted = program.metric("generated_tokens_total", &[&format!("source=\"{source}\"")]);
    let wasted = program.metric("wasted_tokens_total", &["phase=\"decode\""]);
    assert!(counted >= read && left > 0.0, "{counted} tokens from {source}, {read} read by the clients");
    assert!((wasted - counted).abs() < 1e-9, "{wasted} wasted of {counted}");
}

/// Prints the exact comparison of every call, and judges none of it.
fn tell(calls: &[(Value, Value)]) {
    for (call, line) in calls {
        println!(
            "{}: client {} + {}, program {} + {}",
            call["case"],
            call["prompt_tokens"],
            call["generated_tokens"],
            line["prompt_tokens"],
            line["generated_tokens"]
        );
    }
}

#[test]
fn the_openai_client_and_llama_cpp_count_the_same_as_the_program() {
    let server = LlamaServer::start();
    let program = Program::before(server.address);
    let calls = drive(&program, "clients/openai_client.py", &["--embedding-model", ""]);
    tell(&calls);
    compare(&calls);
    compare_counters(&program, &calls);
    compare_waste(&program, &calls, "chunks");
    tell_ttft(&program, &calls);
}

#[test]
fn the_anthropic_client_and_llama_cpp_count_the_same_as_the_program() {
    let server = LlamaServer::start();
    let program = Program::before(server.address);
    let calls = drive(&program, "clients/anthropic_client.py", &[]);
    tell(&calls);
    compare(&calls);
    compare_waste(&program, &calls, "chunks");
    tell_ttft(&program, &calls);
    // The prompt of a message that is left is stated at its start.
    let stated: Vec<_> = cancelled(&calls).map(|(_, line)| &line["prompt_tokens"]).collect();
    assert_eq!(stated, [14], "running counts");
    assert!((program.metric("prompt_tokens_total", &["source=\"running\""]) - 14.0).abs() < 1e-9);
    compare_counters(&program, &calls);
}

#[test]
fn the_native_routes_of_llama_cpp_are_counted_as_their_client_counts_them() {
    let server = LlamaServer::start();
    let program = Program::before(server.address);
    let calls = drive(&program, "clients/native_client.py", &[]);
    tell(&calls);
    compare(&calls);
    // Each event bears counts, so a stream that is left is counted to its last token.
    compare_waste(&program, &calls, "running");
    tell_ttft(&program, &calls);
    compare_counters(&program, &calls);
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

/// llama.cpp as its versions up to 2025 were: `/api/chat` is its chat in `OpenAI`'s shape by another name.
fn with_ollamas_route(server: &LlamaServer) -> Backend {
    let address = server.address;
    Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let request = String::from_utf8(request).expect("text").replace(" /api/chat ", " /v1/chat/completions ");
            let mut server = Client::connect(address);
            server.send(request.replacen("\r\n", "\r\nConnection: close\r\n", 1));
            connection.write(&server.rest().0);
        }
    })
}

#[test]
fn llama_cpp_is_counted_on_the_route_of_ollama_as_on_its_own() {
    let server = LlamaServer::start();
    let server = with_ollamas_route(&server);
    let program = Program::before(server.address);
    let chat = |path: &str, stream: bool| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"Hello"}}],"stream":{stream},"max_tokens":40}}"#);
        let answer = ask(
            program.clients,
            format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"choices\""), "{answer}");
        program.logged(|line| line["endpoint"] == path)
    };
    for stream in [true, false] {
        let (there, here) = (chat("/v1/chat/completions", stream), chat("/api/chat", stream));
        for key in ["outcome", "status", "prompt_tokens", "generated_tokens", "model"] {
            assert_eq!(here[key], there[key], "{key} of {here} against {there}");
        }
        assert!(here["generated_tokens"].as_u64() > Some(0), "{here}");
        assert_eq!(here["ttft_ms"].is_null(), there["ttft_ms"].is_null(), "{here} against {there}");
    }
    assert!(program.metric("usage_missing_total", &[]) < 1e-9, "every count was reported");
}
