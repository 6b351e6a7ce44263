//! Who asks: the listener puts an [`Identity`] into each request. It has asked for `dashboard:read` already, and for
//! `dashboard:admin` where a request is neither GET nor HEAD; who changes something shows it with `Change`.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde_json::{Value, json};

use super::error::{ApiError, Code};
use crate::access::identity::Identity;
use crate::access::scope::{Scope, Scopes};
use crate::access::{Connection, Denial, is_json};

fn permissions(required: Scope, has: Scopes) -> Value {
    let has: Vec<_> = has.iter().map(Scope::as_str).collect();
    json!({ "required_permission": required.as_str(), "user_permissions": has })
}

impl From<&Denial> for ApiError {
    fn from(denial: &Denial) -> Self {
        let (code, details) = match denial {
            Denial::Closed | Denial::ForeignHost | Denial::CrossSite => (Code::InsufficientPermissions, json!({})),
            Denial::NotJson => {
                (Code::InvalidParameter, json!({ "parameter": "Content-Type", "allowed": ["application/json"] }))
            }
            Denial::Unauthenticated(..) => (Code::Unauthenticated, json!({})),
            Denial::TooManyAttempts(_) | Denial::RateLimited(_) => (Code::RateLimited, json!({})),
            Denial::NotPermitted { required, has } => (Code::InsufficientPermissions, permissions(*required, *has)),
        };
        Self { code, message: denial.text().into(), details, retry_after: denial.retry_after() }
    }
}

/// A request that came past the listener is not answered.
impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(past_the_listener)
    }
}

/// A request that changes something and says to be JSON. Every endpoint that takes a POST asks for it.
pub(super) struct Change;

impl<S: Sync> FromRequestParts<S> for Change {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if is_json(&parts.headers) { Ok(Self) } else { Err(ApiError::from(&Denial::NotJson)) }
    }
}

/// The connection that the request came on.
impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().copied().ok_or_else(past_the_listener)
    }
}

fn past_the_listener() -> ApiError {
    ApiError::new(Code::Unauthenticated, "who asks is not known")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_not_to_answer_has_the_status_of_its_code() {
        use std::time::Duration;

        use crate::access::{Challenge, Fault};
        let wait = Duration::from_secs(3);
        for denial in [
            Denial::Closed,
            Denial::ForeignHost,
            Denial::CrossSite,
            Denial::NotJson,
            Denial::Unauthenticated(Fault::Missing, Challenge::default()),
            Denial::TooManyAttempts(wait),
            Denial::RateLimited(wait),
            Denial::NotPermitted { required: Scope::DashboardAdmin, has: Scopes::default() },
        ] {
            let error = ApiError::from(&denial);
            assert_eq!((error.code.status(), error.retry_after), (denial.status(), denial.retry_after()), "{denial:?}");
        }
    }

    #[test]
    fn a_missing_scope_is_named_with_those_that_are_there() {
        let denial =
            Denial::NotPermitted { required: Scope::DashboardRead, has: [Scope::InferenceRead].into_iter().collect() };
        let details = json!({"required_permission": "dashboard:read", "user_permissions": ["inference:read"]});
        assert_eq!(ApiError::from(&denial).details, details);
    }
}
