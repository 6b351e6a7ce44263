//! How the figures are laid out: a page, or a line.

use std::collections::BTreeMap;

use crate::figures::History;

/// What runs where.
pub(crate) fn intro(addresses: &[(&str, String)], notes: &[String]) -> Vec<String> {
    let mut intro = vec!["inferometer, live. Ctrl-C ends it, and everything it started.".to_owned(), String::new()];
    intro.extend(notes.iter().cloned());
    intro.extend(addresses.iter().map(|(what, address)| format!("  {what:<8} {address}")));
    intro.push(String::new());
    intro
}

/// All figures, for eighty columns and, with the introduction, twenty-four rows.
pub(crate) fn figures(history: &History) -> Vec<String> {
    let mut page = totals(history).to_vec();
    page.push(String::new());
    page.extend(models(history));
    page.push(String::new());
    page.push(format!("errors         {}", counts(&history.by("errors_total", "error_type"))));
    page.push(format!("cancellations  {}", cancellations(history)));
    page
}

/// The most important of it.
pub(crate) fn line(history: &History) -> String {
    format!(
        "{} | active {} | {} tokens/s | TTFT p50 {} p95 {} | errors {} | cancelled {}, {} tokens wasted",
        counts(&history.by("requests_total", "outcome")),
        history.sum("active_requests", None),
        number(history.rate("generated_tokens_total", None)),
        seconds(history.quantile("time_to_first_token_seconds", None, 0.5)),
        seconds(history.quantile("time_to_first_token_seconds", None, 0.95)),
        history.sum("errors_total", None),
        history.sum("client_cancellations_total", None),
        history.sum("wasted_tokens_total", None),
    )
}

fn totals(history: &History) -> [String; 4] {
    let first = |quantile| seconds(history.quantile("time_to_first_token_seconds", None, quantile));
    [
        format!("requests       {}", counts(&history.by("requests_total", "outcome"))),
        format!("active         {}", history.sum("active_requests", None)),
        format!(
            "tokens/s       {} generated, {} prompt  (last 10 s)",
            number(history.rate("generated_tokens_total", None)),
            number(history.rate("prompt_tokens_total", None))
        ),
        format!("first token    p50 {}   p95 {}", first(0.5), first(0.95)),
    ]
}

fn models(history: &History) -> Vec<String> {
    let header = format!(
        "{:<26}{:>9}{:>8}{:>9}{:>9}{:>9}{:>7}",
        "model", "requests", "active", "tok/s", "ttft p50", "ttft p95", "cold"
    );
    let mut table = vec![header];
    for (model, requests) in history.by("requests_total", "model") {
        let of = Some(model.as_str());
        let name = if model.is_empty() { "(none)" } else { &model };
        table.push(format!(
            "{name:<26.26}{requests:>9}{:>8}{:>9}{:>9}{:>9}{:>7}",
            history.sum("active_requests", of),
            number(history.mean("tokens_per_second", of)),
            seconds(history.quantile("time_to_first_token_seconds", of, 0.5)),
            seconds(history.quantile("time_to_first_token_seconds", of, 0.95)),
            history.sum("cold_starts_total", of),
        ));
    }
    table
}

fn cancellations(history: &History) -> String {
    let wasted = history.sum("wasted_tokens_total", None);
    format!("{}, {wasted} tokens wasted", counts(&history.by("client_cancellations_total", "phase")))
}

fn counts(counts: &BTreeMap<String, f64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 1.0 => format!("{:.0} ms", value * 1_000.0),
        Some(value) => format!("{value:.1} s"),
    }
}
