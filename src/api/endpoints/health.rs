//! `/dashboard/health`: how the parts of the program and its backends are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::alerts::metadata;
use super::backends::{resident, up};
use super::machine::percent;
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::reports::alert::{AlertCounts, Issue};
use crate::api::reports::common::Metadata;
use crate::api::reports::overview::{NodeCounts, node_counts};
use crate::api::state::Parts;
use crate::api::sums::{DAY, Totals, of_last};
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::state::{Activity, Copying, HistoryHealth};
use crate::history::timestamp::Timestamp;

/// How the parts of the program and its backends are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `unhealthy` where no backend answers, `degraded` where a component is not healthy, else `healthy`.
    status: Status,
    timestamp: String,
    components: Components,
    /// What deserves attention now.
    alerts: Vec<Alert>,
    /// 100, less 40 for each critical alert, 10 for each warning and 2 for each for information; not below 0.
    #[serde(rename = "systemHealth")]
    system_health: usize,
    summary: Summary,
    /// What deserves attention now, with the machines.
    issues: Vec<Issue>,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HealthStatus)]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
    /// It is switched off.
    Disabled,
}

#[derive(Serialize, ToSchema)]
struct Components {
    api_server: ApiServer,
    model_backends: ModelBackends,
    cache_system: CacheSystem,
    database: Database,
    audit_system: AuditSystem,
}

/// This listener.
#[derive(Serialize, ToSchema)]
struct ApiServer {
    status: Status,
    /// How long it took to make this answer.
    response_time_ms: f64,
    last_check: String,
}

/// `healthy` where every backend answers, `unhealthy` where none does.
#[derive(Serialize, ToSchema)]
struct ModelBackends {
    status: Status,
    loaded_models: Maybe<usize>,
    active_inference: usize,
    /// When the backends were last looked at.
    last_check: Maybe<String>,
}

/// Models that stay in memory.
#[derive(Serialize, ToSchema)]
struct CacheSystem {
    status: Status,
    /// Generations and embeddings of the last 24 hours that found their model in memory, by all of them: 0 to 1.
    hit_rate: Maybe<f64>,
    /// The part of all GPUs' memory that is in use: 0 to 1.
    size_usage: Maybe<f64>,
    last_check: Maybe<String>,
}

/// The files of the history, and PostgreSQL where it is copied there: `degraded` while either cannot be written.
#[derive(Serialize, ToSchema)]
struct Database {
    status: Status,
    /// Questions that are answered at once.
    connection_pool: Maybe<usize>,
    /// How long it took to read a day's sums.
    query_time_ms: Maybe<f64>,
    last_check: String,
}

/// What is written to the history.
#[derive(Serialize, ToSchema)]
struct AuditSystem {
    status: Status,
    /// Rows that wait to be written.
    pending_logs: Maybe<u64>,
    /// When something was last written.
    last_flush: Maybe<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HealthAlert)]
struct Alert {
    /// `info`, `warning` or `critical`.
    level: &'static str,
    component: String,
    message: String,
    /// When the condition began to hold.
    timestamp: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HealthSummary)]
struct Summary {
    nodes: NodeCounts,
    alerts: AlertCounts,
}

/// How the parts of the program and its backends are.
#[utoipa::path(
    get,
    path = "/dashboard/health",
    params(NoParameters),
    responses((status = 200, description = "How the parts of the program and its backends are.", body = Health), ApiError)
)]
pub(crate) async fn health(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Health> {
    let begun = Instant::now();
    let totals = of_last(&parts, DAY, begun).await;
    let asked = begun.elapsed();
    let (components, view) = (components(&parts, &totals, asked, begun), parts.alerts.view());
    let counts = AlertCounts::of(&view.firing);
    let body = Health {
        status: overall(&components),
        timestamp: parts.text(begun),
        components,
        alerts: view.firing.iter().map(alert).collect(),
        system_health: counts.system_health(),
        summary: Summary { nodes: node_counts(&parts, begun).await, alerts: counts },
        issues: view.firing.iter().map(|alert| Issue::of(alert, &parts.node)).collect(),
        metadata: metadata(&view),
        unknown: Unknown::default(),
    };
    Reply::of(&body, OVERVIEW)
}

fn overall(components: &Components) -> Status {
    let Components { api_server, model_backends, cache_system, database, audit_system } = components;
    let all = [api_server.status, model_backends.status, cache_system.status, database.status, audit_system.status];
    if model_backends.status == Status::Unhealthy {
        Status::Unhealthy
    } else if all.iter().any(|status| matches!(status, Status::Degraded | Status::Unhealthy)) {
        Status::Degraded
    } else {
        Status::Healthy
    }
}

fn components(parts: &Parts, totals: &Maybe<Totals>, asked: Duration, now: Instant) -> Components {
    let (history, checked) = (parts.history.health(), last_look(parts));
    let (database, writing) = (status_of(&history), writing(&history));
    let (text, is_on) = (parts.text(now), history.activity != Activity::Off);
    Components {
        api_server: ApiServer {
            status: Status::Healthy,
            response_time_ms: now.elapsed().as_secs_f64() * 1e3,
            last_check: text.clone(),
        },
        model_backends: ModelBackends {
            status: match (up(parts), parts.monitors().len()) {
                (0, _) => Status::Unhealthy,
                (up, all) if up < all => Status::Degraded,
                _ => Status::Healthy,
            },
            loaded_models: resident(parts).map(|resident| resident.len()),
            active_inference: parts.in_flight.count(),
            last_check: checked.clone(),
        },
        cache_system: CacheSystem {
            status: Status::Healthy,
            hit_rate: totals.as_ref().and_then(|totals| totals.residency_hits().or_unknown(Reason::NoSamples)),
            size_usage: gpu_memory(parts, now),
            last_check: checked,
        },
        database: Database {
            status: database,
            connection_pool: parts.readers.as_ref().map(|_| 2).or_unknown(Reason::NotConfigured),
            query_time_ms: totals.as_ref().map(|_| asked.as_secs_f64() * 1e3),
            last_check: text,
        },
        audit_system: AuditSystem {
            status: writing,
            pending_logs: is_on.then_some(history.waiting).or_unknown(Reason::NotConfigured),
            last_flush: history.committed.map(|at| Timestamp(at).to_string()).or_unknown(if is_on {
                Reason::NotYet
            } else {
                Reason::NotConfigured
            }),
        },
    }
}

/// Of the files alone.
fn writing(history: &HistoryHealth) -> Status {
    status_of(&HistoryHealth { copying: Copying::Off, ..history.clone() })
}

fn status_of(history: &HistoryHealth) -> Status {
    match (&history.activity, &history.copying) {
        (Activity::Off, _) => Status::Disabled,
        (Activity::Paused(..), _) | (_, Copying::Failing(_)) => Status::Degraded,
        (Activity::Opening | Activity::Writing, _) => Status::Healthy,
    }
}

/// When the backends were last looked at.
fn last_look(parts: &Parts) -> Maybe<String> {
    let last = parts.monitors().iter().filter_map(|monitor| monitor.refreshed()).max();
    last.map(crate::api::state::wall).or_unknown(Reason::NotYet)
}

/// The share of all GPUs' memory that is in use.
fn gpu_memory(parts: &Parts, now: Instant) -> Maybe<f64> {
    let Some(machine) = parts.machine(now) else { return Maybe::Unknown(Reason::NotConfigured) };
    let (mut used, mut total) = (0, 0);
    for gpu in machine.gpus() {
        let (Some(of), Some(all)) = (gpu.memory_used_bytes, gpu.memory_total_bytes) else { continue };
        (used, total) = (used + of, total + all);
    }
    percent(used, total).map(|percent| percent / 100.0).or_unknown(Reason::NotApplicable)
}

fn alert(alert: &crate::alert::raised::Alert) -> Alert {
    Alert {
        level: alert.severity.as_str(),
        component: alert.category.to_string(),
        message: alert.summary.to_string(),
        timestamp: Timestamp(alert.started).to_string(),
    }
}
