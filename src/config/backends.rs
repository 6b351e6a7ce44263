//! Parses `[NAME=]URL`, and finds backends that are our own listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::invalid::InvalidValue;
use crate::backend::Backend;
use crate::backend::address::Address;

/// Most backends: those of every exchange are looked through one by one.
pub(super) const MAX_BACKENDS: usize = 256;

/// Longest name of a backend, in bytes. It is a label value.
const MAX_NAME: usize = 64;

/// The backends.
pub(super) fn parse_all(texts: &[&str]) -> Result<Vec<Backend>, InvalidValue> {
    texts.iter().enumerate().map(|(at, text)| parse(text).map_err(|reason| InvalidValue::Element(at, reason))).collect()
}

/// Parses `[NAME=]URL`. A `=` separates a name only if no `/`, `?` or `#` precedes it.
pub(super) fn parse(text: &str) -> Result<Backend, String> {
    let (name, url) = match text.split_once('=') {
        Some((name, url)) if !name.contains(['/', '?', '#']) => (Some(name.trim()), url),
        _ => (None, text),
    };
    let address = parse_address(url)?;
    let name = name.map(parse_name).transpose()?.unwrap_or_else(|| Arc::from(address.host_port()));
    Ok(Backend { name, address })
}

fn parse_address(url: &str) -> Result<Address, String> {
    url.parse().map_err(|error: crate::backend::address::AddressError| error.to_string())
}

fn parse_name(name: &str) -> Result<Arc<str>, String> {
    match is_name(name) {
        true => Ok(Arc::from(name)),
        false => Err(format!("the name must be 1 to {MAX_NAME} letters, digits, `.`, `_`, `:`, `-`, `[` or `]`")),
    }
}

/// The address of a backend; `None` for an empty text.
pub(super) fn address(url: &str) -> Result<Option<Address>, InvalidValue> {
    if url.is_empty() { Ok(None) } else { parse_address(url).map(Some).map_err(InvalidValue::Because) }
}

/// The name of a backend; `None` for an empty text.
pub(super) fn name(text: &str) -> Result<Option<Arc<str>>, InvalidValue> {
    if text.is_empty() { Ok(None) } else { parse_name(text).map(Some).map_err(InvalidValue::Because) }
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".:_-[]".contains(&b);
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// Whether dialling the address would reach our own listener, so that requests would loop. Names other than
/// `localhost`, and the machine's outer addresses for a listener on `0.0.0.0`, are not checked: that takes a resolver.
pub(super) fn reaches(address: &Address, own: SocketAddr) -> bool {
    let dialled = match address.ip() {
        Some(ip) => vec![ip.to_canonical()],
        None if address.is_localhost() => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        None => return false,
    };
    let listened = own.ip().to_canonical();
    address.port == own.port()
        && dialled.iter().any(|ip| *ip == listened || (listened.is_unspecified() && ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_a_name_and_an_address() {
        for (text, name, address) in [
            ("http://127.0.0.1:11434", "127.0.0.1:11434", "http://127.0.0.1:11434"),
            ("gpu1=http://gpu", "gpu1", "http://gpu:80"),
            ("gpu1=gpu", "gpu1", "http://gpu:11434"),
            ("host/a=b", "host:11434", "http://host:11434/a=b"),
            ("[::1]", "[::1]:11434", "http://[::1]:11434"),
        ] {
            let backend = parse(text).expect(text);
            assert_eq!((&*backend.name, backend.address.to_string().as_str()), (name, address), "{text}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_a_label_is_refused() {
        for text in ["=http://h", "a b=h", "é=h", &format!("{}=h", "x".repeat(65))] {
            assert!(parse(text).expect_err(text).starts_with("the name must"), "{text}");
        }
    }

    #[test]
    fn a_backend_that_is_our_own_listener_is_found_in_every_spelling() {
        let cases = [
            ("127.0.0.1:5", "127.0.0.1:5", true),
            ("localhost:5", "127.0.0.1:5", true),
            ("localhost:5", "[::1]:5", true),
            ("0.0.0.0:5", "127.0.0.1:5", true),
            ("[::]:5", "[::1]:5", true),
            ("127.0.0.1:5", "0.0.0.0:5", true),
            ("[::1]:5", "[::]:5", true),
            ("[::ffff:127.0.0.1]:5", "127.0.0.1:5", true),
            ("127.0.0.1:5", "[::]:5", true),
            ("192.168.1.2:5", "192.168.1.2:5", true),
            ("127.0.0.1:6", "127.0.0.1:5", false),
            ("127.0.0.2:5", "127.0.0.1:5", false),
            ("192.168.1.2:5", "127.0.0.1:5", false),
            ("other:5", "127.0.0.1:5", false),
        ];
        for (backend, own, is_loop) in cases {
            let address: Address = backend.parse().expect(backend);
            assert_eq!(reaches(&address, own.parse().expect(own)), is_loop, "{backend} from {own}");
        }
    }
}
