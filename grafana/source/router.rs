//! The Router dashboard: which of several backends gets a request, why, and how evenly they are used.

use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit, colour};
use super::query::{Metric, at_the_backend, share};
use super::shared::{COLD_STARTS, GENERATED, REQUESTS, state_tile};
use serde_json::Value;

const DECISIONS: Metric = Metric::of_backend("router_decisions_total");
const AVAILABLE: Metric = Metric::of_backend("backend_available");
const STATE: Metric = Metric::of_backend("backend_state");
const WEIGHT: Metric = Metric::of_backend("backend_weight");
const IN_FLIGHT: Metric = Metric::of_backend("backend_inflight");
const SLOTS: Metric = Metric::of_backend("backend_slots");
const EJECTIONS: Metric = Metric::of_backend("backend_ejections_total");
const IGNORED: Metric = Metric::of_backend("probe_failures_ignored_total");
const HOLD: Metric = Metric::of_instance("router_hold_seconds");
const HELD: Metric = Metric::of_instance("router_held_bytes");
const OVERFLOWS: Metric = Metric::of_instance("router_hold_overflow_total");
const CANCELLED: Metric = Metric::of_model("client_cancellations_total");
const WASTED: Metric = Metric::of_model("wasted_tokens_total");

/// Why a backend was chosen: green where nothing was in the way. The two policies of one colour are never in force together.
const REASONS: &[(&str, &str)] = &[
    ("resident", colour::GREEN),
    ("join", colour::SKY),
    ("cold", colour::YELLOW),
    ("spill", colour::ORANGE),
    ("least_busy", colour::BLUE),
    ("round_robin", colour::BLUE),
    ("trial", colour::PURPLE),
    ("home", colour::GREY),
    ("header", colour::BROWN),
    ("panic", colour::RED),
];

/// The states of a backend, in words and colours, by the number that the timeline gives them.
const STATES: &[(&str, &str, &str)] = &[
    ("1", "up", "green"),
    ("1.5", "loading", "yellow"),
    ("1.7", "slow", "yellow"),
    ("2", "draining", "blue"),
    ("3", "being tried", "purple"),
    ("4", "ejected", "orange"),
    ("5", "down", "red"),
];

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-router",
        "Inferometer / Router",
        "Several backends behind one address: which of them is asked and why, how evenly they are used, and what was left out.",
    )
    .tiles(tiles())
    .heading("Choices")
    .line(GRAPH, choices())
    .heading("Load")
    .line(GRAPH, load())
    .heading("Backends that fail")
    .line(GRAPH, health())
    .folded("Bodies that are held", vec![(GRAPH, held())])
    .build()
}

fn tiles() -> Vec<Panel> {
    let words = [("0", "LEFT OUT", "red"), ("1", "ALL", "green")];
    vec![
        state_tile("Backends", "LEFT OUT as soon as one of the selected backends is not chosen.", AVAILABLE, &words),
        Panel::tile("Choices", "Times that a backend was chosen in the last minute, a second.", Unit::RequestsPerSecond)
            .query(&DECISIONS.rate(""), "choices")
            .neutral(),
        Panel::tile(
            "Utilisation",
            "Requests in flight, as a share of the slots of the backends whose slots are known; orange from 90 %, where \
             requests begin to wait.",
            Unit::Share,
        )
        .query(&share(&format!("sum({})", used()), &format!("sum({})", slots())), "in use")
        .thresholds("blue", &[(0.9, "orange")]),
        Panel::tile(
            "Balance",
            "How evenly the choices of the last minute fell on the backends, by their weights (Jain's index): 100 % where all \
             got their share, one part of their number where one got everything.",
            Unit::Share,
        )
        .query(&jain(), "balance")
        .neutral(),
        Panel::tile("Ejections", "Times that a backend was left out in the time range shown.", Unit::Count)
            .query(&EJECTIONS.count_in_range(""), "ejections")
            .thresholds("green", &[(1.0, "orange")]),
        Panel::tile("Held", "Bytes of requests that are held until their model is known.", Unit::Bytes)
            .query(&format!("sum({})", HELD.now()), "held")
            .neutral(),
    ]
}

fn slots() -> String {
    SLOTS.now()
}

/// What is in flight on the backends whose slots are known.
fn used() -> String {
    format!("{} and {}", IN_FLIGHT.now(), slots())
}

/// The square of the sum of what each has had, by weight, over their number and the sum of the squares. Without a value at
/// rest.
fn jain() -> String {
    let each = format!("({} / max by (backend) ({}))", DECISIONS.rate("backend"), WEIGHT.now());
    format!("sum({each}) ^ 2 / (count({each}) * sum({each} ^ 2) > 0)")
}

fn choices() -> Vec<Panel> {
    vec![
        Panel::series("Chosen backends", "How often each backend was chosen.", Unit::RequestsPerSecond)
            .query(&DECISIONS.rate("backend"), "{{backend}}")
            .stacked(),
        Panel::series(
            "Reasons",
            "Why they were chosen: the model was in memory (resident), was being loaded (join), had to be loaded (cold), or a \
             second load was sooner (spill); no model decided (home, header, response_id for what has an earlier answer, all for what \
             every backend is asked); the backend was tried again (trial), or too few others worked (panic).",
            Unit::RequestsPerSecond,
        )
        .query(&DECISIONS.rate("reason"), "{{reason}}")
        .family(REASONS)
        .stacked(),
        Panel::series("Share of each backend", "Of all choices, how many fell on each backend.", Unit::Share)
            .query(&share_of_all(), "{{backend}}"),
    ]
}

fn load() -> Vec<Panel> {
    let waiting = Metric::of_backend("exchanges_in_phase").with(r#"phase="waiting", model!="""#);
    let waiting = at_the_backend(Metric::of_backend("backend_requests_waiting"), waiting, "backend");
    vec![
        Panel::series(
            "Utilisation by backend",
            "Requests in flight as a share of the backend's slots, where those are known; what is beyond them waits.",
            Unit::Share,
        )
        .query(&format!("clamp_max(max by (backend) ({} / {}), 1)", IN_FLIGHT.now(), slots()), "{{backend}}")
        .otherwise("No backend's slots are known"),
        Panel::series("In flight by backend", "Requests placed on each backend that have not ended.", Unit::Count)
            .query(&format!("sum by (backend) ({})", IN_FLIGHT.now()), "{{backend}}")
            .stacked(),
        Panel::series(
            "Queue by backend",
            "Requests that wait at each backend: its own figure where it has one, else those without an answer's head yet.",
            Unit::Count,
        )
        .query(&waiting, "{{backend}}")
        .stacked(),
    ]
}

fn health() -> Vec<Panel> {
    vec![
        Panel::timeline("Backends by state", "When each backend was chosen, drained, tried again, or left out; slow is one that generates several times more slowly than it did.")
            .query(&numbered_states(), "{{backend}}")
            .words(STATES)
            .thresholds("green", &[])
            .wide(12),
        Panel::events("Ejections by backend", "Times that a backend was left out: it could not be reached, or its answers failed.")
            .query(&EJECTIONS.events(&["backend", "reason"]), "{{event}}")
            .wide(6),
        Panel::events("Ignored probes", "Failed probes that said nothing, as requests were in flight on the backend.")
            .query(&IGNORED.events(&["backend"]), "{{event}}")
            .wide(6),
        Panel::events("Cold starts by backend", "Requests that had to wait until the model was loaded.")
            .query(&COLD_STARTS.events(&["backend"]), "{{event}}"),
        Panel::series(
            "Tokens saved by cancelling",
            "An estimate: what a mean answer of the model would have been, less what had come, for each request whose client \
             left. Wasted is what had come.",
            Unit::TokensPerSecond,
        )
        .query(&saved(), "saved")
        .query(&WASTED.rate(""), "wasted")
        .family(&[("saved", colour::GREEN), ("wasted", colour::ORANGE)]),
        Panel::series("Weights", "The share of each backend in relation to the others'; it grows again after an outage.", Unit::Mean)
            .query(&format!("max by (backend) ({})", WEIGHT.now()), "{{backend}}"),
    ]
}

fn share_of_all() -> String {
    format!("{} / on () group_left () ({} > 0)", DECISIONS.rate("backend"), DECISIONS.rate(""))
}

/// The state of each backend as a number of [`STATES`].
fn numbered_states() -> String {
    let of = |state: &'static str| STATE.with(state).now();
    let numbered = [
        of(r#"state="up""#),
        format!("1.5 * {}", of(r#"state="loading""#)),
        format!("1.7 * {}", of(r#"state="slow""#)),
        format!("2 * {}", of(r#"state="draining""#)),
        format!("3 * {}", of(r#"state="half_open""#)),
        format!("4 * {}", of(r#"state="ejected""#)),
        format!("5 * {}", of(r#"state="down""#)),
    ];
    format!("max by (backend) ({})", numbered.join(" or "))
}

fn saved() -> String {
    let by = "backend, model";
    let (whole, left) = (REQUESTS.with(r#"outcome="completed""#).rate(by), CANCELLED.rate(by));
    let wasted = format!("({} or 0 * {left})", WASTED.rate(by));
    let mean = format!("clamp_min({} - {wasted}, 0) / ({whole} > 0)", GENERATED.rate(by));
    format!("sum(clamp_min({left} * ({mean}) - {wasted}, 0))")
}

fn held() -> Vec<Panel> {
    vec![
        Panel::series("Time held", "How long requests waited for their body to name its model.", Unit::Seconds)
            .quantiles(|q| HOLD.quantile(q, "")),
        Panel::series("Held bytes", "Bytes of requests that are held, of all of them.", Unit::Bytes)
            .query(&format!("sum by (instance) ({})", HELD.now()), "{{instance}}"),
        Panel::events("Bodies too long to hold", "Requests placed without their model, by the proxy.")
            .query(&OVERFLOWS.events(&["instance"]), "{{event}}"),
    ]
}
