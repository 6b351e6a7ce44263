//! Answers of the second listener, with the headers that each of them carries.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::body::Body;
use super::negotiate::ExpositionFormat;
use crate::access::{Challenge, Denial};

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const REALM: HeaderValue = HeaderValue::from_static("Basic realm=\"inferometer\", charset=\"UTF-8\"");
const BEARER_REALM: HeaderValue = HeaderValue::from_static("Bearer realm=\"inferometer\"");
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// The page is one file without scripts: nothing may be loaded, framed or sent.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Keeps another site's page from embedding an answer as an image, a script or a frame.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Bytes of an answer of the dashboard API.
const MAX_API_ANSWER: usize = 8 << 20;

pub(super) type AdminAnswer = Response<Body>;

pub(super) fn answer(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> AdminAnswer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    confine(headers);
    answer
}

/// Keeps browsers from guessing a type, from telling other sites where they were, and other sites from embedding it.
fn confine(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}

/// An answer of the dashboard API.
pub(super) async fn of_api(api: Response<axum::body::Body>) -> AdminAnswer {
    let (mut head, body) = api.into_parts();
    confine(&mut head.headers);
    match axum::body::to_bytes(body, MAX_API_ANSWER).await {
        Ok(bytes) => Response::from_parts(head, bytes.into()),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the answer is too large\n"),
    }
}

pub(super) fn html(text: String) -> AdminAnswer {
    let mut page = answer(StatusCode::OK, HTML, text);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    page
}

/// The content type is for Prometheus, which since version 3 refuses a scrape without one.
pub(super) fn exposition(format: ExpositionFormat, gzip: bool, body: Body) -> AdminAnswer {
    let content_type = HeaderValue::from_static(match format {
        ExpositionFormat::Text => "text/plain; version=0.0.4; charset=utf-8",
        ExpositionFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    });
    let mut answer = answer(StatusCode::OK, content_type, body);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

/// Why a request is not answered, as text.
pub(super) fn denied(denial: &Denial) -> AdminAnswer {
    let mut refusal = answer(denial.status(), TEXT, format!("{}\n", denial.text()));
    if let Some(wait) = denial.retry_after() {
        // Whole seconds, rounded up past the end of the wait.
        refusal.headers_mut().insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
    }
    add_challenge(refusal.headers_mut(), denial);
    refusal
}

/// Says which credentials would be accepted.
pub(super) fn add_challenge(headers: &mut HeaderMap, denial: &Denial) {
    if let Denial::Unauthenticated(_, Challenge { basic, bearer }) = denial {
        for (is_accepted, realm) in [(*basic, REALM), (*bearer, BEARER_REALM)] {
            if is_accepted {
                headers.append(header::WWW_AUTHENTICATE, realm);
            }
        }
    }
}

pub(super) fn method_not_allowed() -> AdminAnswer {
    let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n");
    refusal.headers_mut().insert(header::ALLOW, ALLOW);
    refusal
}
