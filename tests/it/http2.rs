//! HTTP/2 from clients: each stream is an exchange of its own, to a backend that speaks HTTP/1.1.

mod attacks;
mod cancellation;
mod catalogue;
mod closing;
mod continues;
mod differential;
mod drain;
mod floods;
mod limits;
mod targets;
mod unsent;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{Sink, Watch};
use inferometer::proxy::Life;
use inferometer::tls::server::{ClientVerification, Settings, TlsServer, TlsVersion};

use crate::support::PATIENCE;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, piece, request, rest, wait};
use crate::support::rig::{Options, Rig};

/// Most fields of a head, as `docs/security.md` says.
const MAX_FIELDS: usize = 500;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n";
const WORD: &[u8] = b"1f\r\n{\"response\":\"xx\",\"done\":false}\n\r\n";

/// A backend that tells what it was sent, and answers with this.
fn telling(response: &'static [u8]) -> (Backend, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            sender.send(String::from_utf8(request).expect("text")).expect("the test waits");
            connection.write(response);
        }
    });
    (backend, receiver)
}

/// A backend that begins a stream, and ends it with one piece on a signal.
fn pausing() -> (Backend, mpsc::Sender<()>) {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(STREAM);
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(b"1\r\nb\r\n0\r\n\r\n");
    });
    (backend, step)
}

fn outcome(record: &Record) -> (&'static str, &'static str) {
    (record.outcome.as_str(), record.phase.as_str())
}

#[test]
fn a_request_reaches_the_backend_as_http1_and_its_response_comes_back() {
    let response =
        b"HTTP/1.1 201 Created\r\nX-One: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                     Transfer-Encoding: chunked\r\nX-Two: 2\r\nx-one: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (backend, requests) = telling(response);
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let mut get = request(Method::GET, "//a/../b?c=%2F&d");
    get.headers_mut().append("x-a", "1".parse().expect("a value"));
    get.headers_mut().append("x-a", "2".parse().expect("a value"));
    let (head, body) = client.ask(get, "");
    let received = requests.recv_timeout(PATIENCE).expect("a request");
    assert_eq!(received, "GET //a/../b?c=%2F&d HTTP/1.1\r\nhost: localhost\r\nx-a: 1\r\nx-a: 2\r\n\r\n");
    assert_eq!((head.status().as_u16(), body.as_str()), (201, "ok"));
    let names: Vec<_> = head.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert_eq!(names, ["x-one: \"1\"", "x-one: \"3\"", "x-two: \"2\""], "nothing of the connection, no date");

    client.ask(request(Method::POST, "/api/chat"), "{}");
    let received = requests.recv_timeout(PATIENCE).expect("a request");
    assert!(received.ends_with("transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), "{received}");
    let mut sized = request(Method::DELETE, "/api/delete");
    sized.headers_mut().append("content-length", "2".parse().expect("a value"));
    client.ask(sized, "{}");
    let received = requests.recv_timeout(PATIENCE).expect("a request");
    assert!(received.ends_with("content-length: 2\r\n\r\n{}"), "{received}");
    for _ in 0..3 {
        let record = rig.record();
        assert_eq!((record.outcome.as_str(), record.status), ("completed", 201));
        assert!(record.overhead.is_some_and(|overhead| overhead > Duration::ZERO && overhead < record.duration));
    }
    assert_eq!(backend.accepted(), 1, "the backend's connection is kept");
}

#[test]
fn trailers_and_heads_without_bodies_pass() {
    let (backend, _requests) = telling(
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let mut get = request(Method::GET, "/");
    get.headers_mut().append("te", "trailers".parse().expect("a value"));
    let mut body = wait(client.send(get, true).0).expect("a response").into_body();
    while piece(&mut body).is_some() {}
    let trailers = wait(body.trailers()).expect("a whole body").expect("trailers");
    assert_eq!(trailers["x-sum"], "7");

    let (backend, _requests) = telling(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let rig = Rig::before(backend.address);
    let (head, body) = Client::connect(rig.address).ask(request(Method::HEAD, "/"), "");
    assert_eq!((&head.headers()["content-length"], body.as_str()), (&"9".parse().expect("a value"), ""));
}

#[test]
fn each_piece_of_a_stream_passes_before_the_next_is_sent() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(STREAM);
        for _ in 0..5 {
            steps.lock().expect("one script").recv_timeout(PATIENCE).expect("the client has read");
            connection.write(WORD);
        }
        connection.write(b"0\r\n\r\n");
    });
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::POST, "/api/generate"), true);
    let mut body = wait(response).expect("a response").into_body();
    for _ in 0..5 {
        step.send(()).expect("the backend waits");
        assert_eq!(piece(&mut body).expect("a piece").expect("a stream").len(), 0x1f);
    }
    assert_eq!(rest(body).expect("a whole body"), "");
}

/// A backend that says how far each request came to it and when it was given up.
fn given_up(sent: &'static [u8]) -> (Backend, mpsc::Receiver<()>, mpsc::Receiver<Option<Instant>>) {
    let ((ready, readies), (gone, goes)) = (mpsc::channel(), mpsc::channel());
    let backend = Backend::start(move |connection| {
        let head = String::from_utf8(connection.head().expect("a head")).expect("text");
        if head.contains("chunked") {
            connection.until(b"{\r\n");
        }
        connection.write(sent);
        ready.send(()).expect("the test waits");
        let _ = gone.send(connection.closed().then(Instant::now));
    });
    (backend, readies, goes)
}

#[test]
fn a_reset_stream_cancels_its_backend_and_no_other() {
    let sent: &'static [u8] = [STREAM, WORD].concat().leak();
    for (phase, body, sent) in
        [("upload", true, &b""[..]), ("waiting", false, b""), ("prefill", false, STREAM), ("decode", false, sent)]
    {
        for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR, h2::Reason::INTERNAL_ERROR] {
            let (backend, readies, goes) = given_up(sent);
            let rig = Rig::before(backend.address);
            let client = Client::connect(rig.address);
            let other = client.send(request(Method::POST, "/api/generate"), true);
            readies.recv_timeout(PATIENCE).expect("the backend is asked");
            let (response, mut stream) = client.send(request(Method::POST, "/api/generate"), !body);
            if body {
                stream.send_data(Bytes::from_static(b"{"), false).expect("a piece");
            }
            readies.recv_timeout(PATIENCE).expect("the backend is asked");
            let mut seen = (!sent.is_empty()).then(|| wait(response).expect("a head").into_body());
            if phase == "decode" {
                seen.iter_mut().for_each(|body| drop(piece(body)));
            }
            let left = Instant::now();
            stream.send_reset(reason);
            let noticed = goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
            println!("{phase:8} {reason:?}: {:?}", noticed.duration_since(left));
            assert_eq!(outcome(&rig.record()), ("client_cancelled", phase), "{reason:?}");
            assert!(rig.no_more_records() && goes.try_recv().is_err(), "the other stream goes on");
            drop(other);
            client.leave();
            goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
            assert_eq!(rig.record().outcome.as_str(), "client_cancelled");
        }
    }
}

#[test]
fn a_cut_upload_never_looks_complete_to_the_backend() {
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR] {
        let ((half, halves), (whole, wholes)) = (mpsc::channel(), mpsc::channel());
        let backend = Backend::start(move |connection| {
            connection.head();
            connection.until(b"half\r\n");
            half.send(()).expect("the test waits");
            whole.send(connection.until(b"0\r\n\r\n")).expect("the test waits");
        });
        let rig = Rig::before(backend.address);
        let client = Client::connect(rig.address);
        let (_response, mut stream) = client.send(request(Method::POST, "/api/blobs/sha256:1"), false);
        stream.send_data(Bytes::from_static(b"half"), false).expect("a piece");
        halves.recv_timeout(PATIENCE).expect("the backend has half");
        stream.send_reset(reason);
        let received = wholes.recv_timeout(PATIENCE).expect("an end");
        assert!(!received.ends_with(b"0\r\n\r\n"), "{reason:?}: {}", String::from_utf8_lossy(&received));
    }
}

#[test]
fn a_body_of_another_length_than_announced_is_the_clients_fault() {
    let backend = Backend::start(|connection| assert!(connection.closed()));
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let mut post = request(Method::POST, "/api/chat");
    post.headers_mut().append("content-length", "1".parse().expect("a value"));
    let (response, mut stream) = client.send(post, false);
    stream.send_data(Bytes::from_static(b"{too long"), true).expect("a piece");
    assert!(wait(response).is_err(), "the stream is reset");
    assert_eq!(rig.record().error.map(|error| error.as_str()), Some("client_body"));
    client.leave();
    drop(backend);
    assert!(rig.no_more_refusals(), "an exchange says so itself");
}

#[test]
fn heads_that_http1_could_read_in_two_ways_are_refused() {
    let backend = Backend::answering(OK);
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let with = |fields: &[(&'static str, &'static str)]| {
        let mut get = request(Method::GET, "/api/tags");
        for (name, value) in fields {
            get.headers_mut().append(*name, value.parse().expect("a value"));
        }
        get
    };
    for (refused, status, kind) in [
        (with(&[("host", "elsewhere")]), 400, "host"),
        (with(&[("content-length", "0"), ("content-length", "0")]), 400, "content_length"),
        (Request::builder().method("CONNECT").uri("localhost:80").body(()).expect("a request"), 405, "connect"),
    ] {
        let (head, body) = client.ask(refused, "");
        assert_eq!(head.status().as_u16(), status, "{kind}");
        assert!(head.headers().contains_key("x-inferometer-error") && body.contains("inferometer: "), "{body}");
        assert_eq!(rig.refusal().as_str(), kind);
    }
    assert_eq!(client.ask(with(&[]), "").1, "ok", "the connection goes on");
    assert_eq!(backend.accepted(), 1);
}

#[test]
fn a_head_that_http1_cannot_say_is_refused_and_harms_no_other_stream() {
    let (backend, step) = pausing();
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let other = wait(client.send(request(Method::GET, "/"), true).0).expect("a response").into_body();

    let quoted = http::HeaderName::from_lowercase(b"a\"b").expect("the library takes it");
    let mut odd = request(Method::GET, "/");
    odd.headers_mut().append(quoted, "1".parse().expect("a value"));
    // With the host it is one more than is taken.
    let mut many = request(Method::GET, "/");
    for number in 0..MAX_FIELDS {
        let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
        many.headers_mut().append(name, "1".parse().expect("a value"));
    }
    for (refused, status, kind) in [(odd, 400, "header"), (many, 431, "too_large")] {
        let (head, _) = client.ask(refused, "");
        assert_eq!((head.status().as_u16(), rig.refusal().as_str()), (status, kind));
    }
    step.send(()).expect("the backend waits");
    assert_eq!(rest(other).expect("a whole body"), "b");
}

#[test]
fn a_preface_after_another_request_is_refused() {
    let backend = Backend::answering(OK);
    let rig = Rig::before(backend.address);
    let mut raw = Raw::connect(rig.address);
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").until("HTTP/1.1 505 ");
    assert_eq!(rig.refusal().as_str(), "version");
    let mut dribbled = Raw::connect(rig.address);
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        dribbled.send([*byte]);
    }
    dribbled.until([0, 0, 0, 4, 1, 0, 0, 0, 0]);
}

#[test]
fn own_errors_come_over_http2_too_and_a_head_gets_no_body() {
    let nobody = crate::support::servers::free();
    let rig = Rig::before(nobody);
    let client = Client::connect(rig.address);
    let (head, body) = client.ask(request(Method::POST, "/api/chat"), "{}");
    assert_eq!(head.status().as_u16(), 502);
    assert!(body.contains("--backend"), "{body}");
    let (head, body) = client.ask(request(Method::HEAD, "/api/tags"), "");
    assert_eq!((head.status().as_u16(), body.as_str()), (502, ""));
}

#[test]
fn a_cut_reply_resets_its_stream_after_what_came_before() {
    let (backend, _requests) = telling(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/"), true);
    let mut body = wait(response).expect("a head").into_body();
    drop(backend);
    let first = piece(&mut body).expect("a piece");
    assert_eq!(first.expect("what came before"), "short");
    rig.life.send_replace(Life::Killed);
    assert!(piece(&mut body).expect("no end").is_err());
}

#[test]
fn draining_finishes_streams_and_takes_no_new_ones() {
    let (backend, step) = pausing();
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/"), true);
    let body = wait(response).expect("a head").into_body();
    rig.life.send_replace(Life::Draining);
    step.send(()).expect("the backend waits");
    assert_eq!(rest(body).expect("a whole body"), "b");
    rig.join();
}

#[test]
fn a_kill_ends_streams_and_says_whose_doing_it_was() {
    let (backend, readies, goes) = given_up(b"");
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/"), true);
    readies.recv_timeout(PATIENCE).expect("the backend is asked");
    rig.life.send_replace(Life::Killed);
    assert!(wait(response).is_err());
    goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
    assert_eq!(rig.record().error.map(|error| error.as_str()), Some("draining"));
    rig.join();
}

#[test]
fn streams_count_against_the_limit_of_connections() {
    let (backend, readies, _goes) = given_up(b"");
    let mut options = Options::default();
    options.settings.max_connections = 2;
    let rig = Rig::with(backend.address, options);
    let client = Client::connect(rig.address);
    let _held = client.send(request(Method::GET, "/"), true);
    readies.recv_timeout(PATIENCE).expect("the backend is asked");
    let (head, body) = client.ask(request(Method::GET, "/"), "");
    assert_eq!(head.status().as_u16(), 503);
    assert!(body.contains("max_connections"), "{body}");
}

#[test]
fn a_client_that_neither_sends_nor_reads_is_given_up() {
    let limit = Some(Duration::from_millis(20));
    let mut options = Options::default();
    options.settings.client.body_idle = limit;
    let (backend, _readies, goes) = given_up(b"");
    let rig = Rig::with(backend.address, options);
    let client = Client::connect(rig.address);
    for part in ["", "{"] {
        let (response, mut stream) = client.send(request(Method::POST, "/api/chat"), false);
        stream.send_data(Bytes::from_static(part.as_bytes()), false).expect("a part");
        let answer = wait(response).expect("an answer, as over HTTP/1");
        assert_eq!(answer.status().as_u16(), 408);
        assert_eq!(answer.headers()["x-inferometer-error"], "client_timeout");
        assert!(rest(answer.into_body()).expect("it is whole").contains("took too long to arrive"));
        let record = rig.record();
        assert_eq!((record.outcome.as_str(), record.status), ("rejected", 408));
        assert_eq!(record.error.map(|error| error.as_str()), Some("client_timeout"));
        goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
    }

    let mut options = Options::default();
    options.settings.client.write_stall = limit;
    let backend = Backend::start(|connection| {
        connection.request();
        connection.write(STREAM);
        let piece = [b"10000\r\n", vec![b'x'; 0x10000].as_slice(), b"\r\n"].concat();
        for _ in 0..64 {
            connection.write(&piece);
        }
    });
    let rig = Rig::with(backend.address, options);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::POST, "/api/chat"), true);
    let _unread = wait(response).expect("a head");
    assert_eq!(rig.record().error.map(|error| error.as_str()), Some("client_timeout"));
}

#[test]
fn a_connection_is_idle_only_between_streams() {
    let (backend, step) = pausing();
    let mut options = Options::default();
    options.settings.client.keep_alive_idle = Some(Duration::from_millis(200));
    let rig = Rig::with(backend.address, options);
    let client = Client::connect(rig.address);
    let (response, _) = client.send(request(Method::GET, "/"), true);
    let body = wait(response).expect("a head").into_body();
    for _ in 0..2 {
        // Each idle connection that is closed shows that the limit has passed.
        let mut idle = Raw::connect(rig.address);
        idle.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").rest();
    }
    step.send(()).expect("the backend waits");
    assert_eq!(rest(body).expect("a whole body"), "b");
}

/// Counts exchanges at both of their ends.
#[derive(Clone, Default)]
struct Ends(Arc<[AtomicUsize; 3]>);

impl Sink for Ends {
    type Watch = Self;

    fn started(&self, _start: &Start) -> Self {
        self.0[0].fetch_add(1, Ordering::SeqCst);
        self.clone()
    }
}

impl Watch for Ends {
    fn finished(&mut self, record: &Record) {
        self.0[1].fetch_add(1, Ordering::SeqCst);
        self.0[2].fetch_add(usize::from(record.outcome.as_str() == "completed"), Ordering::SeqCst);
    }
}

#[test]
fn every_stream_of_a_storm_is_counted_once() {
    const ROUNDS: usize = 40;
    let backend = Backend::answering(OK);
    let ends = Ends::default();
    let rig = Rig::with(backend.address, Options { extra: vec![Arc::new(ends.clone())], ..Options::default() });
    let address = rig.address;
    let clients: Vec<_> = (0..4)
        .map(|kind| {
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    let client = Client::connect(address);
                    let streams: Vec<_> = (0..3).map(|_| client.send(request(Method::POST, "/"), true)).collect();
                    for (response, mut stream) in streams {
                        match kind {
                            0 => assert_eq!(rest(wait(response).expect("a head").into_body()).expect("a body"), "ok"),
                            1 => stream.send_reset(h2::Reason::CANCEL),
                            2 => drop(wait(response)),
                            _ => {}
                        }
                    }
                    client.leave();
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("a client"));
    rig.life.send_replace(Life::Draining);
    rig.join();
    let [started, finished, completed] = [0, 1, 2].map(|at| ends.0[at].load(Ordering::SeqCst));
    println!("{started} started, {finished} finished, {completed} completed");
    assert_eq!(started, finished);
    assert!(completed >= 3 * ROUNDS, "those that were read to their end");
}

#[test]
fn http2_is_agreed_on_over_tls() {
    let authority = Authority::new();
    let identity = authority.identity(&["localhost"]);
    let settings = Settings {
        identity,
        clients: ClientVerification::Anyone,
        min_version: TlsVersion::Tls12,
        http2: true,
        table: "tls",
    };
    let options = Options { tls: Some(TlsServer::load(&settings).expect("files")), ..Options::default() };
    let rig = Rig::with(Backend::answering(OK).address, options);
    let config = authority.client(None, &["h2", "http/1.1"]);
    let client = Client::over(rig.address, |socket| async move {
        let name = "localhost".try_into().expect("a name");
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
    });
    for _ in 0..3 {
        assert_eq!(client.ask(request(Method::POST, "/api/chat"), "{}").1, "ok");
    }
    assert_eq!(rig.record().outcome.as_str(), "completed");
}
