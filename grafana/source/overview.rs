//! The Overview: is it up, what is wrong, how fast is it, how busy, with which model.

use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit, colour};
use super::query::{Metric, at_the_backend, named_model, share};
use serde_json::{Value, json};

const REQUESTS: Metric = Metric::of_model("requests_total");
const ERRORS: Metric = Metric::of_model("errors_total");
const ACTIVE: Metric = Metric::of_model("active_requests");
const IN_PHASE: Metric = Metric::of_model("exchanges_in_phase");
const DURATION: Metric = Metric::of_model("request_duration_seconds");
const TTFT: Metric = Metric::of_model("time_to_first_token_seconds");
const ITL: Metric = Metric::of_model("inter_token_latency_seconds");
const DECODE_SPEED: Metric = Metric::of_model("tokens_per_second");
const COLD_STARTS: Metric = Metric::of_model("cold_starts_total");
const LOADED: Metric = Metric::of_model("model_loaded").with(r#"model!="""#);
const BACKEND_UP: Metric = Metric::of_backend("backend_up");
const OVERHEAD: Metric = Metric::of_instance("overhead_seconds");
const GPU_BUSY: Metric = Metric::of_instance("gpu_utilization_ratio");
const GPU_MEMORY_USED: Metric = Metric::of_instance("gpu_memory_used_bytes");
const GPU_MEMORY: Metric = Metric::of_instance("gpu_memory_total_bytes");
/// `chunks` counts events, a lower bound: it never goes into a sum that claims to be tokens.
const GENERATED: Metric = Metric::of_model("generated_tokens_total").with(r#"source!="chunks""#);
const PROMPT: Metric = Metric::of_model("prompt_tokens_total").with(r#"source!="chunks""#);

/// How a request ended.
pub(super) const OUTCOMES: &[(&str, &str)] = &[
    ("completed", colour::GREEN),
    ("client_cancelled", colour::BLUE),
    ("rejected", colour::PURPLE),
    ("http_error", colour::YELLOW),
    ("truncated", colour::ORANGE),
    ("stream_error", colour::BROWN),
    ("backend_failed", colour::RED),
];

/// How far a request has come.
pub(super) const PHASES: &[(&str, &str)] = &[
    ("upload", colour::PURPLE),
    ("queued", colour::RED),
    ("waiting", colour::ORANGE),
    ("prefill", colour::YELLOW),
    ("decode", colour::GREEN),
];

/// Up and down, in words and colours.
pub(super) const UP_DOWN: &[(&str, &str, &str)] = &[("0", "DOWN", "red"), ("1", "UP", "green")];

/// The worst severity there is, in words and colours.
const SEVERITIES: &[(&str, &str, &str)] =
    &[("0", "none", "green"), ("1", "info", "blue"), ("2", "warning", "orange"), ("3", "CRITICAL", "red")];

/// Where the runbook is read: an example, to be replaced by the address under which it is kept.
const RUNBOOK: &str = "https://git.example.org/ops/inferometer/blob/main/prometheus/runbook.md";

/// Where the alert on errors stands.
pub(super) const ERROR_LIMIT: f64 = 0.05;
/// Where the alert on the first token stands, in seconds.
pub(super) const FIRST_TOKEN_LIMIT: f64 = 10.0;
/// Where the alert on the proxy's own work stands, in seconds.
pub(super) const OVERHEAD_LIMIT: f64 = 0.02;

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-overview",
        "Inferometer / Overview",
        "What the inference servers behind inferometer do: traffic, latency, tokens, by model.",
    )
    .constant("runbook", RUNBOOK)
    .tiles(tiles())
    .line(GRAPH, now())
    .line(10, vec![models()])
    .heading("Traffic and latency")
    .line(GRAPH, traffic())
    .line(GRAPH, latency())
    .heading("Backends")
    .line(6, vec![backends()])
    .folded("Models", vec![(GRAPH, in_memory()), (GRAPH, by_model())])
    .folded("Tokens", vec![(GRAPH, tokens())])
    .folded("Distributions", vec![(GRAPH, distributions())])
    .folded("Probes and the proxy itself", vec![(GRAPH, machinery())])
    .build()
}

/// The alerts that fire, each with the rank of its severity.
fn ranked_alerts() -> String {
    let of = |severity: &str| {
        let firing = r#"alertname=~"Inferometer.+", alertstate="firing", job=~"$job", instance=~"$instance""#;
        format!(r#"ALERTS{{{firing}, severity="{severity}"}}"#)
    };
    let [critical, warning, info] = ["critical", "warning", "info"].map(of);
    format!("3 * {critical} or 2 * {warning} or {info}")
}

/// The tile of the first token's p95, on more than one board.
pub(super) fn first_token_tile() -> Panel {
    let what = "95 of 100 streamed answers of the last minute began sooner after their request came in; with waiting, loading \
                and reading the prompt. Red from 10 s, where the alert stands.";
    Panel::tile("First token p95", what, Unit::Seconds)
        .query(&TTFT.quantile(0.95, ""), "p95")
        .thresholds("green", &[(2.0, "orange"), (FIRST_TOKEN_LIMIT, "red")])
}

/// The tile of the errors' share, on more than one board.
pub(super) fn errors_tile() -> Panel {
    let what = "Share of the last minute's requests that ended in an error; red from 5 %, where the alert stands. Cancellations \
                and answers from 400 to 499 are no errors.";
    Panel::tile("Errors", what, Unit::Share)
        .query(&share(&ERRORS.rate(""), &REQUESTS.rate("")), "errors")
        .thresholds("green", &[(0.01, "orange"), (ERROR_LIMIT, "red")])
}

/// The tile of the decode speed, on more than one board.
pub(super) fn decode_speed_tile() -> Panel {
    let what = "How fast one answer comes once it has begun, the median of the last minute's answers. People read about 5 \
                words a second.";
    Panel::tile("Decode speed", what, Unit::TokensPerSecond)
        .query(&DECODE_SPEED.quantile(0.5, ""), "p50")
        .thresholds("red", &[(3.0, "orange"), (8.0, "green")])
}

fn tiles() -> Vec<Panel> {
    let blue = |panel: Panel| panel.thresholds("blue", &[]);
    let of_gpu = |title, what, expr: &str| Panel::tile(title, what, Unit::Share).query(expr, "GPU");
    vec![
        Panel::tile("Backends", "DOWN as soon as one of the selected backends does not answer.", Unit::Count)
            .query(&format!("min({})", BACKEND_UP.now()), "backends")
            .words(UP_DOWN)
            .thresholds("red", &[(1.0, "green")])
            .filled(),
        Panel::tile(
            "Alerts",
            "The worst severity of the alerts that are firing. They are in the list below.",
            Unit::Count,
        )
        .query(&format!("max({}) or vector(0)", ranked_alerts()), "worst severity")
        .words(SEVERITIES)
        .thresholds("green", &[(1.0, "blue"), (2.0, "orange"), (3.0, "red")])
        .filled(),
        blue(
            Panel::tile("Requests", "Requests that ended in the last minute, a second.", Unit::RequestsPerSecond)
                .query(&REQUESTS.rate(""), "requests"),
        ),
        errors_tile(),
        first_token_tile(),
        decode_speed_tile(),
        blue(
            Panel::tile("In flight", "Requests that are being answered right now.", Unit::Count)
                .query(&format!("sum({})", ACTIVE.now()), "in flight"),
        ),
        Panel::tile(
            "Waiting",
            "Requests of which nothing has come back yet: in the server's queue, or while it loads the model or reads the \
             prompt. Orange from 4, where the alert stands for each model.",
            Unit::Count,
        )
        .query(&format!("sum({})", IN_PHASE.with(r#"phase=~"queued|waiting""#).now()), "waiting")
        .thresholds("blue", &[(4.0, "orange")]),
        blue(
            Panel::tile("Tokens", "Tokens generated a second, over all answers; exact counts only.", Unit::TokensPerSecond)
                .query(&GENERATED.rate(""), "tokens"),
        ),
        blue(
            Panel::tile("Models loaded", "Models in the backends' memory.", Unit::Count)
                .query(&format!("sum(max by (model) ({}))", LOADED.now()), "models"),
        ),
        blue(of_gpu(
            "GPU busy",
            "Share of time in which something ran on the GPUs, their mean; a dash where there is none.",
            &format!("avg({})", GPU_BUSY.now()),
        )),
        of_gpu(
            "GPU memory",
            "Memory in use of the fullest GPU; orange from 95 %, where the alert stands; a dash where there is none.",
            &format!("max({} / {})", GPU_MEMORY_USED.now(), GPU_MEMORY.now()),
        )
        .thresholds("blue", &[(0.95, "orange")]),
    ]
}

/// What is wrong, where requests are, and what the GPUs do.
fn now() -> Vec<Panel> {
    let gpu = "{{node}} GPU {{gpu}}";
    vec![
        alerts(),
        Panel::series(
            "In flight by phase",
            "Where the requests are that are being answered: upload (their body is still being sent), waiting (nothing has come \
             back), prefill (the answer began, without a token yet), decode (tokens come).",
            Unit::Count,
        )
        .query(&format!("sum by (phase) ({})", IN_PHASE.now()), "{{phase}}")
        .family(PHASES)
        .stacked()
        .wide(7),
        Panel::series(
            "GPU utilisation and memory",
            "Share of time in which something ran on each GPU, and share of its memory that is in use.",
            Unit::Share,
        )
        .query(&GPU_BUSY.now(), &format!("{gpu} busy"))
        .query(&format!("{} / {}", GPU_MEMORY_USED.now(), GPU_MEMORY.now()), &format!("{gpu} memory"))
        .otherwise("No GPU is known")
        .wide(7),
    ]
}

/// What fires, by name, with the way to the runbook.
fn alerts() -> Panel {
    let coloured = json!([
        { "id": "custom.width", "value": 75 },
        { "id": "mappings", "value": [{ "type": "value", "options": {
            "critical": { "text": "critical", "color": "red", "index": 0 },
            "warning": { "text": "warning", "color": "orange", "index": 1 },
            "info": { "text": "info", "color": "blue", "index": 2 },
        }}]},
        { "id": "custom.cellOptions", "value": { "type": "color-text" } },
    ]);
    let link = json!([
        { "id": "custom.width", "value": 180 },
        { "id": "links", "value": [{
            "title": "What to do about it", "url": "${runbook}#Inferometer${__value.raw}", "targetBlank": true,
        }]},
    ]);
    let short = |firing: &str| format!(r#"label_replace({firing}, "alertname", "$1", "alertname", "Inferometer(.+)")"#);
    let none = format!(r#"label_replace(vector(0) unless on () ({}), "alertname", "none", "", "")"#, ranked_alerts());
    Panel::table(
        "Alerts firing",
        "Alerts of inferometer that fire now, the worst first; a click leads to the runbook. Needs the rules of \
         prometheus/rules in Prometheus.",
    )
    .label_column("alertname", "Alert", link)
    .label_column("severity", "Severity", coloured)
    .label_column("model", "Model", json!([]))
    .label_column("backend", "Backend", json!([]))
    .label_column("gpu", "GPU", wide(50))
    .column(
        "Rank",
        &format!("max by (alertname, severity, backend, model, gpu) ({}) or {none}", short(&ranked_alerts())),
        Unit::Count,
        json!([{ "id": "custom.hidden", "value": true }]),
    )
    .sorted_by("Rank")
    .wide(10)
}

fn traffic() -> Vec<Panel> {
    vec![
        Panel::series("Requests by outcome", "Requests that ended, by how.", Unit::RequestsPerSecond)
            .query(&REQUESTS.rate("outcome"), "{{outcome}}")
            .family(OUTCOMES)
            .stacked(),
        errors_by_type(),
        Panel::series("Requests by model", "Requests that ended, by model.", Unit::RequestsPerSecond)
            .query(&named_model(&REQUESTS.rate("model")), "{{model}}")
            .models()
            .stacked(),
    ]
}

/// On more than one board.
pub(super) fn errors_by_type() -> Panel {
    Panel::events(
        "Errors by type",
        "Requests that ended in an error, by what went wrong and by whose doing it was: upstream is the backend, downstream \
         the client, internal the proxy.",
    )
    .query(&ERRORS.events(&["error_type", "origin"]), "{{event}}")
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
    let (requests, errors) = (named(REQUESTS).in_range("model"), named(ERRORS).in_range("model"));
    let active = format!("sum by (model) ({})", named(ACTIVE).now());
    let tokens = Metric::of_model("generated_tokens_total").with(r#"source!="chunks", model!="""#);
    let shaded = limits(&[(0.01, "orange"), (0.05, "red")]);
    let gauge = json!([
        { "id": "min", "value": 0 },
        { "id": "color", "value": { "mode": "continuous-BlPu" } },
        { "id": "custom.cellOptions", "value": { "type": "gauge", "mode": "gradient", "valueDisplayMode": "text" } },
        { "id": "custom.width", "value": 160 },
    ]);
    let link = json!([
        { "id": "custom.width", "value": 210 },
        { "id": "links", "value": [{
            "title": "Look at this model", "url": "/d/inferometer-model?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${backend:queryparam}&var-model=${__value.raw:percentencode}&${__url_time_range}",
        }]},
    ]);
    let columns = Panel::table(
        "Models at a glance",
        "Every model that was asked for in the time range shown, or is loaded now. What is in flight is that of now.",
    )
    .label_column("model", "Model", link)
    .column("Loaded", &format!("max by (model) ({} == 1)", LOADED.now()), Unit::Count, loaded())
    .column("Requests", &format!("{} > 0", named(REQUESTS).count_in_range("model")), Unit::Count, json!([]))
    .column("Errors", &share(&errors, &requests), Unit::Share, shaded)
    .column("In flight", &format!("{active} > 0 or {active} and on (model) ({requests} > 0)"), Unit::Count, json!([]))
    .column("Tokens", &format!("{} > 0", tokens.in_range("model")), Unit::Large, json!([]))
    .column("First token p50", &named(TTFT).quantile_in_range(0.5, "model"), Unit::Seconds, wide(115))
    .column("First token p95", &named(TTFT).quantile_in_range(0.95, "model"), Unit::Seconds, wide(115))
    .column("Gap p95", &named(ITL).quantile_in_range(0.95, "model"), Unit::Seconds, json!([]));
    columns
        .column("Decode speed p50", &named(DECODE_SPEED).quantile_in_range(0.5, "model"), Unit::TokensPerSecond, gauge)
        .sorted_by("Requests")
}

/// The width of a column, in pixels.
pub(super) fn wide(pixels: u16) -> Value {
    json!([{ "id": "custom.width", "value": pixels }])
}

/// Whether a model is loaded, in words.
pub(super) fn loaded() -> Value {
    json!([
        { "id": "mappings", "value": [{ "type": "value", "options": {
            "0": { "text": "no", "color": colour::GREY, "index": 0 }, "1": { "text": "yes", "color": "green", "index": 1 },
        }}]},
        { "id": "thresholds", "value": { "mode": "absolute", "steps": [{ "color": colour::GREY, "value": null }] } },
        { "id": "custom.cellOptions", "value": { "type": "color-text" } },
    ])
}

/// What people with one GPU ask first: what is loaded, how full is it, and does it have to be loaded again and again?
fn in_memory() -> Vec<Panel> {
    let vram = Metric::of_model("model_vram_bytes");
    vec![
        Panel::timeline("Models in memory", "When each model was loaded on one of the backends at least.")
            .query(&format!("max by (model) ({})", LOADED.now()), "{{model}}")
            .words(&[("0", "out", "transparent"), ("1", "loaded", "green")])
            .thresholds("transparent", &[(1.0, "green")]),
        Panel::series(
            "GPU memory by model",
            "What each loaded model takes of GPU memory, over all backends.",
            Unit::Bytes,
        )
        .query(&format!("sum by (model) ({})", vram.now()), "{{model}}")
        .stacked(),
        Panel::events(
            "Evictions by model",
            "Models that left memory. Many, together with cold starts, mean that models push each other out.",
        )
        .query(&Metric::of_model("model_evictions_total").events(&["model"]), "{{event}}"),
    ]
}

fn by_model() -> Vec<Panel> {
    vec![
        Panel::series("In flight by model", "Requests that are being answered, by model.", Unit::Count)
            .query(&named_model(&format!("sum by (model) ({})", ACTIVE.now())), "{{model}}")
            .models()
            .stacked(),
        Panel::series(
            "First token by model, p95",
            "95 of 100 streamed answers of the last five minutes began sooner; the slowest of the backends.",
            Unit::Seconds,
        )
        .query(&format!("max by (model) ({})", TTFT.recorded("p95_5m")), "{{model}}")
        .limit_at(FIRST_TOKEN_LIMIT)
        .logarithmic(),
        Panel::events("Cold starts by model", "Requests that had to wait until the model was loaded.")
            .query(&COLD_STARTS.events(&["model"]), "{{event}}"),
    ]
}

fn latency() -> Vec<Panel> {
    vec![
        Panel::series("Request duration", "From the request's head to the last byte of the answer.", Unit::Seconds)
            .quantiles(|q| DURATION.quantile(q, "")),
        Panel::series(
            "Time to first token",
            "From the request's head to the first token of a streamed answer; with waiting, loading and reading the \
             prompt. The alert stands at the grey line.",
            Unit::Seconds,
        )
        .quantiles(|q| TTFT.quantile(q, ""))
        .limit_at(FIRST_TOKEN_LIMIT),
        Panel::series("Between tokens", "The gap between one token and the next in a stream.", Unit::Seconds)
            .quantiles(|q| ITL.quantile(q, "")),
    ]
}

fn distributions() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "Time to first token, distribution",
            "How many streamed answers began after which time; each column is a step of time.",
            Unit::Seconds,
        )
        .query(&TTFT.buckets(), "{{le}}"),
        Panel::heatmap(
            "Request duration, distribution",
            "How many requests took which time; each column is a step of time.",
            Unit::Seconds,
        )
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
            "Decode speed by model, p50",
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
    let link = json!([{ "id": "custom.width", "value": 130 }, { "id": "links", "value": [{
        "title": "Only this backend", "url": "/d/inferometer-overview?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&var-backend=${__value.raw:percentencode}&${__url_time_range}",
    }]}]);
    let state = json!([
        { "id": "mappings", "value": [{ "type": "value", "options": {
            "0": { "text": "DOWN", "color": "red", "index": 0 }, "1": { "text": "UP", "color": "green", "index": 1 },
        }}]},
        { "id": "custom.cellOptions", "value": { "type": "color-text" } },
    ]);
    let shaded = limits(&[(0.01, "orange"), (0.05, "red")]);
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
        .column("Requests", &REQUESTS.count_in_range("backend"), Unit::Count, json!([]))
        .column("Errors", &share(&ERRORS.in_range("backend"), &requests), Unit::Share, shaded)
        .column("In flight", &format!("sum by (backend) ({})", ACTIVE.now()), Unit::Count, json!([]))
        .column("Waiting", &waiting, Unit::Count, json!([]))
        .column("First token p95", &TTFT.quantile_in_range(0.95, "backend"), Unit::Seconds, wide(115))
        .column("Decode speed p50", &DECODE_SPEED.quantile_in_range(0.5, "backend"), Unit::TokensPerSecond, wide(150))
        .sorted_by("Requests")
}

fn machinery() -> Vec<Panel> {
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
        Panel::series(
            "Proxy overhead",
            "Work of the proxy itself on a request from beginning to end; waiting for the backend is not in it. The alert \
             stands at the grey line.",
            Unit::Seconds,
        )
        .quantiles(|q| OVERHEAD.quantile(q, ""))
        .limit_at(OVERHEAD_LIMIT),
    ]
}
