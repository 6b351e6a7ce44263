//! When a certificate ends: its `notAfter` (RFC 5280, 4.1.2.5), read from DER.
//!
//! Only what leads to it is read. Whatever is malformed has no end that is known.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;

const SEQUENCE: u8 = 0x30;
/// The version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of the first certificate of a chain; `None` where it is not understood.
pub(super) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<SystemTime> {
    not_after(chain.first()?)
}

fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (certificate, _) = tagged(certificate, SEQUENCE)?;
    let (mut fields, _) = tagged(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // The serial number, the algorithm and the issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = tagged(fields, SEQUENCE)?;
    let (tag, end, _) = element(element(validity)?.2)?;
    time(tag, end)
}

/// The content of an element with this tag, and what follows it.
fn tagged(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(bytes)?;
    (tag == wanted).then_some((content, rest))
}

/// The tag and the content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        0x80 | 0x85.. => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ` until 2049, then `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let number = |from: usize, length: usize| {
        digits[from..from + length].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    };
    let (year, at) = match (tag, digits.len()) {
        (UTC_TIME, 12) => (if number(0, 2) < 50 { 2000 } else { 1900 } + number(0, 2), 2),
        (GENERALIZED_TIME, 14) => (number(0, 4), 4),
        _ => return None,
    };
    let (month, day) = (number(at, 2), number(at + 2, 2));
    let second = number(at + 4, 2) * 3600 + number(at + 6, 2) * 60 + number(at + 8, 2);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1970;
    is_date.then(|| UNIX_EPOCH + Duration::from_secs(days_since_1970(year, month, day) * 86_400 + second))
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is the last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn a_certificate_says_when_it_ends() {
        let days = |days: u64| Some(UNIX_EPOCH + Duration::from_secs(days * 86_400));
        for ((year, month, day), expected) in
            [((2027, 2, 28), 20_877), ((2028, 2, 29), 21_243), ((2049, 12, 31), 29_219), ((2050, 1, 1), 29_220)]
        {
            assert_eq!(not_after(&certificate(year, month, day)), days(expected), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn what_is_malformed_has_no_end_and_breaks_nothing() {
        let whole = certificate(2030, 1, 1);
        for length in 0..whole.len() {
            let _ = not_after(&whole[..length]);
        }
        for at in 0..120 {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            let _ = not_after(&changed);
        }
        assert_eq!(not_after(b""), None);
        assert_eq!(not_after(&whole[..100]), None);
        assert_eq!(time(UTC_TIME, b"261301000000Z"), None);
        assert_eq!(time(UTC_TIME, b"26-101000000Z"), None);
    }
}
