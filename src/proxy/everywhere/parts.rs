//! What every errand is made of: the backends with their requests, and the side of the client.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;

use crate::fleet::Member;

/// A backend with the request as it gets it.
pub(super) struct Addressed {
    pub(super) member: Arc<Member>,
    pub(super) request: Vec<u8>,
}

impl Addressed {
    pub(super) fn name(&self) -> &str {
        &self.member.backend.name
    }
}

/// The side of the client.
pub(super) struct Client(OwnedWriteHalf);

impl Client {
    pub(super) fn new(to: OwnedWriteHalf) -> Self {
        Self(to)
    }

    /// Sends an answer in one piece.
    pub(super) async fn send_whole(&mut self, status: u16, content_type: &[u8], body: &[u8]) -> io::Result<()> {
        let mut bytes = format!("HTTP/1.1 {status}").into_bytes();
        if let Some(reason) = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
            bytes.extend_from_slice(format!(" {reason}").as_bytes());
        }
        if !content_type.is_empty() {
            bytes.extend_from_slice(b"\r\ncontent-type: ");
            bytes.extend_from_slice(content_type);
        }
        bytes.extend_from_slice(format!("\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        self.0.write_all(&bytes).await
    }

    /// Begins an answer in pieces.
    pub(super) async fn begin(&mut self, content_type: &[u8]) -> io::Result<()> {
        let head = [
            b"HTTP/1.1 200 OK\r\ncontent-type: ".as_slice(),
            content_type,
            b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        ];
        self.0.write_all(&head.concat()).await
    }

    pub(super) async fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        self.0.write_all(&chunk).await
    }

    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n").await
    }
}

/// An error of the proxy's own, as Ollama writes its errors.
pub(super) fn error(text: &str) -> Vec<u8> {
    serde_json::json!({ "error": format!("inferometer: {text}") }).to_string().into_bytes()
}

/// The error that a backend's answer states, else its status.
pub(super) fn error_in(status: u16, body: &[u8]) -> String {
    let stated = serde_json::from_slice::<serde_json::Value>(body).ok();
    let stated = stated.as_ref().and_then(|value| value.get("error")?.as_str());
    stated.map_or_else(|| format!("status {status}"), str::to_owned)
}

/// Who has done it and who has not, and why.
pub(super) fn partial(done: &[&str], failed: &[(&str, String)]) -> String {
    let failures: Vec<_> = failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    let done = match done {
        [] => String::new(),
        done => format!("; done on {}", done.join(", ")),
    };
    format!("{}{done}", failures.join("; "))
}
