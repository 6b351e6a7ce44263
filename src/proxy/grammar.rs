//! The words of HTTP/1 and their limits, as both sides use them. Pure.

use super::characters::alphanumeric_or;

/// Largest head that is accepted, in bytes: request line and all fields.
pub(super) const MAX_HEAD: usize = 256 * 1024;
/// Most header fields that are accepted, trailers counted apart.
pub(super) const MAX_FIELDS: usize = 500;

/// How far bytes were looked at that hold no whole head yet: however they dribble in, none is searched twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// So many bytes were looked at.
    pub(super) bytes: usize,
    /// So many of them are empty lines before the head.
    pub(super) blank: usize,
    /// The first line is over.
    pub(super) first_line: bool,
}

/// Whether a version is HTTP/1.1, rather than HTTP/1.0; None where it is not of HTTP/1. What knows more than HTTP/1.1 is
/// read as that (RFC 9110, 2.5).
pub(super) fn is_http11(version: &[u8]) -> Option<bool> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Some(*minor != b'0'),
        _ => None,
    }
}

/// Digits only, and few enough that nobody can read them differently.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Characters of a token (RFC 9110, 5.6.2), by their numbers: a look-up costs less than the comparisons.
const TOKEN: [bool; 256] = alphanumeric_or(b"!#$%&'*+-.^_`|~");

pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Bytes of a field value: visible characters, spaces, tabs, and opaque bytes above ASCII (RFC 9110, 5.5).
pub(super) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether all bytes are those of a field value. Looking at all of them lets the compiler take many at once.
pub(super) fn are_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fine, byte| fine & is_value(*byte))
}

/// Bytes of a path or query: all that can be seen, and those above ASCII, which are to be percent-encoded but are sent by
/// many and read as themselves by all. But no fragment, which is never sent (RFC 9112, 3.2.1).
pub(super) const fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != b'#' && byte != 0x7f
}
