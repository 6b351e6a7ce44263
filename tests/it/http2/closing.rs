//! How a connection over HTTP/2 ends: with every answer whole, and with the last stream that was served named.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use inferometer::proxy::{Life, Settings};
use inferometer::tls::server::{self, ClientVerification, TlsServer, TlsVersion};

use crate::early::ended;
use crate::support::PATIENCE;
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::client::Client as Raw;
use crate::support::rig::{Options, Rig};
use crate::support::secure;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\na whole answer";
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// Room for one byte on each stream (RFC 9113, 6.5.2).
pub(super) const NARROW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x01";
/// Room for as much as can be said, on each stream and in all.
const WIDE: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";
/// `:method: GET`, `:scheme: http`, `:path: /`, `:authority: localhost` (RFC 7541), on the first stream.
const HEAD: &[u8] = b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost";
/// More room on the first stream.
pub(super) const ROOM: &[u8] = b"\0\0\x04\x08\0\0\0\0\x01\0\0\xff\xff";
pub(super) const CANCEL: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// How long a connection may be idle: its first request must come within that too, on a machine that is busy as well.
const IDLE: Option<Duration> = Some(Duration::from_secs(1));
/// A limit that is over soon.
pub(super) const SOON: Option<Duration> = Some(Duration::from_millis(50));

pub(super) const DATA: u8 = 0;
const SETTINGS_FRAME: u8 = 4;
const PING_FRAME: u8 = 6;
const GOAWAY: u8 = 7;

/// A client's end of a connection.
pub(super) trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// What lies between the client and the proxy: TLS, or nothing.
pub(super) struct Over(pub(super) Option<Authority>);

impl Over {
    pub(super) fn each() -> [Self; 2] {
        [Self(None), Self(Some(Authority::new()))]
    }

    pub(super) fn name(&self) -> &'static str {
        if self.0.is_some() { "over TLS" } else { "in clear text" }
    }

    /// A proxy before this backend.
    pub(super) fn rig(&self, backend: &Backend, change: impl FnOnce(&mut Settings)) -> Rig {
        let tls = self.0.as_ref().map(|authority| {
            let identity = authority.identity(&["localhost"]);
            let clients = ClientVerification::Anyone;
            let settings =
                server::Settings { identity, clients, min_version: TlsVersion::Tls12, http2: true, table: "tls" };
            TlsServer::load(&settings).expect("files")
        });
        let mut options = Options { tls, ..Options::default() };
        change(&mut options.settings);
        Rig::with(backend.address, options)
    }

    pub(super) fn connect(&self, rig: &Rig, protocol: &str) -> Box<dyn Wire> {
        let Some(authority) = &self.0 else { return Box::new(Raw::connect(rig.address).stream) };
        let mut stream = secure::connect(rig.address, authority.client(None, &[protocol]));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("a handshake");
        }
        Box::new(stream)
    }

    /// A client of HTTP/2 that begins like this.
    pub(super) fn begin(&self, rig: &Rig, frames: &[&[u8]]) -> Box<dyn Wire> {
        let mut wire = self.connect(rig, "h2");
        send(&mut wire, &[&[PREFACE], frames].concat().concat());
        wire
    }

    /// One that has made room for the first byte of its answer only, and has it.
    pub(super) fn narrow(&self, rig: &Rig) -> Box<dyn Wire> {
        let mut wire = self.begin(rig, &[NARROW, HEAD]);
        let first = next_of(&mut wire, DATA);
        assert_eq!((first.payload.as_slice(), first.ends), (&b"a"[..], false));
        wire
    }

    /// One that has been served, and has made no other request.
    fn served(&self, rig: &Rig) -> Box<dyn Wire> {
        let mut wire = self.begin(rig, &[SETTINGS, HEAD]);
        while !next_of(&mut wire, DATA).ends {}
        wire
    }

    /// One of HTTP/1 that has been served and stays. Others may have their answers a moment before they count as idle.
    fn newcomer(&self, rig: &Rig) -> Box<dyn Wire> {
        let begun = Instant::now();
        loop {
            let mut wire = self.connect(rig, "http/1.1");
            send(&mut wire, REQUEST.as_bytes());
            if secure::head(&mut wire).starts_with("HTTP/1.1 200 ") {
                return wire;
            }
            assert!(begun.elapsed() < PATIENCE, "{}: a place is made", self.name());
        }
    }
}

pub(super) fn send(wire: &mut Box<dyn Wire>, bytes: &[u8]) {
    wire.write_all(bytes).expect("it is taken");
    wire.flush().expect("it is taken");
}

/// A frame.
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) ends: bool,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// The next frame; None at the end of the connection.
pub(super) fn next_frame(wire: &mut Box<dyn Wire>) -> Option<Frame> {
    let mut head = [0; 9];
    match wire.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) => {
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it goes on for ever");
            return None;
        }
    }
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    wire.read_exact(&mut payload).expect("a whole frame");
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame { kind: head[3], ends: head[4] & 1 != 0, stream, payload })
}

/// The next frame of this kind.
pub(super) fn next_of(wire: &mut Box<dyn Wire>, kind: u8) -> Frame {
    loop {
        let frame = next_frame(wire).expect("the connection goes on");
        if frame.kind == kind {
            return frame;
        }
    }
}

/// What is said last on a connection that ends: the last stream that was served, and why.
fn farewell(wire: &mut Box<dyn Wire>) -> Option<(u32, u32)> {
    let mut said = None;
    while let Some(frame) = next_frame(wire) {
        if frame.kind == GOAWAY {
            let [last, why] = [0, 4].map(|at| frame.payload[at..at + 4].try_into().expect("four bytes"));
            said = Some((u32::from_be_bytes(last), u32::from_be_bytes(why)));
        }
    }
    said
}

/// Makes room for the rest of an answer, which then comes to its end.
fn read_rest(wire: &mut Box<dyn Wire>, what: &str) {
    send(wire, ROOM);
    let mut body = b"a".to_vec();
    loop {
        let frame = next_frame(wire).unwrap_or_else(|| panic!("{what}: cut behind {:?}", body.escape_ascii()));
        if frame.kind == DATA {
            body.extend(frame.payload);
            if frame.ends {
                break;
            }
        }
    }
    assert_eq!(body, b"a whole answer", "{what}");
}

#[test]
fn an_answer_on_its_way_keeps_its_place() {
    for over in Over::each() {
        let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.max_connections = 3);
        // It has a place, and its connection another one.
        let mut slow = over.narrow(&rig);
        // The first takes the place that is left, the second that of whoever has been idle longest.
        let _newcomers = [over.newcomer(&rig), over.newcomer(&rig)];
        read_rest(&mut slow, over.name());
    }
}

#[test]
fn an_answer_on_its_way_outlasts_the_grace_of_a_drain() {
    for over in Over::each() {
        let rig = over.rig(&Backend::answering(ANSWER), |_| {});
        let mut slow = over.narrow(&rig);
        let mut idle = over.served(&rig);
        rig.life.send_replace(Life::Draining);
        // It does not take its leave, and shows that the time for that is over.
        assert_eq!(farewell(&mut idle), Some((1, 0)), "{}", over.name());
        read_rest(&mut slow, over.name());
        assert_eq!(farewell(&mut slow), Some((1, 0)), "{}", over.name());
        rig.join();
    }
}

#[test]
fn an_answer_on_its_way_is_not_idle() {
    for over in Over::each() {
        let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.client.keep_alive_idle = IDLE);
        let mut slow = over.narrow(&rig);
        for _ in 0..2 {
            // Each idle connection that is closed shows that the limit has passed.
            farewell(&mut over.begin(&rig, &[SETTINGS]));
        }
        read_rest(&mut slow, over.name());
    }
}

#[test]
fn a_client_that_makes_no_room_for_the_rest_of_its_answer_is_given_up() {
    for over in Over::each() {
        let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.client.write_stall = SOON);
        let mut slow = over.narrow(&rig);
        assert_eq!(farewell(&mut slow), None, "{}: it has not been served to the end", over.name());
    }
}

#[test]
fn the_last_stream_that_was_served_is_named_whyever_a_connection_ends() {
    type Change = fn(&mut Settings);
    type End = fn(&Over, &Rig, &mut Box<dyn Wire>);
    let ends: [(&str, Change, End); 4] = [
        (
            "its place is needed",
            |settings| settings.max_connections = 2,
            |over, rig, wire| {
                // It may have its answer a moment before it counts as idle: by the next frame it does.
                send(wire, PING);
                next_of(wire, PING_FRAME);
                drop([over.newcomer(rig), over.newcomer(rig)]);
            },
        ),
        ("it was idle for long enough", |settings| settings.client.keep_alive_idle = IDLE, |_, _, _| {}),
        ("a drain", |_| {}, |_, rig, _| _ = rig.life.send_replace(Life::Draining)),
        ("too many connections", |settings| settings.max_connections = 0, |_, _, _| {}),
    ];
    for over in Over::each() {
        for (what, change, end) in ends {
            let rig = over.rig(&Backend::answering(ANSWER), change);
            let mut wire = over.served(&rig);
            end(&over, &rig, &mut wire);
            assert_eq!(farewell(&mut wire), Some((1, 0)), "{what}, {}", over.name());
            assert!(rig.no_more_refusals());
        }
    }
}

#[test]
fn a_connection_that_is_opened_ahead_is_idle_and_not_malformed() {
    for over in Over::each() {
        for frames in [&[SETTINGS][..], &[SETTINGS, PING]] {
            let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.client.head = SOON);
            assert_eq!(farewell(&mut over.begin(&rig, frames)), Some((0, 0)), "{}", over.name());
            assert!(rig.no_more_refusals(), "{}", over.name());
            // It gives way like any other.
            let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.max_connections = 1);
            let mut ahead = over.begin(&rig, frames);
            next_of(&mut ahead, SETTINGS_FRAME);
            let _newcomer = over.newcomer(&rig);
            assert_eq!(farewell(&mut ahead), Some((0, 0)), "{}", over.name());
            assert!(rig.no_more_refusals(), "{}", over.name());
        }
    }
    // Over TLS the server speaks first.
    let [_, over] = Over::each();
    let rig = over.rig(&Backend::answering(ANSWER), |settings| settings.client.head = SOON);
    assert_eq!(farewell(&mut over.connect(&rig, "h2")), Some((0, 0)));
    assert!(rig.no_more_refusals());
}

#[test]
fn a_large_answer_that_lies_in_the_system_outlasts_the_end_of_its_connection() {
    // As much as the client's system takes at once, so that the end of the connection can be read after it.
    const LENGTH: usize = 48 * 1024;
    type End = fn(&Over, &Rig);
    let ends: [(&str, End); 2] = [
        ("a drain", |_, rig| _ = rig.life.send_replace(Life::Draining)),
        ("its place is needed", |over, rig| drop([over.newcomer(rig), over.newcomer(rig)])),
    ];
    let large = [format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").as_bytes(), &[b'x'; LENGTH]].concat();
    let backend = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            connection.write(if request.starts_with(b"GET / HTTP/1.1\r\nhost: localhost") { &large } else { ANSWER });
        }
    });
    for (what, end) in ends {
        let over = Over(None);
        let rig = over.rig(&backend, |settings| settings.max_connections = 2);
        let mut client = Raw::connect(rig.address);
        client.send([PREFACE, WIDE, HEAD].concat());
        // All of it has left, and nothing of it is read.
        assert_eq!(rig.record().outcome.as_str(), "completed", "{what}");
        end(&over, &rig);
        ended(&client.stream);
        // What a client sends that does not know yet: closing the socket over that would drop what lies in it.
        client.send(PING.repeat(100));
        let mut wire: Box<dyn Wire> = Box::new(client.stream);
        let (mut received, mut said) = (0, false);
        while let Some(frame) = next_frame(&mut wire) {
            received += if frame.kind == DATA { frame.payload.len() } else { 0 };
            said |= frame.kind == GOAWAY;
        }
        assert_eq!((received, said), (LENGTH, true), "{what}");
        assert_eq!(wire.read(&mut [0]).expect("an end in order"), 0, "{what}");
    }
}

/// A client that has filled the connection with an answer that it does not read, and has cancelled that.
fn deaf(rig: &Rig, stuck: &mpsc::Receiver<()>) -> TcpStream {
    let mut raw = Raw::connect(rig.address);
    raw.send([PREFACE, WIDE, HEAD].concat());
    stuck.recv_timeout(PATIENCE).expect("nothing more is taken");
    raw.send(CANCEL);
    assert_eq!(rig.record().outcome.as_str(), "client_cancelled");
    raw.stream
}

#[test]
fn an_idle_client_that_does_not_read_keeps_no_place_with_what_it_sends() {
    let (tell, stuck) = mpsc::channel();
    let backend = Backend::start(move |connection| {
        if connection.request().is_some_and(|request| request.starts_with(b"GET / HTTP/1.1\r\nhost: localhost")) {
            connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
            connection.stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
            while connection.stream.write_all(&[b'x'; 64 << 10]).is_ok() {}
            let _ = tell.send(());
            connection.closed();
        } else {
            connection.write(ANSWER);
        }
    });
    let over = Over(None);
    let rig = over.rig(&backend, |settings| settings.max_connections = 2);
    let mut deaf = deaf(&rig, &stuck);
    // The first answer has no way out, so that the rest lies unread.
    deaf.write_all(&PING.repeat(2_000)).expect("it is taken");
    let _newcomers = [over.newcomer(&rig), over.newcomer(&rig)];
    deaf.set_write_timeout(Some(Duration::from_millis(1))).expect("a timeout");
    let begun = Instant::now();
    while !deaf.write(PING).is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
        assert!(begun.elapsed() < PATIENCE, "it keeps its place");
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_goes_on_asking_for_pongs_holds_no_drain() {
    let rig = Over(None).rig(&Backend::answering(ANSWER), |_| {});
    let mut client = Raw::connect(rig.address);
    client.send([PREFACE, SETTINGS].concat()).until([0, 0, 0, 4, 1, 0, 0, 0, 0]);
    rig.life.send_replace(Life::Draining);
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let begun = Instant::now();
    loop {
        match client.stream.read(&mut [0; 64]) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => drop(client.stream.write_all(PING)),
            Ok(0) | Err(_) => break,
        }
        assert!(begun.elapsed() < PATIENCE, "it holds the drain");
    }
    assert!(rig.no_more_refusals());
}
