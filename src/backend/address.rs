//! The address of a backend, in every form that Ollama's clients accept.
//!
//! Promises: an address means the same here as for Ollama's own clients (`envconfig.Host` in Ollama): a bare host is
//! port 11434, `http://host` is port 80, `https://host` is port 443, a path is a prefix. An address printed with
//! `Display` parses to itself. Left out: zone identifiers, and names that are not ASCII (write them in their `xn--`
//! form).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Port of a bare host: Ollama's own.
pub const OLLAMA_PORT: u16 = 11434;

/// Port of `http://host` (RFC 9110, 4.2.1).
const HTTP_PORT: u16 = 80;

/// Port of `https://host` (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;

/// Longest host name, in bytes (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// The address of a backend, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether it uses TLS.
    pub tls: bool,
    /// Host name or address to dial, without brackets. `0.0.0.0` has become `127.0.0.1`.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path put before every request target, without a trailing slash. Often empty.
    pub prefix: String,
}

/// Why a text is not the address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// The host is missing.
    Empty,
    /// A scheme other than `http` and `https`.
    Scheme,
    /// A user name or password before the host.
    UserInfo,
    /// A query.
    Query,
    /// A fragment.
    Fragment,
    /// Not a host name or address.
    Host,
    /// Not a port.
    Port,
    /// A path with bytes or segments that cannot be a prefix.
    Path,
}

impl fmt::Display for AddressError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "a host is missing",
            Self::Scheme => "the scheme must be `http://` or `https://`",
            Self::UserInfo => "a user name or password in the address is not supported",
            Self::Query => "a query (`?…`) cannot be part of a backend's address",
            Self::Fragment => "a fragment (`#…`) cannot be part of a backend's address",
            Self::Host => "the host must be a name, an IPv4 address or an IPv6 address in brackets",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Path => "the path may hold printable ASCII only and no `.` or `..` segments",
        })
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (tls, default_port, rest) = scheme(text.trim())?;
        if rest.contains('#') {
            return Err(AddressError::Fragment);
        }
        if rest.contains('?') {
            return Err(AddressError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        Ok(Self { tls, host: dial_host(host)?, port: port_number(port, default_port)?, prefix: prefix(path)? })
    }
}

/// Whether the scheme means TLS, the port that it implies, and what follows it.
fn scheme(text: &str) -> Result<(bool, u16, &str), AddressError> {
    match text.split_once("://") {
        None => Ok((false, OLLAMA_PORT, text)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Ok((false, HTTP_PORT, rest)),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Ok((true, HTTPS_PORT, rest)),
        Some(_) => Err(AddressError::Scheme),
    }
}

/// Host without brackets, and the text of the port where there is one.
fn split_authority(authority: &str) -> Result<(&str, Option<&str>), AddressError> {
    if authority.is_empty() {
        return Err(AddressError::Empty);
    }
    if let Some(inner) = authority.strip_prefix('[') {
        let (host, after) = inner.split_once(']').ok_or(AddressError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| AddressError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(AddressError::Host),
        };
    }
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Ok((authority, None));
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::Host),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

/// The host as it is dialled: lower case, and an unspecified address as the loopback address of its family.
fn dial_host(host: &str) -> Result<String, AddressError> {
    if host.is_empty() {
        return Ok(Ipv4Addr::LOCALHOST.to_string());
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
            _ => ip.to_string(),
        });
    }
    if is_host_name(host) { Ok(host.to_ascii_lowercase()) } else { Err(AddressError::Host) }
}

/// Letters, digits, `-` and `_` in labels; a numeric last label would be a mistyped IPv4 address.
fn is_host_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= MAX_HOST && name.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

fn port_number(text: Option<&str>, default: u16) -> Result<u16, AddressError> {
    let Some(text) = text else { return Ok(default) };
    // `u16::from_str` takes a leading `+`.
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::Port);
    }
    text.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)
}

fn prefix(path: &str) -> Result<String, AddressError> {
    let path = path.trim_end_matches('/');
    let printable = path.bytes().all(|b| b.is_ascii_graphic());
    if printable && !path.split('/').any(|segment| matches!(segment, "." | "..")) {
        Ok(path.to_owned())
    } else {
        Err(AddressError::Path)
    }
}

impl Address {
    /// The host and port as in a client's `Host` field: brackets around IPv6, the scheme's default port left out.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == if self.tls { HTTPS_PORT } else { HTTP_PORT } { self.bracketed() } else { self.host_port() }
    }

    /// Host and port, always both. The default name of a backend.
    #[must_use]
    pub fn host_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The host as an IP address; `None` where it is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is the name `localhost` (RFC 6761, 6.3), which is never looked up.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost" || name.ends_with(".localhost")
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(out, "{scheme}://{}{}", self.host_port(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError};

    #[test]
    fn every_form_that_ollama_accepts_is_parsed() {
        let table = [
            ("localhost", "localhost", 11434, ""),
            ("LOCALHOST:80", "localhost", 80, ""),
            (" gpu-box:1234 ", "gpu-box", 1234, ""),
            ("http://host", "host", 80, ""),
            ("HTTP://Host:8000/", "host", 8000, ""),
            ("host/ollama/", "host", 11434, "/ollama"),
            ("http://host/a/b//", "host", 80, "/a/b"),
            ("0.0.0.0", "127.0.0.1", 11434, ""),
            ("http://0.0.0.0:9000", "127.0.0.1", 9000, ""),
            ("[::]:9000", "::1", 9000, ""),
            ("::1", "::1", 11434, ""),
            ("[2001:db8::2]", "2001:db8::2", 11434, ""),
            ("http://[::1]/x", "::1", 80, "/x"),
            (":8080", "127.0.0.1", 8080, ""),
            ("https://Host", "host", 443, ""),
            ("https://host:80/v1", "host", 80, "/v1"),
            ("my_service.ns.svc.cluster.local:80", "my_service.ns.svc.cluster.local", 80, ""),
        ];
        for (text, host, port, prefix) in table {
            let tls = text.starts_with("https");
            let expected = Address { tls, host: host.into(), port, prefix: prefix.into() };
            assert_eq!(text.parse::<Address>(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused_with_its_reason() {
        let table = [
            ("", AddressError::Empty),
            ("http://", AddressError::Empty),
            ("/path", AddressError::Empty),
            ("httpss://host", AddressError::Scheme),
            ("unix:///run/x", AddressError::Scheme),
            ("http://user:pw@host", AddressError::UserInfo),
            ("host?x=1", AddressError::Query),
            ("http://host/#top", AddressError::Fragment),
            ("http://ho st", AddressError::Host),
            ("256.1.1.1", AddressError::Host),
            ("127.1", AddressError::Host),
            ("a..b", AddressError::Host),
            ("bücher.example", AddressError::Host),
            ("[::1", AddressError::Host),
            ("[::1]x", AddressError::Host),
            ("[127.0.0.1]:80", AddressError::Host),
            ("fe80::1%eth0", AddressError::Host),
            ("a:b:c", AddressError::Host),
            ("host:", AddressError::Port),
            ("host:0", AddressError::Port),
            ("host:+80", AddressError::Port),
            ("host:65536", AddressError::Port),
            ("host/a b", AddressError::Path),
            ("host/a/../b", AddressError::Path),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Address>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_printed_address_parses_to_itself_and_the_host_field_is_a_clients() {
        for (text, authority) in [
            ("http://host", "host"),
            ("http://[::1]", "[::1]"),
            ("host", "host:11434"),
            ("[::1]:9/x", "[::1]:9"),
            ("1.2.3.4:80", "1.2.3.4"),
            ("https://host", "host"),
            ("https://host:80", "host:80"),
            ("http://host:443", "host:443"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            assert_eq!(address.authority(), authority);
        }
    }
}
