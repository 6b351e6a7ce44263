//! What changes in a head on its way through: the fields that belong to one connection, and nothing else.
//!
//! RFC 9110, 7.6.1. Fields are never removed from a map (that would move others): where one must go, the map is rebuilt,
//! and where none must, it stays as it is. `Transfer-Encoding: chunked` and `Trailer` keep their places, because the
//! message is framed the same way on both sides.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{Uri, Version};

/// What to do with the `Host` field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// It stays as the client sent it.
    #[default]
    Preserve,
    /// It becomes the backend's address.
    Upstream,
    /// It becomes this.
    Literal(HeaderValue),
}

/// Fields that never pass, besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 3] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];
/// Fields that stay although `Connection` may name them: they frame the message or travel with the framing, or they are
/// what a backend defends itself by (a client must not be able to have its `Host` replaced by ours).
const KEPT: [HeaderName; 4] = [TRANSFER_ENCODING, http::header::TRAILER, CONTENT_LENGTH, HOST];

/// Prepares the fields of a request for the backend.
pub(super) fn to_backend(headers: &mut HeaderMap, version: Version, host: &HostHeader, authority: &HeaderValue) {
    let upgrade = version == Version::HTTP_11 && wants_upgrade(headers);
    let te = headers.get(TE).is_some_and(|te| has_token(te, "trailers"));
    strip(headers, upgrade, te);
    match host {
        HostHeader::Preserve if headers.contains_key(HOST) => {}
        HostHeader::Preserve | HostHeader::Upstream => set_host(headers, authority),
        HostHeader::Literal(literal) => set_host(headers, literal),
    }
}

/// Prepares the fields of a response for the client.
pub(super) fn to_client(headers: &mut HeaderMap, switching: bool) {
    strip(headers, switching, false);
}

/// Whether the framing of a response can be read in one way only: at most one `chunked`, or one length.
///
/// The HTTP library is as lenient as RFC 9112, 6.3 allows it to be, but what is behind us need not be lenient in the same
/// way. Lines that repeat one length are merged by the library.
pub(super) fn is_framed_clearly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => true,
        (Some(coding), None) => codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (None, Some(length)) => {
            length.as_bytes().iter().all(u8::is_ascii_digit) && lengths.all(|other| other == length)
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether the request asks for another protocol that can be tunnelled. `h2c` is not passed on: backends that do not
/// know it drop the body of the request that carries it.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|connection| has_token(connection, "upgrade"))
        && headers.get(UPGRADE).is_some_and(|protocol| !has_token(protocol, "h2c"))
}

/// The target for the backend: origin-form, behind the configured prefix.
pub(super) fn target(uri: &Uri, prefix: &str) -> Result<Uri, http::uri::InvalidUri> {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if prefix.is_empty() && uri.authority().is_none() {
        return Ok(uri.clone());
    }
    // An absolute-form target with an empty path before its query has none to put the prefix before.
    let slash = if path.starts_with('/') || path == "*" { "" } else { "/" };
    format!("{prefix}{slash}{path}").try_into()
}

fn set_host(headers: &mut HeaderMap, host: &HeaderValue) {
    match headers.get_mut(HOST) {
        Some(value) => value.clone_from(host),
        None => drop(headers.insert(HOST, host.clone())),
    }
}

/// Drops what belongs to the connection. `upgrade` keeps the pair that switches protocols, `te` the will to have trailers.
fn strip(headers: &mut HeaderMap, upgrade: bool, te: bool) {
    let goes = |name: &HeaderName, nominated: &[HeaderName]| match *name {
        CONNECTION | UPGRADE => !upgrade,
        TE => !te,
        _ => HOP_BY_HOP.contains(name) || (nominated.contains(name) && !KEPT.contains(name)),
    };
    let nominated = nominated(headers);
    if !headers.keys().any(|name| goes(name, &nominated)) {
        return;
    }
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        if !goes(name, &nominated) {
            kept.append(name.clone(), value.clone());
        }
    }
    *headers = kept;
}

/// The fields that `Connection` names, the usual options left out.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let tokens = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tokens
        .map(str::trim)
        .filter(|token| !["keep-alive", "close", "upgrade", ""].iter().any(|usual| token.eq_ignore_ascii_case(usual)))
        .filter_map(|token| token.parse().ok())
        .collect()
}

/// Whether a comma-separated list holds a token.
pub(super) fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn list(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("ascii"))).collect()
    }

    const AUTHORITY: HeaderValue = HeaderValue::from_static("b:1");

    #[test]
    fn fields_of_the_connection_go_and_the_others_keep_their_order() {
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "keep-alive, X-Hop"),
            ("accept", "1"),
            ("x-hop", "2"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "3"),
            ("te", "gzip"),
            ("accept", "4"),
            ("zed", "5"),
        ]);
        to_backend(&mut headers, Version::HTTP_11, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(
            list(&headers),
            [("host", "a"), ("accept", "1"), ("accept", "4"), ("transfer-encoding", "chunked"), ("zed", "5")]
        );
    }

    #[test]
    fn a_connection_field_cannot_remove_the_framing_or_the_host() {
        let mut headers =
            map(&[("host", "a"), ("connection", "content-length, transfer-encoding, host"), ("content-length", "3")]);
        to_backend(&mut headers, Version::HTTP_11, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(list(&headers), [("host", "a"), ("content-length", "3")]);
    }

    #[test]
    fn a_response_is_framed_in_one_way_or_not_at_all() {
        for (clear, fields) in [
            (true, &[][..]),
            (true, &[("content-length", "3")]),
            (true, &[("content-length", "3"), ("content-length", "3")]),
            (true, &[("transfer-encoding", "Chunked")]),
            (false, &[("content-length", "3"), ("content-length", "4")]),
            (false, &[("content-length", "3, 3")]),
            (false, &[("content-length", "3"), ("transfer-encoding", "chunked")]),
            (false, &[("transfer-encoding", "gzip, chunked")]),
            (false, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
            (false, &[("transfer-encoding", "identity")]),
        ] {
            assert_eq!(is_framed_clearly(&map(fields)), clear, "{fields:?}");
        }
    }

    #[test]
    fn the_host_follows_the_policy() {
        for (policy, host) in [
            (HostHeader::Preserve, "a"),
            (HostHeader::Upstream, "b:1"),
            (HostHeader::Literal(HeaderValue::from_static("c")), "c"),
        ] {
            let mut headers = map(&[("host", "a"), ("x", "y")]);
            to_backend(&mut headers, Version::HTTP_11, &policy, &AUTHORITY);
            assert_eq!(list(&headers), [("host", host), ("x", "y")]);
        }
        let mut headers = map(&[("x", "y")]);
        to_backend(&mut headers, Version::HTTP_10, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(list(&headers), [("x", "y"), ("host", "b:1")]);
    }

    #[test]
    fn an_upgrade_passes_whole_and_h2c_not_at_all() {
        let mut headers = map(&[("host", "a"), ("connection", "Upgrade"), ("upgrade", "websocket")]);
        to_backend(&mut headers, Version::HTTP_11, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(list(&headers), [("host", "a"), ("connection", "Upgrade"), ("upgrade", "websocket")]);
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ]);
        to_backend(&mut headers, Version::HTTP_11, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(list(&headers), [("host", "a")]);
    }

    #[test]
    fn trailers_are_asked_for_where_the_client_asks() {
        let mut headers = map(&[("host", "a"), ("te", "trailers"), ("connection", "te")]);
        to_backend(&mut headers, Version::HTTP_11, &HostHeader::Preserve, &AUTHORITY);
        assert_eq!(list(&headers), [("host", "a"), ("te", "trailers")]);
    }

    #[test]
    fn targets_become_origin_form_behind_the_prefix() {
        for (given, prefix, expected) in [
            ("/a?b", "", "/a?b"),
            ("//a/../%2e", "", "//a/../%2e"),
            ("http://h:1/a?b", "", "/a?b"),
            ("http://h:1", "", "/"),
            ("/a", "/p", "/p/a"),
            ("http://h?q", "", "/?q"),
        ] {
            let uri: Uri = given.parse().expect("a target");
            assert_eq!(target(&uri, prefix).expect("a target").to_string(), expected, "{given} {prefix}");
        }
    }
}
