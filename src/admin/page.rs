//! The plain page: one file, no script, light and dark. Shown at `/` by a build without the dashboard's page.
//!
//! Promises: every value that we do not format ourselves is escaped; the page loads nothing; it shows models, ages and
//! counts, never content.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use super::markup::{age, escaped};
use super::parts::Parts;
use super::{embedded, models};
use crate::backend::inventory::{Inventory, Runtime};
use crate::backend::monitor::Monitor;
use crate::backend::status::ProbeState;
use crate::exchange::outcome::Phase;
use crate::history::in_flight::InFlightExchange;

/// Exchanges listed; the others are counted.
const ROWS: usize = 100;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn html(parts: &Parts, own: SocketAddr, now: Instant) -> String {
    let readiness = parts.readiness.state();
    let exchanges = parts.in_flight.snapshot();
    let up = age(now.saturating_duration_since(parts.started));
    let pill = if readiness.is_serving() { "up" } else { "wait" };
    let head = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"3\"><title>inferometer</title>\n<style>{STYLE}</style></head>\n<body>\
         <header><h1>inferometer</h1><span class=\"pill {pill}\">{}</span>\
         <span class=\"quiet\">version {}{} · up {up}</span></header>\n<main>",
        readiness.as_str(),
        escaped(parts.version),
        parts.revision.map(|revision| format!(" · {}", escaped(revision))).unwrap_or_default(),
    );
    let foot = "</main>\n<footer><a href=\"/metrics\">metrics</a> <a href=\"/health\">health</a> \
                <a href=\"/readyz\">ready</a> <a href=\"/livez\">live</a><span>refreshes every 3 s · never shows a prompt or an answer</span>\
                </footer></body></html>\n";
    [
        head,
        addresses((parts.clients_speak_tls, parts.clients), (parts.access.speaks_tls(), own)),
        backends(&parts.backends.all(), now),
        models::section(&parts.backends.all(), SystemTime::now()),
        in_flight(&exchanges, now),
        the_other().to_owned(),
        foot.to_owned(),
    ]
    .concat()
}

/// Where the page with charts is, or how to get it.
fn the_other() -> &'static str {
    if embedded::is_there() {
        "<p class=\"empty\">This is the page without scripts. <a href=\"/\">The dashboard</a> has charts and history.</p>"
    } else {
        "<p class=\"empty\">This program was built without the dashboard, which has charts and history. To have it: \
         <code>make web</code> (with Node.js 18 or newer, or Python), then build again; or take a released program.</p>"
    }
}

fn addresses(clients: (bool, SocketAddr), own: (bool, SocketAddr)) -> String {
    let (base, is_wildcard) = dialable(clients);
    let (metrics, _) = dialable(own);
    let note = if is_wildcard { " <span class=\"quiet\">and every other address of this machine</span>" } else { "" };
    format!(
        "<section><h2>Addresses</h2><dl>\
         <dt>Ollama clients</dt><dd><code>OLLAMA_HOST={base}</code>{note}</dd>\
         <dt>OpenAI clients</dt><dd><code>{base}/v1</code></dd>\
         <dt>Prometheus</dt><dd><code>{metrics}/metrics</code></dd></dl></section>\n"
    )
}

/// The URL to dial on this machine, and whether the listener takes every address of it.
fn dialable((tls, address): (bool, SocketAddr)) -> (String, bool) {
    let is_wildcard = address.ip().is_unspecified();
    let shown = if is_wildcard { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address };
    (format!("{}://{shown}", if tls { "https" } else { "http" }), is_wildcard)
}

fn backends(monitors: &[std::sync::Arc<Monitor>], now: Instant) -> String {
    let rows: String = monitors.iter().map(|monitor| backend(monitor, now)).collect();
    format!(
        "<section><h2>Backends</h2><div class=\"wide\"><table><thead><tr><th>Name<th>Server<th>Address<th>ProbeState<th>Since\
         <th class=\"n\">Probe</tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

fn backend(monitor: &Monitor, now: Instant) -> String {
    let status = monitor.status.snapshot();
    let (class, state) = match status.state {
        ProbeState::Unknown => ("wait", "not probed yet".to_owned()),
        ProbeState::Up => ("up", "answers".to_owned()),
        ProbeState::Down(failure) => ("down", format!("down: {}", failure.as_str())),
    };
    let probe = status.probe.map_or("–".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1e3));
    format!(
        "<tr><td>{}<td>{}<td><code>{}</code><td><span class=\"dot {class}\"></span>{state}<td>{}<td class=\"n\">{probe}</tr>",
        escaped(&monitor.backend.name),
        server(&monitor.inventory()),
        escaped(&monitor.backend.address.to_string()),
        age(now.saturating_duration_since(status.since)),
    )
}

/// The server's name and version, as far as they are known.
fn server(inventory: &Inventory) -> String {
    match (inventory.runtime, &inventory.version) {
        (Runtime::Unknown, _) => "<span class=\"quiet\">not known</span>".to_owned(),
        (runtime, None) => runtime.as_str().to_owned(),
        (runtime, Some(version)) => format!("{} {}", runtime.as_str(), escaped(version)),
    }
}

fn in_flight(exchanges: &[InFlightExchange], now: Instant) -> String {
    let count = exchanges.len();
    let mut out = format!("<section><h2>In flight <span class=\"count\">{count}</span></h2>");
    if exchanges.is_empty() {
        out.push_str("<p class=\"empty\">Nothing in flight.</p></section>\n");
        return out;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Model<th>Endpoint<th>Backend<th>Phase<th class=\"n\">Age\
         <th class=\"n\">Chunks</tr></thead><tbody>",
    );
    exchanges.iter().take(ROWS).for_each(|exchange| row(&mut out, exchange, now));
    out.push_str("</tbody></table></div>");
    if count > ROWS {
        // Writing to a string does not fail.
        let _ = write!(out, "<p class=\"empty\">The {ROWS} oldest are shown; {} more.</p>", count - ROWS);
    }
    out.push_str("</section>\n");
    out
}

fn row(out: &mut String, exchange: &InFlightExchange, now: Instant) {
    let model = exchange.model.as_deref().map_or("<span class=\"quiet\">not known</span>".to_owned(), escaped);
    let phase = exchange.phase.as_str();
    let chunks = match exchange.phase {
        Phase::Upload | Phase::Waiting if exchange.chunks == 0 => "–".to_owned(),
        _ => exchange.chunks.to_string(),
    };
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<tr><td>{model}<td><code>{} {}</code><td>{}<td><span class=\"phase {phase}\">{phase}</span>\
         <td class=\"n\">{}<td class=\"n\">{chunks}</tr>",
        exchange.method.as_str(),
        escaped(exchange.endpoint),
        escaped(exchange.backend.as_deref().unwrap_or_default()),
        age(now.saturating_duration_since(exchange.started)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_shown_as_one_that_can_be_dialled() {
        let (wildcard, local) = ("0.0.0.0:80".parse().expect("address"), "[::1]:80".parse().expect("address"));
        assert_eq!(dialable((false, wildcard)), ("http://127.0.0.1:80".into(), true));
        assert_eq!(dialable((true, local)), ("https://[::1]:80".into(), false));
    }
}
