//! A connection to the backend serves another exchange only where nothing of the last one can be left in it.

use std::sync::mpsc;

use bytes::Bytes;
use http::{Method, Request};

use crate::support::PATIENCE;
use crate::support::backend::{Backend, Connection};
use crate::support::client::Client;
use crate::support::http2;
use crate::support::rig::Rig;

/// What a backend must never take for a request of its own.
const HIDDEN: &str = "POST /hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n";

/// A backend that answers a head without looking for a body, keeps the connection, and parses what follows as the next
/// head, as cpp-httplib did before March 2026. It tells the request line of each, with its connection's number.
fn careless(answer: &'static str) -> (Backend, mpsc::Receiver<(u16, String)>) {
    let (tell, told) = mpsc::channel();
    let backend = Backend::start(move |connection: &mut Connection| {
        let number = connection.stream.peer_addr().expect("an address").port();
        while let Some(head) = connection.head() {
            let text = String::from_utf8_lossy(&head).into_owned();
            let line = text.lines().next().unwrap_or_default().to_owned();
            let (victim, hidden) = (line.contains("/victim"), line.contains("/hidden"));
            let _ = tell.send((number, line));
            if hidden {
                // Its body is what others send.
                connection.exactly(4000);
            }
            connection.write(if victim {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            } else {
                answer.as_bytes()
            });
        }
    });
    (backend, told)
}

/// What is sent that a backend may answer without reading its body, and its answer.
const UNREAD: [(&str, &str); 8] = [
    ("POST", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"),
    ("POST", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"),
    ("PUT", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 2\r\n\r\nno"),
    ("OPTIONS", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
    ("DELETE", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
    ("TRACE", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
    ("REPORT", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
];

/// Asks after an exchange that left a body unread, and sees that nothing of it precedes another's request.
fn check(rig: &Rig, told: &mpsc::Receiver<(u16, String)>, case: &str) {
    let (first, line) = told.recv_timeout(PATIENCE).expect("the first request");
    assert!(line.contains("/first"), "{case}: {line}");
    // More than there are threads: one of them would hold the connection.
    for _ in 0..4 {
        let mut victim = Client::connect(rig.address);
        victim.send("GET /victim HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8_lossy(&victim.rest().0).into_owned();
        assert!(answer.ends_with("ok"), "{case}: {answer}");
        let mut lines = std::iter::repeat_with(|| told.recv_timeout(PATIENCE).expect("the victim's request"));
        let (_, line) = lines.find(|(number, _)| *number != first).expect("the victim's request");
        assert_eq!(line, "GET /victim HTTP/1.1", "{case}");
    }
}

#[test]
fn a_body_that_may_lie_unread_never_becomes_the_next_request() {
    for (method, answer) in UNREAD {
        for chunked in [false, true] {
            let (backend, told) = careless(answer);
            let rig = Rig::before(backend.address);
            let mut client = Client::connect(rig.address);
            if chunked {
                let body = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
                client.send(format!("{method} /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
            } else {
                let length = HIDDEN.len();
                client.send(format!("{method} /first HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"));
            }
            client.until("no");
            check(&rig, &told, &format!("{method} {answer} chunked: {chunked}"));
        }
    }
}

#[test]
fn a_body_that_may_lie_unread_never_becomes_the_next_request_over_http2_either() {
    for (method, answer) in UNREAD {
        let (backend, told) = careless(answer);
        let rig = Rig::before(backend.address);
        let client = http2::Client::connect(rig.address);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = Request::builder().method(&method).uri("http://localhost/first");
        let request = request.header("content-length", HIDDEN.len()).body(()).expect("a request");
        let (_, body) = client.ask(request, HIDDEN);
        assert_eq!(body, "no");
        check(&rig, &told, &format!("{method} {answer}"));
    }
}

#[test]
fn a_connection_that_was_answered_before_the_upload_had_ended_is_not_used_again() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
    let (first, rest) = HIDDEN.split_at(10);
    let (backend, told) = careless(answer);
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send(format!("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{first}", HIDDEN.len()));
    client.until("no");
    client.send(rest);
    // The rest has passed once the next request on this connection is answered.
    client.send("GET /victim HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
    check(&rig, &told, "HTTP/1");

    let (backend, told) = careless(answer);
    let rig = Rig::before(backend.address);
    let client = http2::Client::connect(rig.address);
    let request = Request::post("http://localhost/first").header("content-length", HIDDEN.len()).body(());
    let (response, mut stream) = client.send(request.expect("a request"), false);
    stream.send_data(Bytes::copy_from_slice(first.as_bytes()), false).expect("a stream");
    let (_, body) = http2::wait(response).expect("a response").into_parts();
    assert_eq!(http2::rest(body).expect("a whole body"), "no");
    let _ = stream.send_data(Bytes::copy_from_slice(rest.as_bytes()), true);
    check(&rig, &told, "HTTP/2");
}

#[test]
fn a_connection_is_used_again_where_the_answer_proves_that_the_body_was_read() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    let large = "x".repeat(3_000_000);
    for body in ["{}", &large, "{}"] {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).until("ok");
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n").until("ok");
        client.send("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
        client.send("DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").until("ok");
    }
    let streams = http2::Client::connect(rig.address);
    for _ in 0..3 {
        let request = Request::post("http://localhost/").body(()).expect("a request");
        assert_eq!(streams.ask(request, "{}").1, "ok");
    }
    // Two threads, one connection each.
    assert!(backend.accepted() <= 2, "{}", backend.accepted());
}

/// A backend that answers the first request of a connection and begins this for the second, then closes.
fn breaking_off(begun: &'static [u8]) -> Backend {
    Backend::start(move |connection| {
        connection.request();
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if connection.request().is_some() {
            connection.write(begun);
        }
    })
}

#[test]
fn what_is_safe_to_repeat_is_asked_again_only_where_nothing_was_answered() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    for (what, begun, repeated) in [
        ("nothing", &b""[..], true),
        ("one byte", b"H", false),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le", false),
        ("an interim answer", interim, false),
        ("an interim answer and half a head", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nConte", false),
    ] {
        let expected = if repeated { ("completed", 200, 2) } else { ("backend_failed", 502, 1) };
        let backend = breaking_off(begun);
        let rig = Rig::before(backend.address);
        let mut client = Client::connect(rig.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
        assert_eq!(rig.record().status, 200, "{what}");
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until(format!("HTTP/1.1 {} ", expected.1));
        let record = rig.record();
        assert_eq!((record.outcome.as_str(), record.status, backend.accepted()), expected, "{what}");

        let backend = breaking_off(begun);
        let rig = Rig::before(backend.address);
        let client = http2::Client::connect(rig.address);
        client.ask(http2::request(Method::GET, "/"), "");
        assert_eq!(rig.record().status, 200, "{what}");
        let (head, _) = client.ask(http2::request(Method::GET, "/"), "");
        let record = rig.record();
        let seen = (record.outcome.as_str(), head.status().as_u16(), backend.accepted());
        assert_eq!(seen, expected, "{what}, over HTTP/2");
    }
}
