//! Several programs share a directory.

use std::path::Path;
use std::time::Instant;

use inferometer::history::History;
use inferometer::history::settings::{Engine, Settings};
use inferometer::history::state::Activity;

use super::rows::{CHAT, ollama};
use super::wait_for_rows;
use crate::support::PATIENCE;
use crate::support::client::ask;
use crate::support::program::{Program, STATE, State, command};

/// Programs that start at the same time.
const PROGRAMS: usize = 6;

/// How often they do, each time in a directory that is not there yet; `HISTORY_STARTS` says otherwise.
const STARTS: usize = 3;

#[test]
fn programs_that_start_at_once_in_a_fresh_directory_all_write_to_it() {
    let starts = std::env::var("HISTORY_STARTS").ok().and_then(|starts| starts.parse().ok()).unwrap_or(STARTS);
    let backend = ollama();
    for start in 0..starts {
        let state = fresh(&format!("programs-{start}")).0.clone();
        let programs: Vec<Program> = std::thread::scope(|scope| {
            let one = || {
                let mut command = command();
                command.env(STATE, &state);
                Program::start(command, backend.address, &[])
            };
            let starting: Vec<_> = (0..PROGRAMS).map(|_| scope.spawn(one)).collect();
            starting.into_iter().map(|program| program.join().expect("it starts")).collect()
        });
        for program in &programs {
            wait_for_writing(program);
            ask(program.clients, CHAT);
        }
        let page = wait_for_rows(&state, PROGRAMS);
        assert_eq!(page.total, Ok(PROGRAMS as u64));
        let numbers: std::collections::BTreeSet<_> = page.exchanges.iter().map(|it| it.id.process()).collect();
        assert_eq!(numbers.len(), PROGRAMS, "each has a number of its own");
    }
}

/// Waits until the history of a program is written; a pause would last for half a minute.
fn wait_for_writing(program: &Program) {
    let begun = Instant::now();
    loop {
        let health: serde_json::Value = serde_json::from_str(&program.fetch("/health")).expect("JSON");
        match health["history"]["status"].as_str() {
            Some("writing") => return,
            Some("opening") => assert!(begun.elapsed() < PATIENCE, "{health}"),
            _ => {
                let why =
                    program.logged(|line| line["fields"]["message"].as_str().is_some_and(|it| it.contains("paused")));
                panic!("{}: {why}", health["history"]);
            }
        }
        std::thread::yield_now();
    }
}

/// A directory that is not there yet.
fn fresh(name: &str) -> State {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shared-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    State(path)
}

fn history(state: &State) -> History {
    let settings = Settings { engine: Engine::Sqlite, directory: Some(state.0.clone()), ..Settings::default() };
    History::start(settings, Box::new(|_, _, _| None)).expect("a thread")
}

fn wait_until_written(history: &History) {
    let begun = Instant::now();
    loop {
        match history.state().health().activity {
            Activity::Writing => return,
            Activity::Opening => assert!(begun.elapsed() < PATIENCE, "it is still opening"),
            other => panic!("{other:?}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn histories_that_open_the_same_files_at_one_instant_all_write() {
    let starts = std::env::var("HISTORY_STARTS").ok().and_then(|starts| starts.parse().ok()).unwrap_or(20);
    for _ in 0..starts {
        let state = fresh("at-once");
        let barrier = std::sync::Barrier::new(PROGRAMS);
        let all: Vec<History> = std::thread::scope(|scope| {
            let one = || {
                barrier.wait();
                history(&state)
            };
            let starting: Vec<_> = (0..PROGRAMS).map(|_| scope.spawn(one)).collect();
            starting.into_iter().map(|one| one.join().expect("it starts")).collect()
        });
        all.iter().for_each(wait_until_written);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_history_waits_while_another_process_opens_the_files() {
    let state = fresh("opening");
    let folder = state.0.join("history");
    std::fs::create_dir_all(&folder).expect("it can be created");
    let lock = std::fs::File::create(folder.join("open.lock")).expect("it can be created");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("no other has it");
    let history = history(&state);
    // It is waiting once the system says so: the lock file is the only one that is open.
    let begun = Instant::now();
    let links = || std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let opened = || links().filter_map(|link| std::fs::read_link(link.path()).ok());
    while opened().filter(|path| path.starts_with(&folder) && path.ends_with("open.lock")).count() < 2 {
        assert!(begun.elapsed() < PATIENCE, "it does not open the lock");
        std::thread::yield_now();
    }
    assert_eq!(history.state().health().activity, Activity::Opening);
    assert!(!folder.join("main.db").exists());
    drop(lock);
    wait_until_written(&history);
}
