//! How the figures are laid out: a page, or a line.

use std::collections::BTreeMap;

use crate::figures::History;
use crate::screen::Size;

const TITLE: &str = "inferometer, live. Ctrl-C ends all that was started.";

/// Columns that the whole table of models takes; below, it does without two of them.
const WIDE: usize = 77;

/// What runs where.
#[derive(Debug)]
pub(crate) struct Intro {
    pub(crate) notes: Vec<String>,
    pub(crate) addresses: [(&'static str, String); 3],
}

/// Everything, in a terminal of this size. Where it is low, blank lines are left out first, then the notes, then the last
/// of the models.
pub(crate) fn page(intro: &Intro, history: &History, size: Size) -> Vec<String> {
    let mut notes: Vec<_> = intro.notes.iter().flat_map(|note| wrapped(note, size.columns)).collect();
    let addresses = intro.addresses.iter().map(|(what, address)| format!("  {what:<8} {address}")).collect();
    let (totals, mut models, ends) = (totals(history).to_vec(), models(history, size.columns), ends(history));
    let fixed = 1 + intro.addresses.len() + totals.len() + ends.len();
    if fixed + notes.len() + models.len() > size.rows {
        notes.clear();
    }
    // The heading stays.
    models.truncate(size.rows.saturating_sub(fixed).max(1));
    let parts = [vec![TITLE.to_owned()], [notes, addresses].concat(), totals, models, ends];
    let is_roomy = parts.iter().map(Vec::len).sum::<usize>() + parts.len() - 1 <= size.rows;
    let blank = if is_roomy { &[String::new()][..] } else { &[] };
    let mut page = parts.join(blank);
    page.truncate(size.rows);
    page.iter().map(|line| clipped(line, size.columns)).collect()
}

/// A text in lines of at most so many columns, broken between words.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub(crate) fn clipped(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

fn ends(history: &History) -> Vec<String> {
    vec![
        format!("errors         {}", counts(&history.by("errors_total", "error_type"))),
        format!("cancellations  {}", cancellations(history)),
    ]
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

fn models(history: &History, columns: usize) -> Vec<String> {
    let row = |name: &str, cells: [String; 6]| {
        let [requests, active, rate, median, slow, cold] = cells;
        let (active, slow) =
            if columns >= WIDE { (format!("{active:>8}"), format!("{slow:>9}")) } else { <_>::default() };
        format!("{name:<26.26}{requests:>9}{active}{rate:>9}{median:>9}{slow}{cold:>7}")
    };
    let heading = ["requests", "active", "tok/s", "ttft p50", "ttft p95", "cold"].map(str::to_owned);
    let of_model = |(model, requests): (String, f64)| {
        let of = Some(model.as_str());
        let first = |quantile| seconds(history.quantile("time_to_first_token_seconds", of, quantile));
        let cells = [
            requests.to_string(),
            history.sum("active_requests", of).to_string(),
            number(history.mean("tokens_per_second", of)),
            first(0.5),
            first(0.95),
            history.sum("cold_starts_total", of).to_string(),
        ];
        row(if model.is_empty() { "(none)" } else { &model }, cells)
    };
    let known = history.by("requests_total", "model").into_iter().filter(|(_, requests)| *requests > 0.0);
    std::iter::once(row("model", heading)).chain(known.map(of_model)).collect()
}

fn cancellations(history: &History) -> String {
    let wasted = history.sum("wasted_tokens_total", None);
    format!("{}, {wasted} tokens wasted", counts(&history.by("client_cancellations_total", "phase")))
}

pub(crate) fn counts(counts: &BTreeMap<String, f64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

pub(crate) fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 1.0 => format!("{:.0} ms", value * 1_000.0),
        Some(value) => format!("{value:.1} s"),
    }
}
