//! What has brought servers of HTTP/2 down: streams that are reset as fast as they are opened, heads without an end,
//! questions whose answers nobody reads. Each costs its own connection at most.

use std::io::Write;
use std::time::{Duration, Instant};

use http::Method;

use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request};
use crate::support::program::Program;
use crate::support::{PATIENCE, alone};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541).
const HEAD: &[u8] = b"\x82\x86\x84\x41\x09localhost";

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
        let mut refused = raw.stream.write_all(&frame(HEADERS, 0x1, 1, HEAD)).is_err();
        for _ in 0..2_000 {
            refused = refused || raw.stream.write_all(&frame(CONTINUATION, 0, 1, &field)).is_err();
        }
        assert!(refused, "32 MB of a head are not taken");
    });
}

#[test]
fn questions_whose_answers_nobody_reads() {
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
