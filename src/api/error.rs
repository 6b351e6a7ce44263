//! The one shape of every error: a code for programs, a sentence for people, and details.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = ErrorCode)]
pub enum Code {
    /// Credentials are needed, or are wrong.
    Unauthenticated,
    /// The credentials do not permit it.
    InsufficientPermissions,
    /// Too many requests; `Retry-After` says when to try again.
    RateLimited,
    /// There is nothing at this path, or of this name.
    NotFound,
    /// A parameter is unknown or has a value that is not allowed.
    InvalidParameter,
    /// The path does not know this method.
    MethodNotAllowed,
    /// It cannot be answered now.
    Unavailable,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::Unauthenticated,
        Self::InsufficientPermissions,
        Self::RateLimited,
        Self::NotFound,
        Self::InvalidParameter,
        Self::MethodNotAllowed,
        Self::Unavailable,
    ];

    /// The status that goes with it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::InsufficientPermissions => StatusCode::FORBIDDEN,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidParameter => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Unauthenticated => "Credentials are needed, or are wrong.",
            Self::InsufficientPermissions => "The credentials do not permit it.",
            Self::RateLimited => "Too many requests.",
            Self::NotFound => "There is nothing of this name.",
            Self::InvalidParameter => "A parameter is unknown or has a value that is not allowed.",
            Self::MethodNotAllowed => "The path does not know this method.",
            Self::Unavailable => "It cannot be answered now.",
        }
    }
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// For programs.
    pub code: Code,
    /// For people: what to do.
    pub message: Cow<'static, str>,
    /// An object.
    pub details: Value,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// Without details.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: json!({}), retry_after: None }
    }

    /// With these details, an object.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let error = ErrorFacts { code: self.code, message: &self.message, details: &self.details };
        serde_json::to_vec(&ErrorBody { error }).expect("strings and a value only")
    }
}

/// The body of every answer that is an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
struct ErrorBody<'a> {
    error: ErrorFacts<'a>,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct ErrorFacts<'a> {
    /// For programs.
    code: Code,
    /// For people: what to do.
    message: &'a str,
    /// Of a parameter: its name and what is allowed; of a permission: the one that is needed and those that are there.
    #[schema(value_type = Object)]
    details: &'a Value,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), super::reply::json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up past the end of the wait.
            headers.insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
        }
        response
    }
}

/// The errors that every endpoint may answer with.
impl IntoResponses for ApiError {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let everywhere = Code::ALL.into_iter().filter(|code| !matches!(code, Code::NotFound | Code::MethodNotAllowed));
        let body = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
        let response =
            |code: Code| ResponseBuilder::new().description(code.meaning()).content("application/json", body());
        everywhere.map(|code| (code.status().as_u16().to_string(), response(code).build().into())).collect()
    }
}

/// The schemas that errors refer to.
pub(super) fn schemas(found: &mut Vec<(String, RefOr<utoipa::openapi::Schema>)>) {
    found.push(("Error".to_owned(), <ErrorBody<'_> as utoipa::PartialSchema>::schema()));
    <ErrorBody<'_> as ToSchema>::schemas(found);
}
