//! The program and its command line.

use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;

use super::{ROWS, wait_for};
use crate::history::rows::{CHAT, ollama};
use crate::history::wait_for_rows;
use crate::support::client::ask;
use crate::support::postgres::Postgres;
use crate::support::program::{Program, STATE, command};
use crate::support::{PATIENCE, look_until};

#[test]
fn the_program_copies_to_a_url_in_a_file_and_shows_no_password() {
    let server = Postgres::start();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-url-{}", std::process::id()));
    std::fs::write(&file, format!("{}\n", server.url())).expect("it can be written");
    let backend = ollama();
    let argument = format!("file:{}", file.display());
    let program = Program::with(backend.address, &["--history", &argument]);
    ask(program.clients, CHAT);
    wait_for_rows(program.state(), 1);
    let begun = Instant::now();
    while program.metric("history_replica_rows_total", &[]) < 1.0 {
        assert!(begun.elapsed() < PATIENCE, "{}", program.fetch("/health"));
        std::thread::yield_now();
    }
    wait_for(&server, ROWS, 1);
    assert!(program.metric("history_replica_synced_timestamp_seconds", &[]) > 1.7e9);
    look_until(|| {
        let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
        let status = &health["history"]["replica"]["status"];
        if status == "following" { Ok(()) } else { Err(format!("it is {status}")) }
    });

    let mut check = command();
    check.args(["--history", "file:/nowhere/url", "--check-config"]);
    let checked = check.output().expect("it runs");
    assert!(
        !checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("/nowhere/url"),
        "{checked:?}"
    );
    let mut print = command();
    print.env(STATE, program.state()).args(["--history", &server.url(), "--print-config"]);
    let printed = String::from_utf8(print.output().expect("it runs").stdout).expect("text");
    assert!(printed.contains("postgres://inferometer:***@") && !printed.contains("never-shown"), "{printed}");
    let mut forget = command();
    forget.env(STATE, program.state()).args(["history", "forget", "--model", "llama3:latest", "--history", &argument]);
    let said = forget.output().expect("it runs");
    assert!(said.status.success(), "{said:?}");
    wait_for(&server, ROWS, 0);
    wait_for(&server, "SELECT count(*) FROM inferometer.names WHERE name LIKE 'llama3%'", 0);
    std::fs::write(&file, "postgres://u:never?shown@h/db\n").expect("it can be written");
    let mut check = command();
    let checked = check.args(["--history", &argument, "--check-config"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("%3F") && !said.contains("never"), "{said}");
    let _ = std::fs::remove_file(file);
}

#[test]
fn a_named_instance_is_one_replica_however_often_its_directory_is_new() {
    let server = Postgres::start();
    let backend = ollama();
    for start in 1..=2 {
        // Each program has a directory of its own.
        let mut program = Program::with(backend.address, &["--history", &server.url(), "--instance", "left"]);
        ask(program.clients, CHAT);
        server.wait_for_rows(start);
        program.signal(Signal::TERM);
        assert!(program.ended().success());
        assert_eq!(server.number("SELECT count(*) FROM inferometer.exchanges_named WHERE node = 'left'"), start);
    }
    assert_eq!(server.number("SELECT count(*) FROM inferometer.replicas"), 1);
}
