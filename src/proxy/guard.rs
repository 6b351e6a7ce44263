//! Parses clients' heads and refuses ambiguous ones.
//!
//! Pure: bytes in, verdicts out. A head is forwarded only when it is complete and unambiguous. The guard is stricter
//! than RFC 9112 requires of recipients where servers differ in leniency: bare line feeds, repeated `Content-Length`,
//! several transfer codings, folded lines. Bodies are followed by `proxy::framing`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::authority::is_authority;
use super::chunks::{BodyProgress, Chunks};
use super::fields::{ConnectionFields, Field, LineEnd, split_line};
use super::framing::Framing;
use super::grammar::{HeadScan, MAX_FIELDS, MAX_HEAD, is_http11, is_target, is_token, parse_length};
use super::steps::step;
use crate::exchange::outcome::Malformed;
use crate::wire::route::ErrorShape;

/// The start of an HTTP/2 connection preface (RFC 9113, 3.4), up to its empty line.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Why a request was refused, and what its sender can read as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Malformed,
    pub(super) shape: ErrorShape,
    /// The method was HEAD: a body would be read as the next answer.
    pub(super) head_only: bool,
}

impl Refusal {
    /// For bytes that show neither a dialect nor a method.
    pub(super) const fn plain(why: Malformed) -> Self {
        Self { why, shape: ErrorShape::Native, head_only: false }
    }
}

/// What the client's bytes begin with.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a head is what it nearly always is, and it is taken apart at once")]
pub(super) enum Verdict<'a> {
    /// A head with its length in bytes, empty lines before it included.
    Head(Request<'a>, usize),
    /// An incomplete head: keep the bytes and parse them again with more.
    More,
    /// A head that must not be forwarded.
    Refuse(Refusal),
    /// An HTTP/2 connection preface.
    Http2,
}

/// A request head that is unambiguous.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    /// As sent: origin-form, absolute-form or `*`.
    pub(super) target: &'a [u8],
    /// HTTP/1.1, else HTTP/1.0.
    pub(super) http11: bool,
    /// All field lines, the empty line included.
    pub(super) fields: &'a [u8],
    /// All of it, where nothing but its `Host` may have to be changed for a backend.
    pub(super) verbatim: Option<&'a [u8]>,
    pub(super) framing: Framing,
    pub(super) has_host: bool,
    pub(super) connection: ConnectionFields,
    pub(super) facts: NotedFields<'a>,
}

/// The field by which a client chooses one of several backends.
pub(super) const BACKEND_FIELD: &str = "x-inferometer-backend";

/// Fields that say how to read the body, and which trace, client and conversation the request belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NotedFields<'a> {
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) content_encoding: Option<&'a [u8]>,
    /// SGLang's own field.
    pub(super) x_body_compressed: Option<&'a [u8]>,
    pub(super) traceparent: Option<&'a [u8]>,
    /// A second one was sent, which makes the trace unknown (W3C Trace Context, 3.2).
    pub(super) several_traceparents: bool,
    pub(super) user_agent: Option<&'a [u8]>,
    pub(super) x_session_id: Option<&'a [u8]>,
    /// llama.cpp's own field: under this name an answer can be resumed.
    pub(super) x_conversation_id: Option<&'a [u8]>,
    /// The name of the backend that the client wants. For us alone.
    pub(super) x_inferometer_backend: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// The target without scheme and authority; empty where the target has nothing else.
    pub(super) fn path_and_query(&self) -> &'a [u8] {
        match strip_scheme(self.target) {
            None => self.target,
            Some(rest) => &rest[authority_end(rest)..],
        }
    }

    /// The path alone, as text.
    pub(super) fn path(&self) -> &'a str {
        match path_of(self.path_and_query()) {
            b"" => "/",
            path => as_text(path),
        }
    }

    /// Whether the client wants to keep its connection.
    pub(super) fn keeps(&self) -> bool {
        !self.connection.close && (self.http11 || self.connection.keep_alive)
    }

    /// The method, as text: its bytes are ASCII.
    pub(super) fn method(&self) -> &'a str {
        std::str::from_utf8(self.method).unwrap_or_default()
    }
}

/// The end of a head.
static EMPTY_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// Parses the head that `bytes` begin with. `seen` keeps the progress on an incomplete head between calls.
pub(super) fn parse_head<'a>(bytes: &'a [u8], seen: &mut HeadScan) -> Verdict<'a> {
    // Empty lines before a request line are allowed (RFC 9112, 2.2).
    while bytes[seen.blank..].starts_with(b"\r\n") {
        step(2);
        seen.blank += 2;
    }
    let blank = seen.blank;
    let head = &bytes[blank..];
    let from = seen.bytes.saturating_sub(blank + 3);
    step(head.len() - from);
    let Some(end) = EMPTY_LINE.find(&head[from..]).map(|at| from + at + 4) else {
        let verdict = if bytes.len() > MAX_HEAD { refuse(Malformed::TooLarge, head) } else { judge_early(head, seen) };
        seen.bytes = bytes.len();
        return verdict;
    };
    *seen = HeadScan::default();
    if blank + end > MAX_HEAD {
        return refuse(Malformed::TooLarge, head);
    }
    match judge(&head[..end]) {
        Ok(request) => Verdict::Head(request, blank + end),
        Err(_) if bytes.starts_with(HTTP2_PREFACE) => Verdict::Http2,
        Err(why) => refuse(why, head),
    }
}

/// Feeds a stream to the guard in pieces of `piece` bytes, as a connection does. Returns how many bytes were passed on,
/// and whether the guard stopped the stream. For tests and fuzzing.
#[must_use]
pub fn follow(stream: &[u8], piece: usize) -> (usize, bool) {
    let (mut body, mut passed, mut seen) = (Framing::OVER, 0, HeadScan::default());
    let ends = (piece.max(1)..stream.len()).step_by(piece.max(1)).chain([stream.len()]);
    for end in ends {
        while passed < end {
            if !body.is_over() {
                let followed = body.follow(&stream[passed..end], &mut |_| {});
                passed += followed.bytes;
                if followed.state == BodyProgress::Broken {
                    return (passed, true);
                }
                continue;
            }
            match parse_head(&stream[passed..end], &mut seen) {
                Verdict::Head(request, bytes) => {
                    body = request.framing;
                    passed += bytes;
                }
                Verdict::More => break,
                Verdict::Refuse(_) | Verdict::Http2 => return (passed, true),
            }
        }
    }
    (passed, false)
}

/// Judges an incomplete head, so that an invalid one is refused without waiting for its end.
fn judge_early(head: &[u8], seen: &mut HeadScan) -> Verdict<'static> {
    // A head with a bare line feed is invalid, and where its sender takes it for a line's end, its end never comes.
    let from = seen.bytes.saturating_sub(seen.blank);
    step(head.len() - from);
    for at in memchr::memchr_iter(b'\n', &head[from..]).map(|at| from + at) {
        if at == 0 || head[at - 1] != b'\r' {
            return refuse(if seen.first_line { Malformed::Header } else { Malformed::RequestLine }, head);
        }
        seen.first_line = true;
    }
    // Another protocol, such as TLS, shows in the first byte.
    match head.first() {
        Some(first) if !is_token(*first) && *first != b'\r' => refuse(Malformed::RequestLine, head),
        _ => Verdict::More,
    }
}

/// A target without its query.
fn path_of(target: &[u8]) -> &[u8] {
    // As for `split_at_space`.
    &target[..target.iter().position(|byte| *byte == b'?').unwrap_or(target.len())]
}

/// A path as text. Where it is not UTF-8, only the folders before the first invalid byte: enough to determine the
/// caller's dialect, and no endpoint has such a name.
fn as_text(path: &[u8]) -> &str {
    std::str::from_utf8(path).unwrap_or_else(|error| {
        let text = std::str::from_utf8(&path[..error.valid_up_to()]).unwrap_or_default();
        // `/` alone is an endpoint, so it is not returned for a path that merely begins with it.
        text.rfind('/').filter(|at| *at > 0).map_or("", |at| &text[..=at])
    })
}

fn refuse(why: Malformed, head: &[u8]) -> Verdict<'static> {
    let path = head.split(|byte| *byte == b' ').nth(1).map_or("", |target| as_text(path_of(target)));
    Verdict::Refuse(Refusal { why, shape: ErrorShape::of(path), head_only: head.starts_with(b"HEAD ") })
}

/// Parses a complete head, its empty line included.
pub(super) fn judge(head: &[u8]) -> Result<Request<'_>, Malformed> {
    let (line, rest) = split_line(head).ok_or(Malformed::RequestLine)?;
    let RequestLine { method, target, version, http11, authority } = judge_request_line(line)?;
    // Filled in place, as it is large.
    let mut request = Request {
        method,
        target,
        http11,
        fields: rest,
        verbatim: None,
        framing: Framing::OVER,
        has_host: false,
        connection: ConnectionFields::default(),
        facts: NotedFields::default(),
    };
    let JudgedFields { host, content_length, chunked } = judge_fields(rest, &mut request)?;
    match (http11, host) {
        (true, None) => return Err(Malformed::Host),
        (_, Some(host)) if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) => {
            return Err(Malformed::Host);
        }
        _ => {}
    }
    request.framing = match (chunked, content_length) {
        (true, _) if !http11 => return Err(Malformed::TransferEncoding),
        (true, Some(_)) => return Err(Malformed::ContentLength),
        (true, None) => Framing::Chunked(Chunks::default().without(request.connection.named(rest))),
        (false, length) => length.map_or(Framing::OVER, Framing::Length),
    };
    request.has_host = host.is_some();
    let is_verbatim = version == b"HTTP/1.1" && authority.is_none() && request.connection.removes_none();
    request.verbatim = is_verbatim.then_some(head);
    Ok(request)
}

struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: &'a [u8],
    http11: bool,
    /// The authority of an absolute-form target.
    authority: Option<&'a [u8]>,
}

fn judge_request_line(line: &[u8]) -> Result<RequestLine<'_>, Malformed> {
    let parts = split_at_space(line).and_then(|(method, rest)| Some((method, split_at_space(rest)?)));
    let Some((method, (target, version))) = parts else { return Err(Malformed::RequestLine) };
    let has_more = split_at_space(version).is_some();
    if has_more || method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Malformed::RequestLine);
    }
    if method == b"CONNECT" {
        return Err(Malformed::Connect);
    }
    let http11 = is_http11(version).ok_or(Malformed::Version)?;
    Ok(RequestLine { method, target, version, http11, authority: judge_target(method, target)? })
}

/// Splits at the first space.
fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // The parts of most request lines are short, so this is faster than a search by words.
    let at = line.iter().position(|byte| *byte == b' ')?;
    Some((&line[..at], &line[at + 1..]))
}

/// Accepts origin-form, `*` for OPTIONS, and absolute-form (RFC 9112, 3.2); returns the authority of the last.
pub(super) fn judge_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    if target == b"*" {
        return if method == b"OPTIONS" { Ok(None) } else { Err(Malformed::Target) };
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, target),
        _ => {
            let rest = strip_scheme(target).ok_or(Malformed::Target)?;
            let end = authority_end(rest);
            if !is_authority(&rest[..end]) {
                return Err(Malformed::Target);
            }
            (Some(&rest[..end]), &rest[end..])
        }
    };
    if rest.iter().fold(true, |fine, byte| fine & is_target(*byte)) { Ok(authority) } else { Err(Malformed::Target) }
}

/// Where the authority of an absolute-form target without scheme ends.
fn authority_end(rest: &[u8]) -> usize {
    rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len())
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// What the fields of one head say of its framing and its host.
#[derive(Default)]
struct JudgedFields<'a> {
    content_length: Option<u64>,
    chunked: bool,
    host: Option<&'a [u8]>,
}

/// Judges the fields, and notes in the request what they say of the connection and what is to be known of them.
fn judge_fields<'a>(all: &'a [u8], request: &mut Request<'a>) -> Result<JudgedFields<'a>, Malformed> {
    let mut judged = JudgedFields::default();
    let (mut rest, mut count) = (all, 0);
    while !rest.starts_with(b"\r\n") {
        count += 1;
        if count > MAX_FIELDS {
            return Err(Malformed::TooLarge);
        }
        let (field, after) = Field::take(rest, LineEnd::Crlf).ok_or(Malformed::Header)?;
        judge_field(&mut judged, &mut request.facts, &field)?;
        request.connection.note(&field, all.len() - rest.len()..all.len() - after.len());
        rest = after;
    }
    Ok(judged)
}

#[inline]
fn judge_field<'a>(
    judged: &mut JudgedFields<'a>,
    facts: &mut NotedFields<'a>,
    field: &Field<'a>,
) -> Result<(), Malformed> {
    let value = field.value;
    match field.name.len() {
        4 if field.is("host") => {
            if judged.host.is_some() || !is_authority(value) {
                return Err(Malformed::Host);
            }
            judged.host = Some(value);
        }
        10 if field.is("user-agent") => facts.user_agent = facts.user_agent.or(Some(value)),
        11 if field.is("traceparent") => {
            facts.several_traceparents = facts.traceparent.replace(value).is_some();
        }
        12 if field.is("content-type") => facts.content_type = facts.content_type.or(Some(value)),
        12 if field.is("x-session-id") => facts.x_session_id = facts.x_session_id.or(Some(value)),
        14 if field.is("content-length") => {
            let length = parse_length(value).ok_or(Malformed::ContentLength)?;
            if judged.content_length.replace(length).is_some() {
                return Err(Malformed::ContentLength);
            }
        }
        21 if field.is(BACKEND_FIELD) => facts.x_inferometer_backend = Some(value),
        16 if field.is("content-encoding") => {
            facts.content_encoding = facts.content_encoding.or(Some(value));
        }
        17 if field.is("transfer-encoding") => {
            if judged.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::TransferEncoding);
            }
            judged.chunked = true;
        }
        17 if field.is("x-conversation-id") => {
            facts.x_conversation_id = facts.x_conversation_id.or(Some(value));
        }
        17 if field.is("x-body-compressed") => facts.x_body_compressed = Some(value),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
