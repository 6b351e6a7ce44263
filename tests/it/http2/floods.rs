//! Frames that ask for work and carry nothing come to an end; those of ordinary clients do not.

use std::io::{Read, Write};
use std::sync::mpsc;

use super::{OK, STREAM, WORD};
use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::rig::Rig;

const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `:method: POST`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541), not in the table.
const HEAD: &[u8] = b"\x83\x86\x84\x01\x09localhost";
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// More frames than a client may send that gets nothing.
const MANY: usize = 5_000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The next frame: its kind and its payload.
fn next_frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).ok()?;
    Some((head[3], payload))
}

/// Reads everything, and says why the connection was ended.
fn reading(raw: &Raw) -> mpsc::Receiver<Option<u32>> {
    let (sender, reason) = mpsc::channel();
    let mut stream = raw.stream.try_clone().expect("a descriptor");
    std::thread::spawn(move || {
        let mut said = None;
        while let Some((kind, payload)) = next_frame(&mut stream) {
            if kind == GOAWAY {
                said = Some(u32::from_be_bytes(payload[4..8].try_into().expect("a code")));
            }
        }
        let _ = sender.send(said);
    });
    reason
}

#[test]
fn frames_that_carry_nothing_are_bounded_and_answered_by_goaway() {
    for (what, flood, kind) in [
        ("SETTINGS", frame(4, 0, 0, &[]), "flood"),
        ("PING", frame(6, 0, 0, &[0; 8]), "flood"),
        ("PING that answers", frame(6, 1, 0, &[0; 8]), "flood"),
        ("WINDOW_UPDATE", frame(8, 0, 1, &1_u32.to_be_bytes()), "flood"),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 1]), "flood"),
        // The library has a bound of its own.
        ("DATA without data", frame(DATA, 0, 1, &[]), "http2"),
        ("an unknown kind", frame(0xfa, 0, 0, &[]), "flood"),
    ] {
        let (asked, asks) = mpsc::channel();
        let backend = Backend::start(move |connection| {
            connection.head();
            asked.send(()).expect("the test waits");
            connection.closed();
        });
        let rig = Rig::before(backend.address);
        let mut raw = Raw::connect(rig.address);
        let reason = reading(&raw);
        raw.send([GREETING, &frame(HEADERS, 0x4, 1, HEAD)].concat());
        asks.recv_timeout(PATIENCE).expect("the backend is asked");
        // It may be cut while it writes.
        let _ = raw.stream.write_all(&flood.repeat(MANY));
        assert_eq!(rig.refusal().as_str(), kind, "{what}");
        assert_eq!(reason.recv_timeout(PATIENCE).expect("an end"), Some(ENHANCE_YOUR_CALM), "{what}");
        let expected = if kind == "flood" { "client_cancelled" } else { "rejected" };
        assert_eq!(rig.record().outcome.as_str(), expected, "{what}");
        assert!(rig.no_more_refusals());
    }
}

#[test]
fn streams_that_are_reset_after_they_were_accepted_are_bounded() {
    let (asked, asks) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        if connection.head().is_some() {
            let _ = asked.send(());
            connection.closed();
        }
    });
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    let reason = reading(&raw);
    raw.send(GREETING);
    let mut streams = 0;
    while streams < 5_000 {
        let id = 2 * streams + 1;
        if raw.stream.write_all(&frame(HEADERS, 0x5, id, HEAD)).is_err() || asks.recv_timeout(PATIENCE / 4).is_err() {
            break;
        }
        let _ = raw.stream.write_all(&frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
        streams += 1;
    }
    println!("{streams} streams were reset");
    assert!((1_000..5_000).contains(&streams), "{streams}");
    assert_eq!(rig.refusal().as_str(), "flood");
    assert_eq!(reason.recv_timeout(PATIENCE).expect("an end"), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn a_client_that_asks_for_more_after_each_piece_is_served() {
    const PIECES: usize = 3_000;
    let backend = Backend::start(|connection| {
        connection.request();
        connection.write(STREAM);
        while connection.stream.write_all(WORD).is_ok() {}
    });
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    raw.send([GREETING, &frame(HEADERS, 0x5, 1, HEAD)].concat());
    let mut stream = raw.stream.try_clone().expect("a descriptor");
    let mut pieces = 0;
    while pieces < PIECES {
        let (kind, payload) = next_frame(&mut stream).expect("it goes on");
        if kind == DATA && !payload.is_empty() {
            pieces += 1;
            let more = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
            raw.send([frame(8, 0, 0, &more), frame(8, 0, 1, &more), frame(6, 0, 0, &[1; 8])].concat());
        }
    }
    assert!(rig.no_more_refusals());
    drop((raw, stream));
    assert_eq!(rig.record().outcome.as_str(), "client_cancelled");
}

#[test]
fn a_client_that_makes_room_twice_for_each_4_kib_gets_a_large_answer_whole() {
    const LENGTH: usize = 16 * 1024 * 1024;
    const EACH: usize = 4096;
    let backend = Backend::start(|connection| {
        connection.request();
        connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes());
        connection.write(&vec![b'x'; LENGTH]);
    });
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    raw.send([GREETING, &frame(HEADERS, 0x5, 1, HEAD)].concat());
    let mut stream = raw.stream.try_clone().expect("a descriptor");
    let more = (EACH as u32).to_be_bytes();
    let room = [frame(8, 0, 0, &more), frame(8, 0, 1, &more)].concat();
    let (mut received, mut made) = (0, 0);
    while received < LENGTH {
        let (kind, payload) = next_frame(&mut stream).unwrap_or_else(|| panic!("cut after {received} bytes"));
        assert_ne!(kind, GOAWAY, "after {received} bytes");
        if kind == DATA {
            received += payload.len();
            let due = received / EACH - made;
            made += due;
            raw.send(room.repeat(due));
        }
    }
    assert_eq!(received, LENGTH);
    assert!(rig.no_more_refusals());
    assert_eq!(rig.record().outcome.as_str(), "completed");
}

#[test]
fn requests_and_their_answers_never_count_as_a_flood() {
    const REQUESTS: u32 = 2_000;
    let rig = Rig::before(Backend::answering(OK).address);
    let mut raw = Raw::connect(rig.address);
    let reason = reading(&raw);
    raw.send(GREETING);
    for number in 0..REQUESTS {
        let id = 2 * number + 1;
        let head = frame(HEADERS, 0x5, id, HEAD);
        raw.send([head, frame(8, 0, 0, &2_u32.to_be_bytes())].concat());
        assert_eq!(rig.record().outcome.as_str(), "completed");
    }
    assert!(rig.no_more_refusals() && reason.try_recv().is_err());
}

/// As [`HEAD`], for `/index.html`.
const ANOTHER_HEAD: &[u8] = b"\x83\x86\x85\x01\x09localhost";

/// A stream begins, others are opened and reset in one write, and the stream ends.
fn reset_at_once(what: &str, streams: u32, frames: &[u8]) {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = Backend::start(move |connection| match connection.head() {
        Some(head) if head.starts_with(b"POST / ") => {
            connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
            connection.write(b"1\r\nb\r\n0\r\n\r\n");
        }
        _ => drop(connection.closed()),
    });
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    let mut stream = raw.stream.try_clone().expect("a descriptor");
    raw.send([GREETING, &frame(HEADERS, 0x5, 1, HEAD)].concat());
    while next_frame(&mut stream).expect("it goes on").0 != HEADERS {}
    raw.send(frames);
    for _ in 0..streams {
        assert_eq!(rig.record().outcome.as_str(), "client_cancelled", "{what}");
    }
    step.send(()).expect("the backend waits");
    loop {
        let (kind, payload) = next_frame(&mut stream).unwrap_or_else(|| panic!("{what}: it is cut"));
        assert_ne!(kind, GOAWAY, "{what}");
        if (kind, &payload[..]) == (DATA, b"b") {
            break;
        }
    }
    assert_eq!(rig.record().outcome.as_str(), "completed", "{what}");
    assert!(rig.no_more_refusals() && rig.no_more_records(), "{what}");
}

#[test]
fn many_streams_that_are_reset_at_once_are_counted_and_harm_no_other() {
    let opened = |stream: u32| frame(HEADERS, 0x5, 2 * stream + 1, ANOTHER_HEAD);
    let reset = |stream: u32| frame(RST_STREAM, 0, 2 * stream + 1, &8_u32.to_be_bytes());
    for streams in [21, 99] {
        let first_all_heads: Vec<u8> = (1..=streams).flat_map(opened).chain((1..=streams).flat_map(reset)).collect();
        reset_at_once(&format!("{streams} heads, then their resets"), streams, &first_all_heads);
    }
    let in_turn: Vec<u8> = (1..=500).flat_map(|stream| [opened(stream), reset(stream)].concat()).collect();
    reset_at_once("500 in turn", 500, &in_turn);
}
