//! Asks a backend which models are in memory, as Ollama's `/api/ps` lists them.
//!
//! Asked as often as the backend is probed, while it is up. A backend without such a listing is asked again only once it
//! has been away. A listing that fails leaves what is known as it is. (Ollama, `api/types.go`, `ProcessResponse`.)

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::fetch::{Budget, fetch};
use super::monitor::{Monitor, stopped};

/// Bytes of a listing at most.
const BODY: usize = 1024 * 1024;

/// One model in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Its name, with its tag.
    pub model: String,
    /// Length of its context in tokens. None where the backend does not say (Ollama before 0.11).
    pub context: Option<u64>,
}

/// Learns of each listing. Must not block.
pub trait Report: Send + Sync {
    /// These models, and no others, are in the memory of this backend.
    fn resident(&self, backend: &Arc<str>, models: &[Resident]);
}

/// Asks until `shutdown` is true or its sender is gone.
pub async fn run(monitor: Arc<Monitor>, report: Arc<dyn Report>, mut shutdown: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(monitor.pace.probe_every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lists = true;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            _ = every.tick() => {}
        }
        let up = monitor.status.snapshot().state.up() == Some(true);
        if !up {
            lists = true;
        } else if lists {
            lists = ask(&monitor, &*report).await;
        }
    }
}

/// Asks once. False where the backend has no such listing.
async fn ask(monitor: &Monitor, report: &dyn Report) -> bool {
    let budget = Budget { time: monitor.pace.probe_limit, body: BODY };
    match fetch(&monitor.dialer, &monitor.host, (Method::GET, "/api/ps"), budget).await {
        Ok(answer) if answer.status == StatusCode::OK => match parse(&answer.body) {
            Some(models) => {
                report.resident(&monitor.backend.name, &models);
                true
            }
            None => false,
        },
        Ok(_) => false,
        // Busy or gone: the probe tells which, and the next tick asks again.
        Err(_) => true,
    }
}

fn parse(body: &[u8]) -> Option<Vec<Resident>> {
    #[derive(Deserialize)]
    struct List {
        models: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: Option<String>,
        model: Option<String>,
        context_length: Option<u64>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    let resident = |entry: Entry| {
        let context = entry.context_length.filter(|length| *length > 0);
        Some(Resident { model: entry.model.or(entry.name)?, context })
    };
    Some(list.models.into_iter().filter_map(resident).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_with_their_context_where_it_is_told() {
        let body =
            br#"{"models":[{"name":"a:latest","model":"a:latest","context_length":4096},{"name":"b:1"},{"size":1}]}"#;
        let a = Resident { model: "a:latest".into(), context: Some(4096) };
        let b = Resident { model: "b:1".into(), context: None };
        assert_eq!(parse(body), Some(vec![a, b]));
        assert_eq!(parse(br#"{"models":[]}"#), Some(vec![]));
        assert_eq!(parse(b"<html>"), None);
        assert_eq!(parse(br#"{"error":"no"}"#), None);
    }
}
