//! The dashboard API on the second listener: JSON for people's pages and programs.
//!
//! | path | answer |
//! |---|---|
//! | `/dashboard` | leads to the page |
//! | `/dashboard/stats` | the machine, its GPUs, and what was answered |
//! | `/dashboard/models` | the models of all backends, which of them are in memory, and how they perform |
//! | `/dashboard/health` | how the parts of the program and its backends are |
//! | `/dashboard/config` | the settings in force, without what is secret |
//! | `/dashboard/logs` | the last lines of the log |
//! | `/dashboard/metrics` | rates, latencies, errors, and the last hour by minute |
//! | `/dashboard/cache` | models and prompts that the backends keep |
//! | `/dashboard/jobs` | pulls, pushes and creates of models |
//! | `/dashboard/audit` | who changed what, and who signed in |
//! | `/dashboard/errors` | failed exchanges and grave events, and what became of them |
//! | `/dashboard/security` | who may ask, and who tried |
//! | `/dashboard/alerts` | what deserves attention now |
//! | `/dashboard/alerts/{id}/ack` | a POST notes that somebody has seen an alert |
//! | `/dashboard/overview` | everything at a glance |
//! | `/dashboard/infrastructure/nodes`, `/dashboard/infrastructure/nodes/{id}` | this machine and those of the backends |
//! | `/dashboard/infrastructure/resources`, `/dashboard/infrastructure/resources/{id}` | inference processes by control group, and one of these places over an hour |
//! | `/dashboard/workload/models` | what models there are, what for, and whether they are used |
//! | `/dashboard/workload/deployments`, `/dashboard/workload/deployments/{id}/metrics` | models on backends |
//! | `/dashboard/workload/agents`, `/dashboard/workload/agents/{id}/performance` | who asks |
//! | `/dashboard/workload/executions`, `/dashboard/workload/executions/{id}` | jobs, and generations in flight |
//! | `/dashboard/alerts/history` | alerts that fire or have fired |
//! | `/dashboard/resources` | the processors, memory, disks, networks and GPUs of this machine |
//! | `/dashboard/workers` | the backends as workers, and this program as their coordinator |
//! | `/dashboard/exchanges` | finished exchanges, the newest first, with filters |
//! | `/dashboard/exchanges/in-flight` | those that have begun and not ended; a POST to `/dashboard/exchanges/{id}/stop` ends one |
//! | `/dashboard/exchanges/{id}` | one exchange, and where its time went |
//! | `/dashboard/series` | several metrics of exchanges over time |
//! | `/dashboard/traces` | the traces of finished exchanges, with a search |
//! | `/dashboard/traces/{id}` | the exchanges of one trace, each with where its time went |
//! | `/dashboard/session` | who asks; a POST begins the session of a browser, and one to `/dashboard/session/end` ends it |
//! | `/dashboard/ws-ticket` | a POST gives out a ticket that opens one WebSocket |
//! | `/api/metrics`, `/api/metrics/summary`, `/api/metrics/timeseries` | figures of now and over time, in an older dashboard's names |
//! | `/api/status`, `/api/health` | a sentence about now; whether the program answers |
//! | `/dashboard/ws`, `/ws` | WebSockets: topics as they change; the figures of `/api/metrics/summary` every five seconds |
//! | `/openapi.json` | this API as an OpenAPI 3.1 document, made from the code |
//!
//! Promises:
//! * Every field has a real source. What is unknown is `null`, and `unknown` at the top of the answer has its reason by
//!   JSON pointer (`unknown`); it is never zero.
//! * A query parameter that is not documented, or has a value that is not allowed, is refused with 400 and what is allowed
//!   (`parameters`). Every error has one shape (`error`).
//! * Nothing is read from files on the thread that serves: questions go to the readers of the history.
//! * No prompt and no answer is shown.
//!
//! Left out: who may ask, except for what an endpoint needs ([`access`]); sockets, TLS and `Host` are the listener's.

pub mod access;
mod cached;
mod endpoints;
mod error;
mod export;
mod lists;
mod live;
pub mod machines;
mod nothing;
mod openapi;
mod parameters;
pub mod peers;
mod questions;
mod range;
mod reply;
mod reports;
pub mod settings;
mod state;
mod sums;
mod unknown;
mod values;
mod vector;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use error::{ApiError, Code};
pub use state::{AskPrometheus, AskReplicas, Parts, ReadHost, StopExchange};

/// Whether a path belongs to this API, also where nothing is there.
#[must_use]
pub fn owns(path: &str) -> bool {
    crate::access::paths::is_api(path)
}

/// Answers every path that [`owns`] says.
pub fn router(parts: Parts) -> Router {
    let parts = Arc::new(parts);
    let hub = live::Hub::start(parts.clone());
    let (router, document) = documented().with_state(parts).split_for_parts();
    let document = axum::body::Bytes::from(openapi::bytes(&document));
    router
        .route("/dashboard", get(|| async { axum::response::Redirect::to("/") }))
        .route("/openapi.json", get(move || async move { reply::document(document) }))
        .fallback(|| async { ApiError::new(Code::NotFound, "there is nothing at this path; /openapi.json lists them") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(Code::MethodNotAllowed, "this path does not know this method")
        })
        .layer(axum::middleware::from_fn(cached::revalidate))
        .layer(axum::Extension(hub))
}

/// The endpoints, with the document of each.
fn documented() -> OpenApiRouter<Arc<Parts>> {
    OpenApiRouter::with_openapi(openapi::document())
        .routes(routes!(endpoints::session::session, endpoints::session::sign_in))
        .routes(routes!(endpoints::session::sign_out))
        .routes(routes!(endpoints::session::ticket))
        .routes(routes!(endpoints::stats::stats))
        .routes(routes!(endpoints::models::models))
        .routes(routes!(endpoints::health::health))
        .routes(routes!(endpoints::resources::resources))
        .routes(routes!(endpoints::workers::workers))
        .routes(routes!(endpoints::config::config))
        .routes(routes!(endpoints::logs::logs))
        .routes(routes!(endpoints::metrics::metrics))
        .routes(routes!(endpoints::cache::cache))
        .routes(routes!(endpoints::jobs::jobs))
        .routes(routes!(endpoints::audit::audit))
        .routes(routes!(endpoints::errors::errors))
        .routes(routes!(endpoints::security::security))
        .routes(routes!(endpoints::alerts::alerts))
        .routes(routes!(reports::alert_ack::acknowledge))
        .routes(routes!(reports::alert_history::history))
        .routes(routes!(reports::overview::overview))
        .routes(routes!(reports::nodes::nodes))
        .routes(routes!(reports::node::node))
        .routes(routes!(reports::resources::resources))
        .routes(routes!(reports::resource::resource))
        .routes(routes!(reports::models::models))
        .routes(routes!(reports::deployments::deployments))
        .routes(routes!(reports::deployment_metrics::metrics))
        .routes(routes!(reports::agents::agents))
        .routes(routes!(reports::agent_performance::agent_performance))
        .routes(routes!(reports::executions::executions))
        .routes(routes!(reports::execution::execution))
        .routes(routes!(endpoints::exchanges::exchanges))
        .routes(routes!(endpoints::failures::failures))
        .routes(routes!(endpoints::in_flight::in_flight))
        .routes(routes!(endpoints::exchange::exchange))
        .routes(routes!(endpoints::stop::stop))
        .routes(routes!(endpoints::series::series))
        .routes(routes!(endpoints::trace::trace))
        .routes(routes!(endpoints::traces::traces))
        .routes(routes!(endpoints::ws::topics))
        .routes(routes!(endpoints::ws::summary))
        .routes(routes!(endpoints::compat::metrics))
        .routes(routes!(endpoints::compat::metrics_summary))
        .routes(routes!(endpoints::compat::timeseries))
        .routes(routes!(endpoints::compat::status))
        .routes(routes!(endpoints::compat::health))
}
