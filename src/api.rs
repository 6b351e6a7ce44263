//! The dashboard API on the second listener: JSON for people's pages and programs.
//!
//! | path | answer |
//! |---|---|
//! | `/dashboard/stats` | the machine, its GPUs, and what was answered |
//! | `/dashboard/exchanges` | finished exchanges, the newest first, with filters |
//! | `/dashboard/exchanges/{id}` | one exchange, and where its time went |
//! | `/dashboard/series` | several metrics of exchanges over time |
//! | `/dashboard/traces/{id}` | the exchanges of one trace, each with where its time went |
//! | `/dashboard/session` | who asks; a POST begins the session of a browser, and one to `/dashboard/session/end` ends it |
//! | `/dashboard/ws-ticket` | a POST gives out a ticket that opens one WebSocket |
//! | `/openapi.json` | this API as an OpenAPI 3.1 document, made from the code |
//!
//! Promises:
//! * Every field has a real source. What is unknown is `null`, and `unknown` at the top of the answer has its reason by
//!   JSON pointer ([`unknown`]); it is never zero.
//! * A query parameter that is not documented, or has a value that is not allowed, is refused with 400 and what is allowed
//!   ([`parameters`]). Every error has one shape ([`error`]).
//! * Nothing is read from files on the thread that serves: questions go to the readers of the history.
//! * No prompt and no answer is shown.
//!
//! Left out: who may ask, except for what an endpoint needs ([`access`]); sockets, TLS and `Host` are the listener's.

pub mod access;
mod cached;
mod endpoints;
mod error;
mod export;
mod openapi;
mod parameters;
mod questions;
mod range;
mod reply;
mod state;
mod unknown;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use error::{ApiError, Code};
pub use state::{Parts, ReadHost};

/// Whether a path belongs to this API, also where nothing is there.
#[must_use]
pub fn owns(path: &str) -> bool {
    crate::access::paths::is_api(path)
}

/// Answers every path that [`owns`] says.
pub fn router(parts: Parts) -> Router {
    let (router, document) = documented().with_state(Arc::new(parts)).split_for_parts();
    let document = axum::body::Bytes::from(openapi::bytes(&document));
    router
        .route("/openapi.json", get(move || async move { reply::document(document) }))
        .fallback(|| async { ApiError::new(Code::NotFound, "there is nothing at this path; /openapi.json lists them") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(Code::MethodNotAllowed, "this path does not know this method")
        })
        .layer(axum::middleware::from_fn(cached::revalidate))
}

/// The endpoints, with the document of each.
fn documented() -> OpenApiRouter<Arc<Parts>> {
    OpenApiRouter::with_openapi(openapi::document())
        .routes(routes!(endpoints::session::session, endpoints::session::sign_in))
        .routes(routes!(endpoints::session::sign_out))
        .routes(routes!(endpoints::session::ticket))
        .routes(routes!(endpoints::stats::stats))
        .routes(routes!(endpoints::exchanges::exchanges))
        .routes(routes!(endpoints::exchange::exchange))
        .routes(routes!(endpoints::series::series))
        .routes(routes!(endpoints::trace::trace))
}
