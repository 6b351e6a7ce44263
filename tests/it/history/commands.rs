//! `inferometer history …`, run as people run it.

use std::path::Path;
use std::process::{Command, Output};

use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::client::ask;
use crate::support::program::{Program, STATE, command};

/// Runs a command on the files in this directory. `more` follows its name.
fn history(state: &Path, more: &[&str]) -> Output {
    let mut history = command();
    history.env(STATE, state).arg("history").args(more);
    // Of another program, on the port that is the default.
    if !more.iter().any(|argument| argument.starts_with("--admin-listen")) {
        history.args(["--admin-listen", "127.0.0.1:1"]);
    }
    run(history)
}

fn run(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

/// What it printed, where it found nothing wrong.
fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What it said of a fault, and its exit code.
fn refused(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn status_says_what_is_kept_and_how_the_running_program_does() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    let rows = wait_for_rows(program.state(), 1);
    let admin = format!("--admin-listen={}", program.admin);
    let said = printed(history(program.state(), &["status", &admin]));
    println!("{said}");
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).expect("a line");
    assert_eq!(line("directory"), program.state().join("history").display().to_string());
    let ended = inferometer::history::timestamp::Timestamp(rows.exchanges[0].id.millis());
    assert_eq!(line("exchanges"), format!("from {ended} to {ended}, in 1 file"));
    assert!(line("program").starts_with("writing, 0 exchanges lost"), "{said}");
    assert!(line("size").ends_with("iB"), "{said}");

    let alone = printed(history(program.state(), &["status"]));
    assert!(alone.contains("none answers at http://127.0.0.1:1"), "{alone}");
}

#[test]
fn what_is_not_there_is_a_fault_and_what_is_mistyped_a_usage_error() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-history-here");
    let (code, said) = refused(&history(&nowhere, &["status"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no history at") && said.contains("--data-dir"), "{said}");
    assert!(!nowhere.exists(), "nothing is created");
    let (code, said) = refused(&history(&nowhere, &["status", "--history=off"]));
    assert!(code == Some(1) && said.contains("nothing is kept"), "{said}");
    assert_eq!(refused(&history(&nowhere, &["stauts"])).0, Some(2));
    assert_eq!(refused(&history(&nowhere, &[])).0, Some(2));
}

#[test]
fn the_running_program_shows_what_its_files_have() {
    let backend = ollama();
    let program = Program::before(backend.address);
    ask(program.clients, CHAT);
    let rows = wait_for_rows(program.state(), 1);
    let kept = || {
        let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
        health["history"]["kept"].clone()
    };
    let ended = rows.exchanges[0].id.millis() as f64 / 1e3;
    let kept = kept();
    assert_eq!((&kept["days"], &kept["oldest"], &kept["newest"]), (&1.into(), &ended.into(), &ended.into()));
    assert!(kept["minutes_from"].as_f64() <= Some(ended), "{kept}");
}
