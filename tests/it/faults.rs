//! Slow clients, broken backends and a system that gives nothing more: a clear answer or a close, and life goes on.
//!
//! The cases that every change is held against, and where each of them is tested (`g` is `proxy::guard`'s unit tests,
//! `a` `ambiguity`, `c` `cancellation`, `d` `differential`, `f` this file, `l` `life`, `m` `memory`, `p` `proxy`, `s` `storm`,
//! `w` `wire` and the unit tests of that room, `x` `program`):
//!
//! | case | test |
//! |---|---|
//! | Content-Length with Transfer-Encoding, repeated or malformed lengths, lists of codings, codings in 1.0 | g `ambiguous_framing_is_refused`, a |
//! | bad chunk sizes | g `broken_chunk_framing_is_a_bad_body`, a, s `BadChunk` |
//! | bare LF, folding, NUL, space before the colon | g `malformed_fields_are_refused`, `request_lines_must_be_exact`, a |
//! | absolute form, asterisk, CONNECT, pipelining | g, d, p `pipelined_requests_are_answered_in_order_and_a_bad_one_ends_them` |
//! | 100+ fields, 64 KiB+ heads, long target, odd methods | g, d |
//! | connection limit | f `connections_above_the_limit_get_an_answer` |
//! | slow head, body, reader, idle | f |
//! | backend refuses, black hole | p `own_errors_are_marked_and_in_the_callers_dialect`, f `a_backend_that_does_not_accept_is_given_up_in_time` |
//! | reset before the head, mid-stream, short of its length, end within a chunk | s, p `a_cut_reply_never_looks_complete`, d |
//! | stall before and within the stream | f `a_backend_that_says_nothing_is_given_up_where_a_limit_is_set`, c |
//! | garbage status line, both framings in a reply, bytes after it, 204/304/HEAD with a body | a `a_broken_reply_never_looks_whole`, d |
//! | early reply, lying gzip, chunks split at every byte | p `an_upload_streams_and_an_early_answer_reaches_the_client`, d |
//! | a line of 1 GiB, a million names | m |
//! | client leaves in every phase, with bytes ahead, during upload; connect and drop | c, s |
//! | invalid UTF-8 and JSON, nesting of 100,000, duplicate keys, numbers that are none or absurd, `done` twice or never | w, and the fuzz targets' seeds |
//! | strange labels | `metrics::tests::labels` `strange_names_never_cost_a_scrape`, m |
//! | the second listener's attacks | `second_listener` |
//! | floods of HTTP/2 | `http2::attacks` |
//! | SIGTERM under load, second signal | x |
//! | SIGHUP with a broken file | `reload` |
//! | port in use, full disk, clock jumps, NVML missing or hanging | x, l, `gpu` |
//! | helper down, slow or lying | `helper` |
//! | descriptors used up | f `without_descriptors_it_waits_and_goes_on` |
//! | closed output | f `closed_outputs_change_nothing`, l |

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use inferometer::exchange::outcome::{ErrorType, Malformed, Outcome};

use crate::support::PATIENCE;
use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::{Client, ask};
use crate::support::http2;
use crate::support::program::{Program, command};
use crate::support::rig::{Options, Rig};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A limit that is over soon.
const SOON: Duration = Duration::from_millis(50);

fn with(backend: SocketAddr, change: impl FnOnce(&mut Options)) -> Rig {
    let mut options = Options::default();
    change(&mut options);
    Rig::with(backend, options)
}

#[test]
fn a_head_has_its_time_from_its_first_byte_on() {
    let backend = Backend::answering(OK);
    let rig = with(backend.address, |options| options.settings.client.head = Some(SOON));
    let mut client = Client::connect(rig.address);
    client.send("GET / HTTP/1.1\r\nX: ");
    // More of it does not give it more time.
    let mut drip = client.stream.try_clone().expect("a descriptor");
    let dripping = std::thread::spawn(move || while std::io::Write::write_all(&mut drip, b"y").is_ok() {});
    let answer = String::from_utf8_lossy(&client.rest().0).into_owned();
    dripping.join().expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(rig.refusal(), Malformed::Timeout);

    // Before its first byte a connection may wait, and after an answer too.
    let mut client = Client::connect(rig.address);
    client.send(GET).until("ok");
    client.send(GET).until("ok");
}

#[test]
fn a_stalled_body_is_given_up_and_is_the_clients_fault() {
    let backend = Backend::start(|connection| assert!(connection.closed(), "the backend is let go"));
    let rig = with(backend.address, |options| options.settings.client.body_idle = Some(SOON));
    for framing in ["Content-Length: 9\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n9\r\n{"] {
        let answer = ask(rig.address, format!("POST /api/chat HTTP/1.1\r\nHost: a\r\n{framing}"));
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains("x-inferometer-error: client_timeout"),
            "{answer}"
        );
        let record = rig.record();
        assert_eq!((record.outcome, record.error), (Outcome::Rejected, Some(ErrorType::ClientTimeout)));
    }
}

#[test]
fn a_client_that_does_not_read_is_given_up_and_its_backend_let_go() {
    let (gone, goes) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        connection.request();
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let piece = vec![b'x'; 1 << 20];
        while std::io::Write::write_all(&mut connection.stream, &piece).is_ok() {}
        gone.send(()).expect("the test waits");
    });
    let rig = with(backend.address, |options| options.settings.client.write_stall = Some(SOON));
    let mut client = Client::connect(rig.address);
    client.send(GET);
    goes.recv_timeout(PATIENCE).expect("the backend is let go");
    assert_eq!(rig.record().error, Some(ErrorType::ClientTimeout));
}

#[test]
fn an_idle_connection_is_closed_only_where_a_limit_is_set() {
    let backend = Backend::answering(OK);
    let rig = with(backend.address, |options| options.settings.client.keep_alive_idle = Some(SOON));
    let mut client = Client::connect(rig.address);
    client.send(GET).until("ok");
    assert_eq!(client.rest(), (Vec::new(), false));
    assert_eq!(Client::connect(rig.address).rest(), (Vec::new(), false), "also one that never spoke");
}

#[test]
fn connections_above_the_limit_get_an_answer() {
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nbegun");
            if request.starts_with(b"GET /held ") {
                assert!(connection.closed(), "the client leaves");
            }
            connection.write(b"ok");
        }
    });
    let rig = with(backend.address, |options| options.settings.max_connections = 2);
    // In the midst of their answers: nothing is closed for others.
    let mut kept: Vec<Client> = (0..2).map(|_| Client::connect(rig.address)).collect();
    kept.iter_mut().for_each(|client| drop(client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").until("begun")));
    for _ in 0..10 {
        let answer = ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: limit"), "{answer}");
    }
    kept.pop();
    let begun = Instant::now();
    while !ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ends_with("ok") {
        assert!(begun.elapsed() < PATIENCE, "a place is free again");
    }
}

/// An address whose system accepts no more connections, and what keeps it so.
fn black_hole() -> (SocketAddr, Vec<TcpStream>, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (address, waiting, socket)
}

#[test]
fn a_backend_that_does_not_accept_is_given_up_in_time() {
    let (address, _waiting, _socket) = black_hole();
    let rig = with(address, |options| options.upstream.connect_timeout = SOON);
    let answer = ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("x-inferometer-error: connect_timeout"), "{answer}");
    assert!(answer.contains("--connect-timeout"), "it says what to do: {answer}");
}

#[test]
fn a_backend_that_says_nothing_is_given_up_where_a_limit_is_set() {
    let backend = Backend::start(|connection| {
        connection.request();
        assert!(connection.closed(), "the backend is let go");
    });
    let rig = with(backend.address, |options| options.upstream.first_byte = Some(SOON));
    let answer = ask(rig.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 504 ") && answer.contains("x-inferometer-error: first_byte_timeout"),
        "{answer}"
    );
    assert_eq!(rig.record().error, Some(ErrorType::FirstByteTimeout));
    let client = http2::Client::connect(rig.address);
    let (response, _) = client.ask(http2::request(Method::POST, "/"), "{}");
    assert_eq!(
        (response.status(), rig.record().error),
        (StatusCode::GATEWAY_TIMEOUT, Some(ErrorType::FirstByteTimeout))
    );
}

#[test]
fn the_time_of_the_first_byte_begins_when_the_request_was_sent() {
    const LIMIT: Duration = Duration::from_millis(500);
    let backend = Backend::start(|connection| {
        while let Some(request) = connection.request() {
            if request.starts_with(b"GET /silent ") {
                connection.closed();
                return;
            }
            connection.write(OK);
        }
    });
    let rig = with(backend.address, |options| options.upstream.first_byte = Some(LIMIT));
    let mut client = Client::connect(rig.address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    let streams = http2::Client::connect(rig.address);
    let (response, mut stream) = streams.send(http2::request(Method::POST, "/"), false);
    // The client takes longer than the backend may: a request that was sent later is given up meanwhile.
    for piece in ["ab", "c"] {
        client.send(piece);
        stream.send_data(piece.into(), false).expect("a stream");
        let late = ask(rig.address, "GET /silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(late.starts_with("HTTP/1.1 504 "), "{late}");
    }
    stream.send_data("d".into(), true).expect("a stream");
    client.send("d").until("ok");
    assert_eq!(http2::wait(response).expect("a response").status(), StatusCode::OK);
}

#[test]
#[cfg(target_os = "linux")]
fn a_system_without_descriptors_is_not_the_backends_fault() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let program = Program::before(backend.address);
    let mut client = Client::connect(program.clients);
    client.send(GET).until("ok");
    program.limit_descriptors(3);
    let answer = String::from_utf8_lossy(&client.send(GET).until("\r\n\r\n")).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("x-inferometer-error: limit"), "{answer}");
    client.until("}");
    program.limit_descriptors(1000);
    client.send(GET).until("ok");
    program.wait_for("errors_total", &["\"limit\"", "\"internal\""], 1.0);
    assert!(program.metric("errors_total", &["\"upstream\""]) < 0.5, "{}", program.fetch("/metrics"));
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let backend = Backend::answering(OK);
    let mut limited = std::process::Command::new("prlimit");
    let file = folder().join("inferometer.toml");
    std::fs::write(&file, "[limits]\nmax_connections = 0\n").expect("a file");
    limited.args(["--nofile=40:40", env!("CARGO_BIN_EXE_inferometer"), "--config"]).arg(&file).env_clear();
    let mut program = Program::start(limited, backend.address, &[]);
    let busy = || {
        let mut client = Client::connect(program.clients);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx");
        client
    };
    // Each that the program accepts costs it two descriptors, and none is idle; the rest wait in the system's queue.
    let clients: Vec<Client> = (0..60).map(|_| busy()).collect();
    program.logged(|line| line["message"].as_str().is_some_and(|said| said.starts_with("cannot accept connections")));
    drop(clients);
    let begun = Instant::now();
    loop {
        let answer = ask(program.clients, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        if answer.ends_with("ok") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it serves again: {answer}");
    }
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.ended().code(), Some(0));
}

#[test]
fn closed_outputs_change_nothing() {
    let backend = Backend::answering(OK);
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (listen, admin) = (free().to_string(), free().to_string());
    let mut command = command();
    command.args(["--listen", &listen, "--admin-listen", &admin, "--backend", &format!("http://{}", backend.address)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop((child.stdout.take(), child.stderr.take()));
    let begun = Instant::now();
    while TcpStream::connect(&listen).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it listens");
        std::thread::yield_now();
    }
    for _ in 0..50 {
        let answer = ask(listen.parse().expect("an address"), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer.ends_with("ok"), "{answer}");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .expect("it lives");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}
