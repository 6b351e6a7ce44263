//! `/dashboard/security`: who may ask, and who tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::scope::Scope;
use crate::api::error::ApiError;
use crate::api::lists::object;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{LIST, Reply};
use crate::api::state::{Parts, wall};
use crate::api::sums::last;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::journal::audit::{Action, ActionResult};
use crate::history::query::lists::{ListFilter, ListQuery, ListedEvent};
use crate::history::timestamp::Timestamp;

/// Over which attempts are counted.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Most attempts that are listed.
const LISTED: usize = 20;

/// Who may ask, and who tried.
#[derive(Serialize, ToSchema)]
pub(crate) struct Security {
    authentication: Authentication,
    authorization: Authorization,
    rate_limiting: RateLimiting,
    /// Attempts that failed in the last hour, the newest first.
    security_events: Maybe<Vec<SecurityEvent>>,
    ssl_tls: Tls,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct Authentication {
    /// Whether credentials are asked for.
    enabled: bool,
    methods: Vec<&'static str>,
    active_sessions: usize,
    failed_attempts_last_hour: u64,
}

#[derive(Serialize, ToSchema)]
struct Authorization {
    rbac_enabled: bool,
    total_users: usize,
    /// What credentials can permit.
    total_roles: usize,
    active_permissions: usize,
}

#[derive(Serialize, ToSchema)]
struct RateLimiting {
    enabled: bool,
    current_limits: Limits,
    violations_last_hour: u64,
}

#[derive(Serialize, ToSchema)]
struct Limits {
    requests_per_minute: u32,
    /// In ten seconds.
    burst_size: u32,
}

#[derive(Serialize, ToSchema)]
struct SecurityEvent {
    timestamp: String,
    #[serde(rename = "type")]
    kind: &'static str,
    source_ip: Maybe<String>,
    details: String,
    severity: &'static str,
}

/// Of this listener.
#[derive(Serialize, ToSchema)]
struct Tls {
    enabled: bool,
    certificate_expiry: Maybe<String>,
    cipher_suite: Maybe<String>,
}

/// Who may ask, and who tried.
#[utoipa::path(
    get,
    path = "/dashboard/security",
    params(NoParameters),
    responses((status = 200, description = "Who may ask, and who tried.", body = Security), ApiError)
)]
pub(crate) async fn security(
    _: Parameters<NoParameters>,
    State(parts): State<Arc<Parts>>,
) -> Result<Reply<Security>, ApiError> {
    let (settings, gate) = ((parts.settings)(), parts.gate.status());
    let filter = ListFilter {
        what: Some(Action::SignIn.as_str().into()),
        state: Some(ActionResult::Refused.as_str().into()),
        ..ListFilter::default()
    };
    let query = ListQuery { range: last(&parts, HOUR, Instant::now()), filter, offset: 0, limit: LISTED };
    let refused = parts.required(move |reading| reading.audit(&query)).await?;
    let without_tls = if settings.admin_speaks_tls { Reason::NotReported } else { Reason::NotConfigured };
    let body = Security {
        authentication: Authentication {
            enabled: !gate.means.is_empty(),
            methods: gate.means.iter().map(|means| means.as_str()).collect(),
            active_sessions: gate.sessions,
            failed_attempts_last_hour: gate.refused_last_hour,
        },
        authorization: Authorization {
            rbac_enabled: !gate.means.is_empty(),
            total_users: gate.holders,
            total_roles: Scope::ALL.len(),
            active_permissions: gate.permissions,
        },
        rate_limiting: RateLimiting {
            enabled: true,
            current_limits: Limits {
                requests_per_minute: gate.limits.per_minute.get(),
                burst_size: gate.limits.per_ten_seconds.get(),
            },
            violations_last_hour: gate.limited_last_hour,
        },
        security_events: refused.map(|refused| refused.entries.iter().map(event).collect()),
        ssl_tls: Tls {
            enabled: settings.admin_speaks_tls,
            certificate_expiry: settings.certificate_expires.map(wall).or_unknown(without_tls),
            cipher_suite: Maybe::Unknown(without_tls),
        },
        unknown: Unknown::default(),
    };
    Ok(Reply::of(&body, LIST))
}

/// Where an attempt came from.
fn address(event: &ListedEvent) -> Option<String> {
    object(event.detail.as_deref()).get("address")?.as_str().map(str::to_owned)
}

fn event(event: &ListedEvent) -> SecurityEvent {
    let who = event.who.as_deref().map_or(String::new(), |who| format!(" of {who}"));
    SecurityEvent {
        timestamp: Timestamp(event.at).to_string(),
        kind: "failed_login",
        source_ip: address(event).or_unknown(Reason::NotReported),
        details: format!("credentials{who} were refused"),
        severity: "medium",
    }
}
