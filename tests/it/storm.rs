//! Many clients at once, each with a fate of its own: every exchange is counted once, under the outcome that it had.
//!
//! The real program, more than 20,000 exchanges in two waves: after each of them the sums are what was sent, gauges are
//! zero, no descriptor and no thread is left; and the second wave leaves no more memory in use than the first.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::support::backend::{Backend, Connection};
use crate::support::client::Client;
use crate::support::program::Program;
use crate::support::{PATIENCE, alone};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
const BODY: &str = r#"{"model":"llama3","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#;
/// Messages in it.
pub(crate) const MESSAGES: u64 = 2;
/// Clients at the same time.
pub(crate) const LANES: u64 = 32;
/// Rounds through all fates that each client makes in a wave.
const ROUNDS: u64 = 30;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Whole,
    WholeAgain,
    SlowReader,
    NotFound,
    StreamError,
    Truncated,
    ResetBeforeHead,
    CutMidStream,
    BadChunk,
    LeavesInUpload,
    LeavesWaiting,
    LeavesInPrefill,
    LeavesInDecode,
    /// No exchange: the head is refused.
    Malformed,
    /// No exchange: the client connects and leaves.
    Dropped,
}

const FATES: [Fate; 15] = [
    Fate::Whole,
    Fate::WholeAgain,
    Fate::SlowReader,
    Fate::NotFound,
    Fate::StreamError,
    Fate::Truncated,
    Fate::ResetBeforeHead,
    Fate::CutMidStream,
    Fate::BadChunk,
    Fate::LeavesInUpload,
    Fate::LeavesWaiting,
    Fate::LeavesInPrefill,
    Fate::LeavesInDecode,
    Fate::Malformed,
    Fate::Dropped,
];

impl Fate {
    /// The outcome that the exchange is counted under; none where there is no exchange.
    pub(crate) fn outcome(self) -> Option<&'static str> {
        Some(match self {
            Self::Whole | Self::WholeAgain | Self::SlowReader => "completed",
            Self::NotFound => "http_error",
            Self::StreamError => "stream_error",
            Self::Truncated => "truncated",
            Self::ResetBeforeHead | Self::CutMidStream => "backend_failed",
            Self::BadChunk => "rejected",
            Self::LeavesInUpload | Self::LeavesWaiting | Self::LeavesInPrefill | Self::LeavesInDecode => {
                "client_cancelled"
            }
            Self::Malformed | Self::Dropped => return None,
        })
    }
}

/// Requests that have reached the backend, by number.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<HashSet<u64>>, Condvar);

impl Arrivals {
    fn arrive(&self, number: u64) {
        self.0.lock().expect("no panic").insert(number);
        self.1.notify_all();
    }

    fn wait(&self, number: u64) {
        let arrived = self.0.lock().expect("no panic");
        let waiting = |arrived: &mut HashSet<u64>| !arrived.remove(&number);
        let (_arrived, timeout) = self.1.wait_timeout_while(arrived, PATIENCE, waiting).expect("no panic");
        assert!(!timeout.timed_out(), "request {number} never reached the backend");
    }
}

fn chunk(line: &str) -> Vec<u8> {
    format!("{:x}\r\n{line}\n\r\n", line.len() + 1).into_bytes()
}

fn word() -> Vec<u8> {
    chunk(r#"{"model":"llama3","message":{"role":"assistant","content":"a"},"done":false}"#)
}

/// Answers as the request's target says: `/api/chat?FATE-NUMBER`.
pub(crate) fn backend(arrivals: Arc<Arrivals>) -> Backend {
    Backend::start(move |connection| {
        while let Some(head) = connection.head() {
            let head = String::from_utf8_lossy(&head).into_owned();
            let Some((fate, number)) = head.split([' ', '?']).nth(2).and_then(|query| query.split_once('-')) else {
                connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                continue;
            };
            arrivals.arrive(number.parse().expect("a number"));
            if !answer(connection, fate) {
                return;
            }
        }
    })
}

/// Gives the answer; false where the connection is over after it.
fn answer(connection: &mut Connection, fate: &str) -> bool {
    let done = chunk(r#"{"model":"llama3","message":{"content":""},"done":true,"done_reason":"stop","eval_count":3}"#);
    if matches!(fate, "LeavesInUpload" | "BadChunk") {
        return !connection.closed();
    }
    connection.exactly(BODY.len());
    match fate {
        "NotFound" => connection.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"),
        "ResetBeforeHead" => connection.reset(),
        "LeavesWaiting" => return !connection.closed(),
        "LeavesInPrefill" => {
            connection.write(HEAD);
            return !connection.closed();
        }
        "LeavesInDecode" => {
            connection.write(&[HEAD, &word()].concat());
            return !connection.closed();
        }
        "CutMidStream" => {
            connection.write(&[HEAD, &word()].concat());
            return false;
        }
        "StreamError" => {
            connection.write(&[HEAD, &word(), &chunk(r#"{"error":"out of memory"}"#), b"0\r\n\r\n"].concat())
        }
        "Truncated" => connection.write(&[HEAD, &word(), b"0\r\n\r\n"].concat()),
        "SlowReader" => {
            connection.write(HEAD);
            (0..100).for_each(|_| connection.write(&word()));
            connection.write(&[done.as_slice(), b"0\r\n\r\n"].concat());
        }
        _ => connection.write(&[HEAD, &word(), &word(), &done, b"0\r\n\r\n"].concat()),
    }
    fate != "ResetBeforeHead"
}

/// The trace that a client says its exchange belongs to.
pub(crate) fn trace(number: u64) -> String {
    format!("{:032x}", u128::from(number) + 1)
}

/// The product that the clients of a lane say they are.
pub(crate) fn product(lane: u64) -> String {
    format!("storm-{}", char::from(b'a' + u8::try_from(lane % 5).expect("small")))
}

/// What a client counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Bytes of the request's body that it sent.
    pub(crate) sent: u64,
    /// Bytes of the backend's body that it received.
    pub(crate) received: u64,
    /// Events with text in them.
    pub(crate) events: u64,
    /// The number of generated tokens that the backend states.
    pub(crate) generated: Option<u64>,
}

impl Counted {
    fn of(sent: usize, answer: &[u8]) -> Self {
        let text = String::from_utf8_lossy(answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let body = match head.to_ascii_lowercase() {
            head if head.contains("x-inferometer-error") => String::new(),
            head if head.contains("transfer-encoding: chunked") => content(body),
            _ => body.to_owned(),
        };
        let count = |what: &str| body.matches(what).count() as u64;
        Self {
            sent: sent as u64,
            received: body.len() as u64,
            events: count(r#""content":"a""#),
            generated: (count(r#""eval_count":3"#) > 0).then_some(3),
        }
    }
}

/// The content of a chunked body, as far as it came.
fn content(mut chunks: &str) -> String {
    let mut content = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        content += &rest[..size.min(rest.len())];
        chunks = rest.get(size + 2..).unwrap_or_default();
    }
    content
}

/// Lives through one fate.
fn live(
    fate: Fate,
    (lane, number): (u64, u64),
    address: SocketAddr,
    kept: &mut Option<Client>,
    arrivals: &Arrivals,
) -> Counted {
    let who = format!("User-Agent: {}/1.0 (lane {lane})\r\nX-Session-Id: lane-{lane}\r\n", product(lane));
    let parent = format!("Traceparent: 00-{}-00f067aa0ba902b7-00\r\n", trace(number));
    let head = format!("POST /api/chat?{fate:?}-{number} HTTP/1.1\r\nHost: a\r\n{who}{parent}");
    let sized = format!("{head}Content-Length: {}\r\n\r\n", BODY.len());
    let fresh = || Client::connect(address);
    let sent = |text: String| {
        let mut client = fresh();
        client.send(text);
        client
    };
    match fate {
        Fate::Whole | Fate::WholeAgain | Fate::NotFound | Fate::StreamError | Fate::Truncated => {
            let client = kept.get_or_insert_with(fresh);
            client.send(format!("{sized}{BODY}"));
            let answer = client.until(if fate == Fate::NotFound { "{}" } else { "0\r\n\r\n" });
            arrivals.wait(number);
            Counted::of(BODY.len(), &answer)
        }
        Fate::SlowReader => {
            let mut client = sent(format!("{sized}{BODY}"));
            let (mut bytes, mut piece) = (Vec::new(), [0; 97]);
            while !bytes.ends_with(b"0\r\n\r\n") {
                let read = client.stream.read(&mut piece).expect("it answers");
                bytes.extend_from_slice(&piece[..read]);
                std::thread::yield_now();
            }
            Counted::of(BODY.len(), &bytes)
        }
        Fate::ResetBeforeHead | Fate::CutMidStream => {
            let mut client = sent(format!("{}Connection: close\r\nContent-Length: {}\r\n\r\n{BODY}", head, BODY.len()));
            Counted::of(BODY.len(), &client.rest().0)
        }
        Fate::BadChunk => {
            let mut client = sent(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n"));
            arrivals.wait(number);
            drop(client.stream.write_all(b"nonsense\r\n"));
            Counted::of("{}".len(), &client.rest().0)
        }
        Fate::LeavesInUpload => {
            let client = sent(format!("{head}Content-Length: {}\r\n\r\n{BODY}", BODY.len() + 100));
            arrivals.wait(number);
            client.reset();
            Counted::of(BODY.len(), b"")
        }
        Fate::LeavesWaiting => {
            let client = sent(format!("{sized}{BODY}"));
            arrivals.wait(number);
            drop(client);
            Counted::of(BODY.len(), b"")
        }
        Fate::LeavesInPrefill => Counted::of(BODY.len(), &sent(format!("{sized}{BODY}")).until("\r\n\r\n")),
        Fate::LeavesInDecode => {
            let mut client = sent(format!("{sized}{BODY}"));
            let answer = client.until("}\n\r\n");
            client.reset();
            Counted::of(BODY.len(), &answer)
        }
        Fate::Malformed => {
            let mut client = sent(format!("{sized}{BODY}").replace("Host: a", "Host: a\r\nHost: b"));
            client.rest();
            Counted::default()
        }
        Fate::Dropped => {
            fresh().reset();
            Counted::default()
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lived {
    pub(crate) fate: Fate,
    pub(crate) lane: u64,
    pub(crate) number: u64,
    pub(crate) counted: Counted,
}

/// Every client lives through every fate, in an order of its own.
pub(crate) fn wave(address: SocketAddr, arrivals: &Arrivals, number: u64) -> Vec<Lived> {
    let lived = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let lived = &lived;
        for lane in 0..LANES {
            scope.spawn(move || {
                let mut kept = None;
                for round in 0..ROUNDS {
                    for step in 0..FATES.len() as u64 {
                        let fate = FATES[((step * 7 + lane + round) % FATES.len() as u64) as usize];
                        let number = ((number * LANES + lane) * ROUNDS + round) * 100 + step;
                        let counted = live(fate, (lane, number), address, &mut kept, arrivals);
                        lived.lock().expect("no panic").push(Lived { fate, lane, number, counted });
                    }
                }
            });
        }
    });
    lived.into_inner().expect("no panic")
}

fn check(program: &Program, waves: u64) {
    let each = (waves * LANES * ROUNDS) as f64;
    let mut all = 0.0;
    for outcome in FATES.iter().filter_map(|fate| fate.outcome()).collect::<HashSet<_>>() {
        let fates = FATES.iter().filter(|fate| fate.outcome() == Some(outcome)).count() as f64;
        program.wait_for("requests_total", &[&format!("outcome=\"{outcome}\"")], fates * each);
        all += fates * each;
    }
    program.wait_for("requests_total", &[], all);
    program.wait_for("requests_started_total", &[], all);
    program.wait_for("http_malformed_total", &["kind=\"host\""], each);
    program.wait_for("active_requests", &[], 0.0);
    program.wait_for("active_generations", &[], 0.0);
    println!("{all} exchanges, {each} refused heads, {each} connections dropped at once");
}

#[test]
fn every_exchange_of_a_storm_is_counted_once_and_nothing_is_left() {
    let _alone = alone();
    let arrivals = Arc::new(Arrivals::default());
    let backend = backend(arrivals.clone());
    let program = Program::with(backend.address, &["--access-log", "off"]);
    // What starts with the first exchange is there before the counting begins.
    program.wait_for("backend_up", &[], 1.0);
    program.wait_for_history();
    let before = (program.descriptors(), program.threads());
    wave(program.clients, &arrivals, 0);
    check(&program, 1);
    settle(&program, before);
    let first = program.resident();
    wave(program.clients, &arrivals, 1);
    check(&program, 2);
    settle(&program, before);
    let second = program.resident();
    println!("resident: {} KiB after one wave, {} KiB after two", first >> 10, second >> 10);
    assert!(second < first + (4 << 20), "memory comes back");
}

/// Idle connections to the backend close after 2 s; nothing else is left.
fn settle(program: &Program, before: (usize, usize)) {
    let begun = Instant::now();
    while program.descriptors() > before.0 || program.threads() > before.1 {
        let now = (program.descriptors(), program.threads());
        assert!(begun.elapsed() < PATIENCE, "descriptors and threads {now:?}, {before:?} before");
        std::thread::yield_now();
    }
}
