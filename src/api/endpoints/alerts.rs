//! `/dashboard/alerts`: what deserves attention now.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::machine::{GIB, fullness, part};
use crate::api::error::ApiError;
use crate::api::parameters::{NoParameters, Parameters};
use crate::api::reply::{OVERVIEW, Reply};
use crate::api::state::Parts;
use crate::api::sums::{DAY, last};
use crate::api::unknown::{Maybe, Reason, Unknown};
use crate::backend::status::ProbeState;
use crate::history::journal::event::EventKind;
use crate::history::query::lists::{ListFilter, ListQuery, ListedEvent};
use crate::history::state::Activity;
use crate::history::timestamp::Timestamp;

/// A filesystem that is fuller than this, in percent.
const NEARLY_FULL: f64 = 80.0;

/// Alerts that are over and listed.
const LISTED: usize = 50;

/// What deserves attention now. Until there are rules of its own or of a Prometheus, these are conditions that are seen
/// at the moment of the question.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alerts {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    active_alerts: Vec<ActiveAlert>,
    /// Of the last 24 hours, the newest first.
    resolved_alerts: Maybe<Vec<ResolvedAlert>>,
    alert_rules: Vec<Rule>,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct ActiveAlert {
    id: String,
    /// Since when; where that is not known, when it was seen.
    timestamp: String,
    /// `warning` or `critical`.
    level: &'static str,
    category: &'static str,
    title: &'static str,
    message: String,
    #[schema(value_type = Object)]
    details: Value,
    /// What to do.
    actions: Vec<&'static str>,
    acknowledged: bool,
}

#[derive(Serialize, ToSchema)]
struct ResolvedAlert {
    id: String,
    timestamp: Maybe<String>,
    resolved_at: String,
    level: &'static str,
    title: &'static str,
    resolution: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Rule {
    name: &'static str,
    condition: &'static str,
    severity: &'static str,
    enabled: bool,
}

/// What is looked at.
const RULES: [Rule; 3] = [
    Rule {
        name: "backend_down",
        condition: "a backend does not answer its probe",
        severity: "critical",
        enabled: true,
    },
    Rule { name: "history_paused", condition: "the history cannot be written", severity: "warning", enabled: true },
    Rule {
        name: "disk_nearly_full",
        condition: "a filesystem is more than 80 % full",
        severity: "warning",
        enabled: true,
    },
];

/// What deserves attention now.
#[utoipa::path(
    get,
    path = "/dashboard/alerts",
    params(NoParameters),
    responses((status = 200, description = "What deserves attention now.", body = Alerts), ApiError)
)]
pub(crate) async fn alerts(_: Parameters<NoParameters>, State(parts): State<Arc<Parts>>) -> Reply<Alerts> {
    Reply::of(&read(&parts, Instant::now()).await, OVERVIEW)
}

/// What is to be shown now.
pub(crate) async fn read(parts: &Parts, now: Instant) -> Alerts {
    let ended = |kind: EventKind| ListQuery {
        range: last(parts, DAY, now),
        filter: ListFilter { what: Some(kind.as_str().into()), ..ListFilter::default() },
        offset: 0,
        limit: LISTED,
    };
    let (up, resumed) = (ended(EventKind::BackendUp), ended(EventKind::HistoryResumed));
    let down = ended(EventKind::BackendDown);
    let resolved = parts
        .asked(move |reading| {
            let (mut up, down) = (reading.events(&up)?, reading.events(&down)?);
            // The first answer after a start ends nothing.
            let ends = |up: &ListedEvent| down.entries.iter().any(|it| it.backend == up.backend && it.at <= up.at);
            up.entries.retain(ends);
            Ok((up, reading.events(&resumed)?))
        })
        .await;
    Alerts {
        timestamp: parts.text(now),
        active_alerts: active(parts, now),
        resolved_alerts: resolved.map(|(up, resumed)| {
            let mut all: Vec<_> = up.entries.iter().chain(&resumed.entries).collect();
            all.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
            all.into_iter().take(LISTED).map(over).collect()
        }),
        alert_rules: RULES.into(),
        unknown: Unknown::default(),
    }
}

fn active(parts: &Parts, now: Instant) -> Vec<ActiveAlert> {
    let mut active = Vec::new();
    for monitor in &*parts.monitors() {
        let status = monitor.status.snapshot();
        if let ProbeState::Down(why) = status.state {
            let name = &monitor.backend.name;
            active.push(ActiveAlert {
                id: format!("backend_down_{name}"),
                timestamp: parts.text(status.since),
                level: "critical",
                category: "backend",
                title: "Backend does not answer",
                message: format!("backend {name} does not answer: {}", why.as_str()),
                details: json!({ "backend": &**name, "reason": why.as_str() }),
                actions: vec!["check_the_backend"],
                acknowledged: false,
            });
        }
    }
    if let Activity::Paused(pause, why) = &parts.history.health().activity {
        active.push(ActiveAlert {
            id: "history_paused".to_owned(),
            timestamp: parts.text(now),
            level: "warning",
            category: "history",
            title: "History paused",
            message: format!("the history cannot be written: {why}"),
            details: json!({ "reason": pause.as_str() }),
            actions: vec!["make_room", "check_permissions"],
            acknowledged: false,
        });
    }
    active.extend(full_disks(parts, now));
    active
}

fn full_disks(parts: &Parts, now: Instant) -> Vec<ActiveAlert> {
    let machine = parts.machine(now);
    let filesystems = part(machine.as_ref(), "filesystems", |machine| &machine.filesystems);
    let nearly_full = |it: &crate::host::filesystems::Filesystem| {
        let used = fullness(it)?;
        (used > NEARLY_FULL).then(|| ActiveAlert {
            id: format!("disk_nearly_full_{}", it.mountpoint),
            timestamp: parts.text(now),
            level: "warning",
            category: "resource",
            title: "High disk usage",
            message: format!("disk usage of {} is {used:.0} %", it.mountpoint),
            details: json!({
                "partition": it.mountpoint,
                "usage_percent": used,
                "threshold": NEARLY_FULL,
                "available_gb": it.available_bytes as f64 / GIB,
            }),
            actions: vec!["cleanup_old_models", "add_storage"],
            acknowledged: false,
        })
    };
    filesystems.known().into_iter().flat_map(|all| all.iter()).filter_map(nearly_full).collect()
}

fn over(event: &ListedEvent) -> ResolvedAlert {
    let is_backend = *event.what == *EventKind::BackendUp.as_str();
    ResolvedAlert {
        id: format!("alert_{}", event.id),
        timestamp: Maybe::Unknown(Reason::NotReported),
        resolved_at: Timestamp(event.at).to_string(),
        level: if is_backend { "critical" } else { "warning" },
        title: if is_backend { "Backend does not answer" } else { "History paused" },
        resolution: if is_backend { "The backend answers." } else { "The history is written." },
    }
}
