//! Reads every byte that a client sends before the HTTP library does, and stops what could be read in two ways.
//!
//! Pure: bytes in, verdicts out. The guard follows the message framing (RFC 9112), so it knows where each head begins;
//! a head is handed on only once it is whole and unambiguous. Bodies pass at once, chunk framing is checked on the way.
//! It is stricter than RFC 9112 allows recipients to be where leniency differs between servers: bare line feeds,
//! repeated `Content-Length`, several transfer codings, folded lines.

use crate::exchange::outcome::Malformed;
use crate::wire::route::ErrorShape;

/// Largest head that is accepted, in bytes: request line and all fields.
pub const MAX_HEAD: usize = 256 * 1024;
/// Most header fields that are accepted, trailers counted apart.
pub const MAX_FIELDS: usize = 500;
/// Longest extension of one chunk, in bytes.
const MAX_CHUNK_EXTENSION: usize = 4 * 1024;
/// A chunk size of more hexadecimal digits than this is refused; 2^60 bytes are enough.
const MAX_CHUNK_DIGITS: u8 = 15;
/// What begins a connection that speaks HTTP/2 (RFC 9113, 3.4), up to its empty line.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Why a request was refused, and how its sender expects to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Malformed,
    pub(super) shape: ErrorShape,
}

/// What to do with the bytes just shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// That many bytes from the front may be handed on; a head ended in them if `head`.
    Pass { bytes: usize, head: bool },
    /// A head is incomplete: keep the bytes, show them again with more.
    More,
    /// The head must not be handed on.
    Refuse(Refusal),
    /// What is shown begins a connection that speaks HTTP/2.
    Http2,
    /// The body's chunk framing is broken.
    BadBody,
}

#[derive(Debug)]
enum State {
    /// Between or within heads; that many bytes of the shown ones have been searched for the end.
    Head {
        searched: usize,
    },
    /// Bytes of the body still to come.
    Length(u64),
    Chunked(Chunks),
    /// The body's framing was broken; it stays so.
    Broken,
    /// After a protocol switch: nothing is looked at.
    Raw,
}

/// Follows one client connection.
#[derive(Debug)]
pub(super) struct Guard {
    state: State,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { state: State::Head { searched: 0 } }
    }

    /// From here on bytes are not HTTP.
    pub(super) fn switch_protocol(&mut self) {
        self.state = State::Raw;
    }

    /// Whether bytes are no longer looked at.
    pub(super) fn has_switched(&self) -> bool {
        matches!(self.state, State::Raw)
    }

    /// Whether a body is being read.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_) | State::Broken)
    }

    /// How many bytes may be read past the guard without being shown to it afterwards: the rest of a sized body.
    /// None where the bytes must be shown.
    pub(super) fn free_passage(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Raw => Some(u64::MAX),
            State::Head { .. } | State::Chunked(_) | State::Broken => None,
        }
    }

    /// Bytes of a sized body went past.
    pub(super) fn passed(&mut self, bytes: u64) {
        if let State::Length(left) = self.state {
            self.state = match left.saturating_sub(bytes) {
                0 => State::Head { searched: 0 },
                left => State::Length(left),
            };
        }
    }

    /// Shows bytes that have not been handed on yet, from the first one on.
    pub(super) fn show(&mut self, bytes: &[u8]) -> Verdict {
        match &mut self.state {
            State::Raw => Verdict::Pass { bytes: bytes.len(), head: false },
            State::Length(left) => {
                let pass = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.passed(pass as u64);
                Verdict::Pass { bytes: pass, head: false }
            }
            State::Chunked(chunks) => match chunks.read(bytes) {
                Ok(Progress::Goes) => Verdict::Pass { bytes: bytes.len(), head: false },
                Ok(Progress::Ended(at)) => {
                    self.state = State::Head { searched: 0 };
                    Verdict::Pass { bytes: at, head: false }
                }
                Err(Bad) => {
                    self.state = State::Broken;
                    Verdict::BadBody
                }
            },
            State::Broken => Verdict::BadBody,
            State::Head { searched } => {
                let (verdict, next) = show_head(bytes, searched);
                if let Some(next) = next {
                    self.state = next;
                }
                verdict
            }
        }
    }
}

/// Shows a whole stream in pieces of that many bytes, and keeps what may not be handed on yet, as the client's socket does.
/// Gives how many bytes are handed on, and whether the guard stopped the stream. For those who hold the guard to account.
#[must_use]
pub fn follow(stream: &[u8], piece: usize) -> (usize, bool) {
    let (mut guard, mut passed) = (Guard::new(), 0);
    let ends = (piece.max(1)..stream.len()).step_by(piece.max(1)).chain([stream.len()]);
    for end in ends {
        while passed < end {
            match guard.show(&stream[passed..end]) {
                Verdict::Pass { bytes, .. } => passed += bytes,
                Verdict::More => break,
                Verdict::Refuse(_) | Verdict::BadBody | Verdict::Http2 => return (passed, true),
            }
        }
    }
    (passed, false)
}

/// Looks for a whole head and judges it.
fn show_head(bytes: &[u8], searched: &mut usize) -> (Verdict, Option<State>) {
    // Empty lines before a request line are allowed (RFC 9112, 2.2); they travel with the head.
    let blank = bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2;
    let head = &bytes[blank..];
    let from = searched.saturating_sub(blank + 3);
    let Some(end) = memchr::memmem::find(&head[from..], b"\r\n\r\n").map(|at| from + at + 4) else {
        *searched = bytes.len();
        let early = if bytes.len() > MAX_HEAD { refuse(Malformed::TooLarge, head) } else { judge_early(head) };
        return (early, None);
    };
    if blank + end > MAX_HEAD {
        return (refuse(Malformed::TooLarge, head), None);
    }
    match judge(&head[..end]) {
        Ok(Body::None) => (Verdict::Pass { bytes: blank + end, head: true }, Some(State::Head { searched: 0 })),
        Ok(Body::Length(length)) => (Verdict::Pass { bytes: blank + end, head: true }, Some(State::Length(length))),
        Ok(Body::Chunked) => {
            (Verdict::Pass { bytes: blank + end, head: true }, Some(State::Chunked(Chunks::default())))
        }
        Err(_) if bytes.starts_with(HTTP2_PREFACE) => (Verdict::Http2, None),
        Err(why) => (refuse(why, head), None),
    }
}

/// An incomplete head: what can be refused without waiting for its end.
fn judge_early(head: &[u8]) -> Verdict {
    // A head that ends its lines with bare line feeds would never end.
    if let Some(at) = memchr::memchr(b'\n', head)
        && (at == 0 || head[at - 1] != b'\r')
    {
        return refuse(Malformed::RequestLine, head);
    }
    // Something else than HTTP, such as a TLS handshake, shows itself in its first byte.
    match head.first() {
        Some(first) if !is_token(*first) && *first != b'\r' => refuse(Malformed::RequestLine, head),
        _ => Verdict::More,
    }
}

fn refuse(why: Malformed, head: &[u8]) -> Verdict {
    let path = head.split(|byte| *byte == b' ').nth(1).and_then(|target| std::str::from_utf8(target).ok());
    let path = path.map_or("", |target| target.split('?').next().unwrap_or_default());
    Verdict::Refuse(Refusal { why, shape: ErrorShape::of(path) })
}

/// How the body of an accepted head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
}

/// What the fields of one head say about framing.
#[derive(Default)]
struct Fields<'a> {
    content_length: Option<u64>,
    chunked: bool,
    host: Option<&'a [u8]>,
    count: usize,
}

/// Judges a whole head, its empty line included.
fn judge(head: &[u8]) -> Result<Body, Malformed> {
    let (line, fields) = split_line(head).ok_or(Malformed::RequestLine)?;
    let request = judge_request_line(line)?;
    let fields = judge_fields(fields)?;
    match (request.http11, fields.host) {
        (true, None) => return Err(Malformed::Host),
        (_, Some(host)) if request.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) => {
            return Err(Malformed::Host);
        }
        _ => {}
    }
    if fields.chunked {
        if !request.http11 {
            return Err(Malformed::TransferEncoding);
        }
        if fields.content_length.is_some() {
            return Err(Malformed::ContentLength);
        }
        return Ok(Body::Chunked);
    }
    Ok(match fields.content_length {
        None | Some(0) => Body::None,
        Some(length) => Body::Length(length),
    })
}

/// Cuts the first line off; None where it does not end in CRLF.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let line = bytes[..at].strip_suffix(b"\r")?;
    Some((line, &bytes[at + 1..]))
}

struct RequestLine<'a> {
    http11: bool,
    /// The authority of an absolute-form target.
    authority: Option<&'a [u8]>,
}

fn judge_request_line(line: &[u8]) -> Result<RequestLine<'_>, Malformed> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Malformed::RequestLine);
    }
    if method == b"CONNECT" {
        return Err(Malformed::Connect);
    }
    let http11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(Malformed::Version),
    };
    Ok(RequestLine { http11, authority: judge_target(method, target)? })
}

/// Accepts origin-form, `*` for OPTIONS, and absolute-form (RFC 9112, 3.2); gives the authority of the last.
pub(super) fn judge_target<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    if target == b"*" {
        return if method == b"OPTIONS" { Ok(None) } else { Err(Malformed::Target) };
    }
    let (authority, rest) = match target.first() {
        Some(b'/') => (None, target),
        _ => {
            let rest = strip_scheme(target).ok_or(Malformed::Target)?;
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
            if !is_host(&rest[..end]) || end == 0 {
                return Err(Malformed::Target);
            }
            (Some(&rest[..end]), &rest[end..])
        }
    };
    let query = memchr::memchr(b'?', rest).unwrap_or(rest.len());
    let fine = rest[..query].iter().all(|byte| is_path(*byte)) && rest[query..].iter().all(|byte| is_query(*byte));
    if fine { Ok(authority) } else { Err(Malformed::Target) }
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [b"http://".as_slice(), b"https://"].iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

fn judge_fields(mut rest: &[u8]) -> Result<Fields<'_>, Malformed> {
    let mut fields = Fields::default();
    loop {
        let (line, after) = split_line(rest).ok_or(Malformed::Header)?;
        if line.is_empty() {
            return Ok(fields);
        }
        rest = after;
        fields.count += 1;
        if fields.count > MAX_FIELDS {
            return Err(Malformed::TooLarge);
        }
        let (name, value) = split_field(line).ok_or(Malformed::Header)?;
        judge_field(&mut fields, name, value)?;
    }
}

/// Name and trimmed value of a field line; None where it is not one.
fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    let fine = !name.is_empty() && name.iter().all(|byte| is_token(*byte)) && value.iter().all(|byte| is_value(*byte));
    fine.then_some((name, value))
}

/// Without the spaces and tabs around it. Other white space is not trimmed: a bare CR must be seen and refused.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

fn judge_field<'a>(fields: &mut Fields<'a>, name: &[u8], value: &'a [u8]) -> Result<(), Malformed> {
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => {
            if fields.host.is_some() || !is_host(value) {
                return Err(Malformed::Host);
            }
            fields.host = Some(value);
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            let length = parse_length(value).ok_or(Malformed::ContentLength)?;
            if fields.content_length.replace(length).is_some() {
                return Err(Malformed::ContentLength);
            }
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if fields.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::TransferEncoding);
            }
            fields.chunked = true;
        }
        _ => {}
    }
    Ok(())
}

/// Digits only, and few enough that nobody can read them differently.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Characters of a token (RFC 9110, 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Bytes of a field value: visible characters, spaces, tabs, and opaque bytes above ASCII (RFC 9110, 5.5).
const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Characters of a host with port; an empty one is allowed (RFC 9110, 7.2).
pub(super) fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'.' | b'-'
                    | b'_'
                    | b'~'
                    | b':'
                    | b'['
                    | b']'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            )
    })
}

/// Path bytes that the HTTP library keeps as they are. It drops a fragment silently and refuses `<`, `>` and `` ` ``.
const fn is_path(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'#' | b'<' | b'>' | b'`' | b'\\' | b'^')
}

/// Query bytes that the HTTP library keeps as they are.
const fn is_query(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

/// The chunk framing is broken.
struct Bad;

enum Progress {
    /// The body goes on.
    Goes,
    /// The body ended at that offset of the bytes shown.
    Ended(usize),
}

/// Follows chunked framing (RFC 9112, 7.1), split anywhere.
#[derive(Debug, Default)]
struct Chunks {
    at: ChunkState,
    size: u64,
    digits: u8,
    extension: usize,
    trailer: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl Chunks {
    fn read(&mut self, bytes: &[u8]) -> Result<Progress, Bad> {
        let mut at = 0;
        while at < bytes.len() {
            if self.at == ChunkState::Data {
                let left = bytes.len() - at;
                let take = left.min(usize::try_from(self.size).unwrap_or(usize::MAX));
                self.size -= take as u64;
                at += take;
                if self.size == 0 {
                    self.at = ChunkState::DataCr;
                }
                continue;
            }
            let ended = self.step(bytes[at])?;
            at += 1;
            if ended {
                return Ok(Progress::Ended(at));
            }
        }
        Ok(Progress::Goes)
    }

    /// One byte of framing; true after the last one.
    fn step(&mut self, byte: u8) -> Result<bool, Bad> {
        self.at = match (self.at, byte) {
            (ChunkState::Size, _) if byte.is_ascii_hexdigit() => return self.digit(byte),
            (ChunkState::Size, b'\r') if self.digits > 0 => ChunkState::SizeLf,
            (ChunkState::Size, b';') if self.digits > 0 => ChunkState::Extension,
            (ChunkState::Extension, b'\r') => ChunkState::SizeLf,
            (ChunkState::Extension, _) if is_value(byte) && self.extension < MAX_CHUNK_EXTENSION => {
                self.extension += 1;
                ChunkState::Extension
            }
            (ChunkState::SizeLf, b'\n') => self.after_size(),
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => ChunkState::Size,
            (ChunkState::TrailerStart, b'\r') => ChunkState::LastLf,
            (ChunkState::TrailerStart | ChunkState::TrailerName, _) if is_token(byte) => self.trailer_byte()?,
            (ChunkState::TrailerName, b':') => ChunkState::TrailerValue,
            (ChunkState::TrailerValue, b'\r') => ChunkState::TrailerLf,
            (ChunkState::TrailerValue, _) if is_value(byte) => {
                self.trailer_byte()?;
                ChunkState::TrailerValue
            }
            (ChunkState::TrailerLf, b'\n') => ChunkState::TrailerStart,
            (ChunkState::LastLf, b'\n') => return Ok(true),
            _ => return Err(Bad),
        };
        Ok(false)
    }

    fn digit(&mut self, byte: u8) -> Result<bool, Bad> {
        if self.digits == MAX_CHUNK_DIGITS {
            return Err(Bad);
        }
        let digit = char::from(byte).to_digit(16).ok_or(Bad)?;
        self.size = self.size << 4 | u64::from(digit);
        self.digits += 1;
        Ok(false)
    }

    fn after_size(&mut self) -> ChunkState {
        self.digits = 0;
        self.extension = 0;
        if self.size == 0 { ChunkState::TrailerStart } else { ChunkState::Data }
    }

    fn trailer_byte(&mut self) -> Result<ChunkState, Bad> {
        self.trailer += 1;
        if self.trailer > MAX_HEAD { Err(Bad) } else { Ok(ChunkState::TrailerName) }
    }
}

#[cfg(test)]
mod tests;
