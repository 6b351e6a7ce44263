//! What a client of HTTP/2 sees of a backend that speaks HTTP/1.1, and what that backend sees of it: nothing but what
//! `docs/differences.md` says.
//!
//! Each case is played over HTTP/2 against a scripted backend that keeps the raw bytes it was sent. What it must have
//! received, and what the client must have, are made from the case itself, by the few sentences of that page.

use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use super::catalogue::{self, Case, Seen};
use crate::differential::message::{Body, Direction, Message, parse};
use crate::support::PATIENCE;
use crate::support::backend::{Backend, Connection};
use crate::support::http2::{Client, piece, wait};
use crate::support::rig::Rig;

/// Fields that belong to a connection, and HTTP/2 has none of (RFC 9113, 8.2.2).
const OF_A_CONNECTION: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings"];

/// Reads until the request is whole, or its head where the backend answers early; then answers, and reads on to the end.
fn script(case: &Case, connection: &mut Connection, received: &mpsc::Sender<Vec<u8>>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let mut answered = false;
    loop {
        let (messages, _) = parse(&bytes, Direction::Requests, false);
        let enough = messages.first().is_some_and(|message| message.complete || case.early);
        if enough && !std::mem::replace(&mut answered, true) {
            let _ = connection.stream.write_all(case.reply.as_bytes());
            if case.closes {
                let _ = connection.stream.shutdown(std::net::Shutdown::Write);
            }
        }
        if messages.first().is_some_and(|message| message.complete) {
            break;
        }
        match connection.stream.read(&mut buffer) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => break,
        }
    }
    let _ = received.send(bytes);
    // Else what the client has not read yet would be lost.
    connection.closed();
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    fields.iter().map(pair).collect()
}

/// Sends the request and gives what came back.
fn ask(client: &Client, case: &Case) -> Seen {
    let method = Method::from_bytes(case.method.as_bytes()).expect("a method");
    let mut request =
        Request::builder().method(method).uri(format!("http://localhost{}", case.path)).body(()).expect("a target");
    *request.headers_mut() = headers(&case.fields);
    let ends = case.body.is_empty() && case.trailers.is_empty();
    let (response, mut stream) = client.send(request, ends);
    for (at, part) in case.body.iter().enumerate() {
        let last = at + 1 == case.body.len() && case.trailers.is_empty() && !case.early;
        // An early answer may have ended the stream.
        let _ = stream.send_data(Bytes::copy_from_slice(part.as_bytes()), last);
    }
    if !case.trailers.is_empty() {
        stream.send_trailers(headers(&case.trailers)).expect("a stream");
    }
    let (head, mut body) = match wait(response) {
        Ok(response) => response.into_parts(),
        Err(_) => return Seen::default(),
    };
    let mut seen = Seen { status: head.status.as_u16(), fields: lines(&head.headers), ..Seen::default() };
    loop {
        match piece(&mut body) {
            Some(Ok(data)) => seen.body.extend_from_slice(&data),
            Some(Err(_)) => return seen,
            None => break,
        }
    }
    match wait(body.trailers()) {
        Ok(trailers) => (seen.trailers, seen.whole) = (trailers.map(|fields| lines(&fields)).unwrap_or_default(), true),
        Err(_) => seen.whole = false,
    }
    seen
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect()
}

/// Fields of one name stand together, names in lower case.
fn grouped(lines: Vec<String>) -> Vec<String> {
    let mut grouped: Vec<String> = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a field");
        let line = format!("{}: {}", name.to_ascii_lowercase(), value.trim());
        let same = |other: &String| Message::name(other) == Message::name(&line);
        let at = grouped.iter().rposition(same).map_or(grouped.len(), |last| last + 1);
        grouped.insert(at, line);
    }
    grouped
}

/// What the backend must receive.
fn request_of(case: &Case) -> Message {
    let mut fields = vec!["host: localhost".to_owned()];
    let cookies: Vec<&str> =
        case.fields.iter().filter(|(name, _)| *name == "cookie").map(|(_, value)| *value).collect();
    let mut cookie_told = false;
    for (name, value) in &case.fields {
        match *name {
            "cookie" if std::mem::replace(&mut cookie_told, true) => {}
            "cookie" => fields.push(format!("cookie: {}", cookies.join("; "))),
            _ => fields.push(format!("{name}: {value}")),
        }
    }
    let sized = case.fields.iter().any(|(name, _)| *name == "content-length");
    let has_body = !(case.body.is_empty() && case.trailers.is_empty());
    let chunked = has_body && !sized;
    fields.extend(chunked.then(|| "transfer-encoding: chunked".to_owned()));
    let trailers = case.trailers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let body = case.body.concat().into_bytes();
    let body = match (sized, chunked) {
        (true, _) => Body::Sized(body),
        (_, true) => joined(body, trailers),
        _ => Body::None,
    };
    let start = format!("{} {} HTTP/1.1", case.method, case.path);
    Message { blank: 0, bare: false, start, fields: grouped(fields), body, complete: true }
}

fn joined(data: Vec<u8>, trailers: Vec<String>) -> Body {
    let chunk = crate::differential::message::Chunk { extension: String::new(), data };
    Body::Chunked { chunks: if chunk.data.is_empty() { Vec::new() } else { vec![chunk] }, trailers }
}

/// How a body is cut into chunks is not kept.
fn whole_chunk(mut message: Message) -> Message {
    if let Body::Chunked { chunks, trailers } = message.body {
        message.body = joined(chunks.into_iter().flat_map(|chunk| chunk.data).collect(), trailers);
    }
    message
}

/// What the client must have.
fn response_of(case: &Case) -> Seen {
    let methods = [case.method.to_owned()];
    let (messages, _) = parse(case.reply.as_bytes(), Direction::Responses(&methods), case.closes);
    let Some(message) = messages.into_iter().find(|message| message.status() >= 200) else { return Seen::default() };
    let named = message.values("connection").join(",").to_ascii_lowercase();
    let named: Vec<&str> = named.split(',').map(str::trim).collect();
    let stays = |line: &String| {
        let name = Message::name(line);
        !OF_A_CONNECTION.contains(&name.as_str()) && !named.contains(&name.as_str())
    };
    let status = message.status();
    let fields = grouped(message.fields.iter().filter(|line| stays(line)).cloned().collect());
    let (body, trailers) = match message.body {
        Body::None => (Vec::new(), Vec::new()),
        Body::Sized(body) | Body::Rest(body) => (body, Vec::new()),
        Body::Chunked { chunks, trailers } => (chunks.into_iter().flat_map(|chunk| chunk.data).collect(), trailers),
    };
    Seen { status, fields, body, trailers: grouped(trailers), whole: message.complete }
}

/// Plays a case; what is wrong, in words.
fn judge(case: Case) -> Result<(), String> {
    let (sender, received) = mpsc::channel();
    let sender = Mutex::new(sender);
    let played = case.clone();
    let backend = Backend::start(move |connection| {
        let sender = sender.lock().expect("no panic").clone();
        script(&played, connection, &sender);
    });
    let rig = Rig::before(backend.address);
    let client = Client::connect(rig.address);
    let seen = ask(&client, &case);
    client.leave();
    let wrong = |what: &str, expected: &dyn std::fmt::Debug, seen: &dyn std::fmt::Debug| {
        Err(format!("{}: {what}\n  expected {expected:?}\n  received {seen:?}", case.name))
    };
    let expected = response_of(&case);
    if let Some(status) = case.own {
        if seen.status != status || !seen.fields.iter().any(|line| line.starts_with("x-inferometer-error: ")) {
            return wrong("no own answer", &status, &seen);
        }
    } else if seen != expected {
        return wrong("the client", &expected, &seen);
    }
    if case.unasked {
        return if backend.accepted() == 0 { Ok(()) } else { wrong("the backend was asked", &(), &()) };
    }
    let bytes = received.recv_timeout(PATIENCE).map_err(|_| format!("{}: the backend is not asked", case.name))?;
    let (mut messages, behind) = parse(&bytes, Direction::Requests, false);
    let Some(received) = messages.pop().filter(|_| messages.is_empty() && behind.is_empty()) else {
        return wrong("not one request", &request_of(&case), &String::from_utf8_lossy(&bytes));
    };
    let (expected, received) = (request_of(&case), whole_chunk(received));
    if case.early {
        let head = (&received.start, &received.fields) == (&expected.start, &expected.fields);
        return if head && !received.complete { Ok(()) } else { wrong("an early answer", &expected, &received) };
    }
    if received == expected { Ok(()) } else { wrong("the backend", &expected, &received) }
}

#[test]
fn over_http2_nothing_differs_but_what_the_readme_says() {
    let cases = catalogue::all();
    let count = cases.len();
    let share = count.div_ceil(8);
    let mut rest = cases.into_iter();
    let shares: Vec<Vec<Case>> = std::iter::from_fn(|| {
        let share: Vec<Case> = rest.by_ref().take(share).collect();
        (!share.is_empty()).then_some(share)
    })
    .collect();
    let threads: Vec<_> = shares
        .into_iter()
        .map(|share| {
            std::thread::spawn(move || share.into_iter().filter_map(|case| judge(case).err()).collect::<Vec<_>>())
        })
        .collect();
    let wrong: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    println!("{count} cases");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
