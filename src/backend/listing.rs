//! Asks a backend which models it has, so that their names may become labels.
//!
//! Ollama's `/api/tags` first, then `OpenAI`'s `/v1/models` (llama.cpp, vLLM, SGLang, LM Studio). Asked right after
//! the backend comes up and every half minute while it is. A listing that fails leaves what is known as it is.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::catalogue::Catalogue;
use super::fetch::{Budget, fetch};
use super::monitor::{Monitor, stopped};

/// Bytes of a listing at most: some 20,000 models of Ollama.
const BODY: usize = 8 * 1024 * 1024;

/// Lists until `shutdown` is true or its sender is gone.
pub async fn run(monitor: Arc<Monitor>, catalogue: Arc<Catalogue>, mut shutdown: watch::Receiver<bool>) {
    let mut listed = true;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            now = next(&monitor, &catalogue) => {
                if listed && !now {
                    let backend = &*monitor.backend.name;
                    tracing::warn!(backend, "the backend lists no models: their names are learnt from answers only");
                }
                listed = now;
            }
        }
    }
}

/// Waits until it is time and lists. Whether the backend has a listing.
async fn next(monitor: &Monitor, catalogue: &Catalogue) -> bool {
    loop {
        tokio::select! {
            () = monitor.came_up.notified() => {}
            () = tokio::time::sleep(monitor.pace.list_every) => {}
        }
        if monitor.status.snapshot().state.up() == Some(true) {
            break;
        }
    }
    let names = match read(monitor, "/api/tags", ollama_names).await {
        Some(names) => Some(names),
        None => read(monitor, "/v1/models", openai_names).await,
    };
    for name in names.iter().flatten() {
        // Beyond the cap a name has no label of its own.
        let _ = catalogue.admit(name);
    }
    names.is_some()
}

async fn read(monitor: &Monitor, path: &str, parse: fn(&[u8]) -> Option<Vec<String>>) -> Option<Vec<String>> {
    let budget = Budget { time: monitor.pace.list_limit, body: BODY };
    let answer = fetch(&monitor.dialer, &monitor.host, (Method::GET, path), budget).await;
    match answer {
        Ok(answer) if answer.status == StatusCode::OK => parse(&answer.body),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(backend = &*monitor.backend.name, path, ?error, "no listing of models");
            None
        }
    }
}

/// The names in an answer to `/api/tags` (Ollama, `api/types.go`, `ListResponse`).
fn ollama_names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        models: Option<Vec<Model>>,
    }
    #[derive(Deserialize)]
    struct Model {
        name: Option<String>,
        model: Option<String>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    Some(list.models?.into_iter().filter_map(|entry| entry.model.or(entry.name)).collect())
}

/// The names in an answer to `/v1/models` (`OpenAI`, "List models").
fn openai_names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        data: Option<Vec<Model>>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: Option<String>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    Some(list.data?.into_iter().filter_map(|entry| entry.id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_both_listings() {
        let tags = br#"{"models":[{"name":"a:latest","model":"a:latest","size":1},{"name":"b:1"},{}]}"#;
        assert_eq!(ollama_names(tags), Some(vec!["a:latest".into(), "b:1".into()]));
        assert_eq!(ollama_names(br#"{"models":[]}"#), Some(vec![]));
        let models = br#"{"object":"list","data":[{"id":"org/model","object":"model"},{"id":"lora"}]}"#;
        assert_eq!(openai_names(models), Some(vec!["org/model".into(), "lora".into()]));
    }

    #[test]
    fn what_is_no_listing_is_none() {
        for body in [&b""[..], b"<html>", b"[]", br#"{"models":"many"}"#, br#"{"error":"not found"}"#] {
            assert_eq!(openai_names(body), None);
            assert_eq!(ollama_names(body), None);
        }
    }
}
