//! Which fields may be sent as trailers. Pure.
//!
//! A recipient that merges trailers into the head would act on some fields, about the message, its sender or its route,
//! long after the head was judged (RFC 9110, 6.5.1). Such fields are removed in both directions.

/// Names that are allowed only in a head, in lower case.
const ONLY_IN_HEADS: [&str; 37] = [
    // Framing, and connection-specific fields.
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    // Routing.
    "forwarded",
    "host",
    "via",
    "x-real-ip",
    // Authentication, and other credentials.
    "api-key",
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authorization",
    "realm",
    "set-cookie",
    "www-authenticate",
    "x-api-key",
    // How a request is to be handled.
    "cache-control",
    "expect",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "x-body-compressed",
    "x-http-method-override",
    // How a response is to be handled.
    "age",
    "date",
    "expires",
    "location",
    "refresh",
    "retry-after",
    "vary",
    "warning",
];

/// Prefixes of such names: content coding and type, conditions, routing, and browsers' access control.
const ONLY_IN_HEADS_BEGIN: [&str; 4] = ["access-control-", "content-", "if-", "x-forwarded-"];

/// Digests are known only after the body (RFC 9530).
const DIGESTS: [&str; 2] = ["content-digest", "content-md5"];

/// Whether a field of this name may be sent as a trailer.
pub(super) fn passes(name: &[u8]) -> bool {
    let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
    let begins = |start: &&str| name.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start.as_bytes()));
    DIGESTS.iter().any(is) || !(ONLY_IN_HEADS.iter().any(is) || ONLY_IN_HEADS_BEGIN.iter().any(begins))
}

#[cfg(test)]
mod tests {
    use super::passes;

    #[test]
    fn fields_for_heads_are_removed_and_other_trailers_pass() {
        for name in ["Transfer-Encoding", "HOST", "authorization", "Content-Type", "If-Match", "TE", "X-Forwarded-Host"]
        {
            assert!(!passes(name.as_bytes()), "{name}");
        }
        for name in ["X-Sum", "Content-Digest", "Server-Timing", "If", "Hosts", "Grpc-Status", "Authentication-Info"] {
            assert!(passes(name.as_bytes()), "{name}");
        }
    }
}
