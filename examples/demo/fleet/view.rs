//! How the figures of several servers are laid out: a page, or a line.

use super::node::Node;
use crate::figures::History;
use crate::screen::Size;
use crate::view::{clipped, counts, number, seconds, wrapped};

const TITLE: &str = "inferometer before three servers, live. Ctrl-C ends all that was started.";

pub(crate) fn page(
    addresses: &[(&'static str, String)],
    news: &str,
    nodes: &[Node],
    history: &History,
    size: Size,
) -> Vec<String> {
    let mut page = vec![TITLE.to_owned()];
    page.extend(addresses.iter().map(|(what, address)| format!("  {what:<8} {address}")));
    page.extend([String::new(), format!("requests       {}", counts(&history.by("requests_total", "outcome")))]);
    page.extend([
        format!("chosen by      {}", counts(&history.by("router_decisions_total", "reason"))),
        format!("first token    p50 {}   p95 {}", first(history, 0.5), first(history, 0.95)),
        String::new(),
        row(["server", "state", "in flight", "requests", "share", "tok/s", "loads"].map(str::to_owned)),
    ]);
    page.extend(nodes.iter().map(|node| of_node(node, history)));
    page.push(String::new());
    page.extend(wrapped(news, size.columns));
    page.truncate(size.rows);
    page.iter().map(|line| clipped(line, size.columns)).collect()
}

/// The most important of it.
pub(crate) fn line(nodes: &[Node], history: &History) -> String {
    let node = |node: &Node| {
        let name = node.kind.name;
        format!("{name} {}, {} requests", state(name, history), of_backend("requests_total", name, history))
    };
    let outcomes = counts(&history.by("requests_total", "outcome"));
    format!("{outcomes} | {}", nodes.iter().map(node).collect::<Vec<_>>().join(" | "))
}

/// The state of each server.
pub(crate) fn states(nodes: &[Node], history: &History) -> Vec<String> {
    nodes.iter().map(|node| state(node.kind.name, history).to_owned()).collect()
}

fn of_node(node: &Node, history: &History) -> String {
    let name = node.kind.name;
    let (requests, all) = (of_backend("requests_total", name, history), history.sum("requests_total", None));
    row([
        name.to_owned(),
        state(name, history).to_owned(),
        format!("{} of {}", of_backend("backend_inflight", name, history), node.kind.slots),
        requests.to_string(),
        if all > 0.0 { format!("{:.0} %", 100.0 * requests / all) } else { "-".to_owned() },
        number(history.rate_of("generated_tokens_total", "backend", name)),
        of_backend("cold_starts_total", name, history).to_string(),
    ])
}

fn row(cells: [String; 7]) -> String {
    let [server, state, in_flight, requests, share, rate, loads] = cells;
    format!("{server:<8}{state:<11}{in_flight:>9}{requests:>10}{share:>7}{rate:>8}{loads:>7}")
}

fn of_backend(family: &str, name: &str, history: &History) -> f64 {
    history.by(family, "backend").get(name).copied().unwrap_or(0.0)
}

fn state<'a>(name: &str, history: &'a History) -> &'a str {
    let states = history.now().iter().filter(|sample| sample.is("backend_state") && sample.value > 0.0);
    states.filter(|sample| sample.label("backend") == name).map(|sample| sample.label("state")).next().unwrap_or("-")
}

fn first(history: &History, quantile: f64) -> String {
    seconds(history.quantile("time_to_first_token_seconds", None, quantile))
}
