//! Who may ask: a listener on loopback answers to loopback names only.
//!
//! A web site can point its own name at 127.0.0.1 and so have a visitor's browser read what listens there (DNS
//! rebinding). The browser then sends the site's name as `Host`. A listener that is bound beyond loopback is asked by
//! names that are not known here, and answers to all of them.
//!
//! Browsers also say what a request is for (Fetch Metadata). What another site's page wants within itself is refused
//! everywhere: it could not read the answer, but learn from its size and time, and use a password that the browser
//! remembers. A link that is followed is answered.

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, Version, header};

/// Why an answer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No host, several, or not one.
    Malformed,
    /// A name that is not loopback.
    Foreign,
    /// For a page of another site.
    CrossSite,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Foreign | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "exactly one valid Host is needed\n",
            Self::Foreign => {
                "bound to loopback, this listener answers to localhost, 127.0.0.1 and [::1] only; \
                 to serve other names, bind it elsewhere with --admin-listen\n"
            }
            Self::CrossSite => "a page of another site gets nothing from here; open this address itself\n",
        }
    }
}

/// Whether a request that came to `own` may be answered.
pub(super) fn check<B>(own: SocketAddr, request: &Request<B>) -> Result<(), Refusal> {
    if is_cross_site(request.headers()) {
        return Err(Refusal::CrossSite);
    }
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

/// Only browsers say so, and no page can make them say something else.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let says = |name: &str, word: &str| headers.get(name).is_some_and(|value| value.as_bytes() == word.as_bytes());
    let followed = says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document");
    (says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site")) && !followed
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
    fn another_sites_page_gets_nothing_and_a_followed_link_is_answered() {
        let table: &[(&[(&'static str, &'static str)], bool)] = &[
            (&[], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], true),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], true),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], false),
            (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], false),
            (&[("sec-fetch-site", "cross-site")], false),
        ];
        for own in ["127.0.0.1:8001", "0.0.0.0:8001"] {
            for (fields, answered) in table {
                let mut request = Request::new(());
                request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
                for (name, value) in *fields {
                    request.headers_mut().insert(*name, header::HeaderValue::from_static(value));
                }
                let checked = check(own.parse().expect("an address"), &request);
                assert_eq!(checked, if *answered { Ok(()) } else { Err(Refusal::CrossSite) }, "{fields:?}");
            }
        }
    }

    #[test]
    fn an_absolute_target_is_held_to_the_same_names() {
        let mut request = Request::new(());
        request.headers_mut().insert(header::HOST, "localhost".parse().expect("a value"));
        *request.uri_mut() = "http://evil.example/metrics".parse().expect("a target");
        assert_eq!(check("127.0.0.1:1".parse().expect("an address"), &request), Err(Refusal::Foreign));
    }
}
