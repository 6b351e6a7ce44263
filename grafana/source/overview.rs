//! The Overview: is it up, what is wrong, how fast is it, how busy, with which model.

use super::column::{hidden, linked, plain, wide, worded};
use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit};
use super::query::{Metric, at_the_backend, named_model, share};
use super::shared::{
    ACTIVE, COLD_STARTS, DECODE_SPEED, DURATION, ENDED, FAILED, FIRST_TOKEN_LIMIT, GENERATED, IN_PHASE, ITL, PHASES,
    PROMPT, REQUESTS, TTFT, UP_DOWN, between_tokens, decode_speed_tile, errors_by_type, errors_column, errors_tile,
    first_token, first_token_distribution, first_token_tile, in_flight_tile, loaded_column, outcomes, overhead,
    requests_tile, state_tile, tokens_tile,
};
use serde_json::{Value, json};

const LOADED: Metric = Metric::of_model("model_loaded").with(r#"model!="""#);
const BACKEND_UP: Metric = Metric::of_backend("backend_up");
const GPU_BUSY: Metric = Metric::of_instance("gpu_utilization_ratio");
const GPU_MEMORY_USED: Metric = Metric::of_instance("gpu_memory_used_bytes");
const GPU_MEMORY: Metric = Metric::of_instance("gpu_memory_total_bytes");

/// The worst severity there is, in words and colours.
const SEVERITIES: &[(&str, &str, &str)] =
    &[("0", "none", "green"), ("1", "info", "blue"), ("2", "warning", "orange"), ("3", "CRITICAL", "red")];

/// Where the runbook is read: an example, to be replaced by the address under which it is kept.
const RUNBOOK: &str = "https://git.example.org/ops/inferometer/blob/main/prometheus/runbook.md";

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
    .folded("Fleet", vec![(GRAPH, fleet())])
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

fn tiles() -> Vec<Panel> {
    let of_gpu = |title, what, expr: &str| Panel::tile(title, what, Unit::Share).query(expr, "GPU");
    vec![
        state_tile("Backends", "DOWN as soon as one of the selected backends does not answer.", BACKEND_UP, UP_DOWN),
        Panel::tile(
            "Alerts",
            "The worst severity of the alerts that are firing. They are in the list below.",
            Unit::Count,
        )
        .query(&format!("max({}) or vector(0)", ranked_alerts()), "worst severity")
        .words(SEVERITIES)
        .thresholds("green", &[(1.0, "blue"), (2.0, "orange"), (3.0, "red")])
        .filled(),
        requests_tile(),
        errors_tile(),
        first_token_tile(),
        decode_speed_tile(),
        in_flight_tile(),
        Panel::tile(
            "Waiting",
            "Requests of which nothing has come back yet: in the server's queue, or while it loads the model or reads the \
             prompt. Orange from 4, where the alert stands for each model.",
            Unit::Count,
        )
        .query(&format!("sum({})", IN_PHASE.with(r#"phase=~"queued|waiting""#).now()), "waiting")
        .thresholds("blue", &[(4.0, "orange")]),
        tokens_tile(),
        Panel::tile("Models loaded", "Models in the backends' memory.", Unit::Count)
            .query(&format!("sum(max by (model) ({}))", LOADED.now()), "models")
            .neutral(),
        of_gpu(
            "GPU busy",
            "Share of time in which something ran on the GPUs, their mean; a dash where there is none.",
            &format!("avg({})", GPU_BUSY.now()),
        )
        .neutral(),
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
    let severities =
        worded(&[("critical", "critical", "red"), ("warning", "warning", "orange"), ("info", "info", "blue")]);
    let link = linked(180, "What to do about it", "${runbook}#Inferometer${__value.raw}");
    let short = |firing: &str| format!(r#"label_replace({firing}, "alertname", "$1", "alertname", "Inferometer(.+)")"#);
    let none = format!(r#"label_replace(vector(0) unless on () ({}), "alertname", "none", "", "")"#, ranked_alerts());
    Panel::table(
        "Alerts firing",
        "Alerts of inferometer that fire now, the worst first; a click leads to the runbook. Needs the rules of \
         prometheus/rules in Prometheus.",
    )
    .label_column("alertname", "Alert", link)
    .label_column("severity", "Severity", severities)
    .label_column("model", "Model", plain())
    .label_column("backend", "Backend", plain())
    .label_column("gpu", "GPU", wide(50))
    .column(
        "Rank",
        &format!("max by (alertname, severity, backend, model, gpu) ({}) or {none}", short(&ranked_alerts())),
        Unit::Count,
        hidden(),
    )
    .sorted_by("Rank")
    .wide(10)
}

fn traffic() -> Vec<Panel> {
    vec![
        outcomes("Requests by outcome"),
        errors_by_type(),
        Panel::series("Requests by model", "Requests that ended, by model.", Unit::RequestsPerSecond)
            .query(&named_model(&REQUESTS.rate("model")), "{{model}}")
            .models()
            .stacked(),
    ]
}

fn models() -> Panel {
    let named = |metric: Metric| metric.with(r#"model!="""#);
    let (requests, errors) = (named(ENDED).in_range("model"), named(FAILED).in_range("model"));
    let active = format!("sum by (model) ({})", named(ACTIVE).now());
    let tokens = Metric::of_model("generated_tokens_total").with(r#"source!="chunks", model!="""#);
    let gauge = json!([
        { "id": "min", "value": 0 },
        { "id": "color", "value": { "mode": "continuous-BlPu" } },
        { "id": "custom.cellOptions", "value": { "type": "gauge", "mode": "gradient", "valueDisplayMode": "text" } },
        { "id": "custom.width", "value": 160 },
    ]);
    let board = "/d/inferometer-model?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${backend:queryparam}\
                 &var-model=${__value.raw:percentencode}&${__url_time_range}";
    let link = linked(210, "Look at this model", board);
    let columns = Panel::table(
        "Models at a glance",
        "Every model that was asked for in the time range shown, or is loaded now. What is in flight is that of now.",
    )
    .label_column("model", "Model", link)
    .column("Loaded", &format!("max by (model) ({} == 1)", LOADED.now()), Unit::Count, loaded_column())
    .column("Requests", &format!("{} > 0", named(ENDED).count_in_range("model")), Unit::Count, plain())
    .column("Errors", &share(&errors, &requests), Unit::Share, errors_column())
    .column("In flight", &format!("{active} > 0 or {active} and on (model) ({requests} > 0)"), Unit::Count, plain())
    .column("Tokens", &format!("{} > 0", tokens.in_range("model")), Unit::Large, plain())
    .column("First token p50", &named(TTFT).quantile_in_range(0.5, "model"), Unit::Seconds, wide(115))
    .column("First token p95", &named(TTFT).quantile_in_range(0.95, "model"), Unit::Seconds, wide(115))
    .column("Gap p95", &named(ITL).quantile_in_range(0.95, "model"), Unit::Seconds, plain());
    columns
        .column("Decode speed p50", &named(DECODE_SPEED).quantile_in_range(0.5, "model"), Unit::TokensPerSecond, gauge)
        .sorted_by("Requests")
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
        first_token("Time to first token"),
        between_tokens(),
    ]
}

fn distributions() -> Vec<Panel> {
    vec![
        first_token_distribution("Time to first token, distribution"),
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
    let requests = ENDED.in_range("backend");
    let board = "/d/inferometer-overview?${datasource:queryparam}&${job:queryparam}&${instance:queryparam}\
                 &var-backend=${__value.raw:percentencode}&${__url_time_range}";
    let link = linked(130, "Only this backend", board);
    let waiting = Metric::of_backend("exchanges_in_phase").with(r#"phase="waiting", model!="""#);
    let waiting = at_the_backend(Metric::of_backend("backend_requests_waiting"), waiting, "backend");
    let info = Metric::of_backend("backend_info").now();
    Panel::table("Backends at a glance", "Every backend, over the time range shown; state and queues are those of now.")
        .label_column("backend", "Backend", link)
        .label_column("runtime", "Server", plain())
        .label_column("version", "Version", plain())
        .label_column("node", "Machine", plain())
        .label_column("zone", "Zone", plain())
        .column("Is known", &format!("max by (backend, runtime, version, node, zone) ({info})"), Unit::Count, hidden())
        .column("State", &format!("min by (backend) ({})", BACKEND_UP.now()), Unit::Count, worded(UP_DOWN))
        .column("Requests", &ENDED.count_in_range("backend"), Unit::Count, plain())
        .column("Errors", &share(&FAILED.in_range("backend"), &requests), Unit::Share, errors_column())
        .column("In flight", &format!("sum by (backend) ({})", ACTIVE.now()), Unit::Count, plain())
        .column("Waiting", &waiting, Unit::Count, plain())
        .column("First token p95", &TTFT.quantile_in_range(0.95, "backend"), Unit::Seconds, wide(115))
        .column("Decode speed p50", &DECODE_SPEED.quantile_in_range(0.5, "backend"), Unit::TokensPerSecond, wide(150))
        .sorted_by("Requests")
}

/// What all backends and all machines have to do, together.
fn fleet() -> Vec<Panel> {
    let waiting = Metric::of_model("exchanges_in_phase").with(r#"phase="waiting", model!="""#);
    let waiting = at_the_backend(Metric::of_model("backend_requests_waiting"), waiting, "backend, model");
    vec![
        Panel::series(
            "GPU utilisation of the fleet",
            "Share of time in which something ran on the GPUs of all machines: their mean, the busiest and the idlest.",
            Unit::Share,
        )
        .query(&format!("avg({})", GPU_BUSY.now()), "mean")
        .query(&format!("max({})", GPU_BUSY.now()), "busiest")
        .query(&format!("min({})", GPU_BUSY.now()), "idlest")
        .otherwise("No GPU is known")
        .wide(12),
        Panel::series(
            "Queue depth of the fleet",
            "Requests that wait, by model and backend: the backend's own figure where it has one, else those without an \
             answer's head yet.",
            Unit::Count,
        )
        .query(&waiting, "{{model}} at {{backend}}")
        .stacked()
        .wide(12),
    ]
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
        overhead(),
    ]
}
