//! `/dashboard/traces/{id}`: the exchanges of one trace, each with where its time went.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::exchange::{DetailedExchange, detailed, digits};
use crate::api::error::{ApiError, Code};
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Reply};
use crate::api::state::Parts;
use crate::api::unknown::Unknown;
use crate::exchange::trace::TraceId;

/// The exchanges of a trace.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trace {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// 32 hexadecimal digits.
    trace_id: String,
    /// The newest first, at most a hundred.
    exchanges: Vec<DetailedExchange>,
    unknown: Unknown,
}

/// The exchanges of one trace, each with where its time went.
#[utoipa::path(
    get,
    path = "/dashboard/traces/{id}",
    params(("id" = String, Path, description = "32 hexadecimal digits.", pattern = "^[0-9a-fA-F]{32}$"), NoParameters),
    responses(
        (status = 200, description = "The exchanges of the trace.", body = Trace),
        (status = 404, description = "None of it is kept.", body = inline(serde_json::Value)),
        ApiError
    )
)]
pub(crate) async fn trace(
    Path(id): Path<String>,
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<Trace>, ApiError> {
    let not_kept = || ApiError::new(Code::NotFound, "no exchange of this trace is kept");
    let trace = TraceId::parse(&id).ok_or_else(not_kept)?;
    let found = parts.ask(move |reading| reading.trace(trace)).await?;
    if found.is_empty() {
        return Err(not_kept());
    }
    let body = Trace {
        timestamp: parts.text(Instant::now()),
        trace_id: digits(trace),
        exchanges: found.iter().map(detailed).collect(),
        unknown: Unknown::default(),
    };
    Ok(Reply::of(&body, LIST))
}
