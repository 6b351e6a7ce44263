//! `inferometer snapshot`: what the last time brought, as one file that opens anywhere: the page with its answers, and of a
//! program without the page a table for each list.

use std::fmt::Write as _;

use serde_json::Value;

use super::figures::list;
use super::redaction::redacted;
use super::saved::{self, Span};
use super::svg;
use super::target::{Target, TargetError};
use super::words::{DASH, clock, count, duration, figure, mebibytes, number, percent, share, text};

const STYLE: &str = include_str!("snapshot.css");

/// What is asked for; `{}` is how far back.
const SERIES: &str =
    "/dashboard/series?metrics=requests,failed,cancelled,ttft_p50,ttft_p95,duration_p95,generated_rate";

/// The file. `last` is how long the time is that it shows, which goes from an instant to another.
///
/// # Errors
/// When the program does not answer. Without a history the parts that need it say so.
pub async fn html(target: &Target, last: &str, (from, to): (&str, &str)) -> Result<String, TargetError> {
    match saved::html(target, &Span { last, from, to }).await? {
        Some(file) => Ok(file),
        None => plain(target, from).await,
    }
}

async fn plain(target: &Target, from: &str) -> Result<String, TargetError> {
    let stats = target.get("/dashboard/stats").await?;
    let asked = [
        format!("{SERIES}&from={from}"),
        "/dashboard/alerts".into(),
        "/dashboard/workers".into(),
        "/dashboard/models".into(),
        "/dashboard/exchanges/in-flight".into(),
        format!("/dashboard/exchanges?failed=true&limit=50&from={from}"),
        format!("/dashboard/exchanges?order=longest&limit=20&from={from}"),
        "/dashboard/logs?level=warn&limit=100".into(),
    ];
    let mut answers = Vec::new();
    for path in &asked {
        match target.get(path).await {
            Ok(answer) => answers.push(answer),
            // Of what is not kept nothing is shown.
            Err(TargetError::Refused(..)) => answers.push(Value::Null),
            Err(error) => return Err(error),
        }
    }
    let health = target.get("/health").await.unwrap_or_default();
    Ok(page(from, &stats, &health, &answers))
}

fn page(from: &str, stats: &Value, health: &Value, answers: &[Value]) -> String {
    let [series, alerts, workers, models, running, failed, longest, logs] = answers else { return String::new() };
    let at = text(&stats["timestamp"]);
    [
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>inferometer, {at}</title>\n<style>{STYLE}</style></head>\n\
             <body><h1>inferometer</h1><p>What it showed at {at} of the time since {}. Addresses are left out; prompts and answers are never kept.</p>\n",
            escaped(from)
        ),
        now(stats, health),
        part("Requests, each interval", &charted(series, &[("requests", "all"), ("failed", "failed"), ("cancelled", "cancelled")], number)),
        part("Latency", &charted(series, &[("ttft_p50", "first token p50"), ("ttft_p95", "first token p95"), ("duration_p95", "whole p95")], duration)),
        part("Tokens a second", &charted(series, &[("generated_rate", "generated")], number)),
        table("Alerts", alerts, "active_alerts", &["level", "title", "message", "timestamp"]),
        table("Backends", workers, "workers", &["id", "status", "last_heartbeat", "current_load/active_requests"]),
        part("Models, last 24 hours", &model_table(models)),
        table("In flight", running, "exchanges", &["model", "client", "phase", "age_ms", "pieces", "backend"]),
        table("Did not complete", failed, "exchanges", EXCHANGE),
        table("Longest", longest, "exchanges", EXCHANGE),
        table("Warnings of the log", logs, "logs", &["timestamp", "level", "component", "message"]),
        "</body></html>\n".to_owned(),
    ]
    .concat()
}

/// Fields of an exchange that are shown.
const EXCHANGE: &[&str] = &[
    "ended_at",
    "model",
    "client",
    "endpoint",
    "outcome",
    "error",
    "status",
    "duration_ms",
    "time_to_first_token_ms",
    "tokens/prompt",
    "tokens/generated",
    "backend",
    "trace_id",
];

fn escaped(text: &str) -> String {
    redacted(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn part(title: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2>{body}</section>\n")
}

fn now(stats: &Value, health: &Value) -> String {
    let (inference, system) = (&stats["inference"], &stats["system"]);
    let facts = [
        ("version", text(&health["version"])),
        ("revision", text(&health["revision"])),
        ("state", text(&health["status"])),
        ("history", text(&health["history"]["status"])),
        ("requests a second", figure(&inference["requests_per_second"], number)),
        ("in flight", figure(&inference["active_requests"], count)),
        ("requests since the start", figure(&inference["total_requests"], count)),
        ("failed", figure(&inference["total_errors"], count)),
        ("processor", figure(&system["cpu_usage_percent"], percent)),
        ("memory", figure(&system["memory_usage_percent"], percent)),
        ("disk", figure(&system["disk_usage_percent"], percent)),
    ];
    let gpus = list(&stats["gpu"], "devices").iter().map(|gpu| {
        let (use_, memory) = (figure(&gpu["utilization_percent"], percent), figure(&gpu["memory_used_mb"], mebibytes));
        (text(&gpu["name"]), format!("{use_}, {memory} in use"))
    });
    let facts = facts.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(gpus);
    let rows: String = facts.map(|(name, value)| format!("<dt>{}<dd>{}", escaped(&name), escaped(&value))).collect();
    part("Now", &format!("<dl>{rows}</dl>"))
}

fn charted(answer: &Value, metrics: &[(&'static str, &'static str)], write: impl Fn(f64) -> String) -> String {
    if answer.is_null() {
        return "<p>No history is kept.</p>".to_owned();
    }
    svg::chart(&svg::lines(answer, metrics), write)
}

fn model_table(answer: &Value) -> String {
    let row = |model: &Value| {
        let done = &model["performance"];
        let percentiles = |of: &Value| ["p50", "p95", "p99"].map(|name| figure(&of[name], duration)).join(" / ");
        vec![
            text(&model["name"]),
            text(&model["backend"]),
            text(&model["status"]),
            figure(&done["total_requests"], count),
            figure(&done["error_rate"], share),
            percentiles(&done["time_to_first_token_ms"]),
            percentiles(&done["latency_ms"]),
            figure(&done["average_tokens_per_second"], number),
            figure(&done["cold_starts"], count),
        ]
    };
    let names = [
        "model",
        "backend",
        "state",
        "requests",
        "failed",
        "first token p50 / p95 / p99",
        "whole",
        "tok/s",
        "cold starts",
    ];
    rows(&names, list(answer, "models").iter().map(row))
}

fn table(title: &str, answer: &Value, name: &str, fields: &[&str]) -> String {
    if answer.is_null() {
        return part(title, "<p>It is not kept, or these credentials do not permit it.</p>");
    }
    let cell = |entry: &Value, field: &&str| {
        let value = field.split('/').fold(entry, |entry, name| &entry[name]);
        match value {
            Value::Null => DASH.to_owned(),
            Value::Number(_) if field.ends_with("_ms") => figure(value, duration),
            Value::String(text) if field.ends_with("_at") || *field == "timestamp" => {
                format!("{} {}", text.get(..10).unwrap_or_default(), clock(value))
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    };
    let heads: Vec<_> = fields.iter().map(|field| field.trim_end_matches("_ms").replace(['_', '/'], " ")).collect();
    let heads: Vec<_> = heads.iter().map(String::as_str).collect();
    part(title, &rows(&heads, list(answer, name).iter().map(|entry| fields.iter().map(|it| cell(entry, it)).collect())))
}

fn rows(names: &[&str], all: impl Iterator<Item = Vec<String>>) -> String {
    let head: String = names.iter().map(|name| format!("<th>{}", escaped(name))).collect();
    let mut body = String::new();
    for cells in all {
        let cells: String = cells.iter().map(|cell| format!("<td>{}", escaped(cell))).collect();
        // Writing to a string does not fail.
        let _ = writeln!(body, "<tr>{cells}</tr>");
    }
    if body.is_empty() {
        "<p>None.</p>".to_owned()
    } else {
        format!("<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_from_elsewhere_is_text_and_has_no_address() {
        let shown = table(
            "T",
            &json!({"logs": [{"message": "<script> of http://gpu:1 & more", "timestamp": "2026-11-29T12:30:05.1Z", "at_ms": 1500.0, "no": null}]}),
            "logs",
            &["message", "timestamp", "at_ms", "no"],
        );
        for text in ["&lt;script&gt; of (address) &amp; more", "2026-11-29 12:30:05", "1.50 s", "<td>–"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        assert!(table("T", &Value::Null, "logs", &[]).contains("not kept"));
    }
}
