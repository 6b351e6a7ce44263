//! A drain waits for exchanges, and for nothing else.

use std::sync::mpsc;

use http::Method;
use inferometer::proxy::Life;

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request, rest, wait};
use crate::support::rig::Rig;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether the proxy ends by itself; it has no time limit of its own here.
fn ends(rig: Rig) -> bool {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        rig.join();
        let _ = sender.send(());
    });
    ended.recv_timeout(PATIENCE).is_ok()
}

/// A client that goes through these bytes and then neither reads nor writes.
fn silent(rig: &Rig, bytes: impl AsRef<[u8]>, until: &[u8]) -> Raw {
    let mut client = Raw::connect(rig.address);
    client.send(bytes).until(until);
    client
}

#[test]
fn a_connection_without_an_exchange_holds_no_drain() {
    let acknowledged = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    let greeting = [PREFACE.as_bytes(), SETTINGS].concat();
    // Half of a head: its frame announces more than comes.
    let half = [greeting.as_slice(), b"\0\0\x20\x01\x05\0\0\0\x01\x82\x86"].concat();
    // A whole frame of a head that goes on in another one.
    let more = [greeting.as_slice(), b"\0\0\x02\x01\x01\0\0\0\x01\x82\x86"].concat();
    for (what, bytes, until) in [
        ("nothing", &b""[..], &b""[..]),
        ("half a head", b"GET / HTTP/1.1\r\nHo", b""),
        ("half a preface", b"PRI * HTTP/2.0\r\n\r\nSM", b""),
        ("half a head behind an answer", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", b"ok"),
        ("an idle connection", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"ok"),
        ("an idle connection of HTTP/2 that does not read", &greeting, &acknowledged),
        ("half a head of HTTP/2", &half, &acknowledged),
        ("a head of HTTP/2 that goes on", &more, &acknowledged),
    ] {
        let backend = Backend::answering(OK);
        let rig = Rig::before(backend.address);
        let client = silent(&rig, bytes, until);
        rig.life.send_replace(Life::Draining);
        assert!(ends(rig), "{what} holds the drain");
        drop(client);
    }
}

#[test]
fn the_last_stream_of_a_drain_is_waited_for_and_its_connection_is_not() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let (asked, asks) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        connection.request();
        asked.send(()).expect("the test waits");
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(OK);
    });
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    // `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541).
    let head = b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost";
    raw.send([PREFACE.as_bytes(), SETTINGS, head].concat());
    asks.recv_timeout(PATIENCE).expect("the backend is asked");
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/"), true);
    asks.recv_timeout(PATIENCE).expect("the backend is asked");
    rig.life.send_replace(Life::Draining);
    step.send(()).expect("the backend waits");
    step.send(()).expect("the backend waits");
    assert_eq!(rest(wait(response).expect("a response").into_body()).expect("a whole body"), "ok");
    assert_eq!([rig.record(), rig.record()].map(|record| record.outcome.as_str()), ["completed"; 2]);
    assert!(ends(rig), "a client that does not read holds the drain");
    raw.until([0, 0, 2, 0, 1, 0, 0, 0, 1, b'o', b'k'].as_slice());
}
