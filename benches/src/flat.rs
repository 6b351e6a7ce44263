//! What must not grow: the cost of a stream with its length, and memory with the size of a request.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::account::Tree;
use crate::client::{Client, Then};
use crate::contestant::{Contestant, Running};
use crate::load::Ground;
use crate::script::{self, Form, Wish};

/// Chunks of a stream of an hour at 20 ms a chunk, four times over.
const CHUNKS: u64 = 4 * 180_000;

/// Of the chunks, those at the beginning and those at the end that are compared.
const PART: u64 = 10;

/// Longest time for the stream, which has no pauses.
const LIMIT: Duration = Duration::from_secs(30);

/// Bytes of the prompt in a large request.
const LARGE: usize = 10_000_000;

/// Small requests before the large ones, and how many large ones there are.
const SMALL_ONES: usize = 20;
const LARGE_ONES: usize = 3;

/// What a stream cost that is as long as hours.
#[derive(Clone, Copy, Debug)]
pub struct Long {
    /// CPU time of a chunk in its first tenth, in nanoseconds.
    pub first: f64,
    /// The same in its last tenth.
    pub last: f64,
    /// Memory at the end less that after the first tenth, in bytes.
    pub grown: f64,
}

/// The most memory that was ever held, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// After small requests.
    pub small: f64,
    /// After requests of 10 MB too.
    pub large: f64,
}

/// Reads one stream of [`CHUNKS`] chunks; a share of them for a quick run.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn long_stream(ground: &Ground, contestant: &Contestant, quick: bool) -> Result<Long, String> {
    let running = contestant.start(ground.backend.address(), &ground.cores)?;
    let part = CHUNKS / PART / if quick { 10 } else { 1 };
    follow(ground, &running, part).map_err(|error| format!("the client failed: {error}"))?
}

fn follow(ground: &Ground, running: &Running, part: u64) -> io::Result<Result<Long, String>> {
    let Some(tree) = running.tree() else { return Ok(Err("nothing stands between".into())) };
    let mut client = Client::new(running.address(), ground.clock)?;
    let wish = Wish::of(Form::Ndjson, Duration::ZERO).ended(part * PART);
    client.open(1, wish, Then::Close)?;
    let mut parts = Vec::new();
    for _ in 0..PART {
        let before = tree.cpu();
        client.run_until(part, LIMIT)?;
        let chunks = client.take().chunks;
        let cpu = tree.cpu().zip(before).map(|(now, then)| now.saturating_sub(then));
        if chunks < part / 2 {
            return Ok(Err("the stream ended early".into()));
        }
        let each = cpu.map(|cpu| cpu.as_nanos() as f64 / chunks as f64);
        parts.push(each.zip(tree.memory()).map(|(each, memory)| (each, memory.pss as f64)));
    }
    let (Some(Some((first, before))), Some(Some((last, after)))) = (parts.first(), parts.last()) else {
        return Ok(Err("the kernel gave no account".into()));
    };
    Ok(Ok(Long { first: *first, last: *last, grown: after - before }))
}

/// Sends small requests and then large ones, one after the other.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn large_request(ground: &Ground, contestant: &Contestant) -> Result<Peak, String> {
    let running = contestant.start(ground.backend.address(), &ground.cores)?;
    let tree = running.tree().ok_or("nothing stands between")?;
    let small = send(&running, SMALL_ONES, 100).and_then(|()| peak(&tree));
    let large = send(&running, LARGE_ONES, LARGE).and_then(|()| peak(&tree));
    small.and_then(|small| Ok(Peak { small, large: large? })).map_err(|error| format!("the client failed: {error}"))
}

fn peak(tree: &Tree) -> io::Result<f64> {
    tree.peak().map(|bytes| bytes as f64).ok_or_else(|| io::Error::other("the kernel gave no account"))
}

fn send(running: &Running, count: usize, prompt: usize) -> io::Result<()> {
    let mut socket = TcpStream::connect(running.address())?;
    socket.set_read_timeout(Some(LIMIT))?;
    let body = format!(r#"{{"model":"bench","stream":false,"prompt":"{}"}}"#, "x".repeat(prompt));
    let request = Wish::WHOLE.post("/api/generate", &body);
    (0..count).try_for_each(|_| {
        socket.write_all(&request)?;
        read_whole(&mut socket)
    })
}

/// Reads an answer of stated length, which must be a success.
///
/// # Errors
/// When it is something else.
pub fn read_whole(socket: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut piece) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = socket.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            let (head, body) = answer.split_at(end + 4);
            let length = script::field(head, b"content-length: ").and_then(script::number);
            if !head.starts_with(b"HTTP/1.1 200") || length.is_none() {
                return Err(io::Error::other("not the answer that was expected"));
            }
            if length.is_some_and(|length| body.len() as u64 >= length) {
                return Ok(());
            }
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
