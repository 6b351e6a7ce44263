//! The simulated Ollama of `examples/`, as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::cargo;

/// A simulated Ollama on a port of its own. Dropping it ends it.
pub(crate) struct Simulator {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Simulator {
    /// Returns once it listens. Twenty times as fast as a real one, so that a client can still leave in the middle; a load
    /// takes long enough to be taken for one.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same, with more arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["--listen", "127.0.0.1:0", "--speed", "20", "--load-speed", "5"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.split_whitespace().find_map(|word| word.trim_start_matches("http://").parse().ok());
        Self { address: address.unwrap_or_else(|| panic!("no address in {line:?}")), child }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the example once: cargo builds no examples for a run of this test binary alone.
fn binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| cargo::built(&["--example", "simulated_ollama"], "examples/simulated_ollama"))
}
