//! `/dashboard/ws` and `/ws`: what changes, pushed over a WebSocket.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};

use crate::access::identity::Identity;
use crate::access::websocket_protocol;
use crate::api::error::{ApiError, Code};
use crate::api::live::{Hub, Topic, connection};
use crate::api::state::Parts;

/// Bytes of a message of a client.
const MAX_MESSAGE: usize = 16 * 1024;

/// Topics over a WebSocket: `{"action": "subscribe", "topics": ["stats"], "interval_ms": 1000}`.
#[utoipa::path(
    get,
    path = "/dashboard/ws",
    params(("ticket" = Option<String>, Query, description = "Of `/dashboard/ws-ticket`, in place of other credentials.")),
    responses((status = 101, description = "Pushes of topics follow, each `{topic, timestamp, data}`."), ApiError)
)]
pub(crate) async fn topics(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    identity: Identity,
    headers: HeaderMap,
    hub: Extension<Hub>,
    state: State<Arc<Parts>>,
) -> Result<Response, ApiError> {
    open(upgrade, identity, &headers, hub, state, None)
}

/// The figures of `/api/metrics/summary` over a WebSocket, every five seconds.
#[utoipa::path(
    get,
    path = "/ws",
    params(("ticket" = Option<String>, Query, description = "Of `/dashboard/ws-ticket`, in place of other credentials.")),
    responses((status = 101, description = "Figures follow, as `/api/metrics/summary` has them."), ApiError)
)]
pub(crate) async fn summary(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    identity: Identity,
    headers: HeaderMap,
    hub: Extension<Hub>,
    state: State<Arc<Parts>>,
) -> Result<Response, ApiError> {
    open(upgrade, identity, &headers, hub, state, Some(Topic::Summary))
}

fn open(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    identity: Identity,
    headers: &HeaderMap,
    Extension(hub): Extension<Hub>,
    State(parts): State<Arc<Parts>>,
    only: Option<Topic>,
) -> Result<Response, ApiError> {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(refused(&rejection)),
    };
    let Some(place) = hub.places().take(&identity) else {
        return Err(ApiError::new(Code::RateLimited, "too many WebSockets are open: close one"));
    };
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    let serve = move |socket| connection::serve(socket, hub, parts, (identity, place), only);
    let mut response = upgrade.on_upgrade(serve).into_response();
    // A browser that offers a protocol closes a connection that accepts none.
    if let Some(protocol) = websocket_protocol(headers).and_then(|name| HeaderValue::from_str(name).ok()) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

/// To a request that opens no WebSocket. Whoever asked for another version learns of ours (RFC 6455, 4.2.2).
fn refused(rejection: &WebSocketUpgradeRejection) -> Response {
    let message = "this is a WebSocket: ask with Upgrade: websocket, its version 13 and its key";
    let mut refused = ApiError::new(Code::InvalidParameter, message).into_response();
    if matches!(rejection, WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_)) {
        refused.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    refused
}
