//! Events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inferometer::history::journal::event::EventKind;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{list, wait_for};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, command};

/// Waits for an event of this kind, and compares what it says.
fn wait_for_event(program: &Program, kind: &str, level: &str, resource: Value) -> Value {
    let event = wait_for(program.state(), &["events", "--kind", kind], |_| true);
    assert_eq!((&event["level"], &event["resource"]), (&level.into(), &resource), "{event}");
    event
}

#[test]
fn what_happens_to_backends_and_models_is_listed() {
    let ollama = Ollama::listing(&["llama3:latest", "mistral:latest"]);
    let program = Program::before(ollama.address);
    let started = wait_for_event(&program, "started", "info", Value::Null);
    assert_eq!(started["details"]["version"], env!("CARGO_PKG_VERSION"));
    let up = wait_for_event(&program, "backend_up", "info", Value::Null);
    assert_eq!((&up["backend"], &up["component"]), (&"test".into(), &"backend".into()));
    // The first poll has nothing to compare with.
    program.wait_for("backend_up", &[], 1.0);
    program.wait_for("model_loaded", &[], 0.0);
    ollama.hold(&["llama3:latest"]);
    let loaded = wait_for_event(&program, "model_loaded", "info", "llama3:latest".into());
    assert_eq!(loaded["backend"], "test");
    ollama.hold(&["mistral:latest"]);
    wait_for_event(&program, "model_evicted", "info", "llama3:latest".into());
    ollama.fall_silent(true);
    let down = wait_for_event(&program, "backend_down", "critical", Value::Null);
    assert_eq!(down["details"], json!({ "reason": "no HTTP answer" }), "the only backend is every backend");
    ollama.fall_silent(false);
    wait_for(program.state(), &["events", "--kind=backend_up"], |event| event["id"] != up["id"]);
    let grave = list(program.state(), &["events", "--level=error"]);
    assert!(grave.iter().all(|event| event["kind"] == "backend_down"), "{grave:?}");
}

#[test]
fn a_reload_and_a_drain_are_listed() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("events-{}.toml", std::process::id()));
    let write = |text: &str| {
        std::fs::write(&file, format!("backend = \"http://{}\"\n{text}", ollama.address)).expect("it can be written");
    };
    write("");
    let mut program = Program::configured(command(), &file);
    wait_for_event(&program, "started", "info", Value::Null);
    write("connect_timeout = \"7s\"\nmax_models = 7\n");
    program.signal(Signal::HUP);
    let reloaded = wait_for_event(&program, "reloaded", "info", Value::Null);
    assert_eq!(reloaded["details"], json!({ "changed": "connect_timeout", "restart": "max_models" }));
    write("connect_timeout = \"soon\"\n");
    program.signal(Signal::HUP);
    wait_for_event(&program, "reload_failed", "error", Value::Null);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let draining = wait_for_event(&program, "draining", "info", "SIGTERM".into());
    assert_eq!(draining["details"], json!({ "in_flight": 0 }));
    assert_eq!(wait_for_event(&program, "drained", "info", Value::Null)["details"], json!({ "cut": 0 }));
    let _ = std::fs::remove_file(&file);
}

#[test]
fn a_certificate_near_its_end_and_one_that_has_ended_are_listed() {
    let authority = Authority::new();
    for (identity, kind, level) in [
        (authority.ending_in_days(&["localhost"], 5), "certificate_expiring", "warning"),
        (authority.expired(&["localhost"]), "certificate_expired", "error"),
    ] {
        let ollama = Ollama::listing(&[]);
        let file = crate::support::authority::folder().join("config.toml");
        let [cert, key] = [&identity.cert_file, &identity.key_file].map(|path| path.display().to_string());
        let text =
            format!("backend = \"http://{}\"\n[tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n", ollama.address);
        std::fs::write(&file, text).expect("a file");
        let program = Program::configured(command(), &file);
        let event = wait_for_event(&program, kind, level, "tls.cert_file".into());
        assert!(event["details"]["days"].as_i64().is_none_or(|days| (3..=5).contains(&days)), "{event}");
        assert_eq!(event["details"].is_null(), kind == "certificate_expired");
    }
}

#[test]
fn a_collector_that_fails_and_works_again_is_listed() {
    let works = Arc::<AtomicBool>::default();
    let is_working = works.clone();
    let helper = Backend::start(move |connection| {
        let body = r#"{"gpu_utilization": 25.0, "cpu_power": 1500}"#;
        if connection.request().is_some() && is_working.load(Ordering::SeqCst) {
            connection.write(format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    let ollama = Ollama::listing(&[]);
    let file = crate::support::authority::folder().join("config.toml");
    let text = format!(
        "backend = \"http://{}\"\nhelper_url = \"http://{}\"\n[host]\nperiod = \"1s\"\n",
        ollama.address, helper.address
    );
    std::fs::write(&file, text).expect("a file");
    let program = Program::configured(command(), &file);
    wait_for_event(&program, "collector_failing", "warning", "helper".into());
    works.store(true, Ordering::SeqCst);
    wait_for_event(&program, "collector_recovered", "info", "helper".into());
}

#[test]
fn a_pause_of_the_history_and_its_end_are_listed_once_it_can_write() {
    let ollama = Ollama::listing(&[]);
    let mut command = command();
    let state = crate::support::authority::folder().join("state");
    // A file where there should be a directory.
    std::fs::write(&state, "a file").expect("a file");
    command.env(crate::support::program::STATE, &state);
    let program = Program::start(command, ollama.address, &[]);
    program.wait_for("history_paused", &[], 1.0);
    std::fs::remove_file(&state).expect("it can be removed");
    // It is tried again every 30 s, or at the end.
    let mut program = program;
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let paused = wait_for_event(&program, "history_paused", "error", "failing".into());
    let resumed = wait_for_event(&program, "history_resumed", "info", Value::Null);
    assert!(paused["id"].as_i64() < resumed["id"].as_i64());
}

#[test]
fn a_damaged_file_of_the_history_is_listed_in_the_new_one() {
    let ollama = Ollama::listing(&[]);
    let mut program = Program::before(ollama.address);
    wait_for_event(&program, "started", "info", Value::Null);
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let main = inferometer::history::Directory::within(program.state()).main();
    let length = std::fs::metadata(&main).expect("a file").len();
    std::fs::write(&main, vec![b'x'; usize::try_from(length).expect("small")]).expect("it can be damaged");
    let mut again = command();
    again.env(crate::support::program::STATE, program.state());
    let again = Program::start(again, ollama.address, &[]);
    wait_for_event(&again, "history_damaged", "error", "main.db".into());
}

/// A kind that no test provokes would be a promise without a proof.
#[test]
fn every_kind_of_event_is_provoked_here() {
    let source = include_str!("events.rs");
    let forgotten = EventKind::ALL.iter().filter(|kind| !source.contains(&format!("\"{}\"", kind.as_str())));
    assert_eq!(forgotten.collect::<Vec<_>>(), Vec::<&EventKind>::new());
}
