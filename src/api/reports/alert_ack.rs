//! `POST /dashboard/alerts/{id}/ack`: somebody has seen an alert.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::alert::AlertFacts;
use crate::access::identity::Identity;
use crate::access::{came_from, product_of};
use crate::alert::kept::kept;
use crate::alert::raised::Acknowledgement;
use crate::api::access::Change;
use crate::api::error::{ApiError, Code};
use crate::api::nothing::Nothing;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{NOW, Reply};
use crate::api::state::Parts;
use crate::api::unknown::Unknown;
use crate::history::journal::audit::{Action, ActionResult, Audit};

/// The alert as it is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Acknowledged {
    timestamp: String,
    alert: AlertFacts,
    unknown: Unknown,
}

/// Notes that somebody has seen an alert that fires. It goes on to fire; whoever was first stays.
#[utoipa::path(
    post,
    path = "/dashboard/alerts/{id}/ack",
    params(("id" = String, Path, description = "The id of an alert that fires."), NoParameters),
    request_body = Nothing,
    responses(
        (status = 200, description = "It is acknowledged.", body = Acknowledged),
        (status = 404, description = "No alert of this id fires."),
        ApiError,
    )
)]
pub(crate) async fn acknowledge(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    _: Change,
    identity: Identity,
    headers: HeaderMap,
    State(parts): State<Arc<Parts>>,
    _: Nothing,
) -> Result<Reply<Acknowledged>, ApiError> {
    let now = Instant::now();
    let acknowledgement = Acknowledgement { by: identity.name().cloned(), at: parts.millis(now) };
    let Some(alert) = parts.alerts.acknowledge(&id, acknowledgement) else {
        return Err(ApiError::new(Code::NotFound, "no alert of this id fires; /dashboard/alerts lists them"));
    };
    let audit = Audit::new(Action::AlertAck, ActionResult::Success).by(identity.name().cloned());
    let audit = came_from(audit, identity.client(), product_of(&headers));
    let audit = audit.to(Some((&*alert.rule).into())).with("alert", &*alert.id);
    parts.journal.audit(audit);
    parts.journal.alert(kept(&alert));
    let body =
        Acknowledged { timestamp: parts.text(now), alert: AlertFacts::of(&alert, &parts), unknown: Unknown::default() };
    Ok(Reply::of(&body, NOW))
}
