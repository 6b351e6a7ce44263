//! Entity tags: whoever has an answer that has not changed gets 304 and no body.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// The tag of an answer. It is weak: when the answer was made is left out of the comparison.
pub(super) fn tag(value: &Value) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Object(fields) => {
            let compared = fields.iter().filter(|(name, _)| *name != "timestamp");
            compared.for_each(|(name, value)| (name, value).hash(&mut hasher));
        }
        other => other.hash(&mut hasher),
    }
    HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish())).expect("digits and quotes")
}

/// Answers 304 where the client has what would be sent.
pub(super) async fn revalidate(request: Request, next: Next) -> Response {
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let mut response = next.run(request).await;
    let matches = known.is_some_and(|known| is_known(&known, response.headers()));
    if matches && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    response
}

/// Whether a list of tags holds the answer's, compared weakly (RFC 9110, 8.8.3.2).
fn is_known(known: &HeaderValue, headers: &HeaderMap) -> bool {
    let Some((known, own)) = known.to_str().ok().zip(headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()))
    else {
        return false;
    };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(own))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn when_an_answer_was_made_does_not_change_its_tag() {
        let (first, later) = (json!({"timestamp": "1", "a": [1.5]}), json!({"timestamp": "2", "a": [1.5]}));
        assert_eq!(tag(&first), tag(&later));
        assert_ne!(tag(&first), tag(&json!({"timestamp": "1", "a": [1.6]})));
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let mut own = HeaderMap::new();
        own.insert(header::ETAG, HeaderValue::from_static("W/\"1\""));
        for (known, expected) in
            [("W/\"1\"", true), ("\"1\"", true), ("\"2\", W/\"1\"", true), ("*", true), ("\"11\"", false)]
        {
            assert_eq!(is_known(&HeaderValue::from_static(known), &own), expected, "{known}");
        }
    }
}
