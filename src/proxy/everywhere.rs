//! Answers a request that is for several backends: each is asked what the client asked, and what they say becomes one
//! answer.
//!
//! To the rest of the proxy it is one more backend, at the other end of a pair of sockets: forwarding, observation, limits
//! and both protocols are those of any exchange, and a client that leaves closes the pair, which ends the task here and
//! with it every connection to a backend.

mod each;
mod transfer;

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{TcpStream, UnixStream};

use super::request::KeptHead;
use super::upstream::Upstream;
use crate::fleet::Member;
use crate::tls::Stream;

/// What is asked of several backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// To fetch a model: one after another.
    Pull,
    /// To delete a model.
    Delete,
    /// To end requests in progress.
    Abort,
}

/// An errand, and the backends that it is for, at least one.
#[derive(Debug)]
pub(super) struct Everywhere {
    pub(super) errand: Errand,
    pub(super) members: Vec<Arc<Member>>,
}

/// A backend with the request as it gets it.
struct Addressed {
    member: Arc<Member>,
    request: Vec<u8>,
}

impl Addressed {
    fn name(&self) -> &str {
        &self.member.backend.name
    }
}

impl Everywhere {
    /// A connection over which the answer of all comes. To be called on a worker's thread.
    ///
    /// # Errors
    /// Where the system has no pair of sockets left.
    pub(super) fn connect(self, head: &KeptHead) -> io::Result<Box<Upstream>> {
        let (far, near) = std::os::unix::net::UnixStream::pair()?;
        far.set_nonblocking(true)?;
        near.set_nonblocking(true)?;
        // What is read and written is the same for both kinds of sockets.
        let far = TcpStream::from_std(std::os::fd::OwnedFd::from(far).into())?;
        let near = UnixStream::from_std(near)?;
        let addressed = self.members.into_iter().map(|member| {
            let mut request = Vec::new();
            let (prefix, host) = (&member.backend.address.prefix, &member.settings.host_header);
            head.write(prefix, host, member.authority.as_bytes(), &mut request);
            Addressed { member, request }
        });
        let _task = tokio::task::spawn_local(run(near, self.errand, addressed.collect()));
        Ok(Upstream::new(Stream::Plain(far)))
    }
}

/// Runs the errand until it is done, or the client leaves.
async fn run(near: UnixStream, errand: Errand, all: Vec<Addressed>) {
    let (mut from, to) = near.into_split();
    // What comes is the request, of which each backend gets a copy.
    let left = async {
        let mut scratch = vec![0; 16 << 10];
        while matches!(from.read(&mut scratch).await, Ok(1..)) {}
    };
    let work = async {
        let mut to = Client(to);
        // It may have left, or nobody has answered: both show in how the connection ends.
        let _ended = match errand {
            Errand::Pull => transfer::run(&all, &mut to).await,
            Errand::Delete => each::delete(&all, &mut to).await,
            Errand::Abort => each::abort(&all, &mut to).await,
        };
    };
    tokio::select! {
        biased;
        () = left => {}
        () = work => {}
    }
}

/// The side of the client.
struct Client(OwnedWriteHalf);

impl Client {
    /// Sends an answer in one piece.
    async fn send_whole(&mut self, status: u16, content_type: &[u8], body: &[u8]) -> io::Result<()> {
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
    async fn begin(&mut self, content_type: &[u8]) -> io::Result<()> {
        let head = [
            b"HTTP/1.1 200 OK\r\ncontent-type: ".as_slice(),
            content_type,
            b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        ];
        self.0.write_all(&head.concat()).await
    }

    async fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        self.0.write_all(&chunk).await
    }

    async fn end(&mut self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n").await
    }
}

/// An error of the proxy's own, as Ollama writes its errors.
fn error(text: &str) -> Vec<u8> {
    serde_json::json!({ "error": format!("inferometer: {text}") }).to_string().into_bytes()
}

/// The error that a backend's answer states, else its status.
fn error_in(status: u16, body: &[u8]) -> String {
    let stated = serde_json::from_slice::<serde_json::Value>(body).ok();
    let stated = stated.as_ref().and_then(|value| value.get("error")?.as_str());
    stated.map_or_else(|| format!("status {status}"), str::to_owned)
}

/// Who has done it and who has not, and why.
fn partial(done: &[&str], failed: &[(&str, String)]) -> String {
    let failures: Vec<_> = failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    let done = match done {
        [] => String::new(),
        done => format!("; done on {}", done.join(", ")),
    };
    format!("{}{done}", failures.join("; "))
}
