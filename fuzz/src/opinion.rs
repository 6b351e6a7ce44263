//! Other readers of HTTP/1 on what this one passes: the same messages, fields and bodies, or a row of a table that says
//! why not. The one in Rust is asked here; the tests ask those in Python too.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use inferometer::proxy::reading::{self, Message};

/// What one reader makes of one message: its start as [`Message`] has it, its fields, its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub start: Vec<u8>,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Reading {
    /// In a form that is the same for all readers: names in lower case, fields of one name together, no blanks behind a
    /// value, which llhttp leaves to its caller, no case in a coding.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for (name, value) in &mut self.fields {
            name.make_ascii_lowercase();
            let end = value.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
            value.truncate(end);
            if name == b"transfer-encoding" {
                value.make_ascii_lowercase();
            }
        }
        self.fields.sort_by(|one, other| one.0.cmp(&other.0));
        self
    }
}

/// A message that passes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub reading: Reading,
    /// Its bytes, with the empty lines before them.
    pub bytes: Vec<u8>,
}

impl Passed {
    fn target(&self) -> &[u8] {
        self.reading.start.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default()
    }

    fn method(&self) -> &[u8] {
        self.reading.start.split(|byte| *byte == b' ').next().unwrap_or_default()
    }

    /// The first line that is not empty.
    fn first_line(&self) -> &[u8] {
        let mut lines = self.bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.find(|line| !line.is_empty()).unwrap_or_default()
    }

    fn first_line_ends(&self, end: &[u8]) -> bool {
        self.first_line().ends_with(end)
    }

    /// The target as it was sent.
    fn sent_target(&self) -> &[u8] {
        self.first_line().split(|byte| *byte == b' ').nth(1).unwrap_or_default()
    }
}

/// A known disagreement: a reader that refuses, or does not come to, a message that passes here.
pub struct Row {
    pub id: &'static str,
    pub readers: &'static [&'static str],
    pub why: &'static str,
    /// The message, and the one before it.
    applies: fn(&Passed, Option<&Passed>) -> bool,
}

/// Every known disagreement. No reader makes another message of what passes: all that is left is what some refuse.
pub const DISAGREEMENTS: &[Row] = &[
    Row {
        id: "above ASCII",
        readers: &["h11", "llhttp"],
        why: "Targets with bytes above ASCII are sent by curl, taken by nginx and Go, and read as themselves.",
        applies: |it, _| !it.target().is_ascii(),
    },
    Row {
        id: "odd targets",
        readers: &["hyper"],
        why: "Its type for targets holds UTF-8 alone, no '<' or '>', and no percent-encoded host; others take what was sent.",
        applies: |it, _| hyper::Uri::try_from(it.sent_target()).is_err(),
    },
    Row {
        id: "later minor version",
        readers: &["hyper", "llhttp"],
        why: "RFC 9110, 2.5 has it read as the highest that is known; it goes on as HTTP/1.1.",
        applies: |it, _| ('2'..='9').any(|minor| it.first_line_ends(format!("HTTP/1.{minor}").as_bytes())),
    },
    Row {
        id: "unknown method",
        readers: &["llhttp"],
        why: "It knows a list of methods; any token is one (RFC 9110, 9.1), and the backend decides.",
        applies: |it, _| {
            !["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"]
                .iter()
                .any(|known| known.as_bytes() == it.method())
        },
    },
    Row {
        id: "HTTP/1.0 kept alive",
        readers: &["h11"],
        why: "It closes behind every message in HTTP/1.0, also where keep-alive is asked for.",
        applies: |_, before| before.is_some_and(|before| before.first_line_ends(b" HTTP/1.0")),
    },
    Row {
        id: "Connection above ASCII",
        readers: &["hyper"],
        why: "It does not look into a Connection with such bytes, and so misses a keep-alive in HTTP/1.0.",
        applies: |_, before| {
            before.is_some_and(|before| {
                let connection = |field: &&(Vec<u8>, Vec<u8>)| field.0 == b"connection" && !field.1.is_ascii();
                before.first_line_ends(b" HTTP/1.0") && before.reading.fields.iter().any(|field| connection(&field))
            })
        },
    },
    Row {
        id: "empty lines",
        readers: &["h11"],
        why: "It refuses empty lines before a request line, which are to be skipped (RFC 9112, 2.2), and are here.",
        applies: |it, _| it.bytes.starts_with(b"\r\n"),
    },
    Row {
        id: "framing in trailers",
        readers: &["h11", "llhttp"],
        why: "They judge a length or a coding among the trailers; here it goes nowhere, whatever it says (RFC 9110, 6.5.1).",
        applies: |it, _| {
            let last = it.bytes.windows(5).rposition(|bytes| bytes == b"\r\n0\r\n").unwrap_or(it.bytes.len());
            let trailers = it.bytes[last..].to_ascii_lowercase();
            let named = |name: &[u8]| trailers.windows(name.len()).any(|bytes| bytes == name);
            named(b"\ncontent-length:") || named(b"\ntransfer-encoding:")
        },
    },
    Row {
        id: "blanks behind a chunk's size",
        readers: &["h11", "llhttp"],
        why: "Some servers pad the sizes of their chunks; nobody reads that in another way, so it passes as it came.",
        applies: |it, _| {
            let blank = |at: usize| matches!(it.bytes[at], b' ' | b'\t');
            let text = it.bytes.windows(2).enumerate();
            it.reading.start.len() == 3
                && text.filter(|(at, _)| blank(*at)).any(|(_, bytes)| matches!(bytes[1], b'\r' | b';' | b' ' | b'\t'))
        },
    },
    Row {
        id: "blanks in a chunk's extension",
        readers: &["llhttp"],
        why: "RFC 9112, 7.1.1 has a recipient take blanks around its semicolons and equals signs; it takes none there.",
        applies: |it, _| {
            let head = it.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(it.bytes.len());
            let (blank, mark) = (|byte| matches!(byte, b' ' | b'\t'), |byte| matches!(byte, b';' | b'='));
            let beside = |bytes: &[u8]| (blank(bytes[0]) && mark(bytes[1])) || (mark(bytes[0]) && blank(bytes[1]));
            it.bytes[head..].windows(2).any(beside)
        },
    },
    Row {
        id: "a tab behind a length",
        readers: &["llhttp"],
        why: "It takes spaces there and no tab; both are white space around a value (RFC 9110, 5.5).",
        applies: |it, _| {
            let mut lines = it.bytes.split(|byte| *byte == b'\n').take_while(|line| *line != b"\r");
            let named = |line: &[u8]| line.to_ascii_lowercase().starts_with(b"content-length:");
            lines.any(|line| named(line) && line.ends_with(b"\t\r"))
        },
    },
];

/// Which direction bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A client's requests.
    Requests,
    /// A backend's response to a GET.
    Response,
}

/// What passes here of some bytes, and what is written for the other side.
#[must_use]
pub fn passes(side: Side, bytes: &[u8]) -> (Vec<Passed>, Vec<u8>) {
    let messages = match side {
        Side::Requests => reading::requests(bytes),
        Side::Response => reading::response(bytes).into_iter().collect(),
    };
    let written = messages.iter().flat_map(|message| message.written.clone()).collect();
    let mut rest = bytes;
    let passed = messages.into_iter().map(|Message { start, fields, body, length, .. }| {
        let (own, after) = rest.split_at(length);
        rest = after;
        Passed { reading: Reading { start, fields, body }.settled(), bytes: own.to_vec() }
    });
    (passed.collect(), written)
}

/// Holds what another reader makes of the same bytes against what passes here. Gives the row that explains where they part.
///
/// # Errors
/// What no row explains.
pub fn compare(reader: &str, ours: &[Passed], theirs: &[Reading]) -> Result<Option<&'static str>, String> {
    for (at, our) in ours.iter().enumerate() {
        match theirs.get(at) {
            Some(their) if *their == our.reading => {}
            None => {
                let before = at.checked_sub(1).map(|before| &ours[before]);
                let mut rows = DISAGREEMENTS.iter().filter(|row| row.readers.contains(&reader));
                let row = rows.find(|row| (row.applies)(our, before));
                let fault = || format!("{reader} does not read {}", show(&our.reading));
                return row.map(|row| Some(row.id)).ok_or_else(fault);
            }
            Some(their) => return Err(format!("{reader} reads {} as {}", show(&our.reading), show(their))),
        }
    }
    Ok(None)
}

fn show(reading: &Reading) -> String {
    let fields: String = reading
        .fields
        .iter()
        .map(|(name, value)| format!("{}: {}|", name.escape_ascii(), value.escape_ascii()))
        .collect();
    format!("{} [{fields}] {:?}", reading.start.escape_ascii(), reading.body.escape_ascii().to_string())
}

/// Runs the fuzz target: a byte that names the side, and bytes. What is written must be read as what was.
pub fn second_opinion(input: &[u8]) {
    let [side, bytes @ ..] = input else { return };
    let side = if side.is_multiple_of(2) { Side::Requests } else { Side::Response };
    let (ours, written) = passes(side, bytes);
    // A response is handed on in a form of its own, and that is what counts; a request may have been read before it came.
    if side == Side::Requests {
        compare("hyper", &ours, &hyper_reads(side, bytes)).unwrap_or_else(|fault| panic!("{fault}"));
    }
    let (again, _) = passes(side, &written);
    assert!(again.len() == ours.len(), "what is written is read again");
    for (one, other) in ours.iter().zip(&again) {
        let (one, other) = (&one.reading, &other.reading);
        assert!(one.start == other.start && one.body == other.body, "{} became {}", show(one), show(other));
    }
    compare("hyper", &again, &hyper_reads(side, &written)).unwrap_or_else(|fault| panic!("written: {fault}"));
}

/// What hyper, and httparse within it, makes of bytes.
#[must_use]
pub fn hyper_reads(side: Side, bytes: &[u8]) -> Vec<Reading> {
    match side {
        Side::Requests => served(bytes),
        Side::Response => fetched(bytes).into_iter().collect(),
    }
}

/// More fields than a head that passes may have.
const FIELDS: usize = 600;

fn served(bytes: &[u8]) -> Vec<Reading> {
    let read = Arc::new(Mutex::new(Vec::new()));
    let kept = read.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let kept = kept.clone();
        async move {
            let (head, body) = request.into_parts();
            let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
            let slash = if target.starts_with('/') || target == "*" { "" } else { "/" };
            if let Ok(body) = body.collect().await {
                let start = format!("{} {slash}{target}", head.method).into_bytes();
                let reading = Reading { start, fields: pairs(&head.headers), body: body.to_bytes().to_vec() };
                kept.lock().expect("no panic").push(reading.settled());
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_headers(FIELDS)
        .max_buf_size(1 << 20)
        .half_close(true)
        .serve_connection(Script { bytes: bytes.to_vec(), at: 0, waits: false }, service);
    finish(connection);
    std::mem::take(&mut *read.lock().expect("no panic"))
}

fn fetched(bytes: &[u8]) -> Option<Reading> {
    let io = Script { bytes: bytes.to_vec(), at: 0, waits: true };
    let mut builder = hyper::client::conn::http1::Builder::new();
    let handshake = builder.max_headers(FIELDS).max_buf_size(1 << 20).handshake::<_, Empty<Bytes>>(io);
    let (mut sender, connection) = finish(handshake)?.ok()?;
    let asked = async move {
        let request = Request::get("/").header("host", "a").body(Empty::new()).expect("a request");
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes().to_vec();
        let start = head.status.as_str().as_bytes().to_vec();
        Some(Reading { start, fields: pairs(&head.headers), body }.settled())
    };
    let (mut asked, mut connection) = (pin!(asked), pin!(connection));
    finish(std::future::poll_fn(|cx| {
        let _over = connection.as_mut().poll(cx);
        asked.as_mut().poll(cx)
    }))?
}

fn pairs(headers: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Polls until it is done. There is nothing to wait for; what still waits after so many turns waits for ever.
fn finish<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..100_000).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    })
}

/// A peer that has sent all its bytes and takes whatever comes back.
struct Script {
    bytes: Vec<u8>,
    at: usize,
    /// It sends nothing before it has been sent something.
    waits: bool,
}

impl Read for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if this.waits {
            return Poll::Pending;
        }
        let take = into.remaining().min(this.bytes.len() - this.at);
        into.put_slice(&this.bytes[this.at..this.at + take]);
        this.at += take;
        Poll::Ready(Ok(()))
    }
}

impl Write for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.get_mut().waits = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
