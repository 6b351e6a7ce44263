//! The exposition before those who read it: the reference parser of `OpenMetrics`, and a real Prometheus that stores
//! exemplars and gives them back.

use std::time::Instant;

use super::PATIENCE;
use super::files::Scratch;
use super::prometheus::{Prometheus, get};
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::python::{LlamaServer, run};
use crate::support::simulator::Simulator;
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Waits until the program knows that the model is not in memory.
fn looked(program: &Program) {
    let begun = Instant::now();
    while !program.fetch("/metrics").contains("ollama_proxy_model_loaded{backend=\"test\",model=\"qwen3:8b\"} 0") {
        assert!(begun.elapsed() < PATIENCE, "{}", program.fetch("/metrics"));
        std::thread::yield_now();
    }
}

/// One generation of a traced client, to its end.
fn generate(program: &Program) {
    let body = r#"{"model":"qwen3:8b","prompt":"hello","options":{"num_predict":4}}"#;
    let parent = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let head =
        format!("POST /api/generate HTTP/1.1\r\nHost: localhost\r\n{parent}\r\nContent-Length: {}\r\n\r\n", body.len());
    Client::connect(program.clients).send(head + body).until("0\r\n\r\n");
}

#[test]
fn a_trace_leads_from_the_client_through_prometheus_back_to_the_access_log() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    looked(&program);
    generate(&program);
    let line = program.logged(|line| line["endpoint"].is_string());
    assert_eq!(line["trace_id"], TRACE, "{line}");
    let tmp = Scratch::new("exemplars");
    let prometheus = Prometheus::start(&[program.admin], &tmp);
    let query = "/api/v1/query_exemplars?query=ollama_proxy_time_to_first_token_seconds_bucket&start=0&end=9999999999";
    let mut reply = Value::Null;
    let found = prometheus.wait_for(|| {
        reply = get(prometheus.address(), query).expect("Prometheus answers");
        reply["data"][0]["exemplars"][0]["labels"]["trace_id"] == TRACE
    });
    assert!(found, "no exemplar: {reply:#}");
    assert_eq!(reply["data"][0]["seriesLabels"]["model"], "qwen3:8b", "{reply:#}");
}

#[test]
fn the_reference_parser_reads_the_exposition_and_its_exemplars() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    looked(&program);
    generate(&program);
    program.wait_for("requests_total", &["outcome=\"completed\"", "endpoint=\"/api/generate\""], 1.0);
    program.wait_for("model_loaded", &["model=\"qwen3:8b\""], 1.0);
    let read = run("tools/openmetrics.py", &[&format!("http://{}/metrics", program.admin)]);
    assert_eq!(read["kind"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let families = read["families"].as_array().expect("families");
    let family = |name: &str| families.iter().find(|family| family["name"] == name).expect(name).clone();
    assert_eq!(family("ollama_proxy_requests")["type"], "counter");
    let ttft = family("ollama_proxy_time_to_first_token_seconds");
    assert_eq!((&ttft["type"], &ttft["unit"]), (&"histogram".into(), &"seconds".into()));
    assert_eq!(family("ollama_proxy_model_vram_bytes").get("unit").expect("a unit"), "bytes");
    let exemplars = read["exemplars"].as_array().expect("exemplars");
    assert!(exemplars.iter().any(|exemplar| exemplar["trace"] == TRACE), "{read:#}");
}

#[test]
fn a_cold_start_is_seen_on_routes_that_report_no_load() {
    let server = Simulator::start();
    let program = Program::before(server.address);
    looked(&program);
    let body = r#"{"model":"qwen3:8b","max_tokens":4,"messages":[{"role":"user","content":"hello"}],"stream":true}"#;
    for _ in 0..2 {
        let head =
            format!("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        Client::connect(program.clients).send(head + body).until("0\r\n\r\n");
    }
    program.wait_for("requests_total", &["endpoint=\"/v1/chat/completions\"", "outcome=\"completed\""], 2.0);
    program.wait_for("cold_starts_total", &["model=\"qwen3:8b\""], 1.0);
    program.wait_for("model_loads_total", &["model=\"qwen3:8b\""], 1.0);
    program.wait_for("model_loaded", &["model=\"qwen3:8b\""], 1.0);
    assert!(program.metric("model_vram_bytes", &["model=\"qwen3:8b\""]) > 0.0);
    assert!(program.metric("backend_info", &["runtime=\"ollama\"", "version=\"0.33.0\""]) > 0.0);
    let page = program.fetch("/plain");
    assert!(page.contains("ollama 0.33.0") && page.contains("Models in memory") && page.contains("GiB"), "{page}");
}

#[test]
fn a_real_engine_is_recognised_and_its_load_is_reported() {
    let server = LlamaServer::start();
    let program = Program::before(server.address);
    program.wait_for("backend_info", &["runtime=\"llama.cpp\""], 1.0);
    program.wait_for("model_loaded", &[], 1.0);
    program.wait_for("model_info", &["quant=\"F16\"", "format=\"gguf\""], 1.0);
    let served = program.fetch("/metrics");
    for name in ["backend_requests_waiting{", "backend_requests_running{", "model_context_length{"] {
        assert!(served.contains(&format!("ollama_proxy_{name}")), "{name} in {served}");
    }
    assert!(!served.contains("ollama_proxy_backend_kv_cache_usage_ratio{"), "what it does not say is absent");
}
