//! What has brought servers of HTTP/2 down: streams that are reset as fast as they are opened, heads without an end,
//! questions whose answers nobody reads. Each costs its own connection at most.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;

use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request};
use crate::support::program::Program;
use crate::support::rig::Rig;
use crate::support::{PATIENCE, alone};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541).
const HEAD: &[u8] = b"\x82\x86\x84\x41\x09localhost";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Floods the program, and holds it to what it promises afterwards.
fn flood(what: &str, flood: impl FnOnce(&mut Raw)) {
    let _alone = alone();
    let backend = Backend::answering(OK);
    let program = Program::with(backend.address, &["--access-log", "off"]);
    Client::connect(program.clients).ask(request(Method::GET, "/"), "");
    program.wait_for_history();
    let (before, descriptors) = (program.resident(), program.descriptors());
    let mut raw = Raw::connect(program.clients);
    raw.stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    raw.send(PREFACE);
    flood(&mut raw);
    let grown = program.peak().saturating_sub(before);
    println!("{what}: {} KiB at most", grown >> 10);
    assert!(grown < 16 << 20, "{what}: {grown} bytes");
    let other = Client::connect(program.clients);
    assert_eq!(other.ask(request(Method::GET, "/"), "").1, "ok", "{what}: others are served");
    drop(raw);
    other.leave();
    program.wait_for("active_requests", &[], 0.0);
    let begun = Instant::now();
    // The pool keeps connections to the backend for two seconds.
    while program.descriptors() > descriptors + 2 {
        assert!(begun.elapsed() < PATIENCE, "{what}: {} descriptors, {descriptors} before", program.descriptors());
        std::thread::yield_now();
    }
}

#[test]
fn streams_that_are_reset_as_fast_as_they_are_opened() {
    flood("rapid reset", |raw| {
        for stream in 0..20_000 {
            let id = 2 * stream + 1;
            let both = [frame(HEADERS, 0x5, id, HEAD), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat();
            if raw.stream.write_all(&both).is_err() {
                return;
            }
        }
    });
}

#[test]
fn a_head_without_an_end() {
    flood("endless head", |raw| {
        // A literal field without indexing, `x: ...`, in every frame.
        let field = [b"\x00\x01x\x7f\x81\x7c".as_slice(), &[b'y'; 16_000]].concat();
        let _ = raw.stream.write_all(&frame(HEADERS, 0x1, 1, HEAD));
        // What comes behind the refusal is thrown away for a while, so that the refusal can be read.
        for _ in 0..2_000 {
            let _ = raw.stream.write_all(&frame(CONTINUATION, 0, 1, &field));
        }
        let (received, _) = raw.rest();
        assert!(received.windows(6).any(|part| part == b"\x07\0\0\0\0\0"), "the connection ends in GOAWAY");
    });
}

#[test]
fn pings_whose_answers_are_not_read() {
    flood("pings", |raw| {
        let many = frame(PING, 0, 0, &[0; 8]).repeat(4_096);
        // Ends in a write that is not taken, for the answers are not.
        for _ in 0..500 {
            if raw.stream.write_all(&many).is_err() {
                return;
            }
        }
    });
}

/// `:method: GET`, `:scheme: http`, `:path: /`, and `:authority: localhost` without a place in the table.
const UNINDEXED: &[u8] = b"\x82\x86\x84\x01\x09localhost";

/// The next frame: its kind, its stream and its payload.
fn next_frame(raw: &mut Raw) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    raw.stream.read_exact(&mut head).expect("a frame");
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    raw.stream.read_exact(&mut payload).expect("a frame");
    (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
}

/// A backend that reads what it is sent and thinks, and how many bytes that were.
fn thinking() -> (Backend, Arc<AtomicU64>) {
    let sent = Arc::<AtomicU64>::default();
    let count = sent.clone();
    let backend = Backend::start(move |connection| {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = connection.stream.read(&mut buffer) {
            count.fetch_add(read as u64, Ordering::SeqCst);
        }
    });
    (backend, sent)
}

/// One entry of 4 KiB in the dynamic table, and heads that refer to it as often as a head may be long.
fn referring(raw: &mut Raw, streams: u32) -> u64 {
    let entry = [UNINDEXED, b"\x40\x01x\x7f\xa1\x1e", &[b'y'; 4_000]].concat();
    let many = [UNINDEXED, &[0xbe; 62]].concat();
    let heads = (0..streams).map(|stream| {
        let block = if stream == 0 { &entry } else { &many };
        frame(HEADERS, 0x5, 2 * stream + 1, block)
    });
    let bytes = [PREFACE.to_vec(), heads.flatten().collect(), frame(PING, 0, 0, &[7; 8])].concat();
    raw.send(&bytes);
    bytes.len() as u64
}

#[test]
fn heads_that_refer_to_one_field_cost_no_more_than_32_times_what_was_sent() {
    const STREAMS: u32 = 100;
    let _alone = alone();
    let (backend, received) = thinking();
    let program = Program::with(backend.address, &["--access-log", "off"]);
    // What the first of anything costs is not what is measured.
    for _ in 0..3 {
        let mut first = Raw::connect(program.clients);
        referring(&mut first, 1);
        while next_frame(&mut first).0 != PING {}
        program.wait_for("active_requests", &[], 1.0);
        drop(first);
        program.wait_for("active_requests", &[], 0.0);
    }
    let earlier = received.load(Ordering::SeqCst);
    let before = program.resident();
    let mut raw = Raw::connect(program.clients);
    let sent = referring(&mut raw, STREAMS);
    while next_frame(&mut raw).0 != PING {}
    // All heads were read; each of them is in flight or refused.
    let begun = Instant::now();
    let refused = loop {
        let refused = program.metric("http_malformed_total", &["kind=\"too_large\""]);
        if refused + program.metric("active_requests", &[]) == f64::from(STREAMS) {
            break refused;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", program.fetch("/metrics"));
    };
    let (peak, begun) = (program.peak().saturating_sub(before), Instant::now());
    let mut forwarded = 0;
    while begun.elapsed() < Duration::from_millis(500) {
        forwarded = received.load(Ordering::SeqCst) - earlier;
        std::thread::yield_now();
    }
    drop(raw);
    program.wait_for("active_requests", &[], 0.0);
    let after = program.resident().saturating_sub(before);
    println!(
        "{sent} bytes sent, {refused} of {STREAMS} streams refused; {forwarded} bytes forwarded ({} x), {} KiB held at most \
         ({} x), {} KiB after the close",
        forwarded / sent,
        peak >> 10,
        peak / sent,
        after >> 10
    );
    assert!(forwarded <= 32 * sent, "{forwarded} bytes forwarded for {sent}");
    // Whatever its head, a stream has tasks, sockets and an observation.
    assert!(peak <= 32 * sent + (2 << 20), "{peak} bytes held for {sent}");
    assert!(after <= 2 << 20, "{after} bytes stay");
}

#[test]
fn trailers_that_refer_to_one_field_reset_their_stream_and_reach_no_backend() {
    let (backend, received) = thinking();
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    referring(&mut raw, 1);
    let post = [b"\x83".as_slice(), &UNINDEXED[1..]].concat();
    raw.send([frame(HEADERS, 0x4, 3, &post), frame(DATA, 0, 3, b"x"), frame(HEADERS, 0x5, 3, &[0xbe; 62])].concat());
    while next_frame(&mut raw).0 != RST_STREAM {}
    assert_eq!(rig.record().error.map(|error| error.as_str()), Some("client_body"));
    assert!(rig.no_more_records(), "the other stream goes on");
    assert!(received.load(Ordering::SeqCst) < 10_000);
}

#[test]
fn a_hundred_ordinary_heads_at_once_are_taken() {
    const STREAMS: usize = 100;
    let (asked, asks) = std::sync::mpsc::channel();
    let backend = Backend::start(move |connection| {
        let head = connection.head().expect("a head");
        asked.send(head.len()).expect("the test waits");
        connection.closed();
    });
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let held: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut get = request(Method::GET, "/api/tags");
            for name in ["user-agent", "accept", "accept-language", "authorization", "x-request-source", "cookie"] {
                get.headers_mut().insert(name, "v".repeat(140).parse().expect("a value"));
            }
            client.send(get, true)
        })
        .collect();
    let bytes: usize = (0..STREAMS).map(|_| asks.recv_timeout(PATIENCE).expect("it is asked")).sum();
    println!("{STREAMS} heads of {} bytes", bytes / STREAMS);
    assert!(bytes > STREAMS * 900);
    drop(held);
}
