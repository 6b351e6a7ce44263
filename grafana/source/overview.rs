//! The Overview: is it well, what comes in, how fast is it answered, what does each model do.

use super::layout::Dashboard;
use super::panel::{Panel, Unit};
use super::query::{Metric, at_the_backend, named_model, share, what_happened};
use serde_json::{Value, json};

const REQUESTS: Metric = Metric::of_model("requests_total");
const ERRORS: Metric = Metric::of_model("errors_total");
const ACTIVE: Metric = Metric::of_model("active_requests");
const DURATION: Metric = Metric::of_model("request_duration_seconds");
const TTFT: Metric = Metric::of_model("time_to_first_token_seconds");
const ITL: Metric = Metric::of_model("inter_token_latency_seconds");
const DECODE_SPEED: Metric = Metric::of_model("tokens_per_second");
const COLD_STARTS: Metric = Metric::of_model("cold_starts_total");
const BACKEND_UP: Metric = Metric::of_backend("backend_up");
const OVERHEAD: Metric = Metric::of_instance("overhead_seconds");
/// `chunks` counts events, a lower bound: it never goes into a sum that claims to be tokens.
const GENERATED: Metric = Metric::of_model("generated_tokens_total").with(r#"source!="chunks""#);
const PROMPT: Metric = Metric::of_model("prompt_tokens_total").with(r#"source!="chunks""#);

/// Good is green, whose fault it is not is blue, the rest grows from yellow to red.
pub(super) const OUTCOMES: &[(&str, &str)] = &[
    ("completed", "#73BF69"),
    ("client_cancelled", "#5794F2"),
    ("rejected", "#B877D9"),
    ("http_error", "#FADE2A"),
    ("truncated", "#FF9830"),
    ("stream_error", "#FF780A"),
    ("backend_failed", "#F2495C"),
];

/// Up and down, in words and colours.
pub(super) const UP_DOWN: &[(&str, &str, &str)] = &[("0", "DOWN", "red"), ("1", "UP", "green")];

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-overview",
        "Inferometer / Overview",
        "What the inference servers behind inferometer do: traffic, latency, tokens, by model.",
    )
    .line(4, stats())
    .heading("Traffic")
    .line(9, traffic())
    .heading("Models")
    .line(7, vec![models()])
    .line(8, in_memory())
    .line(9, by_model())
    .heading("Latency")
    .line(9, latency())
    .heading("Tokens")
    .line(9, tokens())
    .heading("Backends and the proxy itself")
    .line(6, vec![backends()])
    .line(8, machinery())
    .build()
}

fn stats() -> Vec<Panel> {
    let limits = [(0.01, "orange"), (0.05, "red")];
    vec![
        Panel::stat("Backends", "DOWN as soon as one of the selected backends does not answer.", Unit::Count)
            .query(&format!("min({})", BACKEND_UP.now()), "backends")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")])
            .filled(),
        Panel::stat("Alerts firing", "Alerts of inferometer that are firing now.", Unit::Count)
            .query(
                r#"count(ALERTS{alertname=~"Inferometer.+", alertstate="firing", job=~"$job", instance=~"$instance"}) or vector(0)"#,
                "alerts",
            )
            .thresholds("green", &[(1.0, "red")])
            .filled(),
        Panel::stat("In flight", "Requests that are being answered right now.", Unit::Count)
            .query(&format!("sum({})", ACTIVE.now()), "in flight")
            .thresholds("blue", &[]),
        Panel::stat("Requests", "Requests finished a second.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate(""), "requests")
            .thresholds("blue", &[]),
        Panel::stat(
            "Errors",
            "Share of requests that ended in an error; red from 5 %, where the alert stands. \
             Cancellations and answers from 400 to 499 are no errors.",
            Unit::Share,
        )
        .query(&share(&ERRORS.rate(""), &REQUESTS.rate("")), "errors")
        .thresholds("green", &limits),
        Panel::stat(
            "First token, p95",
            "Time from the request's head to the first token, for 95 of 100 streamed answers; \
             with waiting, loading and reading the prompt.",
            Unit::Seconds,
        )
        .query(&TTFT.quantile(0.95, ""), "p95")
        .thresholds("green", &[(2.0, "orange"), (10.0, "red")]),
        Panel::stat(
            "Tokens generated",
            "Tokens a second over all answers, exact counts only.",
            Unit::TokensPerSecond,
        )
        .query(&GENERATED.rate(""), "tokens")
        .thresholds("blue", &[]),
        Panel::stat(
            "Decode speed, median",
            "How fast one answer comes once it has begun: half of the answers are faster. People read about 5 words a \
             second.",
            Unit::TokensPerSecond,
        )
        .query(&DECODE_SPEED.quantile(0.5, ""), "p50")
        .thresholds("red", &[(3.0, "orange"), (8.0, "green")]),
    ]
}

fn traffic() -> Vec<Panel> {
    let outcomes =
        Panel::series("Requests by outcome", "Finished requests, by how they ended.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate("outcome"), "{{outcome}}")
            .stacked();
    vec![
        OUTCOMES.iter().fold(outcomes, |panel, (outcome, colour)| panel.colour(outcome, colour)),
        Panel::series(
            "Errors by type",
            "Errors a second, by type and by whose doing they are: upstream is the backend, downstream the client, \
             internal the proxy.",
            Unit::RequestsPerSecond,
        )
        .query(
            &what_happened(&ERRORS.rate("error_type, origin"), &["error_type", "origin"]),
            "{{error_type}} ({{origin}})",
        )
        .bars(),
        Panel::series("In flight by model", "Requests that are being answered, by model.", Unit::Count)
            .query(&named_model(&format!("sum by (model) ({})", ACTIVE.now())), "{{model}}")
            .stacked(),
    ]
}

/// Colours the cells of a column from these values on.
fn limits(steps: &[(f64, &str)]) -> Value {
    let mut all = vec![json!({ "color": "transparent", "value": null })];
    all.extend(steps.iter().map(|(from, colour)| json!({ "color": colour, "value": from })));
    json!([
        { "id": "thresholds", "value": { "mode": "absolute", "steps": all } },
        { "id": "custom.cellOptions", "value": { "type": "color-background", "mode": "basic" } },
    ])
}

fn models() -> Panel {
    let named = |metric: Metric| metric.with(r#"model!="""#);
    let requests = named(REQUESTS).in_range("model");
    let errors = named(ERRORS).in_range("model");
    let tokens = Metric::of_model("generated_tokens_total").with(r#"source!="chunks", model!="""#);
    let shaded = limits(&[(0.01, "orange"), (0.05, "red")]);
    let gauge = json!([
        { "id": "min", "value": 0 },
        { "id": "color", "value": { "mode": "continuous-BlPu" } },
        { "id": "custom.cellOptions", "value": { "type": "gauge", "mode": "gradient", "valueDisplayMode": "text" } },
    ]);
    let whole = json!([{ "id": "decimals", "value": 0 }]);
    let link = json!([{ "id": "links", "value": [{
        "title": "Look at this model", "url": "/d/inferometer-model?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${backend:queryparam}&var-model=${__value.raw:percentencode}&${__url_time_range}",
    }]}]);
    let columns = Panel::table("Models at a glance", "Every model that was asked for, over the time range shown.")
        .label_column("model", "Model", link)
        .column("Requests", &requests, Unit::Count, whole.clone())
        .column("Errors", &share(&errors, &requests), Unit::Share, shaded)
        .column("In flight", &format!("sum by (model) ({})", named(ACTIVE).now()), Unit::Count, whole.clone())
        .column("Generated tokens", &tokens.in_range("model"), Unit::Count, json!([{ "id": "decimals", "value": 1 }]))
        .column("First token p50", &named(TTFT).quantile_in_range(0.5, "model"), Unit::Seconds, json!([]))
        .column("First token p95", &named(TTFT).quantile_in_range(0.95, "model"), Unit::Seconds, json!([]))
        .column("Between tokens p95", &named(ITL).quantile_in_range(0.95, "model"), Unit::Seconds, json!([]));
    columns
        .column("Decode speed p50", &named(DECODE_SPEED).quantile_in_range(0.5, "model"), Unit::TokensPerSecond, gauge)
        .sorted_by("Requests")
}

/// What people with one GPU ask first: what is loaded, how full is it, and does it have to be loaded again and again?
fn in_memory() -> Vec<Panel> {
    let loaded = Metric::of_model("model_loaded").with(r#"model!="""#);
    let vram = Metric::of_model("model_vram_bytes");
    let evicted = Metric::of_model("model_evictions_total");
    vec![
        Panel::timeline("Models in memory", "When each model was loaded on one of the backends at least.")
            .query(&format!("max by (model) ({})", loaded.now()), "{{model}}")
            .words(&[("0", "out", "transparent"), ("1", "loaded", "green")])
            .thresholds("transparent", &[(1.0, "green")]),
        Panel::series(
            "GPU memory by model",
            "What each loaded model takes of GPU memory, over all backends.",
            Unit::Bytes,
        )
        .query(&format!("sum by (model) ({})", vram.now()), "{{model}}")
        .stacked(),
        Panel::series(
            "Evictions by model",
            "Models that left memory. Many, together with cold starts, mean that models push each other out.",
            Unit::Count,
        )
        .query(&evicted.increase("model"), "{{model}}")
        .bars(),
    ]
}

fn by_model() -> Vec<Panel> {
    vec![
        Panel::series("Requests by model", "Finished requests, by model.", Unit::RequestsPerSecond)
            .query(&named_model(&REQUESTS.rate("model")), "{{model}}")
            .stacked(),
        Panel::series(
            "First token by model, p95",
            "95 of 100 streamed answers of the last five minutes began sooner; the slowest of the backends.",
            Unit::Seconds,
        )
        .query(&format!("max by (model) ({})", TTFT.recorded("p95_5m")), "{{model}}")
        .thresholds("green", &[(10.0, "red")]),
        Panel::series("Cold starts by model", "Requests that had to wait until the model was loaded.", Unit::Count)
            .query(&COLD_STARTS.increase("model"), "{{model}}")
            .bars(),
    ]
}

fn latency() -> Vec<Panel> {
    vec![
        Panel::series("Request duration", "From the request's head to the last byte of the answer.", Unit::Seconds)
            .quantiles(|q| DURATION.quantile(q, "")),
        Panel::series(
            "Time to first token",
            "From the request's head to the first token of a streamed answer; with waiting, loading and reading the \
             prompt.",
            Unit::Seconds,
        )
        .quantiles(|q| TTFT.quantile(q, ""))
        .thresholds("green", &[(10.0, "red")]),
        Panel::series("Between tokens", "The gap between one token and the next in a stream.", Unit::Seconds)
            .quantiles(|q| ITL.quantile(q, "")),
        Panel::heatmap("Time to first token, all of it", "How many answers began after how long.", Unit::Seconds)
            .query(&TTFT.buckets(), "{{le}}"),
        Panel::heatmap("Request duration, all of it", "How many requests took how long.", Unit::Seconds)
            .query(&DURATION.buckets(), "{{le}}"),
    ]
}

fn tokens() -> Vec<Panel> {
    vec![
        Panel::series(
            "Generated tokens by model",
            "Counts that the backend reported or that can be read exactly; answers of which only the parts could be \
             counted are left out.",
            Unit::TokensPerSecond,
        )
        .query(&GENERATED.rate("model"), "{{model}}")
        .stacked(),
        Panel::series(
            "Prompt tokens by model",
            "Tokens of prompts, as the backend reported them.",
            Unit::TokensPerSecond,
        )
        .query(&PROMPT.rate("model"), "{{model}}")
        .stacked(),
        Panel::series(
            "Decode speed by model, median",
            "How fast one answer comes once it has begun: half of the answers of the last five minutes were faster; \
             the slowest of the backends.",
            Unit::TokensPerSecond,
        )
        .query(&format!("min by (model) ({})", DECODE_SPEED.recorded("p50_5m")), "{{model}}"),
    ]
}

/// One row a backend, so that a fleet shows which of its members is the odd one.
fn backends() -> Panel {
    let requests = REQUESTS.in_range("backend");
    let link = json!([{ "id": "links", "value": [{
        "title": "Only this backend", "url": "/d/inferometer-overview?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-backend=${__value.raw:percentencode}&${__url_time_range}",
    }]}]);
    let state = json!([
        { "id": "mappings", "value": [{ "type": "value", "options": {
            "0": { "text": "DOWN", "color": "red", "index": 0 }, "1": { "text": "UP", "color": "green", "index": 1 },
        }}]},
        { "id": "custom.cellOptions", "value": { "type": "color-text" } },
    ]);
    let shaded = limits(&[(0.01, "orange"), (0.05, "red")]);
    let whole = json!([{ "id": "decimals", "value": 0 }]);
    let waiting = Metric::of_backend("exchanges_in_phase").with(r#"phase="waiting", model!="""#);
    let waiting = at_the_backend(Metric::of_backend("backend_requests_waiting"), waiting, "backend");
    let info = Metric::of_backend("backend_info").now();
    let hidden = json!([{ "id": "custom.hidden", "value": true }]);
    Panel::table("Backends at a glance", "Every backend, over the time range shown; state and queues are those of now.")
        .label_column("backend", "Backend", link)
        .label_column("runtime", "Server", json!([]))
        .label_column("version", "Version", json!([]))
        .label_column("node", "Machine", json!([]))
        .label_column("zone", "Zone", json!([]))
        .column("Is known", &format!("max by (backend, runtime, version, node, zone) ({info})"), Unit::Count, hidden)
        .column("State", &format!("min by (backend) ({})", BACKEND_UP.now()), Unit::Count, state)
        .column("Requests", &requests, Unit::Count, whole.clone())
        .column("Errors", &share(&ERRORS.in_range("backend"), &requests), Unit::Share, shaded)
        .column("In flight", &format!("sum by (backend) ({})", ACTIVE.now()), Unit::Count, whole.clone())
        .column("Waiting there", &waiting, Unit::Count, whole)
        .column("First token p95", &TTFT.quantile_in_range(0.95, "backend"), Unit::Seconds, json!([]))
        .column("Decode speed p50", &DECODE_SPEED.quantile_in_range(0.5, "backend"), Unit::TokensPerSecond, json!([]))
        .sorted_by("Requests")
}

fn machinery() -> Vec<Panel> {
    let cost = Panel::series(
        "The proxy's own cost",
        "Time the proxy itself spent on a request from beginning to end. Waiting for the backend is not in it.",
        Unit::Seconds,
    );
    vec![
        Panel::timeline("Backends over time", "When each backend answered the proxy's probe.")
            .query(&format!("min by (backend) ({})", BACKEND_UP.now()), "{{backend}}")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")]),
        Panel::series("Probe duration", "How long the backend takes to answer the proxy's probe.", Unit::Seconds)
            .query(
                &format!("max by (backend) ({})", Metric::of_backend("backend_probe_duration_seconds").now()),
                "{{backend}}",
            ),
        cost.quantiles(|q| OVERHEAD.quantile(q, "")).thresholds("green", &[(0.02, "red")]),
    ]
}
