//! What stands behind a body says nothing of the message, its sender or its way, in either direction and version.

use std::sync::mpsc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, piece, request, wait};
use crate::support::rig::Rig;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Framing, connection, routing, authentication, content, request and response controls (RFC 9110, 6.5.1).
const FORBIDDEN: &str = "Transfer-Encoding: chnked\r\nContent-Length: 5\r\nTrailer: X\r\nConnection: X-Sum\r\n\
    Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: websocket\r\nTE: trailers\r\nHTTP2-Settings: AAA\r\n\
    Host: evil\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: Bearer evil\r\nProxy-Authorization: x\r\nCookie: a=b\r\n\
    x-api-key: evil\r\nSet-Cookie: a=b\r\nWWW-Authenticate: Basic\r\nContent-Type: text/evil\r\nContent-Encoding: br\r\n\
    Content-Range: bytes 0-1/2\r\nExpect: 100-continue\r\nMax-Forwards: 0\r\nIf-Match: x\r\nRange: bytes=0-1\r\n\
    Location: /evil\r\nRetry-After: 9\r\nVary: *\r\n";

/// Each forbidden line followed by one that passes, and what is left of the two.
fn mixed() -> (String, String) {
    let (mut sent, mut kept) = (String::new(), String::new());
    for (number, line) in FORBIDDEN.split_inclusive("\r\n").enumerate() {
        let passes = format!("X-{number}:  {number} \r\n");
        sent += &(line.to_owned() + &passes);
        kept += &passes;
    }
    (sent, kept)
}

fn map(lines: &str) -> HeaderMap {
    let fields = lines.lines().filter_map(|line| line.trim().split_once(':'));
    fields
        .map(|(name, value)| (HeaderName::try_from(name).expect("a name"), value.trim().parse().expect("a value")))
        .collect()
}

/// A backend that keeps what it is sent behind a head, up to the end of the body.
fn keeping() -> (Backend, mpsc::Receiver<String>) {
    let (sender, bodies) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while connection.head().is_some() {
            let mut body = connection.until(b"0\r\n");
            body.extend(connection.until(b"\r\n\r\n"));
            sender.send(String::from_utf8(body).expect("text")).expect("the test waits");
            connection.write(OK);
        }
    });
    (backend, bodies)
}

#[test]
fn forbidden_trailers_of_a_request_reach_no_backend() {
    let (sent, kept) = mixed();
    let (backend, bodies) = keeping();
    let rig = Rig::before(backend.address);
    let mut client = Raw::connect(rig.address);
    let head = "POST /api/chat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    // At once, and behind a pause within a name.
    for cut in [0, sent.find("ost: evil").expect("it is there")] {
        client.send(format!("{head}2;x=y\r\n{{}}\r\n0\r\n{}", &sent[..cut]));
        client.send(format!("{}\r\n", &sent[cut..])).until("\r\n\r\nok");
        let body = bodies.recv_timeout(PATIENCE).expect("a request");
        assert_eq!(body, format!("2;x=y\r\n{{}}\r\n0\r\n{kept}\r\n"));
    }
    client.send(format!("{head}0\r\n{}", FORBIDDEN.to_owned() + "X: 1\r\n\r\n")).until("\r\n\r\nok");
    assert_eq!(bodies.recv_timeout(PATIENCE).expect("a request"), "0\r\nX: 1\r\n\r\n");

    let client = Client::connect(rig.address);
    let (response, mut stream) = client.send(request(Method::POST, "/api/chat"), false);
    stream.send_data(Bytes::from_static(b"{}"), false).expect("a piece");
    // The library of the test sends nothing of a connection.
    let mut trailers = map(&sent);
    for name in ["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"] {
        trailers.remove(name);
    }
    stream.send_trailers(trailers).expect("trailers");
    wait(response).expect("a response");
    let body = bodies.recv_timeout(PATIENCE).expect("a request");
    let lines: Vec<_> = body.lines().skip(3).filter(|line| !line.is_empty() && !line.starts_with("x-")).collect();
    assert_eq!(lines, [""; 0], "{body}");
    let passed = body.lines().filter(|line| line.starts_with("x-")).count();
    assert_eq!(passed, kept.lines().count(), "{body}");
}

#[test]
fn a_trailer_that_the_connection_field_names_passes_in_neither_direction() {
    const NAMED: &str = "Connection: X-Secret, x-other\r\nTransfer-Encoding: chunked\r\n\r\n";
    const SENT: &str = "0\r\nx-secret: 1\r\nX-Sum: 2\r\nX-OTHER: 3\r\n\r\n";
    const KEPT: &str = "0\r\nX-Sum: 2\r\n\r\n";
    let (backend, bodies) = keeping();
    let rig = Rig::before(backend.address);
    let mut client = Raw::connect(rig.address);
    client.send(format!("POST /api/chat HTTP/1.1\r\nHost: a\r\n{NAMED}{SENT}")).until("\r\n\r\nok");
    assert_eq!(bodies.recv_timeout(PATIENCE).expect("a request"), KEPT);
    // The next message names nothing.
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{SENT}")).until("\r\n\r\nok");
    assert_eq!(bodies.recv_timeout(PATIENCE).expect("a request"), SENT);

    let rig = Rig::before(Backend::answering(format!("HTTP/1.1 200 OK\r\n{NAMED}{SENT}")).address);
    let mut raw = Raw::connect(rig.address);
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("\r\n\r\n");
    assert_eq!(String::from_utf8(raw.until("\r\n\r\n")).expect("text"), KEPT);
    let client = Client::connect(rig.address);
    let mut body = wait(client.send(request(Method::GET, "/"), true).0).expect("a response").into_body();
    assert!(piece(&mut body).is_none(), "no data");
    assert_eq!(wait(body.trailers()).expect("a whole answer").expect("trailers"), map("X-Sum: 2\r\n"));
}

#[test]
fn forbidden_trailers_of_a_response_reach_no_client_and_break_no_answer() {
    let (sent, kept) = mixed();
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n".to_owned();
    let backend = Backend::answering(format!("{reply}{sent}\r\n"));
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("0\r\n");
    let received = raw.until("\r\n\r\n");
    assert_eq!(String::from_utf8(received).expect("text"), format!("{kept}\r\n"));
    assert_eq!(rig.record().outcome.as_str(), "completed");

    let client = Client::connect(rig.address);
    let mut body = wait(client.send(request(Method::GET, "/"), true).0).expect("a response").into_body();
    let mut data = Vec::new();
    while let Some(piece) = piece(&mut body) {
        data.extend_from_slice(&piece.expect("the whole answer"));
    }
    let trailers = wait(body.trailers()).expect("a whole answer").expect("trailers");
    assert_eq!((data.as_slice(), trailers), (&b"ok"[..], map(&kept)));
    assert_eq!(rig.record().outcome.as_str(), "completed");
}
