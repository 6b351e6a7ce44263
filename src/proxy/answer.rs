//! //! Answers that the proxy itself gives, marked as such and in the dialect of the caller.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::guard::Refusal;
use super::response::{Persistence, Version};
use crate::exchange::outcome::{ErrorType, Malformed};
use crate::wire::route::ErrorShape;

const KIND: &str = "application/json";
/// Marks an answer as the proxy's own.
const MARK: HeaderName = HeaderName::from_static("x-inferometer-error");

/// A listing merged from several backends'.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) body: Bytes,
    pub(super) content_type: Box<[u8]>,
}

/// An error that the proxy answers with itself.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) why: ErrorType,
    /// What happened and what to do about it.
    pub(super) text: String,
}

impl Answer {
    /// Writes it for an HTTP/1 client. The answer to a HEAD has no body.
    pub(super) fn to_bytes(
        &self,
        shape: ErrorShape,
        version: Version,
        persistence: Persistence,
        head_only: bool,
    ) -> Vec<u8> {
        let version = match version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
        let connection = Self::connection(persistence);
        let body = self.body(shape);
        let mut bytes = format!(
            "{version} {} {}\r\ncontent-type: {KIND}\r\n{MARK}: {}\r\ncontent-length: {}\r\n{connection}\r\n",
            self.status.as_u16(),
            self.status.canonical_reason().unwrap_or_default(),
            self.why.as_str(),
            body.len(),
        )
        .into_bytes();
        if !head_only {
            bytes.extend_from_slice(&body);
        }
        bytes
    }

    /// The end of the head that says what happens to the connection.
    fn connection(persistence: Persistence) -> &'static str {
        match persistence {
            Persistence::Implied => "",
            Persistence::Close => "connection: close\r\n",
            Persistence::KeepAlive => "connection: keep-alive\r\n",
        }
    }

    /// Builds it for the HTTP library.
    pub(super) fn respond(&self, shape: ErrorShape) -> Response<Bytes> {
        let mut response = Response::new(self.body(shape));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(KIND));
        headers.insert(MARK, HeaderValue::from_static(self.why.as_str()));
        response
    }

    fn body(&self, shape: ErrorShape) -> Bytes {
        let text = format!("inferometer: {}", self.text);
        let body = match shape {
            ErrorShape::Native => json!({ "error": text }),
            ErrorShape::OpenAi => {
                json!({ "error": { "message": text, "type": self.kind(), "param": null, "code": self.why.as_str() } })
            }
            ErrorShape::Anthropic => {
                json!({ "type": "error", "error": { "type": self.kind(), "message": text } })
            }
        };
        Bytes::from(body.to_string())
    }

    /// The error type that `OpenAI`'s and Anthropic's clients know for the status.
    fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            400..=499 => "invalid_request_error",
            503 => "overloaded_error",
            _ => "api_error",
        }
    }
}

/// A merged listing as HTTP/1 bytes.
pub(super) fn to_merged(merged: &Merged, version: Version, persistence: Persistence) -> Vec<u8> {
    let version = if version == Version::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let (length, connection) = (merged.body.len(), Answer::connection(persistence));
    let mut bytes = format!("{version} 200 OK\r\ncontent-type: ").into_bytes();
    bytes.extend_from_slice(&merged.content_type);
    bytes.extend_from_slice(format!("\r\ncontent-length: {length}\r\n{connection}\r\n").as_bytes());
    bytes.extend_from_slice(&merged.body);
    bytes
}

/// The same for the HTTP library.
pub(super) fn of_merged(merged: &Merged) -> Response<Bytes> {
    let mut response = Response::new(merged.body.clone());
    if let Ok(content_type) = HeaderValue::from_bytes(&merged.content_type) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// The answer to a malformed request.
pub(super) fn of_refusal(refusal: Refusal) -> Answer {
    let (status, why, text) = explain(refusal.why);
    Answer { status, why, text: text.to_owned() }
}

/// The answer to a malformed request, as HTTP/1.1 bytes.
pub(super) fn to_refusal(refusal: Refusal) -> Vec<u8> {
    of_refusal(refusal).to_bytes(refusal.shape, Version::Http11, Persistence::Close, refusal.head_only)
}

/// The answer to a client above the connection limit.
pub(super) fn too_many() -> Answer {
    let text = "too many connections: raise max_connections or the limit of open files".to_owned();
    Answer { status: StatusCode::SERVICE_UNAVAILABLE, why: ErrorType::Limit, text }
}

/// The same as HTTP/1.1 bytes, for a client that has sent no request.
pub(super) fn to_too_many() -> Vec<u8> {
    too_many().to_bytes(ErrorShape::Native, Version::Http11, Persistence::Close, false)
}

fn explain(why: Malformed) -> (StatusCode, ErrorType, &'static str) {
    let bad = |text| (StatusCode::BAD_REQUEST, ErrorType::BadRequest, text);
    match why {
        Malformed::RequestLine => {
            bad("the request line is malformed: send METHOD, target and HTTP version, ended by CRLF")
        }
        Malformed::Target => {
            bad("the target is malformed: send a path that begins with '/', or http:// with a valid host before it, \
             and no '#', space or control character in it; '*' is for OPTIONS alone")
        }
        Malformed::Version => (
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            ErrorType::BadRequest,
            "only HTTP/1.1, HTTP/1.0 and (from a connection's first byte on, unless it is turned off) HTTP/2 are spoken here",
        ),
        Malformed::Tls => bad("TLS is spoken here: use https:// in the base URL"),
        Malformed::Header => {
            bad("a header field is malformed: one NAME: VALUE a line, no folding, no control characters")
        }
        Malformed::Host => {
            bad("exactly one Host field is needed, with a name or an address, a port up to 65535 or none, \
             and equal to the target's where that is absolute")
        }
        Malformed::ContentLength => {
            bad("one Content-Length of digits alone is allowed, and none beside Transfer-Encoding")
        }
        Malformed::TransferEncoding => bad("the only Transfer-Encoding allowed is one 'chunked', and only in HTTP/1.1"),
        Malformed::Connect => (
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorType::BadRequest,
            "CONNECT is not for a reverse proxy: set this address as base URL, not as HTTP proxy; \
             for a WebSocket, open an HTTP/1.1 connection",
        ),
        Malformed::TooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ErrorType::Limit,
            "the request's head is too large: at most 256 KiB and 500 fields",
        ),
        Malformed::Timeout => {
            (StatusCode::REQUEST_TIMEOUT, ErrorType::ClientTimeout, "the request's head took too long to arrive")
        }
        // HTTP/2 reports these by codes of its own.
        Malformed::Http2 | Malformed::Flood | Malformed::Other => bad("the request is malformed"),
    }
}
