//! Header fields as they are on the wire: located, never copied into a map, so that their order, spelling and
//! surrounding blanks are kept. Pure.
//!
//! Removed are only the fields that belong to one connection (RFC 9110, 7.6.1).

use std::hash::{Hash, Hasher};
use std::ops::Range;

use hashbrown::{HashMap, HashSet};

use super::grammar::{is_token, is_value};
use super::steps::step;
use super::words::{first_unfit, is_named, unusual_in_name, unusual_in_value};

/// One field line, borrowed from its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// The line without its line end.
    pub(super) line: &'a [u8],
    pub(super) name: &'a [u8],
    /// Without surrounding blanks.
    pub(super) value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Parses the field line at the start of `bytes` in one pass, and returns the bytes after it too; `None` where it
    /// is malformed. Inlined, as it returns much and does little.
    #[inline(always)]
    pub(super) fn take(bytes: &'a [u8], end: LineEnd) -> Option<(Self, &'a [u8])> {
        let colon = first_unfit(bytes, 0, unusual_in_name, is_token);
        if colon == 0 || bytes.get(colon) != Some(&b':') {
            return None;
        }
        let stop = first_unfit(bytes, colon + 1, unusual_in_value, is_value);
        let next = match (bytes.get(stop..)?, end) {
            ([b'\r', b'\n', ..], _) => stop + 2,
            ([b'\n', ..], LineEnd::Any) => stop + 1,
            _ => return None,
        };
        step(next);
        let (line, rest) = (&bytes[..stop], &bytes[next..]);
        Some((Self { line, name: &bytes[..colon], value: trim(&line[colon + 1..]) }, rest))
    }

    /// Splits a line that was validated before.
    fn split(line: &'a [u8]) -> Option<Self> {
        // Names are short, so this is faster than a search by words.
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some(Self { line, name: &line[..colon], value: trim(&line[colon + 1..]) })
    }

    /// Whether it has this name, which is in lower case.
    #[inline]
    pub(super) fn is(&self, name: &str) -> bool {
        is_named(self.name, name.as_bytes())
    }
}

/// Which line ends are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// CRLF only.
    Crlf,
    /// CRLF or a bare line feed (RFC 9112, 2.2).
    Any,
}

/// Splits off the first line; `None` where it does not end in CRLF.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let line = bytes[..at].strip_suffix(b"\r")?;
    Some((line, &bytes[at + 1..]))
}

/// Splits off the first line, which may end in a bare line feed (RFC 9112, 2.2).
pub(super) fn split_any_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let line = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
    Some((line, &bytes[at + 1..]))
}

/// The fields of a head that was validated before, without its first line.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let (line, after) = split_any_line(rest)?;
        step(line.len());
        rest = after;
        Field::split(line)
    })
}

/// Trims spaces and tabs only: a bare CR must stay, to be seen and refused.
fn trim(value: &[u8]) -> &[u8] {
    // The usual form: one space before, none after.
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    if let [b' ', first, .., last] = value
        && !blank(first)
        && !blank(last)
    {
        return &value[1..];
    }
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The members of a comma-separated list.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    step(list.len());
    list.split(|byte| *byte == b',').map(trim)
}

/// Whether a comma-separated list holds a token.
pub(super) fn has_token(list: &[u8], token: &str) -> bool {
    members(list).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// What a head says of its connection, and where the fields are that belong to the connection alone: the hop-by-hop
/// fields of RFC 9110 (7.6.1), the connection-specific ones of RFC 9113 (8.2.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionFields {
    /// `Connection: close`.
    pub(super) close: bool,
    /// `Connection: keep-alive`.
    pub(super) keep_alive: bool,
    /// `Connection: upgrade`.
    upgrade_option: bool,
    /// `Upgrade` names a protocol.
    upgrade: bool,
    /// `Upgrade` names `h2c`: backends that do not know it drop the body of a request that carries it.
    h2c: bool,
    /// `TE` asks for trailers.
    te_trailers: bool,
    /// The positions of the first lines that may have to be removed, of `noted` in all.
    lines: [(u32, u32); NOTED],
    noted: usize,
    /// A `Connection` field names further fields.
    names: bool,
}

/// How many positions of such lines are kept. A head rarely has more than one.
const NOTED: usize = 4;

impl ConnectionFields {
    /// Takes note of a field. `place` is the position of its line within all field lines, line end included.
    #[inline]
    pub(super) fn note(&mut self, field: &Field<'_>, place: Range<usize>) {
        // Comparing lengths first spares most names a comparison of bytes.
        match field.name.len() {
            2 if field.is("te") => self.te_trailers |= has_token(field.value, "trailers"),
            7 if field.is("upgrade") => {
                self.upgrade = true;
                self.h2c |= has_token(field.value, "h2c");
            }
            10 if field.is("connection") => self.note_connection(field.value),
            10 if field.is("keep-alive") => {}
            14 if field.is("http2-settings") => {}
            16 if field.is("proxy-connection") => {}
            _ => return,
        }
        if let Some(line) = self.lines.get_mut(self.noted) {
            // A head is far below 4 GiB.
            *line = (place.start as u32, place.end as u32);
        }
        self.noted += 1;
    }

    fn note_connection(&mut self, list: &[u8]) {
        for member in members(list) {
            match member.len() {
                0 => {}
                // These are treated the same whether they are named or not.
                2 if member.eq_ignore_ascii_case(b"te") => {}
                14 if member.eq_ignore_ascii_case(b"http2-settings") => {}
                5 if member.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if member.eq_ignore_ascii_case(b"upgrade") => self.upgrade_option = true,
                10 if member.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => self.names = true,
            }
        }
    }

    /// Whether no field is removed.
    pub(super) fn removes_none(&self) -> bool {
        self.noted == 0
    }

    /// Whether the head asks for, or agrees to, another protocol that can be tunnelled.
    pub(super) fn switches(&self) -> bool {
        self.upgrade_option && self.upgrade && !self.h2c
    }

    /// The names that `Connection` lists in this head, in lower case; `None` where it lists no field.
    pub(super) fn named(&self, all: &[u8]) -> Option<Box<HashSet<Vec<u8>>>> {
        let lists = || fields(all).filter(|field| field.is("connection"));
        self.names
            .then(|| Box::new(lists().flat_map(|list| members(list.value)).map(<[u8]>::to_ascii_lowercase).collect()))
    }

    /// Whether the field is removed. `switching` keeps the pair of fields that switches protocols, `te` keeps the
    /// request for trailers; `named` are the fields that `Connection` lists, if any.
    fn removes(&self, field: &Field<'_>, switching: bool, te: bool, named: Option<&NamedFields<'_>>) -> bool {
        match field.name.len() {
            2 if field.is("te") => return !(te && self.te_trailers),
            7 if field.is("upgrade") => return !switching,
            10 if field.is("connection") => return !switching,
            10 if field.is("keep-alive") => return true,
            14 if field.is("http2-settings") => return true,
            16 if field.is("proxy-connection") => return true,
            _ => {}
        }
        named.is_some_and(|named| named.has(field.name)) && !NEVER_REMOVED.iter().any(|name| field.is(name))
    }
}

/// The fields of a head that are named by its `Connection`.
///
/// Found in one pass over the fields and one over the lists: searching the lists for each field would cost the product
/// of both, which a client could drive to a billion bytes.
struct NamedFields<'a>(HashMap<Folded<'a>, bool>);

impl<'a> NamedFields<'a> {
    fn of(all: &'a [u8]) -> Self {
        let mut named: HashMap<_, _> = fields(all).map(|field| (Folded(field.name), false)).collect();
        for list in fields(all).filter(|field| field.is("connection")) {
            for member in members(list.value) {
                if let Some(named) = named.get_mut(&Folded(member)) {
                    *named = true;
                }
            }
        }
        Self(named)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.get(&Folded(name)).is_some_and(|named| *named)
    }
}

/// A field name, compared without regard to case.
#[derive(Clone, Copy, Debug, Eq)]
struct Folded<'a>(&'a [u8]);

impl PartialEq for Folded<'_> {
    fn eq(&self, other: &Self) -> bool {
        step(self.0.len());
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Hash for Folded<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        step(self.0.len());
        for piece in self.0.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            word.make_ascii_lowercase();
            state.write_u64(u64::from_le_bytes(word));
        }
    }
}

/// Fields that are kept even if `Connection` names them: they frame the message, or the backend relies on them (a
/// client must not be able to have its `Host` replaced by ours).
const NEVER_REMOVED: [&str; 4] = ["transfer-encoding", "trailer", "content-length", "host"];

/// The fields of a head that are forwarded. `switching` keeps the pair of fields that switches protocols, `te` the
/// request for trailers.
pub(super) fn passing<'a>(
    all: &'a [u8],
    connection: &ConnectionFields,
    switching: bool,
    te: bool,
) -> impl Iterator<Item = Field<'a>> {
    let named = connection.names.then(|| NamedFields::of(all));
    fields(all).filter(move |field| !(connection.noted > 0 && connection.removes(field, switching, te, named.as_ref())))
}

/// Writes the fields of [`passing`], of a head with CRLF line ends, as they are and without the empty line after them.
pub(super) fn write_passing(all: &[u8], connection: &ConnectionFields, switching: bool, te: bool, out: &mut Vec<u8>) {
    if connection.names || connection.noted > NOTED {
        return passing(all, connection, switching, te).for_each(|field| write_line(&field, out));
    }
    let mut from = 0;
    for (start, end) in connection.lines[..connection.noted].iter().map(|(start, end)| (*start as usize, *end as usize))
    {
        let removed =
            Field::split(&all[start..end]).is_some_and(|field| connection.removes(&field, switching, te, None));
        if removed {
            out.extend_from_slice(&all[from..start]);
            from = end;
        }
    }
    out.extend_from_slice(all[from..].strip_suffix(b"\r\n").unwrap_or_default());
}

pub(super) fn write_line(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(field.line);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_token_a_colon_and_a_value() {
        let take =
            |bytes: &'static [u8], end| Field::take(bytes, end).map(|(field, rest)| (field.name, field.value, rest));
        for end in [LineEnd::Crlf, LineEnd::Any] {
            assert_eq!(take(b"a: b\tc \r\nd", end), Some((&b"a"[..], &b"b\tc"[..], &b"d"[..])));
            assert_eq!(take(b"a:\r\n", end), Some((&b"a"[..], &b""[..], &b""[..])));
            assert_eq!(take(b"a:  \r\n", end), Some((&b"a"[..], &b""[..], &b""[..])));
            for wrong in [
                &b"a: b"[..],
                b"a: b\r",
                b"a: b\rc\r\n",
                b"a: \0\r\n",
                b": b\r\n",
                b"a : b\r\n",
                b" a: b\r\n",
                b"a\r\n",
                b"",
            ] {
                assert_eq!(take(wrong, end), None, "{}", wrong.escape_ascii());
            }
        }
        assert_eq!(take(b"a: b\nc", LineEnd::Any), Some((&b"a"[..], &b"b"[..], &b"c"[..])));
        assert_eq!(take(b"a: b\nc", LineEnd::Crlf), None);
    }
}
