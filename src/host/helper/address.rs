//! The address of the helper.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The socket and the path of the helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperAddress {
    /// A TCP port, usually of this machine.
    Tcp {
        /// `host:port`.
        authority: String,
        /// The path, with a leading slash.
        path: String,
    },
    /// A Unix socket, with the path `/metrics`.
    Unix(PathBuf),
}

impl HelperAddress {
    /// The default path.
    pub const PATH: &'static str = "/metrics";
}

/// An invalid address. Its text says what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHelperAddress;

impl fmt::Display for InvalidHelperAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "expected http://host:port, with a path unless it is /metrics, or unix:/path/of/a/socket, such as \
             `http://127.0.0.1:8002` or `unix:/run/inferometer-helper/helper.sock`",
        )
    }
}

impl std::error::Error for InvalidHelperAddress {}

impl FromStr for HelperAddress {
    type Err = InvalidHelperAddress;

    fn from_str(text: &str) -> Result<Self, InvalidHelperAddress> {
        if text.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control() || !b.is_ascii()) {
            return Err(InvalidHelperAddress);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return path.starts_with('/').then(|| Self::Unix(path.into())).ok_or(InvalidHelperAddress);
        }
        let rest = text.strip_prefix("http://").ok_or(InvalidHelperAddress)?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = authority.rsplit_once(':').ok_or(InvalidHelperAddress)?;
        let numbered = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
        if host.is_empty() || !numbered || authority.contains(['@', '?', '#']) {
            return Err(InvalidHelperAddress);
        }
        let path = if matches!(path, "" | "/") { Self::PATH } else { path };
        Ok(Self::Tcp { authority: authority.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for HelperAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { authority, path } => write!(out, "http://{authority}{path}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_socket_and_reads_back() {
        for (text, whole) in [
            ("http://127.0.0.1:8002", "http://127.0.0.1:8002/metrics"),
            ("http://localhost:8002/metrics/json", "http://localhost:8002/metrics/json"),
            ("http://[::1]:9090/json", "http://[::1]:9090/json"),
            ("unix:/run/helper.sock", "unix:/run/helper.sock"),
            ("unix:///run/helper.sock", "unix:/run/helper.sock"),
        ] {
            let address: HelperAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), whole);
            assert_eq!(whole.parse(), Ok(address));
        }
        for text in [
            "",
            "8002",
            "127.0.0.1:8002",
            "https://a:1",
            "http://a",
            "http://:1",
            "http://a:0",
            "http://a:99999",
            "http://a:+1",
            "http://u@a:1",
            "unix:",
            "unix:x",
            "http://a b:1",
            "http://a:1/\r\nX: y",
        ] {
            assert_eq!(text.parse::<HelperAddress>(), Err(InvalidHelperAddress), "{text:?}");
        }
    }
}
