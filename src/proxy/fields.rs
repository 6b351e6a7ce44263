//! Header fields as they stand on the wire: found, never copied into a map, so that their order, their spelling and the
//! spaces around their values pass as they are. Pure.
//!
//! What must not pass is what belongs to one connection (RFC 9110, 7.6.1).

use super::guard::{are_value, is_token};

/// One field line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// The line without its end.
    pub(super) line: &'a [u8],
    pub(super) name: &'a [u8],
    /// Without the blanks around it.
    pub(super) value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Reads a line; None where it is not a field.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let field = Self::split(line)?;
        let fine = !field.name.is_empty() && field.name.iter().all(|byte| is_token(*byte)) && are_value(field.value);
        fine.then_some(field)
    }

    /// Splits a line that was read before.
    fn split(line: &'a [u8]) -> Option<Self> {
        // Names are short.
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some(Self { line, name: &line[..colon], value: trim(&line[colon + 1..]) })
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Cuts the first line off; None where it does not end in CRLF.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let line = bytes[..at].strip_suffix(b"\r")?;
    Some((line, &bytes[at + 1..]))
}

/// The same, where a bare line feed ends a line too (RFC 9112, 2.2).
pub(super) fn split_any_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', bytes)?;
    let line = bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]);
    Some((line, &bytes[at + 1..]))
}

/// The fields of a head that was read before, from behind its first line on.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let (line, after) = split_any_line(rest)?;
        rest = after;
        Field::split(line)
    })
}

/// Without the spaces and tabs around it. Other white space is not trimmed: a bare CR must be seen and refused.
fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// The members of a comma-separated list.
fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim)
}

/// Whether a comma-separated list holds a token.
pub(super) fn has_token(list: &[u8], token: &str) -> bool {
    members(list).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

/// What a head says of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hop<'a> {
    /// `Connection: close`.
    pub(super) close: bool,
    /// `Connection: keep-alive`.
    pub(super) keep_alive: bool,
    /// `Connection: upgrade`.
    upgrade_option: bool,
    /// `Upgrade` names a protocol.
    upgrade: bool,
    /// `Upgrade` names `h2c`: backends that do not know it drop the body of the request that carries it.
    h2c: bool,
    /// `TE` asks for trailers.
    te_trailers: bool,
    /// A field is there that may have to go.
    some: bool,
    /// A `Connection` that names other fields.
    names: Option<&'a [u8]>,
    /// There are several of those.
    more_names: bool,
}

impl<'a> Hop<'a> {
    /// Takes note of a field.
    pub(super) fn note(&mut self, field: &Field<'a>) {
        // Few names are looked at, so few bytes of most.
        match field.name.len() {
            2 if field.is("te") => {
                self.some = true;
                self.te_trailers |= has_token(field.value, "trailers");
            }
            7 if field.is("upgrade") => {
                self.some = true;
                self.upgrade = true;
                self.h2c |= has_token(field.value, "h2c");
            }
            10 if field.is("connection") => self.note_connection(field.value),
            10 if field.is("keep-alive") => self.some = true,
            14 if field.is("http2-settings") => self.some = true,
            16 if field.is("proxy-connection") => self.some = true,
            _ => {}
        }
    }

    fn note_connection(&mut self, list: &'a [u8]) {
        self.some = true;
        let mut names = false;
        for member in members(list) {
            match member.len() {
                0 => {}
                5 if member.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if member.eq_ignore_ascii_case(b"upgrade") => self.upgrade_option = true,
                10 if member.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => names = true,
            }
        }
        if names && self.names.replace(list).is_some() {
            self.more_names = true;
        }
    }

    /// Whether another protocol is asked for, or agreed on, that can be tunnelled.
    pub(super) fn switches(&self) -> bool {
        self.upgrade_option && self.upgrade && !self.h2c
    }

    /// Whether the field stays on this side. `switching` keeps the pair that switches protocols, `te` the will to have
    /// trailers; `all` are the fields of the head.
    fn holds(&self, field: &Field<'_>, switching: bool, te: bool, all: &[u8]) -> bool {
        match field.name.len() {
            2 if field.is("te") => return !(te && self.te_trailers),
            7 if field.is("upgrade") => return !switching,
            10 if field.is("connection") => return !switching,
            10 if field.is("keep-alive") => return true,
            14 if field.is("http2-settings") => return true,
            16 if field.is("proxy-connection") => return true,
            _ => {}
        }
        self.is_named(field.name, all) && !KEPT.iter().any(|kept| field.is(kept))
    }

    /// Whether a `Connection` names the field.
    fn is_named(&self, name: &[u8], all: &[u8]) -> bool {
        let names = |list: &[u8]| members(list).any(|member| member.eq_ignore_ascii_case(name));
        match self.names {
            None => false,
            Some(list) if !self.more_names => names(list),
            Some(_) => fields(all).filter(|field| field.is("connection")).any(|field| names(field.value)),
        }
    }
}

/// Fields that stay although `Connection` may name them: they frame the message or travel with the framing, or they are
/// what a backend defends itself by (a client must not be able to have its `Host` replaced by ours).
const KEPT: [&str; 4] = ["transfer-encoding", "trailer", "content-length", "host"];

/// The fields of a head that pass. `switching` keeps the pair that switches protocols, `te` the will to have trailers.
pub(super) fn passing<'a>(all: &'a [u8], hop: &Hop<'_>, switching: bool, te: bool) -> impl Iterator<Item = Field<'a>> {
    fields(all).filter(move |field| !(hop.some && hop.holds(field, switching, te, all)))
}

/// Writes a field line as it stands.
pub(super) fn write_line(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(field.line);
    out.extend_from_slice(b"\r\n");
}
