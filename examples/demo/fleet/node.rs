//! One simulated server.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::child::Child;
use crate::{START, free_address, http_client};

/// What a server is like.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: &'static str,
    /// Requests that it works on at once, for each model.
    pub(crate) slots: usize,
    /// How many times faster than the models' own pace.
    speed: &'static str,
    /// What it has, and how many of it in memory.
    models: &'static str,
    most_loaded: &'static str,
}

/// A large machine, a usual one and an old one.
pub(crate) static KINDS: [Kind; 3] = [
    Kind { name: "large", slots: 4, speed: "2", models: "llama3.2:3b,qwen3:8b,gemma3:27b", most_loaded: "3" },
    Kind { name: "usual", slots: 2, speed: "1", models: "llama3.2:3b,qwen3:8b", most_loaded: "1" },
    Kind { name: "old", slots: 1, speed: "0.5", models: "llama3.2:3b", most_loaded: "1" },
];

/// A server, that may be down.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: &'static Kind,
    simulator: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Node {
    /// Starts one.
    pub(crate) async fn start(simulator: &Path, kind: &'static Kind) -> io::Result<Self> {
        let mut node = Self { kind, simulator: simulator.to_owned(), address: free_address(0)?, child: None };
        node.run().await?;
        Ok(node)
    }

    /// As the proxy takes it.
    pub(crate) fn backend(&self) -> String {
        format!("{}=http://{}", self.kind.name, self.address)
    }

    /// Starts it again, where it was before.
    pub(crate) async fn run(&mut self) -> io::Result<()> {
        let (address, slots) = (self.address.to_string(), self.kind.slots.to_string());
        let Kind { speed, models, most_loaded, .. } = self.kind;
        let typed = ["--listen", &address, "--speed", speed, "--parallel", &slots, "--models", models];
        let memory = ["--max-loaded", most_loaded, "--prompt-cache", "8"];
        let mut child = Child::start(&self.simulator, &[&typed[..], &memory].concat())?;
        child.answers(self.address, "/api/version", START).await?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once, amid what it does.
    pub(crate) fn die(&mut self) -> io::Result<()> {
        self.child.take().map_or(Ok(()), |mut child| child.kill())
    }

    /// Lets all that it is asked to generate fail from now on, or no longer.
    pub(crate) async fn fail(&self, fails: bool) -> io::Result<()> {
        let path = if fails { "/simulated/fail" } else { "/simulated/recover" };
        http_client::send(self.address, path, Some(&json!({})), http_client::AGENT).await.map(drop)
    }
}
