//! What can be read in two ways goes nowhere, and a reply that is broken never looks whole.
//!
//! A generator damages requests and replies, the same way for the same number. An independent strict reader says what a
//! client's bytes mean: the backend may receive exactly these requests and nothing else, each at most once. The same
//! reader says which replies are whole: the client may see a whole answer only then, with the same body.
//! `INFEROMETER_FUZZ` sets the number of cases of each kind.

mod mutate;
mod opinions;
mod strict;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inferometer::proxy::guard::follow;

use self::mutate::{Random, message};
use self::strict::{Read, Request};
use crate::support::backend::{Backend, Connection};
use crate::support::rig::Rig;
use crate::support::{PATIENCE, alone};

/// Clients at the same time, each with a proxy and a backend of its own.
const LANES: u64 = 4;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const REQUESTS: &[&str] = &[
    "GET /get HTTP/1.1\r\nHost: a\r\nX-Case: 5\r\n\r\n",
    "POST /sized HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;x=y\r\nworld\r\n0\r\n\r\n",
    "POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: 5\r\n\r\n",
    "POST http://a/absolute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
    "PUT /inner HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /inner HTTP/1.1\r\nHost: evil\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /caf\u{e9}?5 HTTP/1.2\r\nHost: [::1]:80\r\n\r\n",
    "POST /old HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
];
const SMUGGLED: &[&str] = &[
    "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
    "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
    "5\r\nsmugg\r\n0\r\n\r\n",
    "\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

const REPLIES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;x=y\r\nworld\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 204 No Content\r\nX: 5\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
];
const BEHIND: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother",
    "HTTP/1.1 102 Processing\r\n\r\n",
    "0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
];

/// Cases of each kind.
fn cases() -> u64 {
    std::env::var("INFEROMETER_FUZZ").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12_000)
}

/// Runs every lane's share of the cases at the same time, and gives what each counted.
fn in_lanes<T: Send>(lane: impl Fn(std::ops::Range<u64>) -> T + Sync) -> Vec<T> {
    let share = cases().div_ceil(LANES);
    std::thread::scope(|scope| {
        let lane = &lane;
        let lanes: Vec<_> =
            (0..LANES).map(|number| scope.spawn(move || lane(number * share..(number + 1) * share))).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))).collect()
    })
}

/// Sends bytes on a connection of their own and gives all that comes back. A client that would have to send more leaves.
fn converse(address: SocketAddr, bytes: &[u8], leaves: bool) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // Leave no port behind in TIME_WAIT: there are not enough of them.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(stream.write_all(bytes));
    if leaves {
        drop(stream.shutdown(Shutdown::Write));
    }
    let mut answer = Vec::new();
    let cut = match stream.read_to_end(&mut answer) {
        Ok(_) => false,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error} after {:?} to {:?}", show(&answer), show(bytes)),
    };
    (answer, cut)
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// What strict reading makes of a client's bytes: whole requests, and the rest of one. True where it would send more.
fn meaning(mut bytes: &[u8]) -> (Vec<Request>, Option<Request>, bool) {
    let mut whole = Vec::new();
    loop {
        match strict::request(bytes) {
            Read::Whole(request, length) => {
                whole.push(request);
                bytes = &bytes[length..];
            }
            Read::Part(part) => {
                // After the last one the proxy closes by itself.
                let over = bytes.is_empty() && whole.last().is_some_and(|last| last.path == b"/last");
                return (whole, part, !over);
            }
            Read::Bad(part) => return (whole, part, false),
        }
    }
}

/// What a backend received: whole requests, and parts of some.
#[derive(Default)]
struct Received {
    whole: Vec<Request>,
    parts: Vec<Request>,
    faults: Vec<String>,
}

/// Answers what strict reading accepts, and keeps what it was sent.
fn strict_backend(received: Arc<Mutex<Received>>) -> Backend {
    Backend::start(move |connection| {
        let mut bytes = Vec::new();
        let (mut buffer, mut told) = ([0; 4096], false);
        loop {
            let read = connection.stream.read(&mut buffer).unwrap_or(0);
            bytes.extend_from_slice(&buffer[..read]);
            let mut all = received.lock().expect("no panic");
            match strict::request(&bytes) {
                Read::Whole(request, length) => {
                    all.whole.push(request);
                    drop(all);
                    bytes.drain(..length);
                    told = false;
                    connection.write(OK);
                    // The proxy sends the next request only after the answer to this one.
                    if !bytes.is_empty() {
                        received.lock().expect("no panic").faults.push(format!("behind a request: {}", show(&bytes)));
                        return;
                    }
                }
                Read::Part(part) if read > 0 => {
                    if part.is_some_and(|part| part.expects) && !std::mem::replace(&mut told, true) {
                        connection.write(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                }
                Read::Part(part) => return all.parts.extend(part),
                Read::Bad(_) => return all.faults.push(show(&bytes)),
            }
            if read == 0 {
                return;
            }
        }
    })
}

/// The host that the backend sees is the client's, or its own where the client named none.
fn same_head(sent: &Request, received: &Request) -> bool {
    let host = sent.host.is_none() || sent.host == received.host;
    sent.method == received.method && sent.path == received.path && host
}

#[test]
fn what_can_be_read_in_two_ways_reaches_no_backend() {
    let _alone = alone();
    let counts = in_lanes(|numbers| {
        let received = Arc::new(Mutex::new(Received::default()));
        let backend = strict_backend(received.clone());
        let rig = Rig::before(backend.address);
        let (mut open, mut accepted, mut refused): (Vec<Request>, u64, u64) = (Vec::new(), 0, 0);
        for number in numbers {
            let mut bytes = message(&mut Random::new(number), REQUESTS, SMUGGLED);
            bytes.extend_from_slice(LAST.as_bytes());
            assert_eq!(
                follow(&bytes, 1).1,
                follow(&bytes, bytes.len()).1,
                "case {number}: a split changes the verdict"
            );
            let (whole, part, leaves) = meaning(&bytes);
            let (answer, _) = converse(rig.address, &bytes, leaves);
            let sent = whole.len();
            // A request that its client gave up may reach the backend a little later.
            open.extend(whole.into_iter().chain(part));
            let mut all = received.lock().expect("no panic");
            assert!(all.faults.is_empty(), "case {number} {}: forwarded {:?}", show(&bytes), all.faults);
            for request in all.whole.drain(..) {
                let at = open.iter().position(|sent| same_head(sent, &request) && sent.body == request.body);
                let at = at.unwrap_or_else(|| panic!("case {number} {}: nobody sent {request:?}", show(&bytes)));
                open.remove(at);
                accepted += 1;
            }
            for part in all.parts.drain(..) {
                let sent = open.iter().any(|sent| same_head(sent, &part) && sent.body.starts_with(&part.body));
                assert!(sent, "case {number} {}: nobody sent {part:?}", show(&bytes));
            }
            if open.len() > 64 {
                open.drain(..32);
            }
            refused += check_answers(&answer, sent, &format!("case {number} {}", show(&bytes)));
        }
        (accepted, refused)
    });
    let (accepted, refused) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    println!("{} damaged requests: {accepted} forwarded, {refused} answered by the proxy", cases());
    assert!(accepted > cases() / 2 && refused > cases() / 8, "the generator makes both");
}

/// No more answers than requests; an own one is marked and the last. Gives the number of own ones.
fn check_answers(answer: &[u8], sent: usize, case: &str) -> u64 {
    let text = String::from_utf8_lossy(answer);
    let is_head =
        |rest: &&str| rest.get(1..3).is_some_and(|rest| rest.starts_with(' ') && rest.ends_with(['2', '4', '5']));
    let heads: Vec<&str> = text.split("HTTP/1.").skip(1).filter(is_head).collect();
    let own = heads.iter().filter(|head| head.contains("\r\nx-inferometer-error: ")).count();
    assert!(heads.len() - own <= sent, "{case}: {text}");
    for (place, head) in heads.iter().enumerate() {
        let marked = head.contains("\r\nx-inferometer-error: ");
        assert!(head[1..].starts_with(" 200 ") != marked, "{case}: {text}");
        assert!(!marked || place + 1 == heads.len(), "{case}: {text}");
    }
    own as u64
}

/// Answers the first request of a connection with the next damaged reply, and closes.
fn broken_backend(next: Arc<Mutex<Vec<u8>>>) -> Backend {
    Backend::start(move |connection: &mut Connection| {
        if connection.head().is_some() {
            let reply = next.lock().expect("no panic").clone();
            connection.write(&reply);
            drop(connection.stream.shutdown(Shutdown::Write));
            connection.closed();
        }
    })
}

#[test]
fn a_broken_reply_never_looks_whole() {
    let _alone = alone();
    let counts = in_lanes(|numbers| {
        let reply = Arc::new(Mutex::new(Vec::new()));
        let backend = broken_backend(reply.clone());
        let rig = Rig::before(backend.address);
        let (mut whole, mut broken): (u64, u64) = (0, 0);
        for number in numbers {
            let bytes = message(&mut Random::new(number), REPLIES, BEHIND);
            reply.lock().expect("no panic").clone_from(&bytes);
            let (answer, reset) = converse(rig.address, LAST.as_bytes(), false);
            let own = String::from_utf8_lossy(&answer).contains("\r\nx-inferometer-error: ");
            let seen = strict::response(&answer, !reset).filter(|_| !own);
            let meant = strict::response(&bytes, true);
            if seen.is_some() {
                assert_eq!(seen, meant, "case {number} {}: {}", show(&bytes), show(&answer));
                whole += 1;
            } else {
                broken += 1;
            }
        }
        (whole, broken)
    });
    let (whole, broken) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    println!("{} damaged replies: {whole} handed on whole, {broken} not", cases());
    assert!(whole > cases() / 8 && broken > cases() / 8, "the generator makes both");
}

#[test]
fn replies_with_too_large_a_head_and_floods_of_interim_ones_are_contained() {
    let _alone = alone();
    let many: String = (0..600).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(300 << 10));
    for fields in [many, long] {
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        let backend = broken_backend(Arc::new(Mutex::new(reply.into_bytes())));
        let rig = Rig::before(backend.address);
        let (answer, _) = converse(rig.address, LAST.as_bytes(), false);
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.starts_with("HTTP/1.1 502 ") && text.contains("x-inferometer-error: protocol"), "{text}");
    }
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100_000).into_bytes();
    let backend = broken_backend(Arc::new(Mutex::new([&flood, OK].concat())));
    let rig = Rig::before(backend.address);
    let (answer, _) = converse(rig.address, LAST.as_bytes(), false);
    assert!(answer.ends_with(b"\r\n\r\nok"), "the answer behind the flood arrives");
}
