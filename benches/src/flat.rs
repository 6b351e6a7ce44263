//! Costs that must not grow: CPU time per chunk with the length of a stream, and memory with the size of a request.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::account::Tree;
use crate::client::{AfterAnswer, Client};
use crate::contestant::{Contestant, Running};
use crate::load::Testbed;
use crate::script::{self, AnswerForm, AnswerSpec};

/// Chunks of a stream of four hours at 20 ms a chunk.
const CHUNKS: u64 = 4 * 180_000;

/// The stream is measured in so many parts, of which the first and the last are compared.
const PARTS: u64 = 10;

/// Longest time for a part of the stream, which is not paced.
const LIMIT: Duration = Duration::from_secs(30);

/// Bytes of the prompt in a large request.
const LARGE: usize = 10_000_000;

/// Small requests before the large ones.
const SMALL_ONES: usize = 20;

/// Large requests.
const LARGE_ONES: usize = 3;

/// The cost of a stream of hours.
#[derive(Clone, Copy, Debug)]
pub struct LongStream {
    /// CPU time per chunk in its first tenth, in nanoseconds.
    pub first: f64,
    /// The same in its last tenth.
    pub last: f64,
    /// Memory at the end minus memory after the first tenth, in bytes.
    pub grown: f64,
}

/// Peak memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct PeakMemory {
    /// After small requests.
    pub small: f64,
    /// After requests of 10 MB as well.
    pub large: f64,
}

/// Measures one stream of `CHUNKS` chunks, or a tenth of them for a quick run.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn long_stream(testbed: &Testbed, contestant: &Contestant, quick: bool) -> Result<LongStream, String> {
    let running = contestant.start(testbed.backend.address(), &testbed.cores)?;
    let part = CHUNKS / PARTS / if quick { 10 } else { 1 };
    follow(testbed, &running, part).map_err(|error| format!("the client failed: {error}"))?
}

fn follow(testbed: &Testbed, running: &Running, part: u64) -> io::Result<Result<LongStream, String>> {
    let Some(tree) = running.tree() else { return Ok(Err("nothing stands between".into())) };
    let mut client = Client::new(running.address(), testbed.clock)?;
    let spec = AnswerSpec::of(AnswerForm::Ndjson, Duration::ZERO).with_chunks(part * PARTS);
    client.open(1, spec, AfterAnswer::Close)?;
    let mut parts = Vec::new();
    for _ in 0..PARTS {
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
    Ok(Ok(LongStream { first: *first, last: *last, grown: after - before }))
}

/// Measures memory after small requests, and after large ones.
///
/// # Errors
/// With the reason for the report when there is no measurement.
pub fn large_request(testbed: &Testbed, contestant: &Contestant) -> Result<PeakMemory, String> {
    let running = contestant.start(testbed.backend.address(), &testbed.cores)?;
    let tree = running.tree().ok_or("nothing stands between")?;
    let small = send(&running, SMALL_ONES, 100).and_then(|()| peak(&tree));
    let large = send(&running, LARGE_ONES, LARGE).and_then(|()| peak(&tree));
    small
        .and_then(|small| Ok(PeakMemory { small, large: large? }))
        .map_err(|error| format!("the client failed: {error}"))
}

fn peak(tree: &Tree) -> io::Result<f64> {
    tree.peak().map(|bytes| bytes as f64).ok_or_else(|| io::Error::other("the kernel gave no account"))
}

fn send(running: &Running, count: usize, prompt: usize) -> io::Result<()> {
    let mut socket = TcpStream::connect(running.address())?;
    socket.set_read_timeout(Some(LIMIT))?;
    let body = format!(r#"{{"model":"bench","stream":false,"prompt":"{}"}}"#, "x".repeat(prompt));
    let request = AnswerSpec::WHOLE.post("/api/generate", &body);
    (0..count).try_for_each(|_| {
        socket.write_all(&request)?;
        read_whole(&mut socket)
    })
}

/// Reads a successful answer with a `Content-Length`.
///
/// # Errors
/// When the answer is another one.
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
