//! What a stream costs: measured at the real program, printed, and held to what is promised.
//!
//! Resident memory of the process; what the system keeps in its socket buffers is not in it. An unoptimised build takes
//! the same buffers, so the promises hold for it too; the long line and the names are shorter in one, for time's sake.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::program::Program;
use crate::support::{PATIENCE, alone};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHAT: &str = "POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n{\"model\":\"many\"}";
/// What a stream may cost, whatever its client does.
const PROMISE: u64 = 256 << 10;

/// Runs requests to `/api/` through a script; probes and listings get an empty answer.
fn backend(script: impl Fn(&mut crate::support::backend::Connection) + Send + Sync + 'static) -> Backend {
    Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.starts_with(b"POST ") {
                script(connection);
            } else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            }
        }
    })
}

/// What `count` more streams cost each.
fn each(program: &Program, before: u64, count: u64, what: &str) -> u64 {
    let each = program.resident().saturating_sub(before) / count;
    println!("{what}: {} KiB each ({count} of them)", each >> 10);
    each
}

/// Waits until nobody has counted anything for a while, and gives the count.
fn stands_still(count: &AtomicU64) -> u64 {
    let (begun, mut last, mut since) = (Instant::now(), 0, Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        let now = count.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(begun.elapsed() < PATIENCE, "they go on");
        std::thread::yield_now();
    }
    last
}

#[test]
fn a_quiet_stream_costs_little() {
    let _alone = alone();
    const STREAMS: u64 = 300;
    let backend = backend(|connection| {
        connection.write(&[HEAD, b"1e\r\n{\"response\":\"x\",\"done\":false}\n\r\n"].concat());
        connection.closed();
    });
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let before = program.resident();
    let mut clients: Vec<Client> = (0..STREAMS).map(|_| Client::connect(program.clients)).collect();
    clients.iter_mut().for_each(|client| drop(client.send(CHAT).until("}\n\r\n")));
    assert!(each(&program, before, STREAMS, "a quiet stream") < PROMISE / 2);
}

/// A backend that sends lines for ever, and counts them.
fn endless(written: &Arc<AtomicU64>) -> Backend {
    let written = written.clone();
    backend(move |connection| {
        connection.write(HEAD);
        let line = format!("{{\"response\":\"{}\",\"done\":false}}\n", "x".repeat(4000));
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        while connection.stream.write_all(chunk.as_bytes()).is_ok() {
            written.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[test]
fn a_stalled_reader_costs_no_more_than_promised() {
    let _alone = alone();
    const STREAMS: u64 = 60;
    let written = Arc::new(AtomicU64::new(0));
    let backend = endless(&written);
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let before = program.resident();
    let mut clients: Vec<Client> = (0..STREAMS).map(|_| Client::connect(program.clients)).collect();
    for client in &mut clients {
        client.send(CHAT);
    }
    let last = stands_still(&written);
    assert!(last > STREAMS, "they have begun");
    assert!(each(&program, before, STREAMS, "a stalled reader") < PROMISE);
}

#[test]
fn a_stalled_stream_of_http2_costs_no_more_than_promised() {
    let _alone = alone();
    const STREAMS: u64 = 60;
    let written = Arc::new(AtomicU64::new(0));
    let backend = endless(&written);
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let clients: Vec<_> = (0..3).map(|_| http2::Client::connect(program.clients)).collect();
    let before = program.resident();
    let held: Vec<_> = (0..STREAMS)
        .map(|stream| {
            let client = &clients[usize::try_from(stream).expect("few") % clients.len()];
            client.send(http2::request(http::Method::POST, "/api/chat"), true)
        })
        .collect();
    assert!(stands_still(&written) > STREAMS, "they have begun");
    assert!(each(&program, before, STREAMS, "a stalled stream of HTTP/2") < PROMISE);
    drop(held);
}

#[test]
fn an_upload_to_a_stalled_backend_costs_no_more_than_promised() {
    let _alone = alone();
    const STREAMS: u64 = 60;
    let backend = Backend::start(|connection| {
        let Some(head) = connection.head() else { return };
        if head.starts_with(b"POST ") {
            // Reads nothing more, until its client is gone.
            std::thread::park_timeout(PATIENCE);
        }
        connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    });
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let before = program.resident();
    let sent = AtomicU64::new(0);
    let mut clients: Vec<Client> = (0..STREAMS).map(|_| Client::connect(program.clients)).collect();
    std::thread::scope(|scope| {
        for client in &mut clients {
            let (sent, mut stream) = (&sent, client.stream.try_clone().expect("a descriptor"));
            client.send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n");
            scope.spawn(move || {
                while stream.write_all(&[b'x'; 4096]).is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        assert!(stands_still(&sent) > STREAMS, "they have begun");
        let cost = each(&program, before, STREAMS, "an upload to a stalled backend");
        for client in &clients {
            client.stream.shutdown(std::net::Shutdown::Both).expect("it is open");
        }
        assert!(cost < PROMISE);
    });
}

#[test]
fn a_line_without_an_end_costs_no_more_than_the_inspectors_cap() {
    let _alone = alone();
    // 1 GiB; an unoptimised inspector takes too long for that.
    const PIECES: usize = if cfg!(debug_assertions) { 64 } else { 1024 };
    let backend = backend(|connection| {
        connection.write(HEAD);
        connection.write(format!("{:x}\r\n{{\"response\":\"", (PIECES << 20) + 13).as_bytes());
        let piece = vec![b'x'; 1 << 20];
        (0..PIECES).for_each(|_| connection.write(&piece));
        connection.write(b"\r\n0\r\n\r\n");
    });
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let before = program.peak();
    let mut client = Client::connect(program.clients);
    client.send(CHAT);
    let (mut read, mut piece, mut tail) = (0, vec![0; 1 << 20], Vec::new());
    while !tail.ends_with(b"0\r\n\r\n") {
        let bytes = client.stream.read(&mut piece).expect("it goes on");
        assert_ne!(bytes, 0, "it ends with its last chunk");
        read += bytes;
        tail.extend_from_slice(&piece[..bytes]);
        tail.drain(..tail.len().saturating_sub(8));
    }
    let more = program.peak() - before;
    println!("a line of {PIECES} MiB: {} KiB more at most, {read} bytes read", more >> 10);
    assert!(read > PIECES << 20 && more < 4 << 20, "{more} bytes more");
}

/// What the history may take: 9 MiB for its ring, 1 MiB of cache for each of its files, a batch on its way, and the lists of
/// the hour.
const FIXED: u64 = 20 << 20;

/// Resident memory of a program without a history that has not served yet.
fn without_a_history(backend: std::net::SocketAddr) -> u64 {
    let program = Program::with(backend, &["--access-log", "off", "--history", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    program.resident()
}

#[test]
fn many_model_names_cost_a_few_mib_and_the_history_a_fixed_number() {
    let _alone = alone();
    const NAMES: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
    const BATCH: u64 = 100;
    let backend = backend(|connection| connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"));
    let program = Program::with(backend.address, &["--access-log", "off"]);
    program.wait_for("backend_up", &[], 1.0);
    let mut client = Client::connect(program.clients);
    let without = without_a_history(backend.address);
    // The history's caches fill with the first.
    const FIRST: u64 = 10_000;
    let mut before = 0;
    for batch in 0..(FIRST + NAMES) / BATCH {
        if batch == FIRST / BATCH {
            before = program.resident();
            let fixed = before.saturating_sub(without);
            println!("the history's ring and caches, and what else {FIRST} requests allocate: {} KiB", fixed >> 10);
            assert!(fixed < FIXED, "{fixed} bytes");
        }
        let requests: String = (batch * BATCH..(batch + 1) * BATCH)
            .map(|number| {
                let body = format!("{{\"model\":\"{number}-{}\"}}", "n".repeat(100));
                format!("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            })
            .collect();
        client.send(requests);
        (0..BATCH).for_each(|_| drop(client.until("\r\n\r\n{}")));
    }
    let more = program.resident().saturating_sub(before);
    println!("{NAMES} model names: {} KiB more", more >> 10);
    program.wait_for("requests_total", &["model=\"unknown\"", "outcome=\"http_error\""], (FIRST + NAMES) as f64);
    assert!(more < 4 << 20, "{more} bytes more");
}
