//! What the boards say in the states in which people look at them: under traffic, at rest, with a faulty GPU, without a backend.
//!
//! A tile that has nothing to say shows a dash and never what it said before; a count stays for as long as its event is in
//! the time range shown. The proxy, its backend (the simulated Ollama) and its Prometheus are real; the GPUs are the
//! stand-in's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::files::Scratch;
use super::panels::{Api, Shown};
use super::prometheus::Prometheus;
use super::{lint, shipped_dashboards};
use crate::support::client::Client;
use crate::support::nvml::StandIn;
use crate::support::program::Program;
use crate::support::simulator::Simulator;

/// Requests of different ends until it is dropped. Answers of a proxy without a backend are as good.
struct Clients {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = over.clone();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for words in ["hello", "good day", "unlucky [[error]]"] {
                    let text = format!(r#"{{"role":"user","content":"{words} [[tokens=12]]"}}"#);
                    let body = format!(r#"{{"model":"llama3.2:3b","messages":[{text}]}}"#);
                    let length = body.len();
                    let head = format!(
                        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
                    );
                    Client::connect(address).send(head + &body).rest();
                }
                // A pace, not a wait: the test machine is not to be asked as fast as it can answer.
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const STATES: [&str; 4] = ["traffic", "idle", "GPU fault", "backend down"];

/// What each tile says in each of the states: a number, `>0`, a word, `–` for nothing, or `any` where it depends on the machine.
const TILES: &[(&str, &str, [&str; 4])] = &[
    ("overview", "Backends", ["UP", "UP", "UP", "DOWN"]),
    ("overview", "Alerts", ["any", "any", "CRITICAL", "CRITICAL"]),
    ("overview", "Requests", [">0", "0", "0", ">0"]),
    ("overview", "Errors", [">0", "–", "–", "1"]),
    ("overview", "First token p95", [">0", "–", "–", "–"]),
    ("overview", "Decode speed", [">0", "–", "–", "–"]),
    ("overview", "In flight", ["any", "0", "0", "any"]),
    ("overview", "Waiting", ["any", "0", "0", "any"]),
    ("overview", "Tokens", [">0", "0", "0", "0"]),
    ("overview", "Models loaded", ["1", "1", "1", "–"]),
    ("overview", "GPU busy", ["0.75", "0.75", "0.75", "0.75"]),
    ("overview", "GPU memory", ["0.25", "0.25", ">0.95", ">0.95"]),
    ("model", "In flight", ["any", "0", "0", "any"]),
    ("model", "Requests", [">0", "0", "0", ">0"]),
    ("model", "Errors", [">0", "–", "–", "1"]),
    ("model", "First token p95", [">0", "–", "–", "–"]),
    ("model", "Decode speed", [">0", "–", "–", "–"]),
    ("model", "Tokens", [">0", "0", "0", "0"]),
    ("model", "Cancelled", ["0", "–", "–", "0"]),
    ("model", "Cold starts", ["any", "any", "any", "any"]),
    ("model", "From the cache", ["–", "–", "–", "–"]),
    ("model", "Context used", [">0", ">0", ">0", "–"]),
    ("model", "Loaded", ["1", "1", "1", "–"]),
    ("model", "GPU memory", [">0", ">0", ">0", "–"]),
    ("proxy", "Proxies", ["UP", "UP", "UP", "UP"]),
    ("proxy", "Uptime", [">0", ">0", ">0", ">0"]),
    ("proxy", "Overhead p99", [">0", "–", "–", ">0"]),
    ("proxy", "CPU", [">0", ">0", ">0", ">0"]),
    ("proxy", "Memory", [">0", ">0", ">0", ">0"]),
    ("proxy", "Open descriptors", [">0", ">0", ">0", ">0"]),
    ("proxy", "Samples", [">0", ">0", ">0", ">0"]),
    ("proxy", "Label sets refused", ["0", "0", "0", "0"]),
    ("router", "Backends", ["–", "–", "–", "–"]),
    ("router", "Choices", ["–", "–", "–", "–"]),
    ("router", "Utilisation", ["–", "–", "–", "–"]),
    ("router", "Balance", ["–", "–", "–", "–"]),
    ("router", "Ejections", ["–", "–", "–", "–"]),
    ("router", "Held", ["–", "–", "–", "–"]),
    ("host", "CPU", [">0", "any", "any", "any"]),
    ("host", "Memory in use", [">0", ">0", ">0", ">0"]),
    ("host", "Memory pressure", ["any", "any", "any", "any"]),
    ("host", "CPU temperature", ["any", "any", "any", "any"]),
    ("host", "GPU busy", ["0.75", "0.75", "0.75", "0.75"]),
    ("host", "Fullest disk", ["any", "any", "any", "any"]),
    ("host", "Failing sources", ["0", "0", "0", "0"]),
    ("host", "Helper", ["–", "–", "–", "–"]),
    ("gpu", "GPUs", ["UP", "UP", "LOST", "LOST"]),
    ("gpu", "Busy", ["0.75", "0.75", "0.75", "0.75"]),
    ("gpu", "Fullest memory", ["0.25", "0.25", ">0.95", ">0.95"]),
    ("gpu", "Power", [">0", ">0", ">0", ">0"]),
    ("gpu", "Hottest", ["63", "63", "63", "63"]),
    ("gpu", "Throttled", ["0", "0", "1", "1"]),
    ("gpu", "Memory errors", ["0", "0", "5", "5"]),
    ("gpu", "XIDs", ["0", "0", "1", "1"]),
    ("energy", "Power", [">0", ">0", ">0", ">0"]),
    ("energy", "Idle power", [">0", ">0", ">0", ">0"]),
    ("energy", "Energy", [">0", ">0", ">0", ">0"]),
    ("energy", "For answers", [">0", ">0", ">0", ">0"]),
    ("energy", "Energy per token", [">0", ">0", ">0", ">0"]),
    ("energy", "Cost", [">0", ">0", ">0", ">0"]),
    ("energy", "Cost an hour", [">0", ">0", ">0", ">0"]),
    ("energy", "Cost of tokens", [">0", ">0", ">0", ">0"]),
];

/// The tiles that say something else than they must, a line each.
fn wrong_tiles(api: &Api, state: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for dashboard in shipped_dashboards() {
        let board = dashboard["uid"].as_str().unwrap_or_default().trim_start_matches("inferometer-").to_owned();
        for tile in lint::panels(&dashboard).filter(|panel| panel["type"] == "stat") {
            let title = tile["title"].as_str().unwrap_or_default();
            let Some((_, _, wanted)) = TILES.iter().find(|(b, t, _)| (*b, *t) == (&*board, title)) else {
                lines.push(format!("{board}, {title}: nobody says what it must say"));
                continue;
            };
            let said = said(api, tile);
            if !fits(&said, wanted[state]) {
                lines.push(format!("{board}, {title}, {}: {said} is not {}", STATES[state], wanted[state]));
            }
        }
    }
    lines
}

/// How a panel asks. A tile that asks over time shows the last value there was, be it old.
fn as_asked(target: &Value) -> Shown {
    if target["instant"] == true { Shown::Now } else { Shown::Over(Duration::from_secs(600)) }
}

/// What a reader sees in a tile: a mapped word, the number, or the text for nothing.
fn said(api: &Api, tile: &Value) -> String {
    let defaults = &tile["fieldConfig"]["defaults"];
    let target = &tile["targets"][0];
    let values = match api.shown(target, as_asked(target)) {
        Ok(values) => values,
        Err(error) => return error,
    };
    let [value] = &*values else {
        return if values.is_empty() {
            defaults["noValue"].to_string().replace('"', "")
        } else {
            format!("{values:?}")
        };
    };
    let word = defaults["mappings"][0]["options"][value]["text"].as_str();
    word.unwrap_or(value).to_owned()
}

fn fits(said: &str, wanted: &str) -> bool {
    let above = wanted.strip_prefix('>').and_then(|least| least.parse::<f64>().ok());
    let number = said.parse::<f64>().ok();
    match (above, number) {
        _ if wanted == "any" => true,
        (Some(least), Some(number)) => number > least,
        (Some(_), None) => false,
        (None, Some(number)) => wanted.parse::<f64>().is_ok_and(|wanted| (wanted - number).abs() < 1e-3),
        (None, None) => said == wanted,
    }
}

/// Panels over time that Prometheus does not understand, or that had data before and now have none in the time range shown.
fn lost_panels(api: &Api, drawn: &mut Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    for dashboard in shipped_dashboards() {
        for panel in lint::panels(&dashboard).filter(|panel| panel["type"] != "stat") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let name = format!("{}, {}, {}", dashboard["title"], panel["title"], target["refId"]);
                match api.shown(target, as_asked(target)) {
                    Err(error) => lines.push(format!("{name}: {error}")),
                    Ok(values) if values.is_empty() && drawn.contains(&name) => lines.push(format!("{name}: no data")),
                    Ok(values) if !values.is_empty() && target["range"] == true && !drawn.contains(&name) => {
                        drawn.push(name);
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    lines
}

const SETTINGS: &str = "[host]\nperiod = \"1s\"\nelectricity_price_per_kwh = 0.3\nelectricity_currency = \"EUR\"\n";

#[test]
fn tiles_say_what_is_and_panels_are_answered_in_each_of_the_four_states() {
    let backend = Simulator::start();
    let stand_in = StandIn::new("states");
    stand_in.play("live errors=0");
    let tmp = Scratch::new("states");
    let config = tmp.join("inferometer.toml");
    std::fs::write(&config, SETTINGS).expect("it can be written");
    let arguments = ["--access-log", "off", "--config", config.to_str().expect("UTF-8")];
    let program = Program::with_libraries(stand_in.folder(), backend.address, &arguments);
    let prometheus = Prometheus::start(&[program.admin], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());
    let mut drawn = Vec::new();
    let mut reached = |state: usize| {
        let wrong = prometheus.wait_until_answered(|| wrong_tiles(&api, state));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let lost = lost_panels(&api, &mut drawn);
        assert!(lost.is_empty(), "{}: {}", STATES[state], lost.join("\n"));
    };

    let clients = Clients::start(program.clients);
    reached(0);
    assert_eq!(api.answers(r#"ollama_proxy_electricity_price_per_kilowatt_hour{currency="EUR"}"#), Ok(1));
    drop(clients);
    reached(1);
    stand_in.play("live errors=5 hot full xid=1,0,79 lost=1");
    reached(2);
    drop(backend);
    let _clients = Clients::start(program.clients);
    reached(3);
    assert!(drawn.len() > 100, "only {} queries over time had data", drawn.len());
}

#[test]
fn a_tile_that_says_something_else_is_seen() {
    for (said, wanted, expected) in [
        ("0.05", "–", false),
        ("–", "–", true),
        ("–", "0", false),
        ("0", "0", true),
        ("1.01", "1", false),
        ("0.96", ">0.95", true),
        ("–", ">0", false),
        ("UP", "DOWN", false),
        ("DOWN", "DOWN", true),
    ] {
        assert_eq!(fits(said, wanted), expected, "{said} for {wanted}");
    }
}
