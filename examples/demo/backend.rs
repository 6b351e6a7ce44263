//! The Ollama behind the proxy: the one on this machine, or the simulated one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::Value;

use crate::child::Child;
use crate::{START, free_address, http_client};

/// Where Ollama listens unless told otherwise.
const OLLAMA: u16 = 11_434;

/// What is behind the proxy.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What the traffic may use.
    pub(crate) models: Models,
    /// What to tell the reader of it.
    pub(crate) note: String,
    /// Where it plays the privileged helper; `None` before a real one, whose power only the real helper knows.
    pub(crate) helper: Option<String>,
    _child: Option<Child>,
}

/// Models for the traffic.
#[derive(Clone, Debug)]
pub(crate) enum Models {
    /// Those of the simulator, to be used freely.
    Simulated,
    /// Real ones, to be used sparingly: the smallest that answers, and the smallest that embeds.
    Real {
        /// Answers.
        chat: String,
        /// Embeds.
        embed: Option<String>,
    },
}

/// Finds an Ollama with a model, or starts the simulator: that at once where it is `simulated`.
pub(crate) async fn find_or_start(simulator: &Path, simulated: bool) -> io::Result<Backend> {
    if simulated {
        return start(simulator, "A simulated Ollama was started; power and temperatures are simulated too.").await;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, OLLAMA));
    if http_client::get(address, "/simulated/state").await.is_ok() {
        let note = format!("Using the simulated Ollama that runs on {address}.");
        return Ok(Backend { address, models: Models::Simulated, note, helper: Some(helper(address)), _child: None });
    }
    if let Some(models) = installed(address).await {
        let note = match &models {
            Models::Real { chat, .. } => format!(
                "The Ollama on {address} will be sent small requests, one after another, for its smallest model, {chat} \
                 (ARGS=--simulated leaves it alone)."
            ),
            Models::Simulated => String::new(),
        };
        return Ok(Backend { address, models, note, helper: None, _child: None });
    }
    start(
        simulator,
        "No Ollama with a model answers here, so a simulated one was started, with power and temperatures.",
    )
    .await
}

async fn start(simulator: &Path, note: &str) -> io::Result<Backend> {
    let address = free_address(0)?;
    let mut child = Child::start(simulator, &["--listen", &address.to_string()])?;
    child.answers(address, "/api/version", START).await?;
    let (note, helper) = (note.to_owned(), Some(helper(address)));
    Ok(Backend { address, models: Models::Simulated, note, helper, _child: Some(child) })
}

fn helper(address: SocketAddr) -> String {
    format!("http://{address}/simulated/helper")
}

async fn installed(address: SocketAddr) -> Option<Models> {
    let tags: Value = serde_json::from_str(&http_client::get(address, "/api/tags").await.ok()?).ok()?;
    let (mut embed, mut chat): (Vec<_>, Vec<_>) = tags["models"].as_array()?.iter().partition(|model| embeds(model));
    for models in [&mut embed, &mut chat] {
        // A remote model has no size worth the name, and may cost money.
        models.retain(|model| model["remote_host"].is_null());
        models.sort_by_key(|model| model["size"].as_u64());
    }
    let name = |model: &&Value| model["name"].as_str().map(str::to_owned);
    Some(Models::Real { chat: chat.first().and_then(name)?, embed: embed.first().and_then(name) })
}

fn embeds(model: &Value) -> bool {
    match model["capabilities"].as_array() {
        Some(capabilities) => !capabilities.iter().any(|capability| capability == "completion"),
        None => model["name"].as_str().is_some_and(|name| name.contains("embed")),
    }
}
