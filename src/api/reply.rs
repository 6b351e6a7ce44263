//! Answers: JSON with the reasons of what is unknown, and how long they stay fresh.

use std::marker::PhantomData;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::Value;

use super::export::{self, Format, Table};
use super::unknown::resolve;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a figure that changes all the time may be shown without asking again.
pub(super) const OVERVIEW: Duration = Duration::from_secs(2);

/// How long a list may be shown without asking again.
pub(super) const LIST: Duration = Duration::from_secs(5);

/// What may not be shown again.
pub(super) const NOW: Duration = Duration::ZERO;

/// An answer that can be JSON or a table.
pub(super) enum Listing<T> {
    Json(Reply<T>),
    Csv(Box<T>),
}

impl<T: Serialize + Table> Listing<T> {
    pub(super) fn of(body: T, fresh: Duration, format: Option<Format>) -> Self {
        match format.unwrap_or_default() {
            Format::Json => Self::Json(Reply::of(&body, fresh)),
            Format::Csv => Self::Csv(Box::new(body)),
        }
    }
}

impl<T: Table> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Json(reply) => reply.into_response(),
            Self::Csv(table) => export::csv(&*table),
        }
    }
}

/// An answer with this body.
pub(super) struct Reply<T> {
    value: Value,
    fresh: Duration,
    body: PhantomData<T>,
}

impl<T: Serialize> Reply<T> {
    pub(super) fn of(body: &T, fresh: Duration) -> Self {
        Self { value: resolve(body), fresh, body: PhantomData }
    }
}

impl<T> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let tag = super::cached::tag(&self.value);
        let bytes = serde_json::to_vec(&self.value).expect("a value can be written");
        let mut response = json(bytes);
        let headers = response.headers_mut();
        let fresh = format!("private, max-age={}", self.fresh.as_secs());
        headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(fresh).expect("digits and letters"));
        headers.insert(header::ETAG, tag);
        headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
        response
    }
}

/// A document that changes with the program only.
pub(super) fn document(bytes: axum::body::Bytes) -> Response {
    let tag = super::cached::tag(&Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    let mut response = json(bytes);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// These bytes, as JSON.
pub(super) fn json(bytes: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
