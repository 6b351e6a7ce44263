//! Refuses requests that a browser makes for another site's page.
//!
//! A web site can point its own name at 127.0.0.1 and so have a visitor's browser read what listens there (DNS
//! rebinding). The browser then sends the site's name as `Host`, so a listener on loopback answers to loopback names
//! only. The names of a listener bound beyond loopback are not known here, and it answers to all of them.
//!
//! Browsers also say what a request is for (Fetch Metadata). A request that another site's page makes for its own
//! content is refused on every listener: the page could not read the answer, but could measure its size and time, with
//! a password that the browser remembers. A link that is followed is answered.

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, Version, header};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestRefusal {
    /// `Host` is missing, repeated or malformed.
    Malformed,
    /// A name that is not loopback.
    Foreign,
    /// Made for a page of another site.
    CrossSite,
}

impl RequestRefusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Foreign | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "exactly one valid Host is needed",
            Self::Foreign => {
                "bound to loopback, this listener answers to localhost, 127.0.0.1 and [::1] only; \
                 to serve other names, bind it elsewhere with --admin-listen"
            }
            Self::CrossSite => "a page of another site gets nothing from here; open this address itself",
        }
    }
}

/// `own` is the address of the listener that the request came to.
pub(super) fn check<B>(own: SocketAddr, request: &Request<B>) -> Result<(), RequestRefusal> {
    if is_cross_site(request.headers()) {
        return Err(RequestRefusal::CrossSite);
    }
    if !own.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if request.uri().authority().is_some_and(|authority| !is_loopback(authority)) {
        return Err(RequestRefusal::Foreign);
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        // HTTP/1.0 requires no Host, and no browser speaks it.
        (None, _) if request.version() == Version::HTTP_10 => Ok(()),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(host) if is_loopback(&host) => Ok(()),
            Ok(_) => Err(RequestRefusal::Foreign),
            Err(_) => Err(RequestRefusal::Malformed),
        },
        _ => Err(RequestRefusal::Malformed),
    }
}

/// Only browsers send these headers, and no page can change them (Fetch Metadata: forbidden header names).
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

    fn checked(own: &str, hosts: &[&str]) -> Result<(), RequestRefusal> {
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
            assert_eq!(checked("[::1]:8001", &[host]), Err(RequestRefusal::Foreign), "{host}");
        }
    }

    #[test]
    fn no_host_and_two_hosts_are_malformed() {
        assert_eq!(checked("127.0.0.1:1", &[]), Err(RequestRefusal::Malformed));
        assert_eq!(checked("127.0.0.1:1", &["localhost", "localhost"]), Err(RequestRefusal::Malformed));
        assert_eq!(checked("127.0.0.1:1", &["local host"]), Err(RequestRefusal::Malformed));
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
                assert_eq!(checked, if *answered { Ok(()) } else { Err(RequestRefusal::CrossSite) }, "{fields:?}");
            }
        }
    }

    #[test]
    fn an_absolute_target_must_name_loopback_too() {
        let mut request = Request::new(());
        request.headers_mut().insert(header::HOST, "localhost".parse().expect("a value"));
        *request.uri_mut() = "http://evil.example/metrics".parse().expect("a target");
        assert_eq!(check("127.0.0.1:1".parse().expect("an address"), &request), Err(RequestRefusal::Foreign));
    }
}
