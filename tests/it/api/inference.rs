//! A process that looks like an inference server, so that there is one on this machine.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::get;
use crate::support::authority::folder;
use crate::support::look_until;
use crate::support::program::Program;

/// A process called `ollama serve`, which ends when dropped.
pub(super) struct Inference(Child);

impl Inference {
    pub(super) fn start() -> Self {
        // It does nothing until its input ends.
        let serve = folder();
        std::fs::write(serve.join("serve"), "read -r _\n").expect("a file");
        let mut command = Command::new("sh");
        command.arg0("ollama").arg("serve").current_dir(serve).stdin(Stdio::piped());
        Self(command.spawn().expect("there is a shell"))
    }

    /// Waits until a program shows it.
    pub(super) fn is_seen_by(&self, program: &Program) {
        look_until(|| match get(program, "/dashboard/infrastructure/resources") {
            places if places["pagination"]["total"].as_u64() > Some(0) => Ok(()),
            places => Err(format!("{}: {places}", self.0.id())),
        });
    }
}

impl Drop for Inference {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
