//! Grammar and limits of HTTP/1 that both sides share. Pure.

use super::characters::alphanumeric_or;

/// Largest head that is accepted, in bytes, request line and all fields included.
pub(super) const MAX_HEAD: usize = 256 * 1024;
/// Most fields that are accepted in a head, and again in the trailers.
pub(super) const MAX_FIELDS: usize = 500;

/// How far an incomplete head was scanned, so that no byte is scanned twice however slowly the head arrives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes scanned.
    pub(super) bytes: usize,
    /// Bytes of empty lines before the head, among those.
    pub(super) blank: usize,
    /// The first line is complete.
    pub(super) first_line: bool,
}

/// Whether a version is HTTP/1.1, rather than HTTP/1.0; `None` where the major version is another. A higher minor
/// version is treated as HTTP/1.1 (RFC 9110, 2.5).
pub(super) fn is_http11(version: &[u8]) -> Option<bool> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Some(*minor != b'0'),
        _ => None,
    }
}

/// Parses a length of digits only, few enough that no reader overflows.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Characters of a token (RFC 9110, 5.6.2), by byte: a table costs less than comparisons.
const TOKEN: [bool; 256] = alphanumeric_or(b"!#$%&'*+-.^_`|~");

pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Bytes of a field value: visible characters, spaces, tabs, and opaque bytes above ASCII (RFC 9110, 5.5).
pub(super) const fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether every byte may be part of a field value. Has no early exit, so that the compiler can vectorise it.
pub(super) fn are_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fine, byte| fine & is_value(*byte))
}

/// Bytes of a path or query: all visible ones, and those above ASCII, which should be percent-encoded but are sent
/// unencoded by many clients and accepted by all servers. No `#`: a fragment is never sent (RFC 9112, 3.2.1).
pub(super) const fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != b'#' && byte != 0x7f
}
