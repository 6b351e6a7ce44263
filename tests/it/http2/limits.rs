//! Heads have their time over HTTP/2 too, and what breaks it is counted.

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use http::Method;

use super::{OK, given_up};
use crate::support::PATIENCE;
use crate::support::authority::{Authority, folder};
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::http2::{Client, request};
use crate::support::program::{Program, command};
use crate::support::rig::{Options, Rig};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541).
const HEAD: &[u8] = b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost";
/// `GOAWAY`, behind its length.
const GOAWAY: &[u8] = b"\x07\0\0\0\0\0";

fn limited(backend: &Backend) -> Rig {
    let mut options = Options::default();
    options.settings.client.head = Some(Duration::from_millis(100));
    Rig::with(backend.address, options)
}

#[test]
fn a_head_of_http2_that_is_not_whole_in_time_ends_its_connection() {
    let backend = Backend::answering(OK);
    let rig = limited(&backend);
    let whole = [PREFACE, SETTINGS, HEAD].concat();
    let beginnings = [
        ("half a preface", &whole[..PREFACE.len() - 2]),
        ("a preface alone", PREFACE),
        ("half a frame's head", &whole[..PREFACE.len() + SETTINGS.len() + 4]),
        ("half a head", &whole[..whole.len() - 1]),
    ];
    for (what, bytes) in beginnings {
        let mut raw = Raw::connect(rig.address);
        raw.send(bytes);
        let (received, _) = raw.rest();
        assert_eq!(rig.refusal().as_str(), "timeout", "{what}");
        assert!(received.windows(GOAWAY.len()).any(|part| part == GOAWAY), "{what}: it is said");
    }
    // More of a head does not give it more time, and another stream does not either.
    let (thinking, readies, goes) = given_up(b"");
    let rig = limited(&thinking);
    let mut raw = Raw::connect(rig.address);
    raw.send([&whole[..], b"\0\x20\0\x01\x05\0\0\0\x03"].concat());
    readies.recv_timeout(PATIENCE).expect("the backend is asked");
    let mut sending = raw.stream.try_clone().expect("a descriptor");
    let dribble = std::thread::spawn(move || {
        while sending.write_all(b"\x82").is_ok() {
            // It sets a pace: nothing tells when a byte of half a head was read.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let (received, _) = raw.rest();
    assert!(received.windows(GOAWAY.len()).any(|part| part == GOAWAY), "it is said");
    raw.stream.shutdown(std::net::Shutdown::Both).expect("a socket");
    dribble.join().expect("no panic");
    assert_eq!(rig.refusal().as_str(), "timeout");
    assert_eq!(rig.record().error.map(|error| error.as_str()), Some("client_timeout"));
    goes.recv_timeout(PATIENCE).expect("an end").expect("the backend is cancelled");
}

#[test]
fn after_its_first_head_a_connection_may_be_idle() {
    let backend = Backend::answering(OK);
    let rig = limited(&backend);
    let client = Client::connect(rig.address);
    client.ask(request(Method::GET, "/"), "");
    for _ in 0..3 {
        // Each of these that is closed shows that the limit has passed.
        Raw::connect(rig.address).send(PREFACE).rest();
        assert_eq!(rig.refusal().as_str(), "timeout");
    }
    assert_eq!(client.ask(request(Method::GET, "/"), "").1, "ok");
    assert!(rig.no_more_refusals());
}

#[test]
fn what_breaks_http2_itself_is_counted_once() {
    let backend = Backend::answering(OK);
    let rig = Rig::before(backend.address);
    let greeting = [PREFACE, SETTINGS].concat();
    // A field of the connection, and two methods.
    let connection = b"\0\0\x1c\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost\0\x0aconnection\x01a".to_vec();
    let repeated = b"\0\0\x0f\x01\x05\0\0\0\x01\x82\x82\x86\x84\x41\x09localhost".to_vec();
    for broken in [connection, repeated] {
        let mut raw = Raw::connect(rig.address);
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        raw.send([&greeting[..], &broken].concat()).until(reset);
        assert_eq!(rig.refusal().as_str(), "http2");
        raw.send([b"\0\0\x0e\x01\x05\0\0\0\x03", &HEAD[9..]].concat()).until("ok");
        assert_eq!(rig.record().outcome.as_str(), "completed", "the connection goes on");
    }
    // A name in upper case, data on no stream, a frame that is too large, half a ping, no preface behind its first half.
    let upper = b"\0\0\x12\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost\0\x01X\0";
    for broken in [&upper[..], b"\0\0\x01\0\0\0\0\0\0x", b"\xff\0\0\x04\0\0\0\0\0", b"\0\0\x01\x06\0\0\0\0\0x"] {
        let mut raw = Raw::connect(rig.address);
        let (received, _) = raw.send([&greeting[..], broken].concat()).rest();
        assert!(received.windows(GOAWAY.len()).any(|part| part == GOAWAY), "it is said");
        assert_eq!(rig.refusal().as_str(), "http2");
    }
    Raw::connect(rig.address).send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").rest();
    assert_eq!(rig.refusal().as_str(), "http2");
    assert!(rig.no_more_refusals() && rig.no_more_records());
}

#[test]
fn http2_that_is_off_is_neither_offered_nor_taken() {
    let backend = Backend::answering(OK);
    let file = folder().join("off.toml");
    let authority = Authority::new();
    let identity = authority.identity(&["localhost"]);
    let text = format!("http2 = \"off\"\nbackend = \"http://{}\"\n", backend.address);
    std::fs::write(&file, &text).expect("a file");
    let program = Program::configured(command(), &file);
    let mut raw = Raw::connect(program.clients);
    raw.send(PREFACE).until("HTTP/1.1 505 ");
    program.wait_for("http_malformed_total", &["kind=\"version\""], 1.0);

    let tls = format!(
        "{text}[tls]\ncert_file = {:?}\nkey_file = {:?}\n",
        identity.cert_file.display().to_string(),
        identity.key_file.display().to_string()
    );
    let agreed = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let program = Program::configured(command(), &file);
        let (address, config) = (program.clients, authority.client(None, &["h2", "http/1.1"]));
        let (sender, agreed) = mpsc::channel();
        std::thread::spawn(move || {
            crate::support::http2::wait(async {
                let socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
                let name = "localhost".try_into().expect("a name");
                let stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await.expect("TLS");
                sender.send(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)).expect("the test waits");
            });
        });
        agreed.recv_timeout(PATIENCE).expect("a handshake")
    };
    assert_eq!(agreed(&tls).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(agreed(&tls.replace("http2 = \"off\"", "http2 = \"on\"")).as_deref(), Some(&b"h2"[..]));
}
