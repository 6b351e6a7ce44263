//! What was answered and is not read: how long it waits, how much of it, and what its exchange is counted as.

use std::sync::{Mutex, mpsc};

use super::closing::{CANCEL, DATA, NARROW, Over, PREFACE, ROOM, SOON, Wire, next_frame, next_of, send};
use crate::support::alone;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::program::Program;
use crate::support::rig::Rig;

/// Streams that a connection may have at once, without the one that goes on.
const OTHERS: u32 = 99;
/// What each of them is answered: no more than the proxy reads at once.
const LARGE: usize = 60_000;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET` of a path on the Nth stream (RFC 7541).
fn get(number: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).expect("a short path");
    let head = [b"\x82\x86\x04", &[length][..], path.as_bytes(), b"\x01\x09localhost"].concat();
    frame(HEADERS, 0x5, 2 * number + 1, &head)
}

/// More room on a stream, or on the connection.
fn room(stream: u32) -> Vec<u8> {
    frame(8, 0, stream, &0x0fff_ffff_u32.to_be_bytes())
}

/// A backend that begins an answer to `/held` and ends it on a signal; each other path names the framing of its answer.
fn backend(length: usize) -> (Backend, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let body = vec![b'x'; length];
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.starts_with(b"GET /held ") {
                connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nbegun ");
                let _ = released.lock().expect("no panic").recv();
                connection.write(b"ok");
            } else if request.starts_with(b"GET /chunked ") {
                connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                connection.write(&[format!("{length:x}\r\n").as_bytes(), &body, b"\r\n"].concat());
                connection.write(b"0\r\n\r\n");
            } else {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                connection.write(&[head.as_bytes(), &body].concat());
            }
        }
    });
    (backend, release)
}

/// A client with room for one byte of each answer, and for all of one that goes on.
fn begin(over: &Over, rig: &Rig, path: &str) -> Box<dyn Wire> {
    let others: Vec<u8> = (1..=OTHERS).flat_map(|number| get(number, path)).collect();
    let mut wire = over.begin(rig, &[NARROW, &get(0, "/held"), &room(1), &room(0)]);
    let mut begun = Vec::new();
    while begun != b"begun " {
        begun.extend(next_of(&mut wire, DATA).payload);
    }
    send(&mut wire, &others);
    wire
}

fn assert_too_slow(rig: &Rig, count: u32, case: &str) {
    for number in 0..count {
        let record = rig.record();
        let why = record.error.map(|error| error.as_str());
        assert_eq!((record.outcome.as_str(), why), ("rejected", Some("client_timeout")), "{case}, the {number}th");
    }
}

#[test]
fn large_answers_that_are_not_read_are_given_up_one_by_one_and_another_stream_goes_on() {
    for over in Over::each() {
        for path in ["/sized", "/chunked"] {
            let (backend, release) = backend(LARGE);
            let rig = over.rig(&backend, |settings| settings.client.write_stall = SOON);
            let mut wire = begin(&over, &rig, path);
            let case = format!("{path} {}", over.name());
            let mut reset = 0;
            while reset < OTHERS {
                let frame = next_frame(&mut wire).unwrap_or_else(|| panic!("{case}: cut after {reset} streams"));
                reset += u32::from(frame.kind == RST_STREAM && frame.stream > 1);
            }
            assert_too_slow(&rig, OTHERS, &case);
            release.send(()).expect("the backend waits");
            assert_eq!(next_of(&mut wire, DATA).payload, b"ok", "{case}: the other one goes on");
            assert_eq!(rig.record().outcome.as_str(), "completed", "{case}");
        }
    }
}

#[test]
fn small_answers_that_are_not_read_end_their_connection_though_another_stream_goes_on() {
    for over in Over::each() {
        let (backend, _release) = backend(14);
        let rig = over.rig(&backend, |settings| settings.client.write_stall = SOON);
        let mut wire = begin(&over, &rig, "/sized");
        while next_frame(&mut wire).is_some() {}
        assert_too_slow(&rig, OTHERS + 1, over.name());
    }
}

#[test]
fn answers_that_wait_keep_their_places() {
    const PLACES: u32 = 10;
    let over = Over(None);
    let (backend, _release) = backend(14);
    let rig = over.rig(&backend, |settings| settings.max_connections = u64::from(PLACES));
    let mut wire = over.begin(&rig, &[NARROW]);
    let mut refused = 0;
    for number in 0..2 * PLACES {
        send(&mut wire, &get(number, "/sized"));
        next_of(&mut wire, DATA);
        // Those of ours have ended.
        refused += u32::from(!rig.no_more_records());
    }
    println!("{} answers of {} wait, and {refused} more were refused", 2 * PLACES - refused, PLACES);
    assert_eq!(refused, PLACES + 1, "the connection has a place too");
}

#[test]
fn an_answer_is_complete_once_its_last_byte_has_left() {
    for over in Over::each() {
        for (what, frames, outcome) in
            [("read", ROOM, "completed"), ("reset", CANCEL, "client_cancelled"), ("left", &b""[..], "client_cancelled")]
        {
            let (backend, _release) = backend(14);
            let rig = over.rig(&backend, |_| {});
            let mut wire = over.begin(&rig, &[NARROW, &get(0, "/sized")]);
            assert_eq!(next_of(&mut wire, DATA).payload, b"x");
            assert!(rig.no_more_records(), "{what}, {}: it has not ended", over.name());
            if frames.is_empty() {
                drop(wire);
            } else {
                send(&mut wire, frames);
            }
            assert_eq!(rig.record().outcome.as_str(), outcome, "{what}, {}", over.name());
        }
    }
}

#[test]
fn what_waits_on_one_connection_is_bounded() {
    let _alone = alone();
    for length in [14, 16 * 1024, LARGE] {
        let (backend, _release) = backend(length);
        let program = Program::with(backend.address, &["--access-log", "off"]);
        let before = program.resident();
        let mut raw = Raw::connect(program.clients);
        raw.send([PREFACE, NARROW].concat());
        let streams: Vec<u8> = (0..=OTHERS).flat_map(|number| get(number, "/sized")).collect();
        raw.send(streams);
        let mut wire: Box<dyn Wire> = Box::new(raw.stream);
        (0..=OTHERS).for_each(|_| drop(next_of(&mut wire, DATA)));
        let held = program.resident().saturating_sub(before);
        println!("{} answers of {length} bytes that are not read: {} KiB held", OTHERS + 1, held >> 10);
        // The promise for a stream that stands still.
        assert!(held < u64::from(OTHERS + 1) * (256 << 10), "{} KiB", held >> 10);
    }
}
