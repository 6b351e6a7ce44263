//! Converts HTTP/2 heads to HTTP/1.1 and back.
//!
//! The HTTP library has refused what RFC 9113 calls malformed; what is ambiguous in HTTP/1.1 is refused here, by the
//! rules of [`crate::proxy::guard`].

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Request};
use http_body::Body;

use crate::exchange::outcome::Malformed;
use crate::proxy::authority::is_authority;
use crate::proxy::fields::{Field, fields as lines_of};
use crate::proxy::grammar::{MAX_FIELDS, is_token, parse_length};
use crate::proxy::guard::judge_target;
use crate::proxy::response::Response;
use crate::proxy::trailers;

/// The length of a head in HTTP/1.1, in bytes, computed before it is written.
pub(super) fn length<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let host = request.uri().authority().map_or(0, |authority| authority.as_str().len());
    request.method().as_str().len() + target + host + 24 + fields_length(request.headers())
}

/// The length of fields in HTTP/1.1, in bytes.
pub(super) fn fields_length(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Converts a request for a backend that speaks HTTP/1.1.
pub(super) fn to_http1<B: Body>(request: Request<B>) -> Result<Request<B>, Malformed> {
    let (mut parts, body) = request.into_parts();
    let host = judge(&parts)?;
    parts.headers = fields(&parts.headers, host, !body.is_end_stream());
    Ok(Request::from_parts(parts, body))
}

/// Writes the head as HTTP/1.1.
pub(super) fn to_bytes(parts: &Parts) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut bytes = format!("{} {target} HTTP/1.1\r\n", parts.method).into_bytes();
    write(&parts.headers, &mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// The end of a chunked body. Omits fields that may not be trailers, and those whose name is no token, which the
/// library accepts.
pub(super) fn last_chunk(fields: &HeaderMap) -> Vec<u8> {
    let mut bytes = b"0\r\n".to_vec();
    let stands = |name: &str| name.bytes().all(is_token) && trailers::passes(name.as_bytes());
    write(fields.iter().filter(|(name, _)| stands(name.as_str())), &mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn write<'a>(headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>, out: &mut Vec<u8>) {
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Converts the head of a response: without connection-specific fields and framing (RFC 9113, 8.2.2). `None` where the
/// library cannot express it.
pub(super) fn to_http2(response: &Response<'_>) -> Option<http::Response<()>> {
    let mut made = http::Response::new(());
    *made.status_mut() = http::StatusCode::from_u16(response.status).ok()?;
    let mut repeated = false;
    for field in response.passing().filter(|field| !field.is(TRANSFER_ENCODING.as_str())) {
        if field.is(CONTENT_LENGTH.as_str()) && std::mem::replace(&mut repeated, true) {
            continue;
        }
        let (name, value) = parse(&field)?;
        made.headers_mut().append(name, value);
    }
    Some(made)
}

/// Parses trailer lines. Omits what the library cannot express, and all beyond the limit of a head.
pub(super) fn to_trailers(lines: &[u8]) -> HeaderMap {
    lines_of(lines).filter_map(|field| parse(&field)).take(MAX_FIELDS).collect()
}

fn parse(field: &Field<'_>) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(field.name).ok()?, HeaderValue::from_bytes(field.value).ok()?))
}

/// Judges a head and returns its host.
fn judge(parts: &Parts) -> Result<HeaderValue, Malformed> {
    if parts.method == Method::CONNECT {
        return Err(Malformed::Connect);
    }
    let target = parts.uri.path_and_query().ok_or(Malformed::Target)?;
    judge_target(parts.method.as_str().as_bytes(), target.as_str().as_bytes())?;
    if parts.headers.len() > MAX_FIELDS {
        return Err(Malformed::TooLarge);
    }
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => {}
        (Some(length), None) if parse_length(length.as_bytes()).is_some() => {}
        _ => return Err(Malformed::ContentLength),
    }
    host(parts)
}

/// `:authority`, else `Host`; both must agree (RFC 9113, 8.3.1).
fn host(parts: &Parts) -> Result<HeaderValue, Malformed> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (parts.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), None, _) => authority.as_str().as_bytes(),
        (Some(authority), Some(host), None) if host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            host.as_bytes()
        }
        (None, Some(host), None) => host.as_bytes(),
        _ => return Err(Malformed::Host),
    };
    if !is_authority(host) {
        return Err(Malformed::Host);
    }
    HeaderValue::from_bytes(host).map_err(|_| Malformed::Host)
}

/// The fields for HTTP/1.1: the host first, cookies joined into one field (RFC 9113, 8.2.3), framing for the body.
fn fields(given: &HeaderMap, host: HeaderValue, body: bool) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(given.len() + 2);
    fields.append(HOST, host);
    for (name, value) in given {
        match *name {
            HOST => {}
            COOKIE if fields.contains_key(COOKIE) => {}
            COOKIE => drop(fields.append(COOKIE, cookies(given, value))),
            _ => drop(fields.append(name.clone(), value.clone())),
        }
    }
    if body && !given.contains_key(CONTENT_LENGTH) {
        fields.append(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    fields
}

fn cookies(given: &HeaderMap, first: &HeaderValue) -> HeaderValue {
    let all: Vec<&[u8]> = given.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Each part is a valid value, so the joined one is.
    HeaderValue::from_bytes(&all.join(&b"; "[..])).unwrap_or_else(|_| first.clone())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{Empty, Full};

    use super::*;

    fn request(uri: &str, fields: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from_static(b"x")));
        *request.uri_mut() = uri.parse().expect("a target");
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect()
    }

    #[test]
    fn the_authority_becomes_the_host_and_the_body_gets_a_framing() {
        let given =
            request("http://a:1/x", &[("accept", "1"), ("cookie", "a=b"), ("te", "trailers"), ("cookie", "c=d")]);
        let made = to_http1(given).expect("a request");
        let expected = ["host: a:1", "accept: 1", "cookie: a=b; c=d", "te: trailers", "transfer-encoding: chunked"];
        assert_eq!(lines(made.headers()), expected);
        let made = to_http1(request("http://a/x", &[("content-length", "1")])).expect("a request");
        assert_eq!(lines(made.headers()), ["host: a", "content-length: 1"]);
        let made = to_http1(request("/x", &[("x", "y"), ("host", "b")]).map(|_| Empty::<Bytes>::new()));
        assert_eq!(lines(made.expect("a request").headers()), ["host: b", "x: y"]);
    }

    #[test]
    fn heads_that_are_ambiguous_in_http1_are_refused() {
        for (uri, fields, why) in [
            ("/x", &[][..], Malformed::Host),
            ("http://a/x", &[("host", "b")][..], Malformed::Host),
            ("http://a/x", &[("host", "a"), ("host", "a")], Malformed::Host),
            ("http://u@a/x", &[], Malformed::Host),
            ("/x", &[("host", "a/b")], Malformed::Host),
            ("http://a/x", &[("content-length", "1"), ("content-length", "1")], Malformed::ContentLength),
            ("http://a/x", &[("content-length", "+1")], Malformed::ContentLength),
            ("http://a:99999/x", &[], Malformed::Host),
            ("/x", &[("host", "")], Malformed::Host),
            ("/x", &[("host", "a:b:c")], Malformed::Host),
            ("/x", &[("host", "%zz")], Malformed::Host),
            ("/x", &[("host", "[::1")], Malformed::Host),
        ] {
            assert_eq!(to_http1(request(uri, fields)).err(), Some(why), "{uri} {fields:?}");
        }
        let mut connect = request("http://a:1/", &[]);
        *connect.method_mut() = Method::CONNECT;
        assert_eq!(to_http1(connect).err(), Some(Malformed::Connect));
    }

    #[test]
    fn a_response_loses_its_framing_and_nothing_else() {
        let head =
            b"HTTP/1.1 201 Made\r\nA: 1\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nX: 1\r\nB: 2\r\na: 3\r\n\r\n";
        let (response, _) =
            crate::proxy::response::parse_head(head, &mut Default::default()).expect("proper").expect("whole");
        let made = to_http2(&response).expect("a response");
        assert_eq!(
            (made.status().as_u16(), lines(made.headers())),
            (201, vec!["a: 1".into(), "a: 3".into(), "b: 2".into()])
        );
    }

    #[test]
    fn trailers_are_read_from_their_lines() {
        assert_eq!(lines(&to_trailers(b"X-Sum: 1\r\nY: z\r\n")), ["x-sum: 1", "y: z"]);
    }
}
