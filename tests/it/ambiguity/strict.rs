//! An independent reader of HTTP/1, written from RFC 9110 and 9112 and stricter than both where servers differ.

use super::mutate::find;

/// A request as the strict reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Vec<u8>,
    /// Without scheme and authority.
    pub(super) path: Vec<u8>,
    pub(super) host: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    /// It waits for 100 (Continue) before its body.
    pub(super) expects: bool,
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A whole request of that many bytes.
    Whole(Request, usize),
    /// A request that is not over yet, as far as it goes; none while its head is not over.
    Part(Option<Request>),
    /// No request; what stood before the fault.
    Bad(Option<Request>),
}

/// Reads the first request.
pub(super) fn request(bytes: &[u8]) -> Read {
    let blank = bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2;
    let rest = &bytes[blank..];
    let Some(end) = find(rest, b"\r\n\r\n") else { return Read::Part(None) };
    let Some((mut request, framing)) = head(&rest[..end + 2]) else { return Read::Bad(None) };
    let start = blank + end + 4;
    match framing {
        Framing::Length(length) if bytes.len() - start >= length => {
            request.body = bytes[start..start + length].to_vec();
            Read::Whole(request, start + length)
        }
        Framing::Length(_) => {
            request.body = bytes[start..].to_vec();
            Read::Part(Some(request))
        }
        Framing::Chunked => {
            let (body, ended) = chunks(&bytes[start..], false);
            request.body = body;
            match ended {
                Chunks::Whole(length) => Read::Whole(request, start + length),
                Chunks::Part => Read::Part(Some(request)),
                Chunks::Bad => Read::Bad(Some(request)),
            }
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Lines that all end in CRLF and hold no other control character than a tab.
fn lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = find(rest, b"\r\n")?;
        let line = &rest[..end];
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return None;
        }
        lines.push(line);
        rest = &rest[end + 2..];
    }
    Some(lines)
}

fn fields<'a>(lines: &[&'a [u8]]) -> Option<Vec<(Vec<u8>, &'a [u8])>> {
    let field = |line: &&'a [u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        is_token(name).then(|| (name.to_ascii_lowercase(), value[1..].trim_ascii()))
    };
    lines.iter().map(field).collect()
}

/// All values of a field; None where there is another number of them than one.
fn single<'a>(fields: &[(Vec<u8>, &'a [u8])], wanted: &[u8]) -> Result<Option<&'a [u8]>, ()> {
    let mut values = fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(()),
        (value, None) => Ok(value),
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    let fine = !digits.is_empty() && digits.len() < 19 && digits.iter().all(u8::is_ascii_digit);
    fine.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn framing(fields: &[(Vec<u8>, &[u8])]) -> Option<Option<Framing>> {
    match (single(fields, b"content-length").ok()?, single(fields, b"transfer-encoding").ok()?) {
        (None, None) => Some(None),
        (Some(length), None) => Some(Some(Framing::Length(number(length)?))),
        (None, Some(coding)) => coding.eq_ignore_ascii_case(b"chunked").then_some(Some(Framing::Chunked)),
        (Some(_), Some(_)) => None,
    }
}

fn head(bytes: &[u8]) -> Option<(Request, Framing)> {
    let lines = lines(bytes)?;
    let words: Vec<&[u8]> = lines.first()?.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return None };
    let old = version == b"HTTP/1.0";
    if !is_token(method) || method == b"CONNECT" || !is_version(version) {
        return None;
    }
    if target.is_empty() || target.iter().any(|byte| *byte <= b' ' || matches!(byte, 0x7f | b'#')) {
        return None;
    }
    let fields = fields(&lines[1..])?;
    let host = single(&fields, b"host").ok()?;
    if host.is_some_and(|host| !is_host(host)) {
        return None;
    }
    let framing = framing(&fields)?;
    if (!old && host.is_none()) || (old && matches!(framing, Some(Framing::Chunked))) {
        return None;
    }
    let expects = fields.iter().any(|(name, value)| name == b"expect" && value.eq_ignore_ascii_case(b"100-continue"));
    let host = host.map(<[u8]>::to_vec);
    let request = Request { method: method.to_vec(), path: path(target), host, body: Vec::new(), expects };
    Some((request, framing.unwrap_or(Framing::Length(0))))
}

/// HTTP/1 with any minor version.
fn is_version(version: &[u8]) -> bool {
    version.len() == 8 && version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit()
}

/// A host and a port or none, by what the standard library makes of them.
fn is_host(host: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(host) else { return false };
    let (name, port) = match text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((name, port)) => (name, if port.is_empty() { "0" } else { port }),
        None => (text, "0"),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let escapes =
        name.split('%').skip(1).all(|rest| rest.len() > 1 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()));
    let named = !name.is_empty()
        && escapes
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-._~!$&'()*+,;=".contains(&byte));
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let addressed = literal.is_some_and(|literal| {
        let (address, zone) = literal.split_once('%').unwrap_or((literal, "0"));
        address.parse::<std::net::Ipv6Addr>().is_ok() && !zone.is_empty()
    });
    digits && port.parse::<u16>().is_ok() && (named || addressed)
}

/// What stands behind a chunk's size: names, each with a value or without.
fn are_extensions(text: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = |text: &[u8]| text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let Some(rest) = text[start(text)..].strip_prefix(b";") else { return text.is_empty() };
    let rest = &rest[start(rest)..];
    let name = rest.iter().position(|byte| !is_token(&[*byte])).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(name);
    let Some(value) = rest[start(rest)..].strip_prefix(b"=") else { return !name.is_empty() && are_extensions(rest) };
    let value = &value[start(value)..];
    let end = match value.strip_prefix(b"\"") {
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.iter().position(|byte| {
                let ends = !escaped && *byte == b'"';
                escaped = !escaped && *byte == b'\\';
                ends
            });
            let Some(end) = end else { return false };
            end + 2
        }
        None => value.iter().position(|byte| !is_token(&[*byte])).unwrap_or(value.len()),
    };
    !name.is_empty() && end > 0 && are_extensions(&value[end..])
}

/// A target without scheme and authority.
fn path(target: &[u8]) -> Vec<u8> {
    if target[0] == b'/' || target == b"*" {
        return target.to_vec();
    }
    let rest = find(target, b"://").map_or(target, |at| &target[at + 3..]);
    let at = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let slash: &[u8] = if rest[at..].starts_with(b"/") { b"" } else { b"/" };
    [slash, &rest[at..]].concat()
}

/// How a chunked body goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    Whole(usize),
    Part,
    Bad,
}

/// The data of a chunked body, as far as it goes. `lenient` allows spaces behind a size,
/// as recipients may, and anything within extensions and trailers: what stands there goes nowhere.
pub(super) fn chunks(bytes: &[u8], lenient: bool) -> (Vec<u8>, Chunks) {
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let Some(end) = find(rest, b"\r\n") else { return (data, Chunks::Part) };
        let line = &rest[..end];
        let size_end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        let size = if lenient { line[..size_end].trim_ascii_end() } else { &line[..size_end] };
        let fine = !size.is_empty() && size.len() < 17 && size.iter().all(u8::is_ascii_hexdigit);
        let size =
            std::str::from_utf8(size).ok().filter(|_| fine).and_then(|size| usize::from_str_radix(size, 16).ok());
        let clean = lenient || (lines(&rest[..end + 2]).is_some() && are_extensions(&line[size_end..]));
        let Some(size) = size.filter(|_| clean) else { return (data, Chunks::Bad) };
        at += end + 2;
        if size == 0 {
            let end = if lenient { any_last(&bytes[at..], at) } else { last(&bytes[at..], at) };
            return (data, end);
        }
        let body = &bytes[at..];
        data.extend_from_slice(&body[..size.min(body.len())]);
        if body.len() < size.saturating_add(2) {
            let broken = body.len() > size && body[size] != b'\r';
            return (data, if broken { Chunks::Bad } else { Chunks::Part });
        }
        if &body[size..size + 2] != b"\r\n" {
            return (data, Chunks::Bad);
        }
        at += size + 2;
    }
}

/// What follows the last chunk: trailers and an empty line.
fn last(bytes: &[u8], at: usize) -> Chunks {
    if bytes.starts_with(b"\r\n") {
        return Chunks::Whole(at + 2);
    }
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Chunks::Part };
    match lines(&bytes[..end + 2]).and_then(|lines| fields(&lines).map(drop)) {
        Some(()) => Chunks::Whole(at + end + 4),
        None => Chunks::Bad,
    }
}

/// The same, whatever the trailers look like.
fn any_last(bytes: &[u8], at: usize) -> Chunks {
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        length += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return Chunks::Whole(at + length);
        }
    }
    Chunks::Part
}

/// The final response that bytes hold: status and body. `ended`: nothing follows. `None` unless it is whole and can be read
/// in one way. Lenient where that does no harm: bare line feeds in heads, a missing reason, spaces after a chunk's size, the
/// same length twice, and bytes after the end.
pub(super) fn response(bytes: &[u8], ended: bool) -> Option<(u16, Vec<u8>)> {
    let mut rest = bytes;
    loop {
        let (head, body) = cut_head(rest)?;
        let lines = lines(&head)?;
        let line = lines.first()?;
        let status = line.split_at_checked(8).filter(|(version, _)| is_version(version))?.1.strip_prefix(b" ")?;
        let status = number(status.get(..3)?).filter(|_| matches!(status.get(3), None | Some(b' ')))?;
        let status = u16::try_from(status).ok().filter(|status| *status >= 100)?;
        let mut fields = fields(&lines[1..])?;
        fields.sort();
        fields.dedup_by(|one, other| one == other && one.0 == b"content-length");
        let old = line.starts_with(b"HTTP/1.0");
        let framing = match status {
            101 => return None,
            100..=199 => {
                rest = body;
                continue;
            }
            204 | 304 => return Some((status, Vec::new())),
            _ => framing(&fields)?,
        };
        match framing {
            Some(Framing::Length(length)) => return Some((status, body.get(..length)?.to_vec())),
            Some(Framing::Chunked) if old => return None,
            Some(Framing::Chunked) => {
                let (data, end) = chunks(body, true);
                return matches!(end, Chunks::Whole(_)).then_some((status, data));
            }
            None => return ended.then(|| (status, body.to_vec())),
        }
    }
}

/// A head with its line ends made CRLF, without its empty line, and what follows it.
fn cut_head(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut head, mut rest) = (Vec::new(), bytes);
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        match (line.is_empty(), head.is_empty()) {
            (true, true) => {}
            (true, false) => return Some((head, rest)),
            (false, _) => {
                head.extend_from_slice(line);
                head.extend_from_slice(b"\r\n");
            }
        }
    }
}
