//! The grammar of a host and port (RFC 3986, 3.2.2 and 3.2.3). Pure.

use std::net::Ipv6Addr;

use super::characters::alphanumeric_or;

/// Whether it is a host, by name, IPv4 address or bracketed IPv6 address, with or without a port.
///
/// An empty host is refused. `Host` may be empty only where the target has no authority (RFC 9112, 3.2), and an http or
/// https target always has one: a recipient has to reject an empty one (RFC 9110, 4.2.1).
pub(super) fn is_authority(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let end = memchr::memchr(b']', literal);
        return end.is_some_and(|end| is_address(&literal[..end]) && is_port(&literal[end + 1..]));
    }
    // Most names are short, so this is faster than a search by words.
    let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
    is_name(&value[..end]) && is_port(&value[end..])
}

/// A registered name or an IPv4 address.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && are_of_name(name)
}

/// Which characters a registered name may have (RFC 3986, 2.3 and 2.2). A table, as every request has a host to check.
const OF_NAME: [bool; 256] = alphanumeric_or(b"-._~!$&'()*+,;=");

/// Whether all are characters of a name or percent-encoded.
fn are_of_name(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = match after {
            _ if OF_NAME[usize::from(*first)] => after,
            [high, low, after @ ..] if *first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            _ => return false,
        };
    }
    true
}

/// An IPv6 address. Clients that dial a link-local one may leave its zone in, after a percent sign that is encoded (RFC
/// 6874) or not.
fn is_address(literal: &[u8]) -> bool {
    let (address, zone) = match memchr::memchr(b'%', literal) {
        Some(at) => (&literal[..at], Some(&literal[at + 1..])),
        None => (literal, None),
    };
    std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()) && zone.is_none_or(is_name)
}

/// Nothing, or a colon and a port, which may be empty.
fn is_port(rest: &[u8]) -> bool {
    let digits = match rest {
        [] => return true,
        [b':', digits @ ..] => digits,
        _ => return false,
    };
    let port = digits.iter().try_fold(0_u16, |port, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        port.checked_mul(10)?.checked_add(u16::try_from(digit).ok()?)
    });
    port.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_or_an_address_and_a_port_or_none() {
        for host in [
            "a",
            "a.b-c_d~",
            "localhost:11434",
            "127.0.0.1",
            "127.0.0.1:0",
            "a:",
            "a:65535",
            "a:00080",
            "[::1]",
            "[::1]:11434",
            "[::ffff:1.2.3.4]:",
            "[fe80::1%25eth0]:80",
            "[fe80::1%eth0]",
            "a%2Fb",
            "!$&'()*+,;=",
        ] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn texts_without_a_host_are_refused() {
        for host in [
            "",
            ":",
            ":80",
            "[",
            "]",
            "[]",
            "[::1",
            "::1",
            "[::1]80",
            "[::1]:x",
            "[a]",
            "[1.2.3.4]",
            "[v1.a]",
            "[::1%]",
            "[::1]:65536",
            "a:b",
            "a:b:c",
            "a:1:2",
            "a:+1",
            "a:-1",
            "a: 1",
            "a:99999",
            "a:65536",
            "a:18446744073709551696",
            "a]",
            "a[",
            "%",
            "%z",
            "%zz",
            "%2",
            "a%",
            "a b",
            "a/b",
            "a@b",
            "a?b",
            "a#b",
            "a\\b",
            "a\"b",
            "a<b",
            "\u{e9}",
            "a\tb",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }
}
