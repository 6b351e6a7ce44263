//! Bytes compared and searched eight at a time: the names and values of fields. Pure.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

/// Compares a name without regard to case, by its first and last bytes, which may overlap: names are short. `lower` is in
/// lower case, and of letters, digits and hyphens: in a token, setting the bit that tells cases apart makes nothing else of
/// those.
#[inline]
pub(super) fn is_named(name: &[u8], lower: &[u8]) -> bool {
    const CASE: u64 = ONES * 0x20;
    let word = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_le_bytes(*bytes) | CASE);
    let half = |bytes: Option<&[u8; 4]>| bytes.map(|bytes| u32::from_le_bytes(*bytes) | CASE as u32);
    if name.len() != lower.len() {
        return false;
    }
    match lower.len() {
        8..=16 => {
            word(name.first_chunk()) == word(lower.first_chunk()) && word(name.last_chunk()) == word(lower.last_chunk())
        }
        4..=7 => {
            half(name.first_chunk()) == half(lower.first_chunk()) && half(name.last_chunk()) == half(lower.last_chunk())
        }
        _ => name.eq_ignore_ascii_case(lower),
    }
}

/// The position from `from` on of the first byte that does not fit; the length where there is no such byte. `unusual` marks
/// the bytes of a word that may not fit.
#[inline(always)]
pub(super) fn first_unfit(bytes: &[u8], from: usize, unusual: impl Fn(u64) -> u64, fits: impl Fn(u8) -> bool) -> usize {
    let mut at = from;
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match unusual(u64::from_le_bytes(*word)) {
            0 => at += 8,
            unusual => {
                at += (unusual.trailing_zeros() / 8) as usize;
                if !fits(bytes[at]) {
                    return at;
                }
                at += 1;
            }
        }
    }
    bytes[at..].iter().position(|byte| !fits(*byte)).map_or(bytes.len(), |found| at + found)
}

/// Sets the high bit of each byte that is below a space or DEL. Only the lowest set bit is reliable, and only that is
/// used.
pub(super) const fn unusual_in_value(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let del = word ^ (ONES * 0x7f);
    (below_space | (del.wrapping_sub(ONES) & !del)) & HIGH
}

/// Sets the high bit of each byte that is neither a letter nor a hyphen.
pub(super) const fn unusual_in_name(word: u64) -> u64 {
    // Seven bits and a constant below 128 do not carry into the next byte.
    let low = (word | (ONES * 0x20)) & !HIGH;
    let from_a = low + ONES * (0x80 - b'a' as u64);
    let beyond_z = low + ONES * (0x7f - b'z' as u64);
    let no_hyphen = ((word ^ (ONES * b'-' as u64)) & !HIGH) + ONES * 0x7f;
    ((!(from_a & !beyond_z) & no_hyphen) | word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::super::grammar::{is_token, is_value};
    use super::*;

    /// A search by words finds what one byte by byte does, wherever each byte is among others that fit. In the middle is
    /// one of two that fit too, of which the first is unusual.
    fn agrees(usual: u8, middle: [u8; 2], unusual: impl Fn(u64) -> u64, fits: impl Fn(u8) -> bool) {
        for length in 1..40 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![usual; length];
                    bytes[place] = byte;
                    bytes[length / 2] = middle[usize::from(byte % 2)];
                    let from = place / 2;
                    let plain = bytes[from..].iter().position(|byte| !fits(*byte)).map_or(length, |found| from + found);
                    assert_eq!(first_unfit(&bytes, from, &unusual, &fits), plain, "{}", bytes.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn a_name_ends_at_the_first_byte_that_none_has() {
        agrees(b'n', [b'_', b'-'], unusual_in_name, is_token);
    }

    #[test]
    fn a_value_ends_at_the_first_byte_that_none_has() {
        agrees(b'\x80', [b'\t', b' '], unusual_in_value, is_value);
    }

    #[test]
    fn a_name_is_compared_without_case_and_by_every_byte() {
        let names = ["te", "host", "expect", "user-agent", "content-length", "http2-settings", "content-encoding"];
        for name in names.into_iter().chain(["transfer-encoding", "x-inferometer-backend"]) {
            assert!(
                is_named(name.as_bytes(), name.as_bytes()) && is_named(name.to_uppercase().as_bytes(), name.as_bytes())
            );
            for place in 0..name.len() {
                for byte in (0..=u8::MAX).filter(|byte| is_token(*byte)) {
                    let mut other = name.as_bytes().to_vec();
                    other[place] = byte;
                    assert_eq!(is_named(&other, name.as_bytes()), other.eq_ignore_ascii_case(name.as_bytes()));
                }
            }
            assert!(!is_named(&name.as_bytes()[1..], name.as_bytes()));
        }
    }
}
