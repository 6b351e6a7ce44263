//! Each kind of event, audit entry, job, error and log line is provoked, and read back through the command line.

mod audit;
mod errors;
mod events;
mod jobs;
mod lines;
mod retention;
mod sign_ins;

use std::path::Path;

use serde_json::Value;

use crate::support::look_until;
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
pub(super) fn wait_for(state: &Path, arguments: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
    look_until(|| {
        let entries = if state.join("history").is_dir() { list(state, arguments) } else { Vec::new() };
        let found = entries.iter().find(|entry| fits(entry)).cloned();
        found.ok_or_else(|| format!("{arguments:?}: none of {entries:#?}"))
    })
}
