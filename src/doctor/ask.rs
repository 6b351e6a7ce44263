//! One question to a listener of this program, wherever it runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::backend::address::Address;
use crate::backend::dial::Dialer;
use crate::backend::fetch::{FetchError, FetchLimits, FetchedResponse, fetch};
use crate::tls::client::TlsClient;

/// The time limit of a question: a container's health check has a few seconds in all.
const LIMIT: FetchLimits = FetchLimits { time: Duration::from_secs(2), body: 1 << 20 };

/// A listener of this program, by its configured address.
pub(super) struct Listener {
    dialer: Dialer,
    host: HeaderValue,
}

impl Listener {
    /// One that listens on every address is asked on loopback. Its certificate is not checked: it may be for any name, or
    /// renewed and not loaded yet, and no secret is sent.
    pub(super) fn new(address: SocketAddr, tls: bool) -> Self {
        let address = address_of(address, tls);
        let host = HeaderValue::from_str(&address.authority()).expect("an IP address and a port are printable");
        Self { dialer: Dialer::new(address).with_tls(tls.then(TlsClient::accepting_any_certificate)), host }
    }

    /// As a URL.
    pub(super) fn url(&self) -> String {
        self.dialer.address().to_string()
    }

    pub(super) async fn get(&self, path: &str) -> Result<FetchedResponse, FetchError> {
        fetch(&self.dialer, &self.host, (Method::GET, path), LIMIT).await
    }

    /// As a client that reaches it under this name.
    pub(super) async fn get_as(&self, name: &str, path: &str) -> Result<FetchedResponse, FetchError> {
        let host = HeaderValue::from_str(name).map_err(|_| FetchError::Protocol)?;
        fetch(&self.dialer, &host, (Method::GET, path), LIMIT).await
    }
}

fn address_of(address: SocketAddr, tls: bool) -> Address {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Address { tls, host: ip.to_string(), port: address.port(), prefix: String::new() }
}
