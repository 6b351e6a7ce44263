//! Energy: where the power goes, what a token takes, and what it costs.

use super::layout::Dashboard;
use super::panel::{Panel, Unit};
use super::query::{Metric, named_model, share};
use serde_json::Value;

const ENERGY: Metric = Metric::of_model("energy_joules_total");
const OF_ANSWERS: Metric = Metric::of_model("energy_joules_total").with(r#"model!="""#);
const GENERATED: Metric = Metric::of_model("generated_tokens_total").with(r#"source!="chunks""#);
const IDLE: Metric = Metric::of_instance("energy_idle_watts");
const PRICE: Metric = Metric::of_instance("electricity_price_per_kilowatt_hour");
const GPU_ENERGY: Metric = Metric::of_instance("gpu_energy_joules_total");

pub(super) fn dashboard() -> Value {
    Dashboard::new(
        "inferometer-energy",
        "Inferometer / Energy",
        "Where the power of the machine's meters goes: energy above idle, shared out among the answers that were in \
         flight. Backends on other machines have meters of their own.",
    )
    .line(4, stats())
    .heading("Power")
    .line(9, power())
    .heading("Tokens")
    .line(9, tokens())
    .heading("Money")
    .line(9, money())
    .build()
}

/// Money an hour for so many watts.
fn an_hour(watts: &str) -> String {
    format!("{watts} / 1000 * scalar(avg({}))", PRICE.now())
}

/// Money for a million tokens: a kilowatt-hour is 3.6 million joules.
fn a_million_tokens(by: &str) -> String {
    format!("{} / 3.6 * scalar(avg({}))", joules_a_token(by), PRICE.now())
}

fn joules_a_token(by: &str) -> String {
    share(&OF_ANSWERS.rate(by), &GENERATED.rate(by))
}

fn stats() -> Vec<Panel> {
    let blue = |panel: Panel| panel.thresholds("blue", &[]);
    vec![
        blue(
            Panel::stat("Power", "What the meters show: answers, idle and everything else.", Unit::Watts)
                .query(&ENERGY.rate(""), "power"),
        ),
        blue(
            Panel::stat("Idle", "What the meters show while nothing is in flight.", Unit::Watts)
                .query(&format!("sum({})", IDLE.now()), "idle"),
        ),
        blue(
            Panel::stat("For answers", "Share of the energy that went into answers, above idle.", Unit::Share)
                .query(&share(&OF_ANSWERS.rate(""), &ENERGY.rate("")), "answers"),
        ),
        blue(
            Panel::stat("A token takes", "Energy above idle for each generated token.", Unit::JoulesPerToken)
                .query(&joules_a_token(""), "joules"),
        ),
        blue(
            Panel::stat("A joule gives", "Generated tokens for each joule above idle.", Unit::TokensPerJoule)
                .query(&share(&GENERATED.rate(""), &OF_ANSWERS.rate("")), "tokens"),
        ),
        blue(
            Panel::stat("Energy a step", "Energy in each step of the time shown.", Unit::Joules)
                .query(&ENERGY.increase(""), "energy"),
        ),
        blue(
            Panel::stat("An hour costs", "At the present power, in the currency of the configured price.", Unit::Money)
                .query(&an_hour(&ENERGY.rate("")), "an hour"),
        ),
        blue(
            Panel::stat(
                "A million tokens cost",
                "Electricity above idle for a million generated tokens, in the currency of the configured price.",
                Unit::Money,
            )
            .query(&a_million_tokens(""), "a million tokens"),
        ),
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
        .stacked(),
        Panel::series("Power by GPU", "What each card drew, by its own counter.", Unit::Watts)
            .query(&GPU_ENERGY.rate("instance, gpu"), "{{instance}} GPU {{gpu}}"),
        Panel::series("Idle power", "What the meters show while nothing is in flight.", Unit::Watts)
            .query(&IDLE.now(), "{{instance}}"),
    ]
}

fn tokens() -> Vec<Panel> {
    vec![
        Panel::series(
            "Joules a token",
            "Energy above idle for each generated token; the prompt's work is in it.",
            Unit::JoulesPerToken,
        )
        .query(&joules_a_token("model"), "{{model}}"),
        Panel::series("Tokens a joule", "Generated tokens for each joule above idle.", Unit::TokensPerJoule)
            .query(&share(&GENERATED.rate("model"), &OF_ANSWERS.rate("model")), "{{model}}"),
        Panel::series("Tokens", "Generated tokens a second, exact counts only.", Unit::TokensPerSecond)
            .query(&named_model(&GENERATED.rate("model")), "{{model}}")
            .stacked(),
    ]
}

fn money() -> Vec<Panel> {
    vec![
        Panel::series(
            "Cost an hour, by model",
            "Electricity at the present power, in the currency of the configured price.",
            Unit::Money,
        )
        .query(&named_model(&an_hour(&ENERGY.rate("model"))), "{{model}}")
        .stacked(),
        Panel::series(
            "Cost of a million tokens, by model",
            "Electricity above idle for a million generated tokens, in the currency of the configured price.",
            Unit::Money,
        )
        .query(&a_million_tokens("model"), "{{model}}"),
    ]
}
