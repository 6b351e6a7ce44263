//! `/dashboard/alerts`: what deserves attention now.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::alert::board::{View, WatchedRule};
use crate::alert::raised::Alert;
use crate::alert::rule::title;
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::reply::{Listing, OVERVIEW};
use crate::api::reports::alert::{AlertCounts, AlertFacts};
use crate::api::reports::alert_history::AlertLevel;
use crate::api::reports::common::{Metadata, Pagination, listing_query, paged};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason, Unknown};
use crate::history::timestamp::Timestamp;

/// Alerts that are over and listed.
const LISTED: usize = 50;

listing_query! {
    #[derive(Debug, Default, Deserialize, IntoParams)]
    pub(crate) struct AlertsQuery {
        #[param(inline)]
        severity: Option<AlertLevel>,
        /// The name of a rule.
        rule: Option<String>,
        /// Only those that somebody has acknowledged or silenced, or nobody.
        acknowledged: Option<bool>,
    }
}

/// What deserves attention now: the same alerts in the names of two documents.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alerts {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    /// Alerts that fire, the gravest first.
    active_alerts: Vec<ActiveAlert>,
    /// The last ones that are over, the newest first.
    resolved_alerts: Vec<ResolvedAlert>,
    alert_rules: Vec<Rule>,
    summary: Summary,
    /// Alerts that fire, a page of them.
    data: Vec<AlertFacts>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
struct ActiveAlert {
    id: String,
    /// When the condition began to hold: RFC 3339 in UTC.
    timestamp: String,
    /// `info`, `warning` or `critical`.
    level: &'static str,
    category: String,
    /// The name of the rule as words.
    title: String,
    message: String,
    /// The labels, with the `value` of the condition, the `threshold` at which it begins, the name of the `rule`, its
    /// place in the `runbook` and who has `silenced_by` it.
    #[schema(value_type = Object)]
    details: Value,
    /// What to do, as slugs of the runbook.
    actions: Vec<String>,
    acknowledged: bool,
}

#[derive(Serialize, ToSchema)]
struct ResolvedAlert {
    id: String,
    /// When the condition began to hold: RFC 3339 in UTC.
    timestamp: String,
    resolved_at: Maybe<String>,
    level: &'static str,
    title: String,
    resolution: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AlertRule)]
struct Rule {
    name: String,
    /// In `PromQL`.
    condition: String,
    severity: Maybe<String>,
    /// Whether anybody evaluates it.
    enabled: bool,
    category: String,
    /// How long the condition must hold.
    for_seconds: f64,
    /// `quiet`, `pending`, `firing`; `not_yet`: too little was seen; `no_samples`: nothing that it looks at is there;
    /// `needs_prometheus`: only Prometheus can evaluate it; or the word of Prometheus.
    state: String,
    /// Since when the condition holds that has not held for long enough: RFC 3339 in UTC, of several the first.
    pending_since: Maybe<String>,
    /// Why nobody evaluates it.
    reason: Maybe<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AlertsSummary)]
struct Summary {
    /// Alerts that fire.
    total: usize,
    #[serde(flatten)]
    counts: AlertCounts,
    acknowledged: usize,
    /// Conditions that have not held for long enough.
    pending: usize,
}

impl Table for Alerts {
    const COLUMNS: &'static [&'static str] = &["started_at", "severity", "rule", "message", "acknowledged"];

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |it: &AlertFacts| {
            let acknowledged = it.acknowledged.to_string();
            vec![it.started_at.clone(), it.severity.clone(), it.rule.clone(), it.message.clone(), acknowledged]
        };
        self.data.iter().map(row).collect()
    }
}

/// What deserves attention now.
#[utoipa::path(
    get,
    path = "/dashboard/alerts",
    params(AlertsQuery),
    responses((status = 200, description = "What deserves attention now.", body = Alerts), ApiError)
)]
pub(crate) async fn alerts(
    Parameters(query): Parameters<AlertsQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<Alerts>, ApiError> {
    let pages = query.pages()?;
    let format = query.format;
    Ok(Listing::of(shown(&parts, &query, pages, Instant::now()), OVERVIEW, format))
}

/// What is to be shown now, to listeners.
pub(crate) fn read(parts: &Parts, now: Instant) -> Alerts {
    shown(parts, &AlertsQuery::default(), (1, 10), now)
}

fn shown(parts: &Parts, query: &AlertsQuery, pages: (u64, u64), now: Instant) -> Alerts {
    let view = parts.alerts.view();
    let fits = |alert: &&Alert| {
        query.severity.is_none_or(|severity| severity.as_str() == alert.severity.as_str())
            && query.rule.as_ref().is_none_or(|rule| **rule == *alert.rule)
            && query.acknowledged.is_none_or(|acknowledged| acknowledged == alert.is_seen())
    };
    let firing: Vec<Alert> = view.firing.iter().filter(fits).cloned().collect();
    let summary = Summary {
        total: firing.len(),
        counts: AlertCounts::of(&firing),
        acknowledged: firing.iter().filter(|alert| alert.is_seen()).count(),
        pending: view.pending.len(),
    };
    let active_alerts = firing.iter().map(active).collect();
    let (data, pagination) = paged(firing, pages);
    Alerts {
        timestamp: parts.text(now),
        active_alerts,
        resolved_alerts: view.resolved.iter().filter(fits).take(LISTED).map(resolved).collect(),
        alert_rules: view.rules.iter().map(|it| rule(it, &view.pending)).collect(),
        summary,
        data: data.iter().map(|alert| AlertFacts::of(alert, parts)).collect(),
        pagination,
        metadata: metadata(&view),
        unknown: Unknown::default(),
    }
}

/// Who says so, and when.
pub(crate) fn metadata(view: &View) -> Metadata {
    Metadata {
        period: Maybe::Unknown(Reason::NotApplicable),
        source: view.source.as_str().to_owned(),
        as_of: view.at.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotYet),
    }
}

fn active(alert: &Alert) -> ActiveAlert {
    let mut details = json!({ "rule": alert.rule });
    let mut set = |name: &str, value: Value| details[name] = value;
    alert.labels.iter().for_each(|(name, value)| set(name, value.into()));
    alert.value.into_iter().for_each(|value| set("value", value.into()));
    alert.threshold.into_iter().for_each(|threshold| set("threshold", threshold.into()));
    alert.runbook.iter().for_each(|runbook| set("runbook", (&**runbook).into()));
    alert.silence.iter().for_each(|silence| set("silenced_by", (&*silence.by).into()));
    ActiveAlert {
        id: alert.id.to_string(),
        timestamp: Timestamp(alert.started).to_string(),
        level: alert.severity.as_str(),
        category: alert.category.to_string(),
        title: title(&alert.rule),
        message: alert.summary.to_string(),
        details,
        actions: alert.actions.iter().map(ToString::to_string).collect(),
        acknowledged: alert.is_seen(),
    }
}

fn resolved(alert: &Alert) -> ResolvedAlert {
    ResolvedAlert {
        id: alert.id.to_string(),
        timestamp: Timestamp(alert.started).to_string(),
        resolved_at: alert.resolved.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotYet),
        level: alert.severity.as_str(),
        title: title(&alert.rule),
        resolution: "The condition no longer holds.".to_owned(),
    }
}

fn rule(rule: &WatchedRule, pending: &[Alert]) -> Rule {
    let since = pending.iter().filter(|alert| alert.rule == rule.name).map(|alert| alert.started).min();
    Rule {
        name: rule.name.to_string(),
        condition: rule.condition.to_string(),
        severity: rule.severity.map(|severity| severity.as_str().to_owned()).or_unknown(Reason::NotReported),
        enabled: rule.enabled,
        category: rule.category.to_string(),
        for_seconds: rule.hold,
        state: rule.state.to_string(),
        pending_since: since.map(|at| Timestamp(at).to_string()).or_unknown(Reason::NotApplicable),
        reason: rule.reason.as_ref().map(ToString::to_string).or_unknown(Reason::NotApplicable),
    }
}
