//! Energy: where the power goes, what a token takes, and what it costs.

use super::layout::Dashboard;
use super::panel::{GRAPH, Panel, Unit};
use super::query::{Metric, named_model, ratio, share};
use super::shared::GENERATED;
use serde_json::Value;

const ENERGY: Metric = Metric::of_model("energy_joules_total");
const OF_ANSWERS: Metric = Metric::of_model("energy_joules_total").with(r#"model!="""#);
const IDLE: Metric = Metric::of_instance("energy_idle_watts");
const PRICE: Metric = Metric::of_instance("electricity_price_per_kilowatt_hour");
const GPU_ENERGY: Metric = Metric::of_card("gpu_energy_joules_total");

/// What a price is in, where that is configured.
const CURRENCY: &str = "{{currency}}";

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-energy",
        "Inferometer / Energy",
        "Where the power of the machine's meters goes: energy above idle, shared out among the answers that were in \
         flight. Backends on other machines have meters of their own.",
    )
    .tiles(tiles())
    .heading("Power")
    .line(GRAPH, power())
    .heading("Tokens")
    .line(GRAPH, tokens())
    .heading("Costs")
    .line(GRAPH, costs())
    .build()
}

/// What so many kilowatts or kilowatt-hours of each proxy's meters cost, at that proxy's price, by currency and `by`.
/// `amount` is by `job`, `instance` and `by`.
fn cost(amount: &str, by: &str) -> String {
    let by = if by.is_empty() { "currency".to_owned() } else { format!("{by}, currency") };
    format!("sum by ({by}) ({amount} * on (job, instance) group_left (currency) {})", PRICE.now())
}

/// The labels by which amounts are kept apart until they are multiplied by a proxy's price.
fn of_each_meter(by: &str) -> String {
    if by.is_empty() { "job, instance".to_owned() } else { format!("job, instance, {by}") }
}

fn kilowatts(by: &str) -> String {
    format!("{} / 1000", ENERGY.rate(&of_each_meter(by)))
}

/// Money for a million tokens: a kilowatt-hour is 3.6 million joules.
fn a_million_tokens(by: &str) -> String {
    let joules = format!("{} / 3.6", OF_ANSWERS.rate_5m(&of_each_meter(by)));
    let tokens = GENERATED.rate_5m(by);
    let matched = if by.is_empty() { "on ()".to_owned() } else { format!("on ({by})") };
    format!("{} / {matched} group_left () ({tokens} > 0)", cost(&joules, by))
}

fn joules_a_token(by: &str) -> String {
    ratio(&OF_ANSWERS.rate_5m(by), &GENERATED.rate_5m(by))
}

fn tiles() -> Vec<Panel> {
    vec![
        Panel::tile("Power", "What the meters show: answers, idle and everything else.", Unit::Watts)
            .query(&ENERGY.rate(""), "power")
            .neutral(),
        Panel::tile("Idle power", "What the meters show while nothing is in flight.", Unit::Watts)
            .query(&format!("sum({})", IDLE.now()), "idle")
            .neutral(),
        Panel::tile("Energy", "Energy in the time range shown: answers, idle and everything else.", Unit::WattHours)
            .query(&format!("{} / 3600", ENERGY.in_range("")), "energy")
            .neutral(),
        Panel::tile("For answers", "Share of the energy in the time range shown that went into answers, above idle.", Unit::Share)
            .query(&share(&OF_ANSWERS.in_range(""), &ENERGY.in_range("")), "answers")
            .neutral(),
        Panel::tile(
            "Energy per token",
            "Energy above idle for each token generated in the last five minutes; the prompt's work is in it.",
            Unit::JoulesPerToken,
        )
        .query(&joules_a_token(""), "joules")
        .neutral(),
        Panel::tile(
            "Cost",
            "Electricity in the time range shown, in the currency of the configured price; a dash where none is configured.",
            Unit::Money,
        )
        .query(&cost(&format!("{} / 3.6e6", ENERGY.in_range("job, instance")), ""), &format!("{CURRENCY} in all"))
        .named()
        .neutral(),
        Panel::tile("Cost an hour", "Electricity at the power of the last minute, in the currency of the price.", Unit::Money)
            .query(&cost(&kilowatts(""), ""), &format!("{CURRENCY} an hour"))
            .named()
            .neutral(),
        Panel::tile(
            "Cost of tokens",
            "Electricity above idle for a million generated tokens, as of the last five minutes, in the currency of the price.",
            Unit::Money,
        )
        .query(&a_million_tokens(""), &format!("{CURRENCY} a million"))
        .named()
        .neutral(),
    ]
}

fn power() -> Vec<Panel> {
    vec![
        Panel::series(
            "Power by model",
            "Power above idle that went into each model's answers; without a model: idle, and work of others.",
            Unit::Watts,
        )
        .query(&named_model(&ENERGY.rate("model")), "{{model}}")
        .models()
        .stacked(),
        Panel::series("Power by GPU", "What each card drew, by its own counter.", Unit::Watts)
            .query(&GPU_ENERGY.rate("node, gpu"), "{{node}} GPU {{gpu}}"),
        Panel::series("Idle power by machine", "What the meters show while nothing is in flight.", Unit::Watts)
            .query(&IDLE.now(), "{{instance}}"),
    ]
}

fn tokens() -> Vec<Panel> {
    vec![
        Panel::series(
            "Energy per token by model",
            "Energy above idle for each token generated in the last five minutes; the prompt's work is in it.",
            Unit::JoulesPerToken,
        )
        .query(&joules_a_token("model"), "{{model}}")
        .logarithmic()
        .wide(12),
        Panel::series("Tokens by model", "Generated tokens a second, exact counts only.", Unit::TokensPerSecond)
            .query(&named_model(&GENERATED.rate("model")), "{{model}}")
            .models()
            .stacked()
            .wide(12),
    ]
}

fn costs() -> Vec<Panel> {
    let named = format!("{{{{model}}}} {CURRENCY}");
    vec![
        Panel::series(
            "Cost an hour by model",
            "Electricity at the present power, in the currency of the configured price.",
            Unit::Money,
        )
        .query(&named_model(&cost(&kilowatts("model"), "model")), &named)
        .models()
        .stacked()
        .wide(12),
        Panel::series(
            "Cost of a million tokens by model",
            "Electricity above idle for a million generated tokens, as of the last five minutes, in the currency of the price.",
            Unit::Money,
        )
        .query(&a_million_tokens("model"), &named)
        .logarithmic()
        .wide(12),
    ]
}
