//! What a request says about who sends it, and for what.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use super::paths;

/// How a token is sent as a protocol of a WebSocket, for clients that can set no other field.
const BEARER_PROTOCOL: &str = "bearer.";

/// The parameter that holds a ticket.
const TICKET: &str = "ticket";

/// The cookie of a session.
pub(super) const HOST_COOKIE: &str = "__Host-inferometer-session";

/// Without TLS on loopback, where browsers keep no cookie with that prefix.
pub(super) const PLAIN_COOKIE: &str = "inferometer-session";

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a request arrived.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The address of the listener.
    pub own: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
}

/// A request, and where it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) connection: Connection,
}

/// What belongs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// Probes of orchestrators, which have no credentials.
    Probe,
    /// Metrics and health, which Prometheus asks for.
    Metrics,
    /// The API, live or not.
    Api,
    /// How a browser signs in and out.
    Session,
    /// The page and whatever else there is.
    Page,
}

impl Area {
    /// Compared with the raw path, so that every other spelling is protected.
    fn of(path: &str) -> Self {
        match path {
            "/livez" | "/readyz" => Self::Probe,
            "/metrics" | "/health" | "/-/healthy" | "/-/ready" => Self::Metrics,
            paths::SESSION | paths::SIGN_OUT => Self::Session,
            _ if paths::is_api(path) => Self::Api,
            _ => Self::Page,
        }
    }
}

/// Credentials as they were sent.
#[derive(Debug)]
pub(super) enum Given {
    Nothing,
    /// `Authorization`, or as if it had been.
    Authorization(HeaderValue),
    /// A ticket of a WebSocket.
    Ticket(String),
    /// A session's cookie.
    Cookie(String),
    /// Several that may differ.
    Ambiguous,
}

impl<'a> Asker<'a> {
    /// Of a request that came on this connection.
    #[must_use]
    pub fn of<B>(request: &'a Request<B>, connection: Connection) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers(), connection }
    }

    pub(super) fn area(&self) -> Area {
        Area::of(self.uri.path())
    }

    /// Whether only this machine reaches the listener.
    pub(super) fn is_local(&self) -> bool {
        self.connection.own.ip().to_canonical().is_loopback()
    }

    /// Whether it changes nothing (RFC 9110, 9.2.1).
    pub(super) fn is_read(&self) -> bool {
        matches!(*self.method, Method::GET | Method::HEAD)
    }

    /// Whether it asks for an address, for `localhost` or for one of these names: not for one that a web site points here.
    pub(super) fn is_for(&self, names: &[String]) -> bool {
        let mut hosts = self.headers.get_all(HOST).iter().map(|host| Authority::try_from(host.as_bytes()).ok());
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host,
            (None, _) => self.uri.authority().cloned(),
            _ => None,
        };
        let Some(host) = host else { return false };
        let bare = host.host().trim_start_matches('[').trim_end_matches(']');
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || names.iter().any(|known| known.eq_ignore_ascii_case(&name))
    }

    pub(super) fn is_websocket(&self) -> bool {
        let fields = self.headers.get_all(UPGRADE).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| field.split(',')).any(|word| word.trim().eq_ignore_ascii_case("websocket"))
    }

    /// Whether a page of another site may have sent it. Browsers say where a request comes from in fields that no page
    /// can set; programs send neither, and hold no credentials that they do not mean to send.
    pub(super) fn is_cross_site(&self) -> bool {
        if let Some(site) = self.headers.get(FETCH_SITE) {
            return site != "same-origin" || self.headers.get(ORIGIN).is_some_and(|origin| !self.is_own(origin));
        }
        self.headers.get_all(ORIGIN).iter().any(|origin| !self.is_own(origin))
    }

    /// Whether a browser says that this is another site's WebSocket. Fetch Metadata is younger than WebSockets, and not
    /// sent with them by every browser.
    pub(super) fn is_foreign_socket(&self) -> bool {
        self.headers.get_all(ORIGIN).iter().any(|origin| !self.is_own(origin))
    }

    fn is_own(&self, origin: &HeaderValue) -> bool {
        let mut hosts = self.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        authority.is_some_and(|authority| authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
    }

    /// The credentials that are meant: a field is preferred to a ticket, which is preferred to a cookie.
    pub(super) fn given(&self) -> Given {
        let mut fields = self.headers.get_all(AUTHORIZATION).iter();
        match (fields.next(), fields.next()) {
            (Some(field), None) => return Given::Authorization(field.clone()),
            (Some(_), Some(_)) => return Given::Ambiguous,
            (None, _) => {}
        }
        if self.is_websocket() {
            if let Some(token) = protocols(self.headers).find_map(|protocol| protocol.strip_prefix(BEARER_PROTOCOL)) {
                let field = HeaderValue::from_str(&format!("Bearer {token}"));
                return field.map_or(Given::Ambiguous, Given::Authorization);
            }
            if let Some(ticket) = self.ticket() {
                return Given::Ticket(ticket.to_owned());
            }
        }
        self.cookie(self.cookie_name()).map_or(Given::Nothing, |cookie| Given::Cookie(cookie.to_owned()))
    }

    fn ticket(&self) -> Option<&str> {
        let pairs = self.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == TICKET).map(|(_, value)| value).next()
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let fields = self.headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
        let mut pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn cookie_name(&self) -> &'static str {
        if self.has_plain_cookie() { PLAIN_COOKIE } else { HOST_COOKIE }
    }

    /// Whether a page's script asks, rather than the person who opens an address.
    pub(super) fn is_fetched(&self) -> bool {
        self.headers.get(FETCH_MODE).is_some_and(|mode| mode != "navigate")
    }

    pub(super) fn has_plain_cookie(&self) -> bool {
        self.is_local() && !self.connection.is_tls
    }
}

/// Whether a body says to be JSON, which a page cannot send to another site unasked. Asked of all that changes something.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let kind = one.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The protocols that a WebSocket offers.
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(',')).map(str::trim)
}

/// The protocol to answer a WebSocket with: browsers give up a connection whose server chooses none of those that were
/// offered. One that is no token is preferred.
#[must_use]
pub fn websocket_protocol(headers: &HeaderMap) -> Option<&str> {
    let is_token = |protocol: &&str| protocol.starts_with(BEARER_PROTOCOL);
    protocols(headers).find(|protocol| !is_token(protocol)).or_else(|| protocols(headers).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request<()> {
        let build = Request::builder().method(method).uri(target);
        fields.iter().fold(build, |build, (name, value)| build.header(*name, *value)).body(()).expect("a request")
    }

    fn asker(request: &Request<()>) -> Asker<'_> {
        let (peer, own) = ([127, 0, 0, 1].into(), ([127, 0, 0, 1], 8001).into());
        Asker::of(request, Connection { peer, own, is_tls: false })
    }

    #[test]
    fn every_path_but_probes_and_metrics_is_of_the_page_or_the_api() {
        for (area, paths) in [
            (Area::Probe, &["/livez", "/readyz"][..]),
            (Area::Metrics, &["/metrics", "/health", "/-/healthy", "/-/ready"]),
            (Area::Session, &["/dashboard/session", "/dashboard/session/end"]),
            (
                Area::Api,
                &[
                    "/dashboard",
                    "/dashboard/",
                    "/dashboard/stats",
                    "/api/x",
                    "/openapi.json",
                    "/ws",
                    "/dashboard/sessions",
                ],
            ),
            (
                Area::Page,
                &[
                    "/",
                    "/livez/",
                    "//livez",
                    "/Livez",
                    "/metrics/",
                    "/metrics%00",
                    "/dashboards",
                    "/%64ashboard",
                    "/apix",
                ],
            ),
        ] {
            for path in paths {
                assert_eq!(Area::of(path), area, "{path}");
            }
        }
    }

    #[test]
    fn another_sites_page_is_told_from_our_own_and_from_programs() {
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("origin", "http://localhost:8001")], false),
            (&[("origin", "https://LOCALHOST:8001")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8001")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("origin", "http://localhost:8002")], true),
            (&[("origin", "http://localhost")], true),
            (&[("origin", "null")], true),
            (&[("origin", "")], true),
            (&[("origin", "http://localhost:8001"), ("origin", "http://evil.example")], true),
        ];
        for (fields, is_cross_site) in table {
            let with_host: Vec<_> = fields.iter().copied().chain([("host", "localhost:8001")]).collect();
            let request = request("POST", "/dashboard/reload", &with_host);
            assert_eq!(asker(&request).is_cross_site(), *is_cross_site, "{fields:?}");
        }
        let without_host = request("POST", "/", &[("origin", "http://localhost:8001")]);
        assert!(asker(&without_host).is_cross_site() && asker(&without_host).is_foreign_socket());
    }

    #[test]
    fn a_name_that_a_site_may_have_pointed_here_is_told_from_ones_own() {
        for (host, is_own) in [
            ("10.0.0.7:8001", true),
            ("[2001:db8::1]:8001", true),
            ("localhost", true),
            ("dash.localhost:8001", true),
            ("GPU-Box.example:8001", true),
            ("gpu-box.example.", true),
            ("evil.example", false),
            ("gpu-box.example.evil.example", false),
            ("10.0.0.7.evil.example", false),
            ("", false),
        ] {
            let request = request("GET", "/dashboard/stats", &[("host", host)]);
            assert_eq!(asker(&request).is_for(&["gpu-box.example".to_owned()]), is_own, "{host}");
        }
        let twice = request("GET", "/", &[("host", "localhost"), ("host", "evil.example")]);
        assert!(!asker(&twice).is_for(&[]));
        assert!(!asker(&request("GET", "/", &[])).is_for(&[]), "no name at all");
    }

    #[test]
    fn only_json_is_json() {
        for (fields, is_json) in [
            (&[][..], false),
            (&[("content-type", "application/json")], true),
            (&[("content-type", "Application/JSON; charset=utf-8")], true),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "application/jsonx")], false),
            (&[("content-type", "text/plain; application/json")], false),
            (&[("content-type", "application/json"), ("content-type", "text/plain")], false),
        ] {
            assert_eq!(super::is_json(request("POST", "/", fields).headers()), is_json, "{fields:?}");
        }
    }

    #[test]
    fn a_websocket_may_bring_its_credentials_in_four_ways_and_others_in_two() {
        let given = |target: &str, fields: &[(&str, &str)]| match asker(&request("GET", target, fields)).given() {
            Given::Nothing => "nothing".to_owned(),
            Given::Ambiguous => "ambiguous".to_owned(),
            Given::Authorization(field) => field.to_str().expect("text").to_owned(),
            Given::Ticket(ticket) => format!("ticket {ticket}"),
            Given::Cookie(cookie) => format!("cookie {cookie}"),
        };
        let (upgrade, cookie) = (("upgrade", "WebSocket"), ("cookie", "a=b; inferometer-session=c"));
        let protocol = ("sec-websocket-protocol", "inferometer, bearer.t.o-k");
        assert_eq!(given("/ws", &[]), "nothing");
        assert_eq!(given("/ws", &[("authorization", "Bearer x"), upgrade, protocol, cookie]), "Bearer x");
        assert_eq!(given("/ws", &[("authorization", "Bearer x"), ("authorization", "Bearer x")]), "ambiguous");
        assert_eq!(given("/ws?ticket=z", &[upgrade, protocol, cookie]), "Bearer t.o-k");
        assert_eq!(given("/ws?a=b&ticket=z", &[upgrade, cookie]), "ticket z");
        assert_eq!(given("/ws?a=b", &[upgrade, cookie]), "cookie c");
        assert_eq!(given("/ws?ticket=z", &[protocol, cookie]), "cookie c", "no WebSocket");
        assert_eq!(
            given("/ws?ticket=z", &[("cookie", "__Host-inferometer-session=c")]),
            "nothing",
            "not over plain HTTP"
        );
    }

    #[test]
    fn the_answer_to_a_websocket_names_a_protocol_that_was_offered() {
        let chosen = |fields: &[(&str, &str)]| {
            let request = request("GET", "/", fields);
            websocket_protocol(request.headers()).map(str::to_owned)
        };
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[("sec-websocket-protocol", "bearer.x, inferometer")]).as_deref(), Some("inferometer"));
        assert_eq!(chosen(&[("sec-websocket-protocol", "bearer.x")]).as_deref(), Some("bearer.x"));
    }
}
