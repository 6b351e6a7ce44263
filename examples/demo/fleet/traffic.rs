//! Clients that talk with two models, and now and then with a large one, in conversations that grow.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::http_client;

/// Clients at once.
const CLIENTS: usize = 8;

/// Turns of a conversation.
const TURNS: usize = 4;

/// Time between an answer and the next question, and between two clients' beginnings.
const PAUSE: Duration = Duration::from_millis(150);

/// Clients at work until dropped.
#[derive(Debug)]
pub(crate) struct Traffic(Vec<JoinHandle<()>>);

impl Traffic {
    pub(crate) fn start(proxy: SocketAddr) -> Self {
        Self((0..CLIENTS).map(|client| tokio::spawn(talk(proxy, client))).collect())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn talk(proxy: SocketAddr, client: usize) {
    tokio::time::sleep(PAUSE * u32::try_from(client).unwrap_or(0)).await;
    for conversation in client.. {
        let model = match conversation % 8 {
            7 => "gemma3:27b",
            1 | 4 => "qwen3:8b",
            _ => "llama3.2:3b",
        };
        let mut messages = Vec::new();
        for turn in 0..TURNS {
            let question = format!("Question {turn} of conversation {client}.{conversation} [[tokens=40]]");
            messages.push(json!({"role": "user", "content": question}));
            ask(proxy, &json!({"model": model, "think": false, "messages": messages})).await;
            messages.push(json!({"role": "assistant", "content": "So it is, and it was always so. ".repeat(20)}));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Sends it and reads the answer. Errors are part of the show.
async fn ask(proxy: SocketAddr, body: &Value) {
    let Ok(mut response) = http_client::send(proxy, "/api/chat", Some(body), http_client::AGENT).await else { return };
    while let Some(Ok(_)) = response.frame().await {}
}
