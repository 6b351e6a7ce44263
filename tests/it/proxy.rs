//! Bytes pass unchanged, in time, and only where they are unambiguous.

use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use inferometer::backend::HostHeader;
use inferometer::exchange::outcome::Outcome;
use inferometer::exchange::record::{Record, Start};
use inferometer::exchange::sink::{Sink, TokenFrame, Watch};

use crate::support::PATIENCE;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::rig::{Options, Rig};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the backend receives for a request sent through the proxy.
fn forwarded(request: &[u8], options: Options) -> String {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            sender.send(request).expect("the test waits");
            connection.write(OK);
        }
    });
    let rig = Rig::with(backend.address, options);
    let mut client = Client::connect(rig.address);
    client.send(request);
    let received = receiver.recv_timeout(PATIENCE).expect("it is forwarded");
    client.until("ok");
    String::from_utf8(received).expect("text")
}

/// What the client receives for a response sent through the proxy.
fn handed_on(request: &str, response: &'static [u8]) -> (String, bool) {
    let backend = Backend::start(move |connection| {
        connection.head();
        connection.write(response);
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send(request);
    let (bytes, reset) = client.rest();
    (String::from_utf8_lossy(&bytes).into_owned(), reset)
}

#[test]
fn a_request_reaches_the_backend_as_it_was_sent() {
    for request in [
        "GET /api/tags HTTP/1.1\r\nhOsT: a:1\r\nX-Zed: 1\r\nX-zed: 2\r\naccept: */*\r\n\r\n",
        "POST //api/../chat?x=%2F&y HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
        "DELETE /api/delete HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "GET /with/body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nCookie: \"é\"\r\n\r\n",
    ] {
        assert_eq!(forwarded(request.as_bytes(), Options::default()), request);
    }
}

#[test]
fn a_prefix_and_a_host_policy_change_what_they_name_and_nothing_else() {
    let mut options = Options { prefix: "/ollama", ..Options::default() };
    options.upstream.host_header = HostHeader::Literal("localhost".parse().expect("a host"));
    let received = forwarded(b"GET /api/tags?x HTTP/1.1\r\nA: b\r\nHost: example.org\r\nC: d\r\n\r\n", options);
    assert_eq!(received, "GET /ollama/api/tags?x HTTP/1.1\r\nA: b\r\nHost: localhost\r\nC: d\r\n\r\n");
}

#[test]
fn a_response_reaches_the_client_as_it_was_sent() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (response, expected) in [
        (
            &b"HTTP/1.1 200 Fine\r\nX-One: 1\r\nCONTENT-length: 5\r\nx-one: 2\r\nDate: never\r\n\r\nhello"[..],
            "HTTP/1.1 200 Fine\r\nX-One: 1\r\nCONTENT-length: 5\r\nx-one: 2\r\nDate: never\r\nconnection: close\r\n\r\nhello",
        ),
        (
            b"HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "HTTP/1.1 299 Odd\r\nTransfer-Encoding: chunked\r\nA: b\r\nconnection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        (
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nA: b\r\n\r\n",
            "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nA: b\r\nconnection: close\r\n\r\n",
        ),
        (b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", "HTTP/1.1 204 No Content\r\nA: b\r\nconnection: close\r\n\r\n"),
    ] {
        let (received, reset) = handed_on(get, response);
        assert_eq!(received, expected);
        assert!(!reset);
    }
}

#[test]
fn each_piece_of_a_stream_passes_before_the_next_is_sent() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in 0..5 {
            steps.lock().expect("one script").recv_timeout(PATIENCE).expect("the client has read");
            connection.write(format!("2\r\n{piece}\n\r\n").as_bytes());
        }
        connection.write(b"0\r\n\r\n");
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    client.until("\r\n\r\n");
    for piece in 0..5 {
        step.send(()).expect("the backend waits");
        client.until(format!("2\r\n{piece}\n\r\n"));
    }
    client.until("0\r\n\r\n");
}

/// Keeps how many token-bearing events each frame held.
#[derive(Clone, Default)]
struct Frames(Arc<Mutex<Vec<u32>>>);

impl Sink for Frames {
    type Watch = Self;

    fn started(&self, _start: &Start) -> Self {
        self.clone()
    }
}

impl Watch for Frames {
    fn tokens(&mut self, frame: TokenFrame) {
        self.0.lock().expect("no panic").push(frame.events);
    }

    fn finished(&mut self, _record: &Record) {}
}

#[test]
fn what_is_readable_at_one_instant_is_one_frame_however_many_chunks_it_holds() {
    let word = "1e\r\n{\"response\":\"x\",\"done\":false}\n\r\n";
    let (step, steps) = mpsc::channel::<()>();
    let steps = Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
        for words in [1, 3, 1] {
            connection.write(word.repeat(words).as_bytes());
            steps.lock().expect("one script").recv_timeout(PATIENCE).expect("the client has read");
        }
        connection.write(b"0\r\n\r\n");
    });
    let frames = Frames::default();
    let rig = Rig::with(backend.address, Options { extra: vec![Arc::new(frames.clone())], ..Options::default() });
    let mut client = Client::connect(rig.address);
    client.send("POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    for words in [1, 3, 1] {
        for _ in 0..words {
            client.until("}\n\r\n");
        }
        step.send(()).expect("the backend waits");
    }
    client.until("0\r\n\r\n");
    assert_eq!(rig.record().token_events, 5);
    assert_eq!(*frames.0.lock().expect("no panic"), [1, 3, 1]);
}

#[test]
fn an_upload_streams_and_an_early_answer_reaches_the_client() {
    let backend = Backend::start(|connection| {
        connection.head();
        connection.exactly(10);
        connection.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    });
    let rig = Rig::before(backend.address);
    for _ in 0..20 {
        let mut client = Client::connect(rig.address);
        client.send("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n");
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..700 {
            // The backend closes unread; a direct client's writes fail too.
            if client.stream.write_all(&piece).is_err() {
                break;
            }
        }
        let answer = String::from_utf8_lossy(&client.until("\r\n\r\nbig")).into_owned();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[test]
fn the_backends_own_continue_decides_whether_a_body_is_asked_for() {
    let backend = Backend::start(|connection| {
        let head = String::from_utf8(connection.head().expect("a head")).expect("text");
        assert!(head.contains("Expect: 100-continue"), "{head}");
        if head.starts_with("PUT /yes ") {
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(connection.exactly(4), b"body");
            connection.write(OK);
        } else {
            connection.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("PUT /yes HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    client.until("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body").until("ok");
    let mut client = Client::connect(rig.address);
    client.send("PUT /no HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let answer = String::from_utf8(client.until("\r\n\r\nno")).expect("text");
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
}

#[test]
fn pipelined_requests_are_answered_in_order_and_a_bad_one_ends_them() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            let path = String::from_utf8_lossy(&request).split(' ').nth(1).expect("a path").to_owned();
            connection.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).as_bytes());
        }
    });
    let rig = Rig::before(backend.address);
    let answer = ask(
        rig.address,
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let first = answer.find("/1").expect("the first");
    let second = answer.find("/2").expect("the second");
    let third = answer.find("HTTP/1.1 400 ").expect("the bad one");
    assert!(first < second && second < third && !answer.contains("/4"), "{answer}");
    assert!(answer.contains("x-inferometer-error: bad_request"), "{answer}");
    assert_eq!(rig.refusal().as_str(), "host");
}

#[test]
fn a_pooled_connection_is_used_again_and_a_closed_one_is_not() {
    let backend = Backend::answering(OK);
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
    }
    assert_eq!(backend.accepted(), 1);

    let (close, closed) = mpsc::channel();
    let closing = Backend::start(move |connection| {
        connection.request();
        connection.write(OK);
        connection.stream.shutdown(std::net::Shutdown::Both).expect("shutdown");
        close.send(()).expect("the test waits");
    });
    let rig = Rig::before(closing.address);
    let mut client = Client::connect(rig.address);
    for _ in 0..5 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").until("ok");
        closed.recv_timeout(PATIENCE).expect("the backend closes");
    }
    assert_eq!(closing.accepted(), 5);
}

/// A backend closes a connection just as the next request arrives on it, as those do whose idle time is over.
#[test]
fn what_is_safe_to_repeat_is_asked_again_and_a_generation_never() {
    for (request, status, times) in [
        ("GET /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 ", 2),
        ("POST /api/chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 502 ", 1),
    ] {
        let (ask, asked) = mpsc::channel();
        let first = std::sync::atomic::AtomicBool::new(true);
        let backend = Backend::start(move |connection| {
            let first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            while let Some(request) = connection.request() {
                if request.starts_with(b"GET / ") {
                    connection.write(OK);
                    continue;
                }
                ask.send(()).expect("the test waits");
                if first {
                    return;
                }
                connection.write(OK);
            }
        });
        let rig = Rig::before(backend.address);
        let mut client = Client::connect(rig.address);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("ok");
        let (answer, _) = client.send(request).rest();
        assert!(answer.starts_with(status.as_bytes()), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(asked.try_iter().count(), times, "{request}");
    }
}

#[test]
fn a_client_that_leaves_cancels_the_backend_in_every_phase() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n\r\n";
    let chunk: &[u8] = b"1e\r\n{\"response\":\"x\",\"done\":false}\n\r\n";
    let request = "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    let cases: [(&str, &str, Vec<u8>, &str, &str); 6] = [
        ("upload", "POST /api/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{", vec![], "", ""),
        ("waiting", request, vec![], "", ""),
        ("prefill", request, head.to_vec(), "\r\n\r\n", ""),
        ("decode", request, [head, chunk].concat(), "}\n\r\n", ""),
        ("waiting", request, vec![], "", "\r\n"),
        ("decode", request, [head, chunk].concat(), "}\n\r\n", "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"),
    ];
    for (phase, request, sent, seen, ahead) in cases {
        for reset in [false, true] {
            let (ready, readies) = mpsc::channel();
            let (gone, goes) = mpsc::channel();
            let sent = sent.clone();
            let backend = Backend::start(move |connection| {
                connection.head();
                connection.exactly(1);
                connection.write(&sent);
                ready.send(()).expect("the test waits");
                gone.send(connection.closed().then(Instant::now)).expect("the test waits");
            });
            let rig = Rig::before(backend.address);
            let mut client = Client::connect(rig.address);
            client.send(request).send(ahead);
            readies.recv_timeout(PATIENCE).expect("the backend is asked");
            client.until(seen);
            let left = Instant::now();
            if reset {
                client.reset()
            } else {
                drop(client)
            }
            let noticed = goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
            println!("{phase:8} ahead={} reset={reset}: {:?}", !ahead.is_empty(), noticed.duration_since(left));
        }
    }
}

#[test]
fn a_half_close_counts_as_leaving() {
    let ((ready, readies), (gone, goes)) = (mpsc::channel(), mpsc::channel());
    let backend = Backend::start(move |connection| {
        connection.request();
        ready.send(()).expect("the test waits");
        gone.send(connection.closed()).expect("the test waits");
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    readies.recv_timeout(PATIENCE).expect("the backend is asked");
    client.half_close();
    assert!(goes.recv_timeout(PATIENCE).expect("an end"));
}

#[test]
fn a_client_that_leaves_with_its_request_is_counted() {
    let backend = Backend::start(|connection| assert!(connection.closed()));
    let rig = Rig::before(backend.address);
    for _ in 0..50 {
        let mut client = Client::connect(rig.address);
        client.send("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").half_close();
        let record = rig.record();
        assert_eq!((record.outcome, record.status), (Outcome::ClientCancelled, 499));
    }
    assert!(rig.no_more_records());
}

#[test]
fn a_cut_reply_never_looks_complete() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = "GET / HTTP/1.0\r\n\r\n";
    for (request, response) in [
        (get, &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"[..]),
        (get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        (get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"),
        (old, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        (old, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"),
    ] {
        let (received, reset) = handed_on(request, response);
        let complete = received.ends_with("0\r\n\r\n") || received.contains("Content-Length: 5");
        assert!(!complete, "{received}");
        assert!(reset || request == get || received.contains("Content-Length: 9"), "{received}");
    }
}

#[test]
fn own_errors_are_marked_and_in_the_callers_dialect() {
    let nobody = crate::support::servers::free();
    let rig = Rig::before(nobody);
    for (path, shape) in [
        ("/api/chat", "{\"error\":\"inferometer: the backend at http://127.0.0.1:"),
        ("/v1/chat/completions", "{\"error\":{\"code\":\"connect_refused\",\"message\":\"inferometer: "),
        ("/v1/messages", "{\"error\":{\"message\":\"inferometer: "),
    ] {
        let answer = ask(
            rig.address,
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"),
        );
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert!(answer.contains("x-inferometer-error: connect_refused\r\n"), "{answer}");
        assert!(answer.contains(shape) && answer.contains("--backend"), "{answer}");
    }
    let head = ask(rig.address, "HEAD /api/tags HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 502 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_websocket_is_tunnelled_and_each_side_closes_alone() {
    let backend = Backend::start(|connection| {
        let head = String::from_utf8(connection.head().expect("a head")).expect("text");
        assert!(head.contains("Upgrade: websocket\r\n") && head.contains("Connection: Upgrade\r\n"), "{head}");
        connection.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
        assert_eq!(connection.until(b"the end"), b"GET raw\r\n\r\nthe end");
        assert!(connection.closed(), "the client's end arrives");
        connection.write(b"goodbye");
    });
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    client.send("GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let head = String::from_utf8(client.until("hello")).expect("text");
    assert!(head.contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
    client.send("GET raw\r\n\r\nthe end").half_close();
    assert_eq!(client.rest().0, b"goodbye");
}

#[test]
fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (step, steps) = mpsc::channel::<()>();
    let steps = std::sync::Mutex::new(steps);
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        steps.lock().expect("one script").recv_timeout(PATIENCE).expect("a step");
        connection.write(b"1\r\nb\r\n0\r\n\r\n");
    });
    let rig = Rig::before(backend.address);
    let mut idle = Client::connect(rig.address);
    let mut client = Client::connect(rig.address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").until("a\r\n");
    rig.life.send_replace(inferometer::proxy::Life::Draining);
    assert_eq!(idle.rest().0, b"", "an idle connection is closed");
    step.send(()).expect("the backend waits");
    assert!(client.rest().0.ends_with(b"1\r\nb\r\n0\r\n\r\n"));
    rig.join();
}
