//! `/dashboard/alerts/history`: alerts that fire or have fired, those that began last first.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alert::{AlertCounts, AlertFacts};
use super::common::{Metadata, Pagination, page};
use crate::alert::kept::restored;
use crate::api::error::ApiError;
use crate::api::export::{Format, Table};
use crate::api::parameters::Parameters;
use crate::api::range::{Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, Reason, Unknown};
use crate::history::query::lists::{ListFilter, ListQuery};
use crate::history::query::{Range, Source};

/// How grave an alert is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertSeverity)]
pub(crate) enum AlertLevel {
    Info,
    Warning,
    Critical,
}

impl AlertLevel {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct HistoryQuery {
    /// The time up to now in which they began; 7d without one.
    #[param(inline)]
    period: Option<Period>,
    /// The first instant, RFC 3339 in UTC, in place of a period.
    from: Option<String>,
    /// The instant after the last; now without one.
    to: Option<String>,
    #[param(inline)]
    severity: Option<AlertLevel>,
    /// The name of a rule.
    rule: Option<String>,
    /// From 1.
    #[param(minimum = 1, maximum = 100_000)]
    page: Option<u64>,
    /// Entries of a page; 10 without one.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// `json` without one.
    #[param(inline)]
    format: Option<Format>,
}

/// Alerts that fire or have fired, those that began last first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertHistory {
    /// When this was read: RFC 3339 in UTC.
    timestamp: String,
    summary: Summary,
    data: Vec<AlertFacts>,
    pagination: Pagination,
    metadata: Metadata,
    unknown: Unknown,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AlertHistorySummary)]
struct Summary {
    /// Alerts that agree with what was asked for.
    total: u64,
    /// Of this page.
    #[serde(flatten)]
    counts: AlertCounts,
    /// Of this page, in minutes; those that are over alone.
    #[serde(rename = "avgDurationMinutes")]
    avg_duration_minutes: Maybe<f64>,
}

impl Table for AlertHistory {
    const COLUMNS: &'static [&'static str] =
        &["started_at", "resolved_at", "severity", "rule", "message", "status", "acknowledged_by"];

    fn rows(&self) -> Vec<Vec<String>> {
        let text = |maybe: &Maybe<String>| maybe.known().cloned().unwrap_or_default();
        let row = |it: &AlertFacts| {
            vec![
                it.started_at.clone(),
                text(&it.resolved_at),
                it.severity.clone(),
                it.rule.clone(),
                it.message.clone(),
                it.status.to_owned(),
                text(&it.acknowledged_by),
            ]
        };
        self.data.iter().map(row).collect()
    }
}

/// Alerts that fire or have fired, those that began last first.
#[utoipa::path(
    get,
    path = "/dashboard/alerts/history",
    params(HistoryQuery),
    responses((status = 200, description = "Alerts that fire or have fired.", body = AlertHistory), ApiError)
)]
pub(crate) async fn history(
    Parameters(query): Parameters<HistoryQuery>,
    State(parts): State<Arc<Parts>>,
) -> Result<Listing<AlertHistory>, ApiError> {
    let now = Instant::now();
    let (page, limit) = page(query.page, query.limit)?;
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Week, parts.millis(now)))?;
    let filter = ListFilter {
        levels: query.severity.map(|severity| vec![severity.as_str()]),
        what: query.rule.map(Into::into),
        ..ListFilter::default()
    };
    let offset = usize::try_from((page - 1) * limit).unwrap_or(usize::MAX);
    let list = ListQuery { range, filter, offset, limit: usize::try_from(limit).unwrap_or(usize::MAX) };
    let found = parts.ask(move |reading| reading.alerts(&list)).await?;
    let alerts: Vec<_> = found.entries.iter().map(restored).collect();
    let lasted: Vec<_> = alerts.iter().filter_map(|alert| Some((alert.resolved? - alert.started) as f64)).collect();
    let mean = (!lasted.is_empty()).then(|| lasted.iter().sum::<f64>() / lasted.len() as f64 / 60_000.0);
    let shown = alerts.len() as u64;
    let body = AlertHistory {
        timestamp: parts.text(now),
        summary: Summary {
            total: found.total,
            counts: AlertCounts::of(&alerts),
            avg_duration_minutes: mean.map_or(Maybe::Unknown(Reason::NoSamples), Maybe::Known),
        },
        data: alerts.iter().map(|alert| AlertFacts::of(alert, &parts.node)).collect(),
        pagination: Pagination { page, limit, total: found.total, has_more: (page - 1) * limit + shown < found.total },
        metadata: Metadata {
            period: Maybe::Known(described(range)),
            source: Source::Files.as_str().to_owned(),
            as_of: Maybe::Known(parts.text(now)),
        },
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// A range as its two instants.
fn described(range: Range) -> String {
    let text = |at: i64| crate::history::timestamp::Timestamp(at).to_string();
    format!("{}/{}", text(range.from), text(range.to))
}
