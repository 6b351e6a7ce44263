//! `/dashboard/exchanges/{id}/stop`: ends one exchange in flight.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::exchange::digits;
use super::in_flight::id;
use crate::access::identity::Identity;
use crate::access::{came_from, product_of};
use crate::api::access::Change;
use crate::api::error::{ApiError, Code};
use crate::api::nothing::Nothing;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{NOW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::Unknown;
use crate::history::journal::audit::{Action, ActionResult, Audit};

/// An exchange that was stopped.
#[derive(Serialize, ToSchema)]
#[schema(as = StoppedExchange)]
pub(crate) struct Stopped {
    id: String,
    /// By which it is found among those that have ended, with the error `stopped`.
    trace_id: String,
    stopped: bool,
    unknown: Unknown,
}

/// Stops an exchange: its client gets an error where its answer has not begun, else a cut answer, and its backend's
/// connection is closed.
#[utoipa::path(
    post,
    path = "/dashboard/exchanges/{id}/stop",
    params(
        ("id" = String, Path, description = "The id among those in flight.", pattern = "^[0-9]{1,19}$"),
        NoParameters
    ),
    request_body = Nothing,
    responses(
        (status = 200, description = "It is being stopped.", body = Stopped),
        (status = 404, description = "No such exchange is in flight.", body = inline(serde_json::Value)),
        ApiError
    )
)]
pub(crate) async fn stop(
    Path(wanted): Path<String>,
    _: Parameters<NoParameters>,
    _: Change,
    identity: Identity,
    headers: HeaderMap,
    State(parts): State<Arc<Parts>>,
    _: Nothing,
) -> Result<Reply<Stopped>, ApiError> {
    let exchange = parts.in_flight.snapshot().into_iter().find(|exchange| id(&parts, exchange) == wanted);
    let exchange = exchange.ok_or_else(not_in_flight)?;
    let stopped = (parts.stop_exchange)(exchange.id).await;
    let result = if stopped { ActionResult::Success } else { ActionResult::Failure };
    let entry = Audit::new(Action::Stop, result).by(identity.name().cloned()).on(exchange.backend.clone());
    let entry = came_from(entry, identity.client(), product_of(&headers));
    let model = exchange.model.as_deref().map(Arc::from);
    parts.journal.audit(entry.to(model).within(exchange.trace).with("endpoint", exchange.endpoint));
    if !stopped {
        return Err(not_in_flight());
    }
    let body = Stopped { id: wanted, trace_id: digits(exchange.trace), stopped, unknown: Unknown::default() };
    Ok(Reply::of(&body, NOW))
}

fn not_in_flight() -> ApiError {
    ApiError::new(
        Code::NotFound,
        "no exchange of this id is in flight: it has ended, or its last bytes are on their way",
    )
}
