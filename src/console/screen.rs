//! What `inferometer top` draws.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Row, Table, TableState};
use serde_json::Value;

use super::figures::{Figures, list};
use super::words::{DASH, clock, count, duration, figure, mebibytes, number, percent, share, span, text};

/// What is chosen, and said below.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) chosen: TableState,
    /// The answer to the last key.
    pub(super) note: String,
}

pub(super) fn draw(frame: &mut Frame<'_>, url: &str, figures: &Figures, view: &mut View) {
    let models = list(figures.models(), "models");
    let rows = |entries: usize, most: usize| u16::try_from(entries.clamp(1, most)).unwrap_or(1) + 2;
    let shown: Vec<_> = models.iter().filter(|model| is_used(model)).collect();
    let [head, middle, flight, ends, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(rows(shown.len(), 8)),
        Constraint::Min(4),
        Constraint::Length(rows(list(figures.ends(), "exchanges").len(), 10)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(ratatui::widgets::Paragraph::new(heading(url, figures)), head);
    frame.render_widget(model_table(&shown), middle);
    frame.render_stateful_widget(flight_table(figures), flight, &mut view.chosen);
    draw_ends(frame, figures, ends);
    let keys = "q quit   ↑ ↓ choose   s stop the chosen exchange";
    let note = if view.note.is_empty() { keys } else { &view.note };
    frame.render_widget(Line::from(note.to_owned()).dim(), foot);
}

fn is_used(model: &Value) -> bool {
    model["status"] != "available" || model["performance"]["total_requests"].as_u64().is_some_and(|count| count > 0)
}

fn heading(url: &str, figures: &Figures) -> Vec<Line<'static>> {
    let stats = figures.stats();
    let (inference, system) = (&stats["inference"], &stats["system"]);
    let label = |name: &str| Span::from(format!("{name} ")).dim();
    let in_last_hour = |metric: &str| figures.in_last_hour(metric).map_or_else(|| DASH.to_owned(), count);
    let mut first = vec!["inferometer ".bold(), Span::from(url.to_owned()).dim()];
    if let Some(trouble) = &figures.trouble {
        first.push(Span::from(format!("   {trouble}")).fg(Color::Red));
    } else if stats.is_null() {
        first.push("   asking…".dim());
    } else {
        first.push(Span::from(format!("   up {}", figure(&stats["uptime_seconds"], span))).dim());
    }
    let mut second = vec![
        label("requests"),
        Span::from(figure(&inference["requests_per_second"], |rate| format!("{}/s", number(rate)))),
        label("   in flight"),
        Span::from(figure(&inference["active_requests"], count)),
        label("   mean"),
        Span::from(figure(&inference["average_latency_ms"], duration)),
        label("   failed in 1 h"),
        Span::from(in_last_hour("failed")),
        label(" of"),
        Span::from(in_last_hour("requests")),
        label("   cpu"),
        Span::from(figure(&system["cpu_usage_percent"], percent)),
    ];
    for gpu in list(&stats["gpu"], "devices") {
        second.push(label("   gpu"));
        second.push(Span::from(figure(&gpu["utilization_percent"], percent)));
        second.push(Span::from(format!(" {}", figure(&gpu["memory_used_mb"], mebibytes))));
    }
    vec![Line::from(first), Line::from(second)]
}

fn block(title: String) -> Block<'static> {
    Block::new().borders(Borders::TOP).border_style(Style::new().dim()).title(title.bold())
}

fn head(names: &[&'static str]) -> Row<'static> {
    Row::new(names.iter().map(|name| Cell::from(*name))).style(Style::new().dim())
}

fn table(title: String, names: &[&'static str], widths: &[Constraint], rows: Vec<Row<'static>>) -> Table<'static> {
    let rows = if rows.is_empty() { vec![Row::new([Cell::from("nothing")]).dim()] } else { rows };
    Table::new(rows, widths.to_vec())
        .header(head(names))
        .block(block(title))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

/// Of the last 24 hours.
fn model_table(models: &[&Value]) -> Table<'static> {
    let names = names(models);
    let row = |(model, name): (&&Value, String)| {
        let done = &model["performance"];
        let state = text(&model["status"]);
        let memory = model["resource_usage"]["gpu_memory_usage_mb"].as_f64().unwrap_or(0.0)
            + model["resource_usage"]["memory_usage_mb"].as_f64().unwrap_or(0.0);
        Row::new([
            name,
            if state == "loaded" { mebibytes(memory) } else { state },
            figure(&done["total_requests"], count),
            figure(&done["average_tokens_per_second"], number),
            figure(&done["time_to_first_token_ms"]["p50"], duration),
            figure(&done["time_to_first_token_ms"]["p95"], duration),
            figure(&done["error_rate"], share),
            figure(&done["cold_starts"], count),
        ])
    };
    let widths = [
        Constraint::Fill(3),
        Constraint::Length(11),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    let heads = ["model, last 24 h", "memory", "requests", "tok/s", "TTFT p50", "TTFT p95", "failed", "cold"];
    table("Models".into(), &heads, &widths, models.iter().zip(names).map(row).collect())
}

/// What each is called: with its backend where another backend has the same model.
fn names(models: &[&Value]) -> Vec<String> {
    let is_elsewhere = |model: &Value| {
        models.iter().any(|other| other["name"] == model["name"] && other["backend"] != model["backend"])
    };
    let name = |model: &&Value| match text(&model["name"]) {
        name if is_elsewhere(model) => format!("{name} on {}", text(&model["backend"])),
        name => name,
    };
    models.iter().map(name).collect()
}

fn flight_table(figures: &Figures) -> Table<'static> {
    let answer = figures.in_flight();
    let row = |exchange: &Value| {
        let pace = figures.pace(exchange["id"].as_str().unwrap_or_default()).filter(|_| exchange["phase"] == "decode");
        Row::new([
            text(&exchange["model"]),
            text(&exchange["client"]),
            text(&exchange["phase"]),
            figure(&exchange["age_ms"], |ms| span(ms / 1e3)),
            figure(&exchange["pieces"], count),
            pace.map_or_else(|| DASH.to_owned(), number),
            text(&exchange["backend"]),
        ])
    };
    let widths = [
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Fill(1),
    ];
    let title = format!("In flight {}", figure(&answer["count"], count));
    let names = ["model", "client", "phase", "age", "tokens", "tok/s", "backend"];
    table(title, &names, &widths, list(answer, "exchanges").iter().map(row).collect())
}

fn draw_ends(frame: &mut Frame<'_>, figures: &Figures, area: Rect) {
    let row = |exchange: &Value| {
        let outcome = text(&exchange["outcome"]);
        let style = match &*outcome {
            "completed" => Style::new(),
            "client_cancelled" => Style::new().dim(),
            _ => Style::new().fg(Color::Red),
        };
        Row::new([
            clock(&exchange["ended_at"]),
            text(&exchange["model"]),
            text(&exchange["client"]),
            outcome.replace('_', " "),
            figure(&exchange["duration_ms"], duration),
            figure(&exchange["time_to_first_token_ms"], duration),
            figure(&exchange["tokens"]["generated"], count),
        ])
        .style(style)
    };
    let widths = [
        Constraint::Length(8),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(17),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(7),
    ];
    let names = ["at, UTC", "model", "client", "outcome", "took", "TTFT", "tokens"];
    let title =
        if figures.ends().is_null() { "Last ends: no history is kept" } else { "Last generations and embeddings" };
    let rows = list(figures.ends(), "exchanges").iter().map(row).collect();
    frame.render_widget(table(title.into(), &names, &widths, rows), area);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_of_two_backends_is_called_by_its_backend_too() {
        let all = [("a:1b", "left"), ("b:7b", "left"), ("a:1b", "right")]
            .map(|(name, backend)| json!({"name": name, "backend": backend}));
        assert_eq!(names(&all.each_ref()), ["a:1b on left", "b:7b", "a:1b on right"]);
    }
}
