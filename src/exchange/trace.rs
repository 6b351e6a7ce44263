//! The trace that an exchange belongs to.
//!
//! A client that traces sends `traceparent` (W3C Trace Context, 3.2); every other exchange gets a random id, so that an
//! exemplar always leads to the trace, or at least to the line of the access log. Left out: `tracestate`. Nothing is
//! ever added to a request.

use std::fmt;

/// The id of a trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Hexadecimal digits of a trace id.
const DIGITS: usize = 32;

impl TraceId {
    /// Makes an id of 128 random bits.
    #[must_use]
    pub fn from_random(random: u128) -> Self {
        Self(random.max(1).to_be_bytes())
    }

    /// Parses 32 hexadecimal digits, not all of them zero.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        let is_hexadecimal = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok().filter(|number| is_hexadecimal && *number > 0);
        number.map(Self::from_random)
    }

    /// The id as it is sent in binary.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> [u8; DIGITS] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        digits
    }
}

/// The client's span: the parent of the exchange's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParentSpan {
    /// The id of the span: 8 bytes, not all zero.
    pub span: [u8; 8],
    /// The client may have recorded the trace (W3C Trace Context, 3.2.2.5.1).
    pub sampled: bool,
}

/// Parses a `traceparent`: `VERSION-TRACE-PARENT-FLAGS`, all lower-case hexadecimal. A later version may add fields at
/// the end. `None` where it is malformed.
#[must_use]
pub fn parse_traceparent(traceparent: &[u8]) -> Option<(TraceId, ParentSpan)> {
    let mut fields = traceparent.split(|byte| *byte == b'-');
    let (version, id, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let [version] = hex::<1>(version)?;
    let ended = fields.next().is_none();
    let (id, span, [flags]) = (hex::<16>(id)?, hex::<8>(span)?, hex::<1>(flags)?);
    let valid = version != 0xff && (version > 0 || ended) && span != [0; 8] && id != [0; 16];
    valid.then_some((TraceId(id), ParentSpan { span, sampled: flags & 1 == 1 }))
}

/// Decodes exactly `2 * BYTES` digits.
fn hex<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.digits()).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_names_the_trace_the_span_and_whether_it_is_recorded() {
        for (parent, sampled) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), true),
            (format!("00-{ID}-00f067aa0ba902b7-00"), false),
            (format!("00-{ID}-00f067aa0ba902b7-02"), false),
            (format!("cc-{ID}-00f067aa0ba902b7-03-what-comes-later"), true),
        ] {
            let (id, read) = parse_traceparent(parent.as_bytes()).expect("proper");
            assert_eq!(id.to_string(), ID, "{parent}");
            let span = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];
            assert_eq!(read, ParentSpan { span, sampled }, "{parent}");
        }
    }

    #[test]
    fn a_malformed_traceparent_is_ignored() {
        for wrong in [
            String::new(),
            ID.to_owned(),
            format!("00-{ID}-00f067aa0ba902b7"),
            format!("00-{ID}-00f067aa0ba902b7-01-more"),
            format!("ff-{ID}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{ID}-0000000000000000-01"),
            format!("00-{ID}0-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", &ID[1..]),
            format!("00-{ID}-00f067aa0ba902b7-0\n"),
        ] {
            assert_eq!(parse_traceparent(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_random_id_is_never_zero() {
        assert_eq!(TraceId::from_random(0).to_string(), format!("{:032x}", 1));
        assert_eq!(TraceId::from_random(0xabc).to_string(), format!("{:032x}", 0xabc));
    }
}
