//! A little traffic of every kind, each kind at its turn, from a few clients at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::backend::{Backend, Models};
use crate::http_client;

/// What the clients say that they are.
const AGENTS: [&str; 4] = ["demo-chat/1", "demo-notebook/1", "demo-agent/1", "demo-search/1"];

/// One request to send.
#[derive(Debug)]
struct Errand {
    path: &'static str,
    body: Value,
    /// Frames after which the client leaves.
    leave_after: Option<usize>,
}

/// Clients at work until dropped.
#[derive(Debug)]
pub(crate) struct Traffic(Vec<JoinHandle<()>>);

impl Traffic {
    /// Starts them: four on a simulated backend, one patient one on a real one.
    pub(crate) fn start(proxy: SocketAddr, backend: &Backend) -> Self {
        let turn = Arc::new(AtomicUsize::new(0));
        let (clients, pause) = match backend.models {
            Models::Simulated => (4, Duration::from_millis(350)),
            Models::Real { .. } => (1, Duration::from_secs(2)),
        };
        let client = |(at, agent): (u32, &'static str)| {
            let (turn, models) = (Arc::clone(&turn), backend.models.clone());
            tokio::spawn(async move {
                tokio::time::sleep(pause * at).await;
                loop {
                    let errand = errand(&models, turn.fetch_add(1, Relaxed));
                    run(proxy, &errand, agent).await;
                    tokio::time::sleep(pause).await;
                }
            })
        };
        Self((0..).zip(AGENTS).take(clients).map(client).collect())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Sends it and reads the answer. Errors are part of the show: the metrics tell of them.
async fn run(proxy: SocketAddr, errand: &Errand, agent: &str) {
    let Ok(mut response) = http_client::send(proxy, errand.path, Some(&errand.body), agent).await else { return };
    let mut frames = 0;
    while errand.leave_after.is_none_or(|most| frames < most) {
        match response.frame().await {
            Some(Ok(_)) => frames += 1,
            _ => return,
        }
    }
}

fn errand(models: &Models, turn: usize) -> Errand {
    match models {
        Models::Simulated => simulated(turn),
        Models::Real { chat, embed } => real(chat, embed.as_deref(), turn),
    }
}

fn simulated(turn: usize) -> Errand {
    const SMALL: &str = "llama3.2:3b";
    const THINKS: &str = "qwen3:8b";
    const LARGE: &str = "gemma3:27b";
    let says = |text: &str| json!([{"role": "user", "content": format!("{text} ({turn})")}]);
    let usage = json!({"include_usage": true});
    let (path, body) = match turn % 16 {
        0 | 5 | 9 => ("/api/chat", json!({"model": SMALL, "messages": says("Tell me of llamas")})),
        1 | 11 => ("/api/chat", json!({"model": THINKS, "think": true, "messages": says("Which way is shorter?")})),
        2 => ("/api/generate", json!({"model": SMALL, "prompt": format!("Say it at once ({turn})"), "stream": false})),
        3 => ("/api/embed", json!({"model": "nomic-embed-text", "input": ["one text", "another text"]})),
        4 => {
            let body =
                json!({"model": SMALL, "messages": says("In a stream"), "stream": true, "stream_options": usage});
            ("/v1/chat/completions", body)
        }
        6 => ("/api/chat", json!({"model": SMALL, "messages": says("How is the weather?"), "tools": [weather()]})),
        7 => {
            let prompt = format!("Slowly, please [[tokens=40]] ({turn})");
            ("/api/generate", json!({"model": LARGE, "prompt": prompt, "keep_alive": "4s"}))
        }
        8 | 14 => {
            let body = json!({"model": THINKS, "think": false, "messages": says("Something long [[tokens=900]]")});
            return Errand { path: "/api/chat", body, leave_after: Some(40) };
        }
        10 => ("/api/chat", json!({"model": SMALL, "messages": says(misfortune(turn / 16))})),
        12 => ("/v1/embeddings", json!({"model": "nomic-embed-text", "input": "a third text"})),
        13 => ("/v1/chat/completions", json!({"model": SMALL, "messages": says("All at once")})),
        _ => {
            let long = "The same words again and again, to have something to read. ".repeat(60);
            ("/api/generate", json!({"model": THINKS, "think": false, "prompt": long, "options": {"num_predict": 30}}))
        }
    };
    Errand { path, body, leave_after: None }
}

/// What goes wrong, each at its turn.
fn misfortune(round: usize) -> &'static str {
    ["An unlucky one [[error]]", "A refused one [[refuse]]", "A short one [[truncate]]", "A halting one [[stall]]"]
        [round % 4]
}

fn real(chat: &str, embed: Option<&str>, turn: usize) -> Errand {
    let short = json!({"num_predict": 40});
    let says = |text: &str| json!([{"role": "user", "content": text}]);
    let mut leave_after = None;
    let (path, body) = match turn % 6 {
        0 => ("/api/chat", json!({"model": chat, "messages": says("Say hello in one sentence."), "options": short})),
        1 => {
            let body = json!({"model": chat, "prompt": "Name one colour.", "stream": false, "options": short});
            ("/api/generate", body)
        }
        2 => {
            let messages = says("Name one animal.");
            let body = json!({"model": chat, "messages": messages, "stream": true, "max_tokens": 40,
                "stream_options": {"include_usage": true}});
            ("/v1/chat/completions", body)
        }
        3 if embed.is_some() => ("/api/embed", json!({"model": embed, "input": "a text"})),
        4 => {
            leave_after = Some(5);
            ("/api/chat", json!({"model": chat, "messages": says("Count from one to forty."), "options": short}))
        }
        _ => ("/api/chat", json!({"model": "no-such-model", "messages": says("Is anybody there?")})),
    };
    Errand { path, body, leave_after }
}

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let function = json!({"name": "get_weather", "description": "Weather in a city", "parameters": parameters});
    json!({"type": "function", "function": function})
}
