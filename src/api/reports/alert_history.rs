//! `/dashboard/alerts/history`: alerts that fire or have fired, those that began last first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alert::{AlertCounts, AlertFacts};
use super::common::{Metadata, Pagination, kept_where, listing_query, paged};
use crate::alert::board::AlertSource;
use crate::alert::heard::Before;
use crate::alert::kept::restored;
use crate::alert::raised::Alert;
use crate::alert::rule::Severity;
use crate::api::error::ApiError;
use crate::api::export::Table;
use crate::api::parameters::Parameters;
use crate::api::range::{AnInstant, Period, range};
use crate::api::reply::{LIST, Listing};
use crate::api::state::{AskPrometheus, Parts};
use crate::api::unknown::{Maybe, Reason, Unknown};
use crate::history::query::Range;
use crate::history::query::lists::{AlertTally, ListFilter, ListQuery};

/// Kept alerts that are looked at beside those of Prometheus.
const KEPT: usize = 10_000;

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

listing_query! {
    #[derive(Debug, Deserialize, IntoParams)]
    pub(crate) struct HistoryQuery {
        /// The time up to now in which they fired, whenever they began; 7d without one. Not together with `from`.
        #[param(inline)]
        period: Option<Period>,
        /// The first instant, RFC 3339 in UTC, in place of a period, and before `to`. A day is its beginning.
        #[param(inline, value_type = Option<AnInstant>)]
        from: Option<String>,
        /// The instant after the last; now without one.
        #[param(inline, value_type = Option<AnInstant>)]
        to: Option<String>,
        #[param(inline)]
        severity: Option<AlertLevel>,
        /// The name of a rule.
        rule: Option<String>,
    }
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
    /// Of all of them, whichever page is shown.
    #[serde(flatten)]
    counts: AlertCounts,
    /// Of all of them, in minutes, from beginning to end; those that are over alone.
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
    let (page, limit) = query.pages()?;
    let range = range(query.period, (query.from.as_deref(), query.to.as_deref()), (Period::Week, parts.millis(now)))?;
    let found = match &parts.prometheus {
        Some(ask) => from_both(&parts, ask, (&query, range), (page, limit)).await?,
        None => from_files(&parts, (&query, range), (page, limit)).await?,
    };
    let Found { alerts, tallies, total, source } = found;
    let (ended, millis) = tallies.iter().fold((0, 0), |(ended, millis), it| (ended + it.ended, millis + it.millis));
    let mean = (ended > 0).then(|| millis as f64 / ended as f64 / 60_000.0);
    let shown = alerts.len() as u64;
    let body = AlertHistory {
        timestamp: parts.text(now),
        summary: Summary {
            total,
            counts: AlertCounts::of_tallies(&tallies),
            avg_duration_minutes: mean.map_or(Maybe::Unknown(Reason::NoSamples), Maybe::Known),
        },
        data: alerts.iter().map(|alert| AlertFacts::of(alert, &parts)).collect(),
        pagination: Pagination {
            page,
            limit,
            total: Maybe::Known(total),
            has_more: (page - 1) * limit + shown < total,
        },
        metadata: Metadata { period: Maybe::Known(described(range)), source, as_of: Maybe::Known(parts.text(now)) },
        unknown: Unknown::default(),
    };
    Ok(Listing::of(body, LIST, query.format))
}

/// Alerts of a page, and how many there are in all.
struct Found {
    alerts: Vec<Alert>,
    /// Of all, by severity.
    tallies: Vec<AlertTally>,
    total: u64,
    source: String,
}

fn list((query, range): (&HistoryQuery, Range), offset: usize, limit: usize) -> ListQuery {
    let filter = ListFilter {
        levels: query.severity.map(|severity| vec![severity.as_str()]),
        what: query.rule.as_deref().map(Into::into),
        ..ListFilter::default()
    };
    ListQuery { range, filter, offset, limit }
}

async fn from_files(
    parts: &Parts,
    query: (&HistoryQuery, Range),
    (page, limit): (u64, u64),
) -> Result<Found, ApiError> {
    let offset = usize::try_from((page - 1) * limit).unwrap_or(usize::MAX);
    let list = list(query, offset, usize::try_from(limit).unwrap_or(usize::MAX));
    let (found, tallies) =
        parts.ask(move |reading| Ok((reading.alerts(&list)?, reading.alert_tallies(&list)?))).await?;
    let alerts = found.entries.iter().map(restored).collect();
    Ok(Found { alerts, tallies, total: found.total, source: kept_where(parts) })
}

/// What Prometheus has, and what is kept here: of alerts that both know, what is kept has texts and who has seen them.
async fn from_both(
    parts: &Parts,
    ask: &AskPrometheus,
    (query, range): (&HistoryQuery, Range),
    (page, limit): (u64, u64),
) -> Result<Found, ApiError> {
    let list = list((query, range), 0, KEPT);
    let kept = parts.required(move |reading| reading.alerts(&list)).await?;
    let kept = kept.known().map(|found| found.entries.iter().map(restored).collect::<Vec<_>>()).unwrap_or_default();
    let (theirs, source) = match theirs(parts, ask, (query, range)).await {
        Ok(theirs) => (theirs, "prometheus".to_owned()),
        Err(error) => {
            tracing::debug!(error, "Prometheus does not say which alerts have fired");
            (Vec::new(), "prometheus_unreachable".to_owned())
        }
    };
    let all = merged(theirs, kept);
    let tallies = Severity::ALL.map(|severity| tally(severity, &all)).into();
    let total = all.len() as u64;
    let (alerts, _) = paged(all, (page, limit));
    Ok(Found { alerts, tallies, total, source })
}

fn tally(severity: Severity, alerts: &[Alert]) -> AlertTally {
    let of_it = || alerts.iter().filter(|alert| alert.severity == severity);
    let lasted: Vec<_> = of_it().filter_map(|alert| Some(alert.resolved? - alert.started)).collect();
    AlertTally {
        severity: severity.as_str().into(),
        count: of_it().count() as u64,
        ended: lasted.len() as u64,
        millis: lasted.iter().sum(),
    }
}

/// Each alert once, those that began last first.
fn merged(theirs: Vec<Alert>, kept: Vec<Alert>) -> Vec<Alert> {
    let mut all: BTreeMap<Box<str>, Alert> = theirs.into_iter().map(|alert| (alert.id.clone(), alert)).collect();
    for alert in kept {
        let known = all.remove(&alert.id);
        // One whose end this program has not seen, because it did not run.
        let resolved = alert.resolved.or_else(|| known.and_then(|known| known.resolved));
        all.insert(alert.id.clone(), Alert { resolved, ..alert });
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by(|one, other| (other.started, &other.id).cmp(&(one.started, &one.id)));
    all
}

async fn theirs(
    parts: &Parts,
    ask: &AskPrometheus,
    (query, range): (&HistoryQuery, Range),
) -> Result<Vec<Alert>, String> {
    // It was asked a moment ago: nobody waits for it again.
    if let AlertSource::Unreachable(why) = &parts.alerts.view().source {
        return Err(why.to_string());
    }
    let before = Before { rule: query.rule.as_deref(), from: range.from, to: range.to };
    let body = ask(before.target()).await?;
    let alerts = before.alerts(&body).map_err(|error| error.to_string())?;
    Ok(alerts.into_iter().filter(|alert| fits(alert, query.severity, range)).collect())
}

/// Whether an alert that Prometheus knows has this severity, and was not over before the range.
fn fits(alert: &Alert, severity: Option<AlertLevel>, range: Range) -> bool {
    severity.is_none_or(|severity| severity.as_str() == alert.severity.as_str())
        && alert.resolved.is_none_or(|resolved| resolved >= range.from)
}

/// A range as its two instants.
fn described(range: Range) -> String {
    let text = |at: i64| crate::history::timestamp::Timestamp(at).to_string();
    format!("{}/{}", text(range.from), text(range.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::labels::Labels;
    use crate::alert::raised::Acknowledgement;

    fn alert(id: &str, started: i64, resolved: Option<i64>) -> Alert {
        Alert {
            id: id.into(),
            rule: id.into(),
            severity: Severity::Warning,
            category: "backend".into(),
            labels: Labels::default(),
            value: None,
            threshold: None,
            started,
            fired: Some(started),
            resolved,
            summary: "theirs".into(),
            description: Box::default(),
            runbook: None,
            actions: [].into(),
            acknowledged: None,
            silence: None,
        }
    }

    #[test]
    fn an_alert_that_both_know_is_there_once_with_its_end_and_who_has_seen_it() {
        let seen = Acknowledgement { by: Some("anna".into()), at: 7 };
        let kept = |id: &str, started: i64, resolved| Alert {
            summary: "kept".into(),
            acknowledged: Some(seen.clone()),
            ..alert(id, started, resolved)
        };
        let theirs = vec![alert("both", 20, Some(50)), alert("theirs", 40, None), alert("ended", 10, Some(60))];
        // Of the first this program has not seen the end; of the last it has its own.
        let found =
            merged(theirs, vec![kept("both", 20, None), kept("kept", 30, Some(35)), kept("ended", 10, Some(55))]);
        let shown: Vec<_> =
            found.iter().map(|it| (&*it.id, &*it.summary, it.resolved, it.acknowledged.is_some())).collect();
        assert_eq!(
            shown,
            [
                ("theirs", "theirs", None, false),
                ("kept", "kept", Some(35), true),
                ("both", "kept", Some(50), true),
                ("ended", "kept", Some(55), true),
            ]
        );
    }

    #[test]
    fn an_alert_of_prometheus_fits_that_began_before_the_range_and_was_not_over() {
        let range = Range { from: 100, to: 200 };
        let of = |started, resolved| fits(&alert("a", started, resolved), None, range);
        assert_eq!([of(50, None), of(50, Some(150)), of(50, Some(99)), of(150, None)], [true, true, false, true]);
        assert!(!fits(&alert("a", 150, None), Some(AlertLevel::Critical), range), "it is a warning");
    }

    #[test]
    fn a_severity_is_counted_with_how_long_those_lasted_that_are_over() {
        let all = [alert("a", 10, Some(40)), alert("b", 20, Some(30)), alert("c", 30, None)];
        let expected = AlertTally { severity: "warning".into(), count: 3, ended: 2, millis: 40 };
        assert_eq!(tally(Severity::Warning, &all), expected);
        assert_eq!(tally(Severity::Info, &all).count, 0);
    }
}
