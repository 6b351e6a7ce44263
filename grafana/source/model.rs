//! The Model dashboard: one model or a few of them, looked at from every side.

use super::column::{hidden, plain, wide};
use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit, colour};
use super::query::{Metric, at_the_backend, named_model, share};
use super::shared::{
    self, COLD_STARTS, DECODE_SPEED, ENDED, FIRST_TOKEN_LIMIT, GENERATED, IN_PHASE, ITL, PHASES, PROMPT, REQUESTS,
    TTFT, between_tokens, decode_speed_tile, errors_by_type, errors_tile, first_token_distribution, first_token_tile,
    in_flight_tile, loaded_column, outcomes, requests_tile, tokens_tile,
};
use serde_json::{Value, json};

const GENERATIONS: Metric = Metric::of_model("active_generations");
const WITHOUT_LOAD: Metric = Metric::of_model("time_to_first_token_excluding_load_seconds");
const FIRST_BYTE: Metric = Metric::of_model("time_to_first_byte_seconds");
const FIRST_ANSWER: Metric = Metric::of_model("time_to_first_answer_token_seconds");
const TPOT: Metric = Metric::of_model("time_per_output_token_seconds");
const LOAD: Metric = Metric::of_model("model_load_duration_seconds");
const PREFILL: Metric = Metric::of_model("prefill_duration_seconds");
const DECODE: Metric = Metric::of_model("decode_duration_seconds");
const WAITING: &str = r#"phase="waiting", model!="""#;
const RUNNING: &str = r#"phase=~"prefill|decode", model!="""#;
const CACHED: Metric = Metric::of_model("cached_prompt_tokens_total");
const CANCELLED: Metric = Metric::of_model("client_cancellations_total");
const WASTED: Metric = Metric::of_model("wasted_tokens_total");
const CONTEXT: Metric = Metric::of_model_alone("context_length_tokens");

/// The work on a request, as a backend reports it.
const PARTS: &[(&str, &str)] = &[("prefill", colour::YELLOW), ("decode", colour::GREEN)];
/// Which way tokens go.
const TOKENS: &[(&str, &str)] = &[("prompt", colour::BLUE), ("generated", colour::GREEN)];

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-model",
        "Inferometer / Model",
        "One model or a few: traffic, speed, where the time goes, how answers end, and how much context they need.",
    )
    .tiles(tiles())
    .line(10, vec![details()])
    .heading("Traffic and tokens")
    .line(GRAPH, traffic())
    .heading("Until the first token")
    .line(GRAPH, first_token())
    .folded("From token to token", vec![(GRAPH, from_token_to_token())])
    .folded("Where the time goes", vec![(GRAPH, phases())])
    .folded("How answers end", vec![(GRAPH, endings())])
    .folded("Context", vec![(GRAPH, context())])
    .folded("Inside the engine (vLLM, SGLang, llama.cpp, TGI)", vec![(GRAPH, engine())])
    .build()
}

fn tiles() -> Vec<Panel> {
    vec![
        in_flight_tile(),
        requests_tile(),
        errors_tile(),
        first_token_tile(),
        decode_speed_tile(),
        tokens_tile(),
        Panel::tile(
            "Cancelled",
            "Share of the last minute's requests whose client left before the end; orange from 50 %, where the alert stands.",
            Unit::Share,
        )
        .query(&share(&CANCELLED.rate(""), &ENDED.rate("")), "cancelled")
        .thresholds("green", &[(0.5, "orange")]),
        Panel::tile(
            "Cold starts",
            "Share of the requests in the time range shown that waited until the model was loaded; orange from 20 %, where the \
             alert stands.",
            Unit::Share,
        )
        .query(&share(&COLD_STARTS.in_range(""), &ENDED.in_range("")), "cold")
        .thresholds("green", &[(0.2, "orange")]),
        Panel::tile("From the cache", "Share of the last minute's prompt tokens that were in the cache.", Unit::Share)
            .query(&share(&CACHED.rate(""), &PROMPT.rate("")), "cached")
            .neutral(),
        Panel::tile(
            "Context used",
            "Context of 95 of 100 requests in the time range shown, as a share of what the model is loaded with; near 100 % \
             prompts begin to be cut.",
            Unit::Share,
        )
        .query(&format!("max({})", context_used(&CONTEXT.quantile_in_range(0.95, "model"))), "used")
        .thresholds("green", &[(0.8, "orange"), (0.95, "red")]),
        Panel::tile("Loaded", "Models of the selected that are in memory.", Unit::Count)
            .query(&format!(r#"sum(max by (model) ({}))"#, Metric::of_model("model_loaded").now()), "loaded")
            .neutral(),
        Panel::tile("GPU memory", "What the selected models take of GPU memory, over all backends.", Unit::Bytes)
            .query(&format!("sum({})", Metric::of_model("model_vram_bytes").now()), "memory")
            .neutral(),
    ]
}

/// Names say little: what the files are, where they lie in memory, and until when.
fn details() -> Panel {
    let now = |name| Metric::of_model(name).with(r#"model!="""#).now();
    let of_each = |name| format!("max by (model, backend) ({})", now(name));
    let on_gpu = json!([
        { "id": "custom.width", "value": 110 },
        { "id": "mappings", "value": [{ "type": "value", "options": { "0": { "text": "in RAM", "index": 0 } } }] },
    ]);
    let labels = [
        ("model", "Model", 190),
        ("backend", "Backend", 90),
        ("quant", "Quantisation", 100),
        ("parameter_size", "Parameters", 90),
        ("family", "Family", 90),
        ("format", "Format", 65),
        ("revision", "Revision", 115),
    ];
    let table =
        Panel::table("Model details", "What the backends list and hold, and when it leaves memory unless it is used.");
    let info =
        format!("max by (model, backend, quant, parameter_size, family, format, revision) ({})", now("model_info"));
    labels
        .into_iter()
        .fold(table, |table, (label, title, width)| table.label_column(label, title, wide(width)))
        .column("Is listed", &info, Unit::Count, hidden())
        .column("Loaded", &of_each("model_loaded"), Unit::Count, loaded_column())
        .column("GPU memory", &of_each("model_vram_bytes"), Unit::Bytes, on_gpu)
        .column("All memory", &of_each("model_size_bytes"), Unit::Bytes, wide(95))
        .column("Context", &of_each("model_context_length"), Unit::Count, plain())
        .column("Leaves", &format!("{} * 1000", of_each("model_expires_timestamp_seconds")), Unit::FromNow, wide(140))
        .sorted_by("GPU memory")
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::series("Requests by endpoint", "Requests that ended, by endpoint.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate("endpoint"), "{{endpoint}}")
            .stacked(),
        Panel::series("Generations in flight", "Answers being generated, by model and backend.", Unit::Count)
            .query(&format!("sum by (model, backend) ({})", GENERATIONS.now()), "{{model}} on {{backend}}")
            .stacked(),
        Panel::series(
            "Tokens over time",
            "Tokens of prompts and answers; answers of which only the parts could be counted are left out.",
            Unit::TokensPerSecond,
        )
        .query(&PROMPT.rate(""), "prompt")
        .query(&GENERATED.rate(""), "generated")
        .family(TOKENS),
    ]
}

fn first_token() -> Vec<Panel> {
    vec![
        first_token_distribution("First token, distribution"),
        shared::first_token("First token").wide(12),
        Panel::series(
            "Steps to the first token, p95",
            "Of streamed answers: the first token without the load that the backend reported, the first token (thinking \
             counts), and the first token of the answer itself.",
            Unit::Seconds,
        )
        .query(&WITHOUT_LOAD.quantile(0.95, ""), "first token without load")
        .query(&TTFT.quantile(0.95, ""), "first token")
        .query(&FIRST_ANSWER.quantile(0.95, ""), "first token of the answer")
        .logarithmic(),
        Panel::series("First token by backend, p95", "The same model on different backends.", Unit::Seconds)
            .query(&TTFT.quantile(0.95, "backend"), "{{backend}}")
            .limit_at(FIRST_TOKEN_LIMIT)
            .logarithmic(),
        Panel::series(
            "First byte",
            "From the request's head to the first byte of the answer. An answer that is not streamed has its first byte when \
             it is complete.",
            Unit::Seconds,
        )
        .quantiles(|q| FIRST_BYTE.quantile(q, "")),
    ]
}

fn from_token_to_token() -> Vec<Panel> {
    let past = "The mean of 15 minutes, the median of it over a week, and half of that, where the alert stands; the \
                slowest of the models and backends selected.";
    let median = DECODE_SPEED.recorded("mean15m_median1w");
    vec![
        Panel::heatmap(
            "Between tokens, distribution",
            "How many gaps between two tokens of a stream took which time.",
            Unit::Seconds,
        )
        .query(&ITL.buckets(), "{{le}}"),
        between_tokens().wide(12),
        Panel::heatmap(
            "Time per token, distribution",
            "How many answers had which mean time per token.",
            Unit::Seconds,
        )
        .query(&TPOT.buckets(), "{{le}}"),
        Panel::series(
            "Time per token",
            "Mean time per token of an answer: its decode time over its tokens after the first.",
            Unit::Seconds,
        )
        .quantiles(|q| TPOT.quantile(q, ""))
        .wide(12),
        Panel::series("Decode speed by backend, p50", "Half of the answers are faster.", Unit::TokensPerSecond)
            .query(&DECODE_SPEED.quantile(0.5, "model, backend"), "{{model}} on {{backend}}"),
        Panel::series("Decode speed against its past", past, Unit::TokensPerSecond)
            .query(&format!("min({})", DECODE_SPEED.recorded("mean15m")), "now")
            .query(&format!("min({median})"), "median of a week")
            .query(&format!("0.5 * min({median})"), "limit of the alert")
            .family(&[("now", colour::GREEN), ("median of a week", colour::BLUE)])
            .limit("limit of the alert"),
        Panel::events("Stalls", "Gaps in a stream above the stall threshold (5 s unless configured).")
            .query(&Metric::of_model("stream_stalls_total").events(&["model"]), "{{event}}"),
    ]
}

fn phases() -> Vec<Panel> {
    vec![
        Panel::series(
            "Mean time per request",
            "What the backend reports of its work: reading the prompt (prefill) and writing the answer (decode).",
            Unit::Seconds,
        )
        .query(&PREFILL.mean(""), "prefill")
        .query(&DECODE.mean(""), "decode")
        .family(PARTS)
        .stacked(),
        Panel::series("Prefill", "Reading the part of the prompt that was not cached, as reported.", Unit::Seconds)
            .quantiles(|q| PREFILL.quantile(q, "")),
        Panel::series("Decode", "Writing the answer, as reported.", Unit::Seconds)
            .quantiles(|q| DECODE.quantile(q, "")),
        Panel::series("Load", "Loading the model, of requests that found it cold.", Unit::Seconds)
            .quantiles(|q| LOAD.quantile(q, "")),
        Panel::events(
            "Cold starts by cause",
            "Requests that had to wait until the model was loaded, by why it was not in memory. A lower bound.",
        )
        .query(&COLD_STARTS.events(&["cause"]), "{{event}}"),
        Panel::series("Cached share of the prompt", "Tokens of prompts that came from the cache.", Unit::Share)
            .query(&named_model(&share(&CACHED.rate("model"), &PROMPT.rate("model"))), "{{model}}"),
    ]
}

fn endings() -> Vec<Panel> {
    vec![
        outcomes("Outcomes"),
        errors_by_type(),
        Panel::events("Cancellations by phase", "How far a request had come when its client left.")
            .query(&CANCELLED.events(&["phase"]), "{{event}}")
            .family(PHASES),
        Panel::series(
            "Wasted tokens",
            "Tokens generated for clients that left, by the best count there is.",
            Unit::TokensPerSecond,
        )
        .query(&named_model(&WASTED.rate("model")), "{{model}}")
        .models()
        .stacked(),
        Panel::events("Answers without a count", "Completed generations for which no number of tokens was reported.")
            .query(&Metric::of_model("usage_missing_total").events(&["endpoint"]), "{{event}}"),
        Panel::events(
            "Prompts that seem cut",
            "Requests of which the model took in less than their prompt must have held.",
        )
        .query(&Metric::of_model("prompt_truncation_suspected_total").events(&["model"]), "{{event}}"),
    ]
}

/// A number of tokens, as a share of the context that the model is loaded with.
fn context_used(tokens: &str) -> String {
    let room = format!("max by (model) ({} > 0)", Metric::of_model("model_context_length").now());
    format!("clamp_max(({tokens}) / on (model) {room}, 1)")
}

fn context() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "Context, distribution",
            "How many requests had which number of tokens, prompt and answer together.",
            Unit::Large,
        )
        .query(&CONTEXT.buckets(), "{{le}}"),
        Panel::series("Context length", "Tokens of prompt and answer together, a request.", Unit::Large)
            .quantiles(|q| CONTEXT.quantile(q, ""))
            .wide(6),
        Panel::series(
            "Context used, p95",
            "Share of the context that the model is loaded with; near 100 % prompts begin to be cut.",
            Unit::Share,
        )
        .query(&context_used(&CONTEXT.quantile(0.95, "model")), "{{model}}")
        .limit_at(0.95)
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
            "Requests in the engine's own queue. Ollama reports none: there it is the requests without an answer yet, in its \
             queue, while it loads or while it reads the prompt.",
            Unit::Count,
        )
        .query(&by_place("backend_requests_waiting", WAITING), "{{model}} on {{backend}}")
        .stacked(),
        Panel::series(
            "Running in the engine",
            "Requests that the engine works on. Ollama reports none: there it is the requests whose answer has begun.",
            Unit::Count,
        )
        .query(&by_place("backend_requests_running", RUNNING), "{{model}} on {{backend}}")
        .stacked(),
        Panel::series(
            "Key-value cache used",
            "Near 100 % the engine lets requests wait, or starts some over. Reported by vLLM and SGLang, and by llama.cpp \
             in some versions.",
            Unit::Share,
        )
        .query(&format!("max by (model, backend) ({cache})"), "{{model}} on {{backend}}")
        .limit_at(0.95),
    ]
}
