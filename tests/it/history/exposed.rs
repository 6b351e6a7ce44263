//! How the history is doing, for Prometheus and in `/health`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use inferometer::history::state::{Activity, Copying, HistoryHealth, KeptEntries, Pause};
use inferometer::metrics::history::families;
use prometheus::TextEncoder;

use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::client::ask;
use crate::support::golden;
use crate::support::program::{Program, command};

fn health() -> HistoryHealth {
    HistoryHealth {
        activity: Activity::Paused(Pause::Full, "no space".into()),
        written: 1_200,
        thinned: 300,
        of_others: 40,
        dropped: [7, 2, 5, 3],
        damaged: 1,
        waiting: 64,
        bytes: 5_000_000,
        committed: Some(1_764_400_000_500),
        oldest: Some(1_764_000_000_000),
        copying: Copying::Following,
        removes: None,
        copied_rows: 900,
        copied: Some(1_764_400_000_000),
        entries_lost: [1, 0, 0, 40],
        entries: [1_000, 20, 3, 900].map(|count| KeptEntries { count, oldest: Some(1_763_000_000_000) }),
    }
}

#[test]
fn the_history_is_exposed_as_the_golden_file_says() {
    let text = TextEncoder::new().encode_to_string(&families(&health())).expect("it can be written");
    golden::hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history.txt"), &text);
}

#[test]
fn without_a_history_there_is_no_series() {
    assert!(families(&HistoryHealth { activity: Activity::Off, ..health() }).is_empty());
    let backend = ollama();
    let program = Program::with(backend.address, &["--history", "off"]);
    ask(program.clients, CHAT);
    assert!(!program.fetch("/metrics").contains("ollama_proxy_history_"));
    assert!(!program.state().exists(), "and no file");
    let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
    assert_eq!(health["history"]["status"], "off");
}

#[test]
fn what_is_written_shows_in_metrics_and_in_health() {
    let backend = ollama();
    let program = Program::before(backend.address);
    (0..3).for_each(|_| drop(ask(program.clients, CHAT)));
    wait_for_rows(program.state(), 3);
    program.wait_for("history_rows_written_total", &[], 3.0);
    program.wait_for("history_rows_dropped_total", &[], 0.0);
    program.wait_for("sink_dropped_total", &["sink=\"history\""], 0.0);
    assert!(program.metric("history_last_commit_timestamp_seconds", &[]) > 1.7e9);
    let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
    assert_eq!((&health["history"]["status"], &health["history"]["lost"]), (&"writing".into(), &0.into()));
    assert_eq!(health["history"]["reason"], serde_json::Value::Null);
}

#[test]
fn a_pause_shows_in_metrics_and_in_health_and_the_program_serves() {
    let backend = ollama();
    // A file where there should be a directory.
    let program = Program::with(backend.address, &["--data-dir", "/dev/null"]);
    program.wait_for("history_paused", &[], 1.0);
    assert!(ask(program.clients, CHAT).contains("llama3:latest"));
    let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
    assert_eq!((&health["history"]["status"], &health["history"]["reason"]), (&"paused".into(), &"failing".into()));
}

#[test]
fn a_pause_is_said_in_the_log() {
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", "/dev/null"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let said = lines.into_iter().find(|line| line.contains("history is paused"));
    child.kill().and_then(|()| child.wait()).expect("it ends");
    let said = said.expect("it is said before its end");
    assert!(said.contains("ERROR") && said.contains("failing") && said.contains("/dev/null"), "{said}");
}
