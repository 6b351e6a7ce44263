//! The body of a request that needs to say nothing: none, or an empty object.

use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ApiError, Code};

/// Bytes of a body: room for white space.
const MAX: usize = 1024;

/// How long a body may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An empty object, or no body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl<S: Sync> FromRequest<S> for Nothing {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = request.into_body();
        if body.is_end_stream() {
            return Ok(Self {});
        }
        let bytes = tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, MAX)).await;
        let is_empty =
            bytes.is_ok_and(|bytes| bytes.is_ok_and(|bytes| bytes.is_empty() || object::<Self>(&bytes).is_some()));
        if is_empty { Ok(Self {}) } else { Err(not_empty()) }
    }
}

/// A JSON object as a value of this type; `None` for other JSON, also for a list of its fields.
pub(super) fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    bytes.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(bytes).ok())?
}

fn not_empty() -> ApiError {
    ApiError::new(Code::InvalidParameter, "the body is not an empty object")
        .with(json!({ "parameter": "body", "allowed": {} }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_no_list_of_its_fields() {
        assert!(object::<Nothing>(b" {} ").is_some());
        for other in ["[]", "null", "{\"a\": 1}", "{", "", "7"] {
            assert!(object::<Nothing>(other.as_bytes()).is_none(), "{other}");
        }
    }
}
