//! Which trace an exchange belongs to: the name under which it is found again elsewhere.
//!
//! A client that traces says so in `traceparent` (W3C Trace Context, 3.2); for every other exchange an id is made up,
//! so that an exemplar always leads somewhere: to the trace, or at least to the line of the access log. Left out:
//! `tracestate`, and whether the trace was sampled. Nothing is ever added to a request.

use std::fmt;

/// The id of a trace: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Characters of an id in a header: two for each byte.
const DIGITS: usize = 32;

impl TraceId {
    /// An id that was made up.
    #[must_use]
    pub fn made_up(random: u128) -> Self {
        Self(random.max(1).to_be_bytes())
    }

    /// The id in a `traceparent`: `VERSION-TRACE-PARENT-FLAGS`, all lower-case hexadecimal. A later version may add
    /// fields at the end.
    #[must_use]
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let mut fields = traceparent.split(|byte| *byte == b'-');
        let (version, id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let version = *hex::<1>(version)?.first()?;
        let ended = fields.next().is_none();
        let (id, parent) = (hex::<16>(id)?, hex::<8>(parent)?);
        hex::<1>(flags)?;
        let valid = version != 0xff && (version > 0 || ended) && parent != [0; 8] && id != [0; 16];
        valid.then_some(Self(id))
    }

    /// As it is written everywhere: 32 lower-case hexadecimal digits.
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

/// So many bytes, and no digit more or less.
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
    fn the_id_of_a_traceparent_is_read_and_written_alike() {
        for parent in [
            format!("00-{ID}-00f067aa0ba902b7-01"),
            format!("00-{ID}-00f067aa0ba902b7-00"),
            format!("cc-{ID}-00f067aa0ba902b7-01-what-comes-later"),
        ] {
            assert_eq!(TraceId::parse(parent.as_bytes()).map(|id| id.to_string()).as_deref(), Some(ID), "{parent}");
        }
    }

    #[test]
    fn what_is_no_traceparent_names_no_trace() {
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
            assert_eq!(TraceId::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_id_that_was_made_up_is_never_zero() {
        assert_eq!(TraceId::made_up(0).to_string(), format!("{:032x}", 1));
        assert_eq!(TraceId::made_up(0xabc).to_string(), format!("{:032x}", 0xabc));
    }
}
