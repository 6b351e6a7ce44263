//! Response heads: judged as strictly as request heads wherever leniency could lead to another reading, and forwarded
//! unchanged except for connection-specific fields. Pure.

use super::chunks::Chunks;
use super::fields::{ConnectionFields, Field, LineEnd, passing, split_any_line, write_line, write_passing};
use super::framing::Framing;
use super::grammar::{HeadScan, MAX_FIELDS, MAX_HEAD, are_value, is_http11, parse_length};
use super::steps::step;

/// The HTTP version that the client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) version: Version,
    /// The status line after the version: the status and, where there is one, a space and the reason.
    status_line: &'a [u8],
    /// All field lines, the empty line included.
    pub(super) fields: &'a [u8],
    /// All of it, where nothing has to be changed for a client that speaks HTTP/1.1.
    verbatim: Option<&'a [u8]>,
    /// At least one line ends in a bare line feed.
    bare: bool,
    /// How the body is framed, unless the request was a HEAD.
    pub(super) framing: Framing,
    /// `Content-Length` was repeated with equal values, of which one is forwarded.
    repeated_length: bool,
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) content_encoding: Option<&'a [u8]>,
    pub(super) connection: ConnectionFields,
}

/// What the response says to the client about keeping its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Nothing: HTTP/1.1 keeps it by default.
    Implied,
    /// It closes after this response.
    Close,
    /// It is kept, which an HTTP/1.0 client must be informed of.
    KeepAlive,
}

impl<'a> Response<'a> {
    /// Whether the status excludes a body, whatever the fields say (RFC 9112, 6.3).
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Whether another response follows this one.
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// Whether no field line is removed or written otherwise for a client that speaks HTTP/1.1.
    fn is_unchanged(&self) -> bool {
        !self.bare && !self.repeated_length && self.connection.removes_none()
    }

    /// The value of a field by its name.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        super::fields::fields(self.fields).find(|field| field.is(name)).map(|field| field.value)
    }

    /// The fields that are forwarded.
    pub(super) fn passing(&self) -> impl Iterator<Item = Field<'a>> {
        passing(self.fields, &self.connection, self.status == 101, false)
    }

    /// Writes the head for the client.
    pub(super) fn write(&self, client: Version, persistence: Persistence, out: &mut Vec<u8>) {
        if let (Some(head), Version::Http11, Persistence::Implied) = (self.verbatim, client, persistence) {
            return out.extend_from_slice(head);
        }
        out.reserve(self.status_line.len() + self.fields.len() + 64);
        out.extend_from_slice(match client {
            Version::Http10 => b"HTTP/1.0 ",
            Version::Http11 => b"HTTP/1.1 ",
        });
        out.extend_from_slice(self.status_line);
        out.extend_from_slice(b"\r\n");
        if self.bare || self.repeated_length || client == Version::Http10 {
            self.write_chosen(client, out);
        } else {
            write_passing(self.fields, &self.connection, self.status == 101, false, out);
        }
        out.extend_from_slice(match persistence {
            Persistence::Implied => b"\r\n",
            Persistence::Close => b"connection: close\r\n\r\n",
            Persistence::KeepAlive => b"connection: keep-alive\r\n\r\n",
        });
    }

    /// Writes the fields one by one.
    fn write_chosen(&self, client: Version, out: &mut Vec<u8>) {
        let mut lengths = 0;
        for field in self.passing() {
            let passes = match field.name.len() {
                14 if self.repeated_length && field.is("content-length") => {
                    lengths += 1;
                    lengths == 1
                }
                17 if client == Version::Http10 => !field.is("transfer-encoding"),
                _ => true,
            };
            if passes {
                write_line(&field, out);
            }
        }
    }
}

/// Parses the head that `bytes` begin with, and returns its length too; `None` while it is incomplete. Empty lines
/// before it are skipped, as they are before a request line.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse_head<'a>(
    bytes: &'a [u8],
    seen: &mut HeadScan,
) -> Result<Option<(Response<'a>, usize)>, &'static str> {
    while let Some(line) = empty_line(&bytes[seen.blank..]) {
        step(line);
        seen.blank += line;
    }
    let blank = seen.blank;
    let head = &bytes[blank..];
    let Some(end) = end_of(head, seen.bytes.saturating_sub(blank)) else {
        seen.bytes = bytes.len();
        return if bytes.len() > MAX_HEAD { Err("its head is too large") } else { Ok(None) };
    };
    *seen = HeadScan::default();
    if end > MAX_HEAD {
        return Err("its head is too large");
    }
    judge(&head[..end]).map(|response| Some((response, blank + end)))
}

/// The length of the empty line that `bytes` begin with, if they do.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

/// Where a head ends: after its empty line. A line may end in a bare line feed.
fn end_of(head: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    step(head.len() - from);
    memchr::memchr_iter(b'\n', &head[from..]).map(|at| from + at).find_map(|at| match head.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn judge(head: &[u8]) -> Result<Response<'_>, &'static str> {
    let (line, fields) = split_any_line(head).ok_or("its status line has no end")?;
    let (version, status_line) = line
        .split_at_checked(8)
        .and_then(|(version, rest)| Some((is_http11(version)?, rest.strip_prefix(b" ")?)))
        .ok_or("its status line is not of HTTP/1")?;
    let version = if version { Version::Http11 } else { Version::Http10 };
    let status = parse_status(status_line).ok_or("its status line is malformed")?;
    let mut response = Response {
        status,
        version,
        status_line,
        fields,
        verbatim: None,
        bare: false,
        framing: Framing::Close,
        repeated_length: false,
        content_type: None,
        content_encoding: None,
        connection: ConnectionFields::default(),
    };
    judge_fields(&mut response)?;
    let is_verbatim =
        line.starts_with(b"HTTP/1.1") && head[line.len()..].starts_with(b"\r\n") && response.is_unchanged();
    response.verbatim = is_verbatim.then_some(head);
    Ok(response)
}

/// Parses a status line from the status on: three digits and an optional reason.
fn parse_status(line: &[u8]) -> Option<u16> {
    let (digits, reason) = line.split_at_checked(3)?;
    let fine = digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0'
        && (reason.is_empty() || reason[0] == b' ')
        && are_value(reason);
    fine.then(|| digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

fn judge_fields(response: &mut Response<'_>) -> Result<(), &'static str> {
    const TWO_WAYS: &str = "its length can be read in two ways";
    let all = response.fields;
    let (mut rest, mut count) = (all, 0);
    let (mut length, mut codings, mut chunked): (Option<&[u8]>, _, _) = (None, 0, false);
    while !matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
        count += 1;
        let taken = Field::take(rest, LineEnd::Any).filter(|_| count <= MAX_FIELDS);
        let (field, after) = taken.ok_or("one of its fields is malformed")?;
        let place = all.len() - rest.len()..all.len() - after.len();
        response.bare |= place.len() == field.line.len() + 1;
        rest = after;
        let value = field.value;
        match field.name.len() {
            12 if field.is("content-type") => response.content_type = response.content_type.or(Some(value)),
            14 if field.is("content-length") => match length.replace(value) {
                Some(before) if before == value => response.repeated_length = true,
                Some(_) => return Err(TWO_WAYS),
                None => {}
            },
            16 if field.is("content-encoding") => {
                response.content_encoding = response.content_encoding.or(Some(value));
            }
            17 if field.is("transfer-encoding") => {
                codings += 1;
                chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            _ => {}
        }
        response.connection.note(&field, place);
    }
    response.bare |= rest.starts_with(b"\n");
    if codings > 1 || (codings == 1 && !chunked) {
        return Err(TWO_WAYS);
    }
    response.framing = match (chunked, length) {
        (true, Some(_)) => return Err(TWO_WAYS),
        (true, None) if response.version == Version::Http10 => return Err("it is chunked in HTTP/1.0"),
        // A client that reads these as body framing would wait for a body.
        (true, None) if response.status < 200 => return Err("it is interim and has a body"),
        (true, None) => Framing::Chunked(Chunks::of_backend().without(response.connection.named(all))),
        (false, Some(length)) => Framing::Length(parse_length(length).ok_or(TWO_WAYS)?),
        (false, None) => Framing::Close,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<(Response<'_>, usize), &'static str> {
        parse_head(bytes, &mut HeadScan::default()).map(|read| read.expect("a whole head"))
    }

    fn written(bytes: &[u8], client: Version, persistence: Persistence) -> String {
        let mut out = Vec::new();
        whole(bytes).expect("proper").0.write(client, persistence, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_response_is_framed_in_one_way_or_not_at_all() {
        for (clear, fields) in [
            (true, ""),
            (true, "Content-Length: 3\r\n"),
            (true, "Content-Length: 3\r\ncontent-length: 3\r\n"),
            (true, "Transfer-Encoding: Chunked\r\n"),
            (false, "Content-Length: 3\r\nContent-Length: 4\r\n"),
            (false, "Content-Length: 3, 3\r\n"),
            (false, "Content-Length: +3\r\n"),
            (false, "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
            (false, "Transfer-Encoding: gzip, chunked\r\n"),
            (false, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            (false, "Transfer-Encoding: identity\r\n"),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert_eq!(whole(head.as_bytes()).is_ok(), clear, "{fields}");
        }
    }

    #[test]
    fn improper_heads_are_refused() {
        for head in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.x 200 OK\r\n\r\n",
            "HTTP/1.11 200 OK\r\n\r\n",
            "HTTP/1.1\t200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 200 O\0K\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
            "garbage\r\n\r\n",
            "\rHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert!(whole(head.as_bytes()).is_err(), "{head:?}");
        }
    }

    #[test]
    fn a_head_passes_as_it_was_sent_but_for_the_connections_fields() {
        let head = b"HTTP/1.1 299 \xc3\xa4h\r\nB:1 \r\nKeep-Alive: timeout=5\r\nA:  2\r\nConnection: X-Hop, close\r\nx-hop: 1\r\nB: 3\r\n\r\n";
        let expected = "HTTP/1.1 299 \u{e4}h\r\nB:1 \r\nA:  2\r\nB: 3\r\n\r\n";
        assert_eq!(written(head, Version::Http11, Persistence::Implied), expected);
        assert!(whole(head).expect("proper").0.connection.close);
    }

    #[test]
    fn a_head_of_which_nothing_belongs_to_the_connection_passes_as_it_was_sent() {
        for head in ["HTTP/1.1 200 OK\r\nA:  1 \r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 204\r\n\r\n"] {
            assert_eq!(written(head.as_bytes(), Version::Http11, Persistence::Implied), head);
        }
        let head = "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n";
        for lenient in [
            "HTTP/1.2 200 OK\r\nA: 1\r\n\r\n",
            "HTTP/1.1 200 OK\nA: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: 1\n\r\n",
            "HTTP/1.1 200 OK\r\nA: 1\r\n\n",
        ] {
            assert_eq!(written(lenient.as_bytes(), Version::Http11, Persistence::Implied), head, "{lenient:?}");
        }
    }

    #[test]
    fn lenient_heads_are_written_properly() {
        let head = b"\r\n\nHTTP/1.0 200\nContent-Length: 2\r\nContent-Length: 2\n\nok";
        assert_eq!(written(head, Version::Http11, Persistence::Implied), "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(whole(head).expect("proper").1, head.len() - 2);
    }

    #[test]
    fn a_higher_minor_version_is_read_as_the_highest_that_is_known() {
        let head = b"HTTP/1.2 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(whole(head).expect("proper").0.version, Version::Http11);
        let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(written(head, Version::Http11, Persistence::Implied), expected);
    }

    #[test]
    fn an_http10_client_gets_an_http10_head() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n";
        let expected = "HTTP/1.0 200 OK\r\nA: b\r\nconnection: close\r\n\r\n";
        assert_eq!(written(head, Version::Http10, Persistence::Close), expected);
    }

    #[test]
    fn a_head_is_found_however_it_is_split() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        let mut seen = HeadScan::default();
        for end in 0..head.len() {
            assert!(parse_head(&head[..end], &mut seen).expect("proper so far").is_none(), "{end}");
        }
        assert_eq!(parse_head(head, &mut seen).expect("proper").expect("whole").1, head.len());
    }
}
