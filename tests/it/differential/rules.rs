//! What differs through the proxy, one rule for each row of the table.

use super::message::{Body, Message};
use super::run::{Case, End, Seen, Step};

/// One row of the table.
pub(crate) struct Rule {
    pub(crate) id: &'static str,
    /// Changes what was seen directly as the row says. Where the row leaves a choice, both are brought into one form.
    pub(crate) apply: fn(&Case, &mut Seen, &mut Seen),
}

/// All rows, in the order in which they take effect.
pub(crate) const RULES: &[Rule] = &[
    Rule { id: "own-answers", apply: own_answers },
    Rule { id: "half-close", apply: half_close },
    Rule { id: "reset", apply: reset },
    Rule { id: "bytes-behind", apply: bytes_behind },
    Rule { id: "empty-lines", apply: empty_lines },
    Rule { id: "line-ends", apply: line_ends },
    Rule { id: "h2c", apply: h2c },
    Rule { id: "te", apply: te },
    Rule { id: "later-minor", apply: later_minor },
    Rule { id: "http-1.0-client", apply: old_client },
    Rule { id: "http-1.0-backend", apply: old_backend },
    Rule { id: "hop-by-hop", apply: hop_by_hop },
    Rule { id: "connection-close", apply: connection_close },
    Rule { id: "absolute-form", apply: absolute_form },
    Rule { id: "repeated-length", apply: repeated_length },
    Rule { id: "trailers", apply: trailers },
];

fn is_old(request: &Message) -> bool {
    request.start.ends_with(" HTTP/1.0")
}

/// Whether the client's first request was HTTP/1.0.
fn old_case(case: &Case) -> bool {
    case.steps
        .iter()
        .any(|step| matches!(step, Step::Client(sent) if sent.windows(11).any(|part| part == b" HTTP/1.0\r\n")))
}

fn has_token(message: &Message, name: &str, token: &str) -> bool {
    message.values(name).iter().any(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

/// Where the backend gave no answer, or was not asked, the proxy gives a marked one.
fn own_answers(case: &Case, direct: &mut Seen, proxied: &mut Seen) {
    let own = proxied.responses.last().filter(|response| response.has("x-inferometer-error"));
    if let Some(own) = own
        && direct.responses.iter().all(|response| response.status() == 100 || case.bad_reply)
    {
        if case.bad_reply {
            direct.responses.clear();
            direct.behind_responses.clear();
        }
        direct.responses.push(own.clone());
        direct.end = proxied.end;
        direct.stuck.clear();
    }
}

/// A client that closes its sending side before it has its answer gets none.
fn half_close(case: &Case, direct: &mut Seen, proxied: &mut Seen) {
    let ends = case.steps.iter().any(|step| matches!(step, Step::ClientEnds));
    let tunnel = direct.responses.iter().any(|response| response.status() == 101);
    if ends && !tunnel && proxied.responses.is_empty() {
        direct.responses.clear();
    }
}

/// A cut answer ends in a reset where its end could be taken for a whole one's, and elsewhere may.
fn reset(_: &Case, direct: &mut Seen, proxied: &mut Seen) {
    let cut = direct.responses.last().is_some_and(|last| !last.complete);
    if cut && direct.end == End::Closed {
        let old = direct.requests.iter().any(is_old);
        direct.end = if old { End::Reset } else { proxied.end };
    }
}

/// What a backend sends behind its answer goes nowhere.
fn bytes_behind(_: &Case, direct: &mut Seen, _: &mut Seen) {
    if direct.responses.iter().all(|response| response.status() != 101) {
        direct.behind_responses.clear();
    }
}

fn empty_lines(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for message in direct.requests.iter_mut().chain(&mut direct.responses) {
        message.blank = 0;
    }
}

fn line_ends(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for response in &mut direct.responses {
        response.bare = false;
    }
}

fn h2c(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for request in direct.requests.iter_mut().filter(|request| has_token(request, "upgrade", "h2c")) {
        request.drop_fields(|name| matches!(name, "connection" | "upgrade" | "http2-settings"));
    }
}

/// `TE` passes only where it asks for trailers.
fn te(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for request in direct.requests.iter_mut().filter(|request| !has_token(request, "te", "trailers")) {
        request.drop_fields(|name| name == "te");
    }
}

/// A later minor version goes on as HTTP/1.1.
fn later_minor(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for message in direct.requests.iter_mut().chain(&mut direct.responses) {
        for minor in '2'..='9' {
            message.start = message.start.replace(&format!("HTTP/1.{minor}"), "HTTP/1.1");
        }
    }
}

/// The backend is asked in HTTP/1.1, and the answer is made fit for HTTP/1.0.
fn old_client(case: &Case, direct: &mut Seen, proxied: &mut Seen) {
    if !old_case(case) {
        return;
    }
    let kept: Vec<bool> =
        direct.requests.iter().map(|request| has_token(request, "connection", "keep-alive")).collect();
    for (request, forwarded) in direct.requests.iter_mut().zip(&proxied.requests) {
        request.start = request.start.replace(" HTTP/1.0", " HTTP/1.1");
        let host = forwarded.fields.iter().find(|line| line.starts_with("host: 127.0.0.1:"));
        if let Some(host) = host.filter(|_| !request.has("host")) {
            request.fields.push(host.clone());
        }
    }
    for (response, kept) in direct.responses.iter_mut().zip(kept) {
        response.start = response.start.replace("HTTP/1.1 ", "HTTP/1.0 ");
        response.drop_fields(|name| matches!(name, "transfer-encoding" | "connection"));
        if let Body::Chunked { chunks, .. } = &response.body {
            response.body = Body::Rest(chunks.iter().flat_map(|chunk| chunk.data.clone()).collect());
        }
        if kept {
            response.fields.push("connection: keep-alive".to_owned());
        }
    }
}

fn old_backend(case: &Case, direct: &mut Seen, _: &mut Seen) {
    if !old_case(case) {
        for response in &mut direct.responses {
            response.start = response.start.replace("HTTP/1.0 ", "HTTP/1.1 ");
        }
    }
}

/// Fields that belong to one connection stay on it.
fn hop_by_hop(case: &Case, direct: &mut Seen, _: &mut Seen) {
    let kept = |name: &str| matches!(name, "host" | "content-length" | "transfer-encoding" | "trailer" | "te");
    let old = old_case(case);
    let messages = direct.requests.iter_mut().chain(direct.responses.iter_mut().filter(|_| !old));
    for message in messages.filter(|message| !message.has("x-inferometer-error")) {
        let request = message.status() == 0;
        let switches = has_token(message, "connection", "upgrade") && message.has("upgrade");
        let tunnel = switches && (request || message.status() == 101);
        let named = message.values("connection").join(",").to_ascii_lowercase();
        let named: Vec<&str> = named.split(',').map(str::trim).collect();
        message.drop_fields(|name| match name {
            "connection" | "upgrade" => !tunnel,
            "keep-alive" | "proxy-connection" | "http2-settings" => true,
            _ => named.contains(&name) && !kept(name),
        });
    }
}

/// The proxy says itself whether it closes the client's connection.
fn connection_close(case: &Case, direct: &mut Seen, proxied: &mut Seen) {
    let closes = |sent: &[u8]| String::from_utf8_lossy(sent).contains("\r\nConnection: close\r\n");
    let asked = case.steps.iter().any(|step| matches!(step, Step::Client(sent) if closes(sent)));
    let unread = direct.requests.iter().any(|request| !request.complete);
    for (response, received) in direct.responses.iter_mut().zip(&proxied.responses) {
        let ends_with_connection = matches!(response.body, Body::Rest(_));
        if (asked || unread || ends_with_connection)
            && received.fields.last().is_some_and(|last| last == "connection: close")
        {
            response.fields.push("connection: close".to_owned());
        }
    }
}

fn absolute_form(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for request in &mut direct.requests {
        let words: Vec<&str> = request.start.split(' ').collect();
        let [method, target, version] = words[..] else { continue };
        if let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with('/')) {
            let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
            let slash = if path.starts_with('/') { "" } else { "/" };
            request.start = format!("{method} {slash}{path} {version}");
        }
    }
}

fn repeated_length(_: &Case, direct: &mut Seen, _: &mut Seen) {
    for response in &mut direct.responses {
        let mut seen = 0;
        response.fields.retain(|line| {
            seen += usize::from(Message::name(line) == "content-length");
            Message::name(line) != "content-length" || seen == 1
        });
    }
}

/// What stands behind a body says nothing of the message, its sender or its way.
fn trailers(_: &Case, direct: &mut Seen, _: &mut Seen) {
    let goes = |name: &str| {
        matches!(name, "host" | "transfer-encoding" | "authorization" | "connection" | "keep-alive" | "trailer")
            || name.starts_with("content-")
    };
    for message in direct.requests.iter_mut().chain(&mut direct.responses) {
        if let Body::Chunked { trailers, .. } = &mut message.body {
            trailers.retain(|line| !goes(&Message::name(line)));
        }
    }
}
