//! Lines of the log.

use serde_json::Value;

use super::{list, wait_for};
use crate::support::ollama::Ollama;
use crate::support::program::Program;

#[test]
fn lines_of_the_log_are_listed_with_level_component_and_fields() {
    let ollama = Ollama::listing(&["llama3:latest"]);
    let program = Program::with(ollama.address, &["--log-level", "info,inferometer::admin=debug"]);
    let state = program.state();
    let said = wait_for(state, &["logs", "--component=app"], |line| line["fields"]["clients"].is_string());
    assert_eq!((&said["level"], &said["component"]), (&"info".into(), &"app".into()));
    assert!(said["message"].as_str().is_some_and(|message| message.starts_with("inferometer is listening")), "{said}");
    let recognised = wait_for(state, &["logs", "--component=backend"], |line| line["fields"]["runtime"] == "ollama");
    assert_eq!(recognised["fields"]["version"], "0.12.0");
    ollama.fall_silent(true);
    let down = wait_for(state, &["logs", "--level=warn", "--component=backend"], |_| true);
    assert_eq!(down["message"], "the backend does not answer");
    assert_eq!(down["fields"]["reason"], "no HTTP answer");
    // The access log repeats what the history has as exchanges.
    program.fetch("/health");
    crate::support::client::ask(program.clients, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    program.logged(|line| line["message"] == "exchange finished");
    super::super::wait_for_rows(state, 1);
    let all = list(state, &["logs", "--limit=10000"]);
    assert!(all.iter().all(|line| line["message"] != "exchange finished"), "{all:?}");
    let warned = list(state, &["logs", "--level=warn"]);
    assert!(warned.iter().all(|line| line["level"] == "warn" || line["level"] == "error"), "{warned:?}");
    let ids = |lines: &[Value]| lines.iter().filter_map(|line| line["id"].as_i64()).collect::<Vec<_>>();
    assert!(ids(&all).windows(2).all(|pair| pair[0] > pair[1]), "the newest first");
    assert_eq!(list(state, &["logs", "--limit=2"]).len(), 2);
    assert_eq!(list(state, &["logs", "--since=1h"]).len(), all.len());
    program.wait_for("history_entries_dropped_total", &["kind=\"log\""], 0.0);
}

#[test]
fn without_a_history_no_line_is_lost_to_it() {
    let ollama = Ollama::listing(&[]);
    let program = Program::with(ollama.address, &["--history=off"]);
    assert!(!program.fetch("/metrics").contains("history_entries"));
}
