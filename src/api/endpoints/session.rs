//! `/dashboard/session`: who asks, and the session of a browser; `/dashboard/ws-ticket`: how it opens a WebSocket.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::access::identity::Identity;
use crate::access::scope::Scope;
use crate::access::{Asker, Connection, NoRandom};
use crate::api::access::Change;
use crate::api::error::{ApiError, Code};
use crate::api::nothing::{Nothing, object};
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{NOW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::timestamp::Timestamp;

/// Bytes of a body: more than the longest token.
const MAX_BODY: usize = 64 * 1024;

/// How long a body may take. Anyone may send one.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// The user, the name of the API key, or the subject of the token.
    user: Maybe<String>,
    /// How that is known: none, certificate, password, `api_key` or jwt.
    method: &'static str,
    /// Whether the cookie of a session said so.
    session: bool,
    /// What is permitted.
    permissions: Vec<&'static str>,
    /// When that ends by itself: RFC 3339 in UTC.
    expires_at: Maybe<String>,
    unknown: Unknown,
}

/// Credentials, where the field `Authorization` has none: a user and a password, or an API key or token.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Credentials {
    Password(PasswordCredentials),
    Token(TokenCredentials),
    None(Nothing),
}

/// A user of the web configuration file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordCredentials {
    user: String,
    password: String,
}

/// An API key or a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenCredentials {
    #[schema(pattern = "^[!-~]+$")]
    token: String,
}

/// A ticket, which opens one WebSocket as `?ticket=`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ticket {
    ticket: String,
    /// How long it can be used, in seconds.
    expires_in: u64,
}

#[utoipa::path(
    get,
    path = "/dashboard/session",
    params(NoParameters),
    responses((status = 200, description = "Who asks.", body = Session), ApiError)
)]
pub(crate) async fn session(_: Parameters<NoParameters>, identity: Identity) -> Reply<Session> {
    Reply::of(&described(&identity), NOW)
}

#[utoipa::path(
    post,
    path = "/dashboard/session",
    params(NoParameters),
    request_body = Credentials,
    responses((status = 200, description = "A session has begun; its cookie is set.", body = Session), ApiError)
)]
pub(crate) async fn sign_in(
    _: Parameters<NoParameters>,
    _: Change,
    connection: Connection,
    identity: Identity,
    State(parts): State<Arc<Parts>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let given = if body.is_end_stream() {
        None
    } else {
        let Some(_room) = parts.gate.room_for_body() else { return Err(busy()) };
        let given = tokio::time::timeout(BODY_TIMEOUT, credentials(body)).await;
        given.map_err(|_| malformed("the body did not arrive in time"))??
    };
    let identity = match given {
        Some(field) => {
            let request = Request::from_parts(head, ());
            parts
                .gate
                .sign_in(&field, &Asker::of(&request, connection))
                .await
                .map_err(|denial| ApiError::from(&denial))?
        }
        None if identity.is_stranger() => return Err(missing()),
        None => identity,
    };
    let begun = parts.gate.begin_session(&identity).map_err(no_random)?;
    let session = Session { session: true, expires_at: Maybe::Known(text(begun.expires)), ..described(&identity) };
    Ok(with_cookie(Reply::of(&session, NOW).into_response(), begun.cookie))
}

#[utoipa::path(
    post,
    path = "/dashboard/session/end",
    params(NoParameters),
    request_body = Nothing,
    responses((status = 200, description = "The session has ended; its cookie is removed.", body = Ended), ApiError)
)]
pub(crate) async fn sign_out(
    _: Parameters<NoParameters>,
    _: Change,
    identity: Identity,
    State(parts): State<Arc<Parts>>,
    _: Nothing,
) -> Response {
    let ended = Ended { ended: identity.is_session() };
    with_cookie(Reply::of(&ended, NOW).into_response(), parts.gate.end_session(&identity))
}

#[utoipa::path(
    post,
    path = "/dashboard/ws-ticket",
    params(NoParameters),
    request_body = Nothing,
    responses((status = 200, description = "A ticket, which opens one WebSocket.", body = Ticket), ApiError)
)]
pub(crate) async fn ticket(
    _: Parameters<NoParameters>,
    _: Change,
    identity: Identity,
    State(parts): State<Arc<Parts>>,
    _: Nothing,
) -> Result<Reply<Ticket>, ApiError> {
    let (ticket, life) = parts.gate.issue_ticket(&identity).map_err(no_random)?;
    Ok(Reply::of(&Ticket { ticket, expires_in: life.as_secs() }, NOW))
}

/// What ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ended {
    /// Whether there was a session.
    ended: bool,
}

fn described(identity: &Identity) -> Session {
    Session {
        user: identity.name().map(|name| name.to_string()).or_unknown(Reason::NotApplicable),
        method: identity.means().as_str(),
        session: identity.is_session(),
        permissions: Scope::ALL.into_iter().filter(|scope| identity.may(*scope)).map(Scope::as_str).collect(),
        expires_at: identity.expires().map(text).or_unknown(Reason::NotApplicable),
        unknown: Unknown::default(),
    }
}

/// The credentials of a body, as the field `Authorization` would have them; `None` where it has none.
async fn credentials(body: Body) -> Result<Option<HeaderValue>, ApiError> {
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| malformed("the body is too large"))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    // Not the parser's words, which may repeat the text.
    let given = object(&bytes).ok_or_else(|| malformed("expected an object of user and password, or of token"))?;
    let field = match given {
        Credentials::None(Nothing {}) => return Ok(None),
        Credentials::Password(it) => format!("Basic {}", STANDARD.encode(format!("{}:{}", it.user, it.password))),
        Credentials::Token(TokenCredentials { token }) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            format!("Bearer {token}")
        }
        Credentials::Token(_) => return Err(malformed("the token has other characters than a token")),
    };
    let mut field = HeaderValue::try_from(field).expect("visible characters of ASCII, and a space");
    field.set_sensitive(true);
    Ok(Some(field))
}

/// RFC 3339 in UTC.
fn text(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).to_string()
}

fn malformed(why: &'static str) -> ApiError {
    ApiError::new(Code::InvalidParameter, why)
        .with(json!({ "parameter": "body", "allowed": ["user", "password", "token"] }))
}

fn busy() -> ApiError {
    let error =
        ApiError::new(Code::Unavailable, "too many sign in at once: send the credentials in Authorization, or retry");
    ApiError { retry_after: Some(BODY_TIMEOUT), ..error }
}

fn missing() -> ApiError {
    ApiError::new(Code::Unauthenticated, "user and password, or token, are needed")
}

fn no_random(_: NoRandom) -> ApiError {
    ApiError::new(Code::Unavailable, "the system gives no random numbers")
}

fn with_cookie(mut response: Response, mut cookie: HeaderValue) -> Response {
    cookie.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
