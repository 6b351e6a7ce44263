//! Every shipped query, answered by a real Prometheus that scraped the real program under traffic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files::Scratch;
use super::panels::{self, Api};
use super::prometheus::Prometheus;
use super::{PATIENCE, Part, engines, files, names, seeds, synthetic, unanswered};
use crate::support::backend::{Backend, Connection};
use crate::support::client::Client;
use crate::support::nvml::StandIn;
use crate::support::program::{Program, command};

const IN_MEMORY: &str = r#"{"models":[{"name":"llama3:latest","model":"llama3:latest","size":5000000000,"digest":"0123456789abcdef",
"details":{"format":"gguf","family":"llama","parameter_size":"8.0B","quantization_level":"Q4_K_M"},
"expires_at":"2099-01-01T00:00:00Z","size_vram":4000000000,"context_length":4096}]}"#;

const LISTED: &str = r#"{"models":[{"name":"llama3:latest","digest":"0123456789abcdef",
"details":{"format":"gguf","family":"llama","parameter_size":"8.0B","quantization_level":"Q4_K_M"}},{"name":"spare:latest"}]}"#;

/// A model server that loads, streams, fails and refuses as the prompt says.
fn server() -> Backend {
    let looks = AtomicUsize::new(0);
    Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let text = String::from_utf8_lossy(&request).into_owned();
            if text.starts_with("GET /api/tags") {
                let list = LISTED;
                connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len()).as_bytes());
            } else if text.starts_with("GET /api/ps") {
                // In memory seven looks of eight: it is loaded and evicted all the time.
                let held = looks.fetch_add(1, Ordering::Relaxed) % 8 < 7;
                let list = if held { IN_MEMORY } else { r#"{"models":[]}"# };
                connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len()).as_bytes());
            } else if text.starts_with("POST") && text.contains("refuse") {
                connection.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}");
            } else if text.starts_with("POST") {
                let model = if text.contains("spare") { "spare" } else { "llama3" };
                answer(connection, model, text.contains("error"));
            } else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        }
    })
}

/// One model is loaded for each answer, the other is there already.
fn answer(connection: &mut Connection, model: &str, fails: bool) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write(head.as_bytes());
    let chunk = |line: &str| format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
    for kind in ["thinking", "content", "content"] {
        let line = format!(r#"{{"model":"{model}","message":{{"role":"assistant","{kind}":"word"}},"done":false}}"#);
        connection.write(chunk(&line).as_bytes());
    }
    let last = if fails {
        r#"{"error":"an error was encountered while running the model"}"#.to_owned()
    } else {
        let load = if model == "spare" { 1000 } else { 200_000_000 };
        let durations = format!(r#""total_duration":900000000,"load_duration":{load},"prompt_eval_duration":7000000"#);
        let counts = r#""prompt_eval_count":5,"prompt_eval_cached_count":2,"eval_count":4,"eval_duration":9000000"#;
        format!(
            r#"{{"model":"{model}","message":{{"content":""}},"done":true,"done_reason":"stop",{durations},{counts}}}"#
        )
    };
    connection.write((chunk(&last) + "0\r\n\r\n").as_bytes());
}

/// Traffic of every kind until it is stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for prompt in ["hello", "error", "refuse", "leave", "spare"] {
                    ask(address, prompt);
                }
                // A pace, not a wait: a test machine has better things to do than to be asked as fast as it can.
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

fn ask(address: SocketAddr, prompt: &str) {
    let model = if prompt == "spare" { "spare" } else { "llama3" };
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let head = format!("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = Client::connect(address);
    client.send(head + &body);
    match prompt {
        "leave" => client.until("}\n\r\n"),
        "refuse" => client.until("{}"),
        _ => client.until("0\r\n\r\n"),
    };
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn every_panel_alert_rule_and_known_query_is_answered_from_the_real_program() {
    let backend = server();
    let tmp = Scratch::new("live");
    let config = tmp.join("inferometer.toml");
    std::fs::write(&config, SETTINGS).expect("it can be written");
    let config = config.to_str().expect("UTF-8");
    let arguments = ["--access-log", "off", "--max-models", "1", "--config", config];
    // The overview shows a card where there is one.
    let stand_in = StandIn::new("live");
    let program = Program::with_libraries(stand_in.folder(), backend.address, &arguments);
    let _traffic = Traffic::start(program.clients);
    // Ollama, which is played here, has no queue to tell of; an engine beside it has.
    let engine = engines::VLLM.start();
    let queue = Program::before(engine.address);
    let prometheus = Prometheus::start(&[program.admin, queue.admin], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());
    // What a machine tells differs from one to the next: that is held against the catalogue alone.
    let left = prometheus.wait_until_answered(|| unanswered(&api, &[Part::Traffic]));
    assert!(left.is_empty(), "{}", left.join("\n"));

    let scraped = page_with_the_model_in_memory(&program);
    let elsewhere = [queue.fetch("/metrics"), synthetic::machine(1), synthetic::copy(1), synthetic::fleet(1)].concat();
    let unknown = names::names_unknown_to(&(scraped.clone() + &elsewhere));
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    let different = names::differences(&scraped, &synthetic::exposition(1));
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_board_and_the_alerts_of_several_backends_are_answered_from_the_real_program() {
    let backends = [server(), server()];
    let tmp = Scratch::new("router");
    let config = tmp.join("inferometer.toml");
    let table = |(name, backend): (&str, &Backend)| {
        format!("[[backends]]\nname = \"{name}\"\nurl = \"http://{}\"\nslots = 2\n", backend.address)
    };
    let tables: String = ["one", "other"].into_iter().zip(&backends).map(table).collect();
    std::fs::write(&config, tables).expect("it can be written");
    let program = Program::configured(command(), &config);
    let _traffic = Traffic::start(program.clients);
    let prometheus = Prometheus::start(&[program.admin], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());
    let left = prometheus.wait_until_answered(|| unanswered(&api, &[Part::Fleet]));
    assert!(left.is_empty(), "{}", left.join("\n"));
    let different = names::differences(&program.fetch("/metrics"), &synthetic::exposition(1));
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What is scraped at a moment in which the model is in memory: the next look may find it gone.
fn page_with_the_model_in_memory(program: &Program) -> String {
    let begun = Instant::now();
    loop {
        let page = program.fetch("/metrics");
        if page.contains("\nollama_proxy_model_vram_bytes{") {
            return page;
        }
        assert!(begun.elapsed() < PATIENCE, "the model is never in memory:\n{page}");
        std::thread::yield_now();
    }
}

const SETTINGS: &str = "backend_node = \"gpu-box\"\nbackend_zone = \"rack \\\"7\\\"\"\n\
    [host]\nperiod = \"1s\"\nelectricity_price_per_kwh = 0.3\n";

#[test]
fn panels_and_alerts_on_gpus_and_energy_are_answered_from_the_real_program_with_two_cards() {
    let backend = server();
    let stand_in = StandIn::new("boards");
    stand_in.play("live hot full xid=1,0,79");
    let tmp = Scratch::new("cards");
    let config = tmp.join("inferometer.toml");
    std::fs::write(&config, SETTINGS).expect("it can be written");
    let arguments = ["--access-log", "off", "--config", config.to_str().expect("UTF-8")];
    let program = Program::with_libraries(stand_in.folder(), backend.address, &arguments);
    let _traffic = Traffic::start(program.clients);
    let prometheus = Prometheus::start(&[program.admin], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());
    let left = prometheus.wait_until_answered(|| {
        let mut lines = unanswered(&api, &[Part::Cards]);
        for queries in [seeds::OF_GPUS, seeds::DCGM_DASHBOARD, seeds::DCGM_DEFAULTS] {
            lines.extend(panels::queries_without_data(&api, queries));
        }
        lines
    });
    assert!(left.is_empty(), "{}", left.join("\n"));
    let place = r#"ollama_proxy_backend_info{backend="test",node="gpu-box",zone="rack \"7\""}"#;
    assert_eq!(api.value(place), Ok(Some(1.0)), "{}", program.fetch("/metrics"));
    let different = names::differences(&program.fetch("/metrics"), &synthetic::exposition(1));
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What the program exposes of two whole machines, beside traffic; tests of their own hold these files against the code.
fn of_whole_machines() -> String {
    let golden = |path: &str| files::read(&files::root().join(path));
    let traffic = golden("tests/golden/exposition.txt");
    let (linux, mac) = (golden("tests/it/host/linux.prom"), golden("tests/it/host/mac.prom"));
    let name = |family: &str| family.split(' ').next().unwrap_or_default().to_owned();
    let known: Vec<_> = linux.split("# HELP ").map(name).collect();
    // What only a Mac has comes last.
    let only_mac = mac.split("# HELP ").filter(|family| !known.contains(&name(family)));
    only_mac.fold(traffic + &linux, |all, family| all + "# HELP " + family)
}

#[test]
fn the_board_and_the_alerts_of_the_machine_are_answered_from_what_the_program_exposes_of_one() {
    let whole = of_whole_machines();
    let different = names::differences(&whole, &synthetic::exposition(1));
    assert!(different.is_empty(), "{}", different.join("\n"));
    let target = synthetic::Target::serving(move |_| whole.clone());
    let tmp = Scratch::new("machine");
    let prometheus = Prometheus::start(&[target.address()], &tmp);
    prometheus.wait_for_scrapes(2);
    let api = Api::now(prometheus.address());
    let left = prometheus.wait_until_answered(|| {
        let mut lines = unanswered(&api, &[Part::Machine]);
        lines.extend(panels::queries_without_data(&api, seeds::CORE_MACHINE));
        lines
    });
    assert!(left.is_empty(), "{}", left.join("\n"));
}
