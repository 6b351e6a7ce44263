//! Each kind of event, audit entry, job, error and log line is provoked, and read back through the command line.

mod audit;
mod errors;
mod events;
mod jobs;
mod lines;
mod retention;
mod sign_ins;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::program::{STATE, command};

/// What `inferometer history list` prints of the files in this directory, as objects.
fn list(state: &Path, arguments: &[&str]) -> Vec<Value> {
    let mut list = command();
    list.env(STATE, state).args(["history", "list"]).args(arguments).args(["--format", "json"]);
    let output = list.output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Lists until an entry fits, and returns it.
fn wait_for(state: &Path, arguments: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let entries = if state.join("history").is_dir() { list(state, arguments) } else { Vec::new() };
        if let Some(found) = entries.iter().find(|entry| fits(entry)) {
            return found.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{arguments:?}: none of {entries:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
