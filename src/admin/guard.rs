//! Who may ask: a listener on loopback answers to loopback names only.
//!
//! A web site can point its own name at 127.0.0.1 and so have a visitor's browser read what listens there (DNS
//! rebinding). The browser then sends the site's name as `Host`. A listener that is bound beyond loopback is asked by
//! names that are not known here, and answers to all of them.

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use http::{Request, StatusCode, Version, header};

/// Why an answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No host, several, or not one.
    Malformed,
    /// A name that is not loopback.
    Foreign,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Foreign => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "exactly one valid Host is needed\n",
            Self::Foreign => {
                "bound to loopback, this listener answers to localhost, 127.0.0.1 and [::1] only; \
                 to serve other names, bind it elsewhere with --admin-listen\n"
            }
        }
    }
}

/// Whether a request that came to `own` may be answered.
pub(super) fn check<B>(own: SocketAddr, request: &Request<B>) -> Result<(), Refusal> {
    if !own.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if request.uri().authority().is_some_and(|authority| !is_loopback(authority)) {
        return Err(Refusal::Foreign);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        // No browser speaks HTTP/1.0, the first version that needs no Host.
        (None, _) if request.version() == Version::HTTP_10 => Ok(()),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(host) if is_loopback(&host) => Ok(()),
            Ok(_) => Err(Refusal::Foreign),
            Err(_) => Err(Refusal::Malformed),
        },
        _ => Err(Refusal::Malformed),
    }
}

fn is_loopback(authority: &Authority) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return ip.to_canonical().is_loopback();
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(own: &str, hosts: &[&str]) -> Result<(), Refusal> {
        let mut request = Request::new(());
        for host in hosts {
            request.headers_mut().append(header::HOST, host.parse().expect("a value"));
        }
        check(own.parse().expect("an address"), &request)
    }

    #[test]
    fn on_loopback_only_loopback_names_are_answered() {
        let local =
            ["localhost", "LocalHost:8001", "a.localhost", "localhost.", "127.0.0.1:8001", "127.9.9.9", "[::1]:8001"];
        for host in local {
            assert_eq!(checked("127.0.0.1:8001", &[host]), Ok(()), "{host}");
        }
        let foreign =
            ["evil.example", "localhost.evil.example", "evillocalhost", "10.0.0.1", "0.0.0.0", "[::]", "a@localhost"];
        for host in foreign {
            assert_eq!(checked("[::1]:8001", &[host]), Err(Refusal::Foreign), "{host}");
        }
    }

    #[test]
    fn no_host_and_two_hosts_are_malformed() {
        assert_eq!(checked("127.0.0.1:1", &[]), Err(Refusal::Malformed));
        assert_eq!(checked("127.0.0.1:1", &["localhost", "localhost"]), Err(Refusal::Malformed));
        assert_eq!(checked("127.0.0.1:1", &["local host"]), Err(Refusal::Malformed));
    }

    #[test]
    fn beyond_loopback_every_name_is_answered() {
        assert_eq!(checked("0.0.0.0:8001", &["inferometer.monitoring.svc"]), Ok(()));
        assert_eq!(checked("192.168.1.2:8001", &[]), Ok(()));
    }

    #[test]
    fn an_absolute_target_is_held_to_the_same_names() {
        let mut request = Request::new(());
        request.headers_mut().insert(header::HOST, "localhost".parse().expect("a value"));
        *request.uri_mut() = "http://evil.example/metrics".parse().expect("a target");
        assert_eq!(check("127.0.0.1:1".parse().expect("an address"), &request), Err(Refusal::Foreign));
    }
}
