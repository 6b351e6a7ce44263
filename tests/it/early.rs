//! A client gets an answer that comes before it has sent its request, however large that is and whenever it reads.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use inferometer::proxy::Life;
use inferometer::tls::{linger, watch};

use crate::support::PATIENCE;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::http2;
use crate::support::program::Program;
use crate::support::rig::{Options, Rig};
use crate::support::secure;
use crate::tls::behind_tls;

/// Bytes of the bodies.
const SIZES: [usize; 4] = [300_000, 1_000_000, 10_000_000, 50_000_000];

/// A backend that answers at once and closes over the rest.
fn hasty() -> Backend {
    Backend::start(|connection| {
        connection.head();
        connection.write(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig");
        // As servers do that know the trouble: half closed, and closed soon.
        drop(connection.stream.shutdown(std::net::Shutdown::Write));
        connection.exactly(10_000);
    })
}

fn head(size: usize) -> String {
    format!("POST /api/blobs/sha256:1 HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
}

/// Writes all of a body, and reads only then.
fn write_then_read(stream: &mut (impl Read + Write), head: &str, size: usize) -> String {
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let piece = vec![b'x'; 100_000];
    for _ in 0..size / piece.len() {
        stream.write_all(&piece).expect("the body is taken");
    }
    stream.flush().expect("the body is taken");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"big") && !answer.ends_with(b"}") {
        match stream.read(&mut buffer).expect("an answer") {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8(answer).expect("text")
}

#[test]
fn clients_that_write_all_before_they_read_get_an_early_answer() {
    let backend = hasty();
    let rig = Rig::before(backend.address);
    for size in SIZES {
        let mut client = Client::connect(rig.address);
        let answer = write_then_read(&mut client.stream, &head(size), size);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{size}: {answer}");
    }
}

#[test]
fn clients_that_write_all_before_they_read_get_an_early_answer_over_tls() {
    let backend = hasty();
    let authority = Authority::new();
    let rig = behind_tls(authority.identity(&["localhost"]), &backend);
    for size in SIZES {
        let mut stream = secure::connect(rig.address, authority.client(None, &["http/1.1"]));
        let answer = write_then_read(&mut stream, &head(size), size);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{size}: {answer}");
    }
}

#[test]
fn our_own_answers_reach_clients_that_write_all_before_they_read() {
    let backend = hasty();
    let mut options = Options::default();
    options.settings.max_connections = 0;
    let full = Rig::with(backend.address, options);
    let rig = Rig::before(backend.address);
    let closed = crate::support::servers::free();
    let broken = Rig::before(closed);
    for size in SIZES {
        let malformed = head(size).replace("Host: a", "Host: a\r\nHost: b");
        for (address, head, status) in [
            (rig.address, &malformed, "HTTP/1.1 400 "),
            (full.address, &head(size), "HTTP/1.1 503 "),
            (broken.address, &head(size), "HTTP/1.1 502 "),
        ] {
            let mut client = Client::connect(address);
            let answer = write_then_read(&mut client.stream, head, size);
            assert!(answer.starts_with(status), "{size}: {answer}");
        }
    }
}

/// Reads beside writing, and gives up at the first write that fails before there is an answer: as Go's client does.
fn write_and_read(mut stream: TcpStream, size: u64) -> std::io::Result<String> {
    let mut reader = stream.try_clone().expect("a duplicate");
    let reading = std::thread::spawn(move || {
        let mut answer = vec![0; 4096];
        let read = reader.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
    });
    let piece = vec![b'x'; 100_000];
    for _ in 0..size / piece.len() as u64 {
        if reading.is_finished() {
            break;
        }
        if let Err(error) = stream.write_all(&piece)
            && !reading.is_finished()
        {
            return Err(error);
        }
    }
    reading.join().expect("no panic")
}

#[test]
fn clients_that_read_beside_writing_get_an_early_answer_at_any_size() {
    let backend = hasty();
    let rig = Rig::before(backend.address);
    let endless = 3 * linger::DISCARDED;
    for size in SIZES.map(|size| size as u64).into_iter().chain([endless]) {
        for _ in 0..5 {
            let mut client = Client::connect(rig.address);
            client.send(head(size as usize));
            let answer = write_and_read(client.stream, size).expect("no write fails before the answer");
            assert!(answer.starts_with("HTTP/1.1 413 "), "{size}: {answer}");
        }
    }
}

#[test]
fn a_lingering_connection_stops_reading_and_its_answer_stays() {
    let backend = hasty();
    let rig = Rig::before(backend.address);
    let mut client = Client::connect(rig.address);
    let endless = 4 * linger::DISCARDED;
    client.send(head(endless as usize));
    // Where nothing of the next piece is taken for so long, it is not read from any more.
    client.stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).expect("a timeout");
    let piece = vec![b'x'; 100_000];
    let mut written = 0;
    while written < endless {
        match client.stream.write(&piece) {
            Ok(bytes) => written += bytes as u64,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error} after {written} bytes"),
        }
    }
    println!("taken: {written} bytes, of which {} are thrown away at most", linger::DISCARDED);
    assert!(written < endless, "it reads for ever");
    assert!(client.until("big").starts_with(b"HTTP/1.1 413 "));
}

#[test]
fn an_early_answer_reaches_a_client_of_http2_at_every_size() {
    let backend = hasty();
    let rig = Rig::before(backend.address);
    let client = http2::Client::connect(rig.address);
    for size in SIZES {
        let (response, mut stream) = client.send(http2::request(Method::POST, "/api/blobs/sha256:1"), false);
        // What there is no window for waits; the stream is reset, without an error, once it is answered.
        let _ = stream.send_data(Bytes::from(vec![b'x'; size]), true);
        let (head, body) = http2::wait(response).expect("a response").into_parts();
        assert_eq!((head.status.as_u16(), http2::rest(body).expect("a whole body").as_str()), (413, "big"), "{size}");
    }
}

/// Waits for the end of what a peer sends, and leaves all of it unread.
pub(crate) fn ended(stream: &TcpStream) {
    let duplicate = stream.try_clone().expect("a descriptor");
    duplicate.set_nonblocking(true).expect("a socket");
    http2::wait(async {
        let duplicate = tokio::net::TcpStream::from_std(duplicate).expect("a socket");
        poll_fn(|cx| watch::poll_left(&duplicate, cx, || {})).await;
    });
    stream.set_nonblocking(false).expect("a socket");
}

#[test]
fn whoever_is_sending_when_we_end_its_connection_over_http2_can_read_all_that_it_was_sent() {
    const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    /// `:method: POST`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541), and more to come.
    const HEAD: &[u8] = b"\0\0\x0e\x01\x04\0\0\0\x01\x83\x86\x84\x01\x09localhost";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
    const LATE: &[u8] = b"\0\x01\0\x01\0\0\0\0\x03half";
    const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0";
    type End = fn(&Rig, &mut TcpStream);
    let ends: [(&str, &str, End); 4] = [
        ("too many connections", "503", |_, _| {}),
        ("a drain", "413", |rig, _| _ = rig.life.send_replace(Life::Draining)),
        ("a flood", "413", |_, stream| stream.write_all(&PING.repeat(5_000)).expect("it is taken")),
        ("a late head", "413", |_, stream| stream.write_all(LATE).expect("it is taken")),
    ];
    let backend = hasty();
    for (what, status, end) in ends {
        let mut options = Options::default();
        if status == "503" {
            options.settings.max_connections = 0;
        }
        options.settings.client.head = Some(Duration::from_millis(500));
        let rig = Rig::with(backend.address, options);
        let mut stream = Client::connect(rig.address).stream;
        stream.write_all(&[GREETING, HEAD].concat()).expect("it is taken");
        let _answered = rig.record();
        end(&rig, &mut stream);
        ended(&stream);
        let data = [&b"\0\x40\0\0\0\0\0\0\x01"[..], &[b'x'; 0x4000]].concat();
        for sent in 0..64 {
            stream.write_all(&data).unwrap_or_else(|error| panic!("{what}: {error} behind {sent} frames"));
        }
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap_or_else(|error| panic!("{what}: {error}"));
        let has = |part: &[u8]| received.windows(part.len()).any(|window| window == part);
        let body: &[u8] = if status == "503" { b"too many" } else { b"big" };
        assert!(has(body) && has(GOAWAY), "{what}: {}", received.escape_ascii());
    }
}

#[test]
fn the_second_listener_answers_clients_that_write_all_before_they_read() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let program = Program::before(backend.address);
    for size in SIZES {
        let head = format!("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n");
        let mut client = Client::connect(program.admin);
        client.stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        client.send(&head);
        let piece = vec![b'x'; 100_000];
        for _ in 0..size / piece.len() {
            client.stream.write_all(&piece).expect("the body is taken");
        }
        let answer = String::from_utf8_lossy(&client.until("GET and HEAD only\n")).into_owned();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{size}: {answer}");
    }
}
