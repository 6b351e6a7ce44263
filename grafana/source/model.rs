//! The Model dashboard: one model or a few of them, looked at from every side.

use super::layout::Dashboard;
use super::overview::OUTCOMES;
use super::panel::{Panel, Unit};
use super::query::{Metric, at_the_backend, share, what_happened};
use serde_json::{Value, json};

const REQUESTS: Metric = Metric::of_model("requests_total");
const ERRORS: Metric = Metric::of_model("errors_total");
const ACTIVE: Metric = Metric::of_model("active_requests");
const GENERATIONS: Metric = Metric::of_model("active_generations");
const TTFT: Metric = Metric::of_model("time_to_first_token_seconds");
const WITHOUT_LOAD: Metric = Metric::of_model("time_to_first_token_excluding_load_seconds");
const FIRST_BYTE: Metric = Metric::of_model("time_to_first_byte_seconds");
const FIRST_ANSWER: Metric = Metric::of_model("time_to_first_answer_token_seconds");
const ITL: Metric = Metric::of_model("inter_token_latency_seconds");
const TPOT: Metric = Metric::of_model("time_per_output_token_seconds");
const SPEED: Metric = Metric::of_model("tokens_per_second");
const LOAD: Metric = Metric::of_model("model_load_duration_seconds");
const PREFILL: Metric = Metric::of_model("prefill_duration_seconds");
const DECODE: Metric = Metric::of_model("decode_duration_seconds");
const COLD_STARTS: Metric = Metric::of_model("cold_starts_total");
const IN_PHASE: Metric = Metric::of_model("exchanges_in_phase");
const WAITING: &str = r#"phase="waiting", model!="""#;
const RUNNING: &str = r#"phase=~"prefill|decode", model!="""#;
const CACHED: Metric = Metric::of_model("cached_prompt_tokens_total");
const CANCELLED: Metric = Metric::of_model("client_cancellations_total");
const WASTED: Metric = Metric::of_model("wasted_tokens_total");
const CONTEXT: Metric = Metric::of_model_alone("context_length_tokens");
const GENERATED: Metric = Metric::of_model("generated_tokens_total").with(r#"source!="chunks""#);
const PROMPT: Metric = Metric::of_model("prompt_tokens_total").with(r#"source!="chunks""#);

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-model",
        "Inferometer / Model",
        "One model or a few: traffic, speed, where the time goes, how answers end, and how much context they need.",
    )
    .line(4, stats())
    .line(6, vec![identities()])
    .heading("Traffic and tokens")
    .line(8, traffic())
    .heading("Until the first token")
    .line(9, first_token())
    .heading("From token to token")
    .line(9, from_token_to_token())
    .heading("Where the time goes")
    .line(8, phases())
    .heading("How answers end")
    .line(8, endings())
    .heading("Context")
    .line(8, context())
    .heading("Inside the engine (vLLM, SGLang, llama.cpp, TGI)")
    .line(8, engine())
    .build()
}

fn stats() -> Vec<Panel> {
    let speed = "How fast one answer comes once it has begun: half of the answers are faster.";
    vec![
        Panel::stat("In flight", "Requests that are being answered right now.", Unit::Count)
            .query(&format!("sum({})", ACTIVE.now()), "in flight")
            .thresholds("blue", &[]),
        Panel::stat("Requests", "Requests finished a second.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate(""), "requests")
            .thresholds("blue", &[]),
        Panel::stat("Errors", "Share of requests that ended in an error; red from 5 %.", Unit::Share)
            .query(&share(&ERRORS.rate(""), &REQUESTS.rate("")), "errors")
            .thresholds("green", &[(0.01, "orange"), (0.05, "red")]),
        Panel::stat("Cancelled", "Share of requests whose client left before the end.", Unit::Share)
            .query(&share(&CANCELLED.rate(""), &REQUESTS.rate("")), "cancelled")
            .thresholds("green", &[(0.2, "orange"), (0.5, "red")]),
        Panel::stat("First token, p95", "95 of 100 streamed answers begin sooner; red from 10 s.", Unit::Seconds)
            .query(&TTFT.quantile(0.95, ""), "p95")
            .thresholds("green", &[(2.0, "orange"), (10.0, "red")]),
        Panel::stat("Decode speed, median", speed, Unit::TokensPerSecond)
            .query(&SPEED.quantile(0.5, ""), "p50")
            .thresholds("red", &[(3.0, "orange"), (8.0, "green")]),
        Panel::stat("Tokens generated", "Tokens a second over all answers, exact counts only.", Unit::TokensPerSecond)
            .query(&GENERATED.rate(""), "tokens")
            .thresholds("blue", &[]),
        Panel::stat("Prompt from the cache", "Share of the prompts' tokens that were in the cache.", Unit::Share)
            .query(&share(&CACHED.rate(""), &PROMPT.rate("")), "cached")
            .thresholds("blue", &[]),
    ]
}

/// Names say little: what the files are, where they lie in memory, and until when.
fn identities() -> Panel {
    let now = |name| Metric::of_model(name).with(r#"model!="""#).now();
    let of_each = |name| format!("max by (model, backend) ({})", now(name));
    let hidden = json!([{ "id": "custom.hidden", "value": true }]);
    let state = json!([{ "id": "mappings", "value": [{ "type": "value", "options": {
        "0": { "text": "no", "index": 0 }, "1": { "text": "yes", "color": "green", "index": 1 },
    }}]}]);
    let share = json!([{ "id": "mappings", "value": [{ "type": "value", "options": {
        "0": { "text": "in main memory", "index": 0 },
    }}]}]);
    let labels =
        [("model", "Model"), ("backend", "Backend"), ("quant", "Quantisation"), ("parameter_size", "Parameters")];
    let labels = labels.into_iter().chain([("family", "Family"), ("format", "Format"), ("revision", "Revision")]);
    let table = Panel::table("What it is", "What the backends list and hold, and when it leaves unless it is used.");
    let info =
        format!("max by (model, backend, quant, parameter_size, family, format, revision) ({})", now("model_info"));
    labels
        .fold(table, |table, (label, title)| table.label_column(label, title, json!([])))
        .column("Is listed", &info, Unit::Count, hidden)
        .column("In memory", &of_each("model_loaded"), Unit::Count, state)
        .column("GPU memory", &of_each("model_vram_bytes"), Unit::Bytes, share)
        .column("All memory", &of_each("model_size_bytes"), Unit::Bytes, json!([]))
        .column("Context", &of_each("model_context_length"), Unit::Count, json!([{ "id": "unit", "value": "none" }]))
        .column("Leaves", &format!("{} * 1000", of_each("model_expires_timestamp_seconds")), Unit::FromNow, json!([]))
        .sorted_by("GPU memory")
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::series("Requests by endpoint", "Finished requests, by endpoint.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate("endpoint"), "{{endpoint}}")
            .stacked(),
        Panel::series("Generations in flight", "Answers being generated, by model and backend.", Unit::Count)
            .query(&format!("sum by (model, backend) ({})", GENERATIONS.now()), "{{model}} on {{backend}}")
            .stacked(),
        Panel::series(
            "Tokens",
            "Tokens of prompts and answers; answers of which only the parts could be counted are left out.",
            Unit::TokensPerSecond,
        )
        .query(&PROMPT.rate(""), "prompt")
        .query(&GENERATED.rate(""), "generated"),
    ]
}

fn first_token() -> Vec<Panel> {
    vec![
        Panel::heatmap("First token, distribution", "How many answers began after how long.", Unit::Seconds)
            .query(&TTFT.buckets(), "{{le}}"),
        Panel::series(
            "First token",
            "From the request's head to the first token; with waiting, loading and reading the prompt.",
            Unit::Seconds,
        )
        .quantiles(|q| TTFT.quantile(q, ""))
        .thresholds("green", &[(10.0, "red")])
        .wide(12),
        Panel::series(
            "Steps to the first token, p95",
            "First byte, first token (thinking counts), first token of the answer; and the first token without the \
             load that the backend reported.",
            Unit::Seconds,
        )
        .query(&FIRST_BYTE.quantile(0.95, ""), "first byte")
        .query(&TTFT.quantile(0.95, ""), "first token")
        .query(&FIRST_ANSWER.quantile(0.95, ""), "first token of the answer")
        .query(&WITHOUT_LOAD.quantile(0.95, ""), "first token without load"),
        Panel::series("First token by backend, p95", "The same model on different backends.", Unit::Seconds)
            .query(&TTFT.quantile(0.95, "backend"), "{{backend}}")
            .thresholds("green", &[(10.0, "red")]),
        Panel::series("Stalls", "Gaps in a stream above the stall threshold (5 s unless configured).", Unit::Count)
            .query(&Metric::of_model("stream_stalls_total").increase("model"), "{{model}}")
            .bars(),
    ]
}

fn from_token_to_token() -> Vec<Panel> {
    let past = "The mean of 15 minutes, the median of it over a week, and half of that, where the alert stands; the \
                slowest of the models and backends selected.";
    let median = SPEED.recorded("mean15m_median1w");
    vec![
        Panel::heatmap("Between tokens, distribution", "How long the gaps within streams were.", Unit::Seconds)
            .query(&ITL.buckets(), "{{le}}"),
        Panel::series("Between tokens", "The gap between one token and the next in a stream.", Unit::Seconds)
            .quantiles(|q| ITL.quantile(q, ""))
            .wide(12),
        Panel::heatmap("Time per token, distribution", "Mean time per token of each answer.", Unit::Seconds)
            .query(&TPOT.buckets(), "{{le}}"),
        Panel::series("Time per token", "Decode time of an answer over its tokens after the first.", Unit::Seconds)
            .quantiles(|q| TPOT.quantile(q, ""))
            .wide(12),
        Panel::series("Decode speed by backend, median", "Half of the answers are faster.", Unit::TokensPerSecond)
            .query(&SPEED.quantile(0.5, "model, backend"), "{{model}} on {{backend}}")
            .wide(12),
        Panel::series("Decode speed against its own past", past, Unit::TokensPerSecond)
            .query(&format!("min({})", SPEED.recorded("mean15m")), "now")
            .query(&format!("min({median})"), "median of a week")
            .query(&format!("0.5 * min({median})"), "limit of the alert")
            .wide(12),
    ]
}

fn phases() -> Vec<Panel> {
    vec![
        Panel::series(
            "A mean request",
            "What the backend reports of its work: reading the prompt and writing the answer.",
            Unit::Seconds,
        )
        .query(&PREFILL.mean(""), "prefill")
        .query(&DECODE.mean(""), "decode")
        .stacked(),
        Panel::series("Prefill", "Reading the part of the prompt that was not cached, as reported.", Unit::Seconds)
            .quantiles(|q| PREFILL.quantile(q, "")),
        Panel::series("Decode", "Writing the answer, as reported.", Unit::Seconds)
            .quantiles(|q| DECODE.quantile(q, "")),
        Panel::series("Load", "Loading the model, of requests that found it cold.", Unit::Seconds)
            .quantiles(|q| LOAD.quantile(q, "")),
        Panel::series(
            "Cold starts",
            "Requests that had to wait until the model was loaded, by why it was not in memory. A lower bound.",
            Unit::Count,
        )
        .query(&what_happened(&COLD_STARTS.increase("cause"), &["cause"]), "{{cause}}")
        .bars(),
        Panel::series("Cached share of the prompt", "Tokens of prompts that came from the cache.", Unit::Share)
            .query(&share(&CACHED.rate("model"), &PROMPT.rate("model")), "{{model}}"),
    ]
}

fn endings() -> Vec<Panel> {
    let outcomes = Panel::series("Outcomes", "Finished requests, by how they ended.", Unit::RequestsPerSecond)
        .query(&REQUESTS.rate("outcome"), "{{outcome}}")
        .stacked();
    let wasted = "Tokens generated for clients that left, by the best count there is.";
    vec![
        OUTCOMES.iter().fold(outcomes, |panel, (outcome, colour)| panel.colour(outcome, colour)),
        Panel::series("Errors by type", "By whose doing: upstream is the backend.", Unit::RequestsPerSecond)
            .query(
                &what_happened(&ERRORS.rate("error_type, origin"), &["error_type", "origin"]),
                "{{error_type}} ({{origin}})",
            )
            .bars(),
        Panel::series("Cancellations by phase", "How far a request had come when its client left.", Unit::Count)
            .query(&CANCELLED.increase("phase"), "{{phase}}")
            .bars(),
        Panel::series("Wasted tokens", wasted, Unit::TokensPerSecond)
            .query(&WASTED.rate("model"), "{{model}}")
            .stacked(),
        Panel::series("Answers without a count", "Completed generations without a token count.", Unit::Count)
            .query(&Metric::of_model("usage_missing_total").increase("endpoint"), "{{endpoint}}")
            .bars(),
        Panel::series("Prompts that seem cut", "The model took in less than the prompt must have held.", Unit::Count)
            .query(&Metric::of_model("prompt_truncation_suspected_total").increase("model"), "{{model}}")
            .bars(),
    ]
}

fn context() -> Vec<Panel> {
    let used = CONTEXT.quantile(0.95, "model");
    let room = format!("max by (model) ({} > 0)", Metric::of_model("model_context_length").now());
    vec![
        Panel::heatmap("Context, distribution", "Tokens of prompt and answer together, a request.", Unit::Count)
            .query(&CONTEXT.buckets(), "{{le}}"),
        Panel::series("Context", "Tokens of prompt and answer together, a request.", Unit::Count)
            .quantiles(|q| CONTEXT.quantile(q, ""))
            .wide(6),
        Panel::series(
            "Context used, p95",
            "Share of the context that the model is loaded with; near 100 % prompts begin to be cut.",
            Unit::Share,
        )
        .query(&format!("{used} / on (model) {room}"), "{{model}}")
        .thresholds("green", &[(0.8, "orange"), (0.95, "red")])
        .wide(6),
    ]
}

/// Engines with a queue of their own tell; for Ollama stand the requests in flight.
fn engine() -> Vec<Panel> {
    let by_place = |told, phase| at_the_backend(Metric::of_model(told), IN_PHASE.with(phase), "model, backend");
    let cache = Metric::of_model("backend_kv_cache_usage_ratio").now();
    vec![
        Panel::series(
            "Waiting in the engine",
            "Requests in the engine's own queue. Ollama does not tell: requests that have no answer yet, in its queue, \
             while it loads or while it reads the prompt.",
            Unit::Count,
        )
        .query(&by_place("backend_requests_waiting", WAITING), "{{model}} on {{backend}}")
        .stacked(),
        Panel::series(
            "Running in the engine",
            "Requests that the engine works on. Ollama does not tell: requests whose answer has begun.",
            Unit::Count,
        )
        .query(&by_place("backend_requests_running", RUNNING), "{{model}} on {{backend}}")
        .stacked(),
        Panel::series(
            "Key-value cache used",
            "Near 100 % the engine lets requests wait, or begins some anew. Told by vLLM and SGLang, and by llama.cpp \
             in some versions.",
            Unit::Share,
        )
        .query(&format!("max by (model, backend) ({cache})"), "{{model}} on {{backend}}")
        .thresholds("green", &[(0.8, "orange"), (0.95, "red")]),
    ]
}
