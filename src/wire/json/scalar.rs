//! Numbers and words. Every number from a backend is converted here.

use super::table::Want;
use super::value::Value;
use crate::wire::event::Defect;

/// 2^53, above which a double no longer holds every whole number. Numbers from here on are defects.
const LIMIT: f64 = 9_007_199_254_740_992.0;

/// Most digits of a number that is certainly below the limit.
const SAFE_DIGITS: usize = 15;

/// The wanted value in a number or word. `None` for `null`, and where only strings are wanted to be measured.
pub(super) fn parse<F: Copy>(want: &Want<F>, text: &[u8]) -> Result<Option<(F, Value<'static>)>, Defect> {
    if let Want::TextOr(_, other) = want {
        return parse(other, text);
    }
    let word = match text {
        b"null" => return Ok(None),
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    };
    let value = match (want, word) {
        (Want::Flag(field) | Want::Truthy(field), Some(word)) => (*field, Value::Is(word)),
        (Want::Count(field), None) => (*field, Value::Count(count(text)?)),
        (Want::Quantity(field), None) => (*field, Value::Quantity(quantity(text)?)),
        (Want::Measured(..), _) => return Ok(None),
        (Want::Truthy(field), None) => (*field, Value::Is(quantity(text) != Ok(0.0))),
        _ => return Err(Defect::Type),
    };
    Ok(Some(value))
}

/// A JSON number that is whole: `1.0` and `1e3` are, `1.5` is not.
fn count(text: &[u8]) -> Result<u64, Defect> {
    if is_plain_count(text) {
        return Ok(digits(text));
    }
    let value = quantity(text)?;
    if value.fract() == 0.0 { Ok(value as u64) } else { Err(Defect::Number) }
}

/// The plain count that begins at `from`, and its end. `None` where something else is there, or its end is not in
/// `bytes`.
#[inline]
pub(super) fn plain_count(bytes: &[u8], from: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(from..)?;
    let mut value = 0;
    for (at, byte) in rest[..rest.len().min(SAFE_DIGITS + 1)].iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let plain = at > 0 && (rest[0] != b'0' || at == 1) && !is_part_of_scalar(*byte);
            return plain.then_some((value, from + at));
        }
        value = value * 10 + u64::from(digit);
    }
    None
}

/// Whether it is a whole number in digits alone, short enough to be below the limit.
pub(super) fn is_plain_count(text: &[u8]) -> bool {
    matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() <= SAFE_DIGITS && text.iter().all(u8::is_ascii_digit)
}

/// The value of a plain count.
pub(super) fn digits(text: &[u8]) -> u64 {
    text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

/// A JSON number: finite, not negative, below 2^53.
fn quantity(text: &[u8]) -> Result<f64, Defect> {
    if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
        return Err(Defect::Number);
    }
    if !is_number(text) {
        return Err(Defect::Json);
    }
    let value = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()).ok_or(Defect::Json)?;
    if (0.0..LIMIT).contains(&value) { Ok(value) } else { Err(Defect::Number) }
}

/// The grammar of RFC 8259, section 6; the standard library's parser accepts more.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let text = match text {
        [b'0', rest @ ..] => rest,
        [b'1'..=b'9', rest @ ..] => after_digits(rest),
        _ => return false,
    };
    let text = match text {
        [b'.', b'0'..=b'9', rest @ ..] => after_digits(rest),
        _ => text,
    };
    match text {
        [] => true,
        [b'e' | b'E', b'+' | b'-', b'0'..=b'9', rest @ ..] | [b'e' | b'E', b'0'..=b'9', rest @ ..] => {
            after_digits(rest).is_empty()
        }
        _ => false,
    }
}

fn after_digits(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    &text[digits..]
}

/// The end of the number or word that continues at `from`; `None` if it is not in `bytes`.
#[inline]
pub(super) fn end_of_scalar(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].iter().position(|byte| !is_part_of_scalar(*byte)).map(|found| from + found)
}

#[inline]
pub(super) fn is_part_of_scalar(byte: u8) -> bool {
    PART_OF_SCALAR[usize::from(byte)]
}

/// By byte value: whether numbers and words may contain it.
static PART_OF_SCALAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'+' | b'.');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_wrong_type_is_a_defect() {
        assert_eq!(parse(&Want::Flag(7), b"true"), Ok(Some((7, Value::Is(true)))));
        assert_eq!(parse(&Want::Truthy(7), b"0"), Ok(Some((7, Value::Is(false)))));
        assert_eq!(parse(&Want::Truthy(7), b"500"), Ok(Some((7, Value::Is(true)))));
        for want in [Want::Flag(7), Want::Count(7), Want::Text(7), Want::Present(7), Want::Length(7)] {
            assert_eq!(parse(&want, b"null"), Ok(None), "null is unknown");
        }
        for (want, text) in
            [(Want::Count(7), "true"), (Want::Flag(7), "1"), (Want::Text(7), "5"), (Want::Present(7), "false")]
        {
            assert_eq!(parse(&want, text.as_bytes()), Err(Defect::Type), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let good = [("0", 0), ("7", 7), ("1.0", 1), ("-0", 0), ("1e3", 1000), ("999999999999999", 999_999_999_999_999)];
        for (text, value) in good {
            assert_eq!(count(text.as_bytes()), Ok(value), "{text}");
        }
        assert_eq!(count(b"9007199254740991"), Ok(9_007_199_254_740_991));
        assert_eq!(count(b"1.2e1"), Ok(12));
    }

    #[test]
    fn absurd_numbers_are_defects() {
        for text in ["-1", "1.5", "9007199254740992", "18446744073709551616", "1e400", "-1e400", "NaN", "Infinity"] {
            assert_eq!(count(text.as_bytes()), Err(Defect::Number), "{text}");
        }
        assert_eq!(quantity(b"-0.5"), Err(Defect::Number));
        assert_eq!(quantity(b"1e400"), Err(Defect::Number));
    }

    #[test]
    fn a_malformed_number_is_a_defect() {
        for text in ["", "-", "01", "00", "1.", ".5", "+1", "0x10", "1e", "1e+", "1.2.3", "inf", "nan", "1_000", "12a"]
        {
            assert_eq!(count(text.as_bytes()), Err(Defect::Json), "{text}");
        }
    }

    #[test]
    fn fractions_are_kept_where_no_count_is_expected() {
        assert_eq!(quantity(b"0.924"), Ok(0.924));
        assert_eq!(quantity(b"2.5e-3"), Ok(0.0025));
    }
}
