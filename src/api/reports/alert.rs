//! An alert as every answer shows it.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::alert::board::{AlertSource, View};
use crate::alert::kept::object;
use crate::alert::labels::Labels;
use crate::alert::raised::{Alert, Silence};
use crate::alert::rule::{Severity, title};
use crate::api::state::Parts;
use crate::api::unknown::{Maybe, OrUnknown as _, Reason};
use crate::history::query::lists::AlertTally;
use crate::history::timestamp::Timestamp;

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Alert)]
pub(crate) struct AlertFacts {
    /// One for each time that the condition begins to hold; it acknowledges the alert.
    #[serde(rename = "_id")]
    pub(crate) id: String,
    /// The name of the rule.
    pub(crate) rule: String,
    /// `info`, `warning` or `critical`.
    pub(crate) severity: String,
    pub(crate) category: String,
    /// The name of the rule as words.
    pub(crate) title: String,
    /// One line.
    pub(crate) message: String,
    /// Sentences.
    pub(crate) description: String,
    /// `firing` or `resolved`.
    pub(crate) status: &'static str,
    /// When the condition began to hold: RFC 3339 in UTC.
    pub(crate) started_at: String,
    /// When it had held for long enough.
    pub(crate) fired_at: Maybe<String>,
    pub(crate) resolved_at: Maybe<String>,
    pub(crate) acknowledged: bool,
    pub(crate) acknowledged_by: Maybe<String>,
    pub(crate) acknowledged_at: Maybe<String>,
    /// The last value of the condition.
    pub(crate) value: Maybe<f64>,
    /// The value at which it begins.
    pub(crate) threshold: Maybe<f64>,
    /// The silence in Alertmanager that holds its notifications back.
    pub(crate) silence: Maybe<SilenceFacts>,
    #[schema(value_type = Object)]
    pub(crate) labels: Value,
    /// The machine that it concerns.
    pub(crate) node_id: String,
    /// What to do, as slugs of the runbook.
    pub(crate) actions: Vec<String>,
    /// Its place in the runbook.
    pub(crate) runbook: Maybe<String>,
}

/// That notifications of an alert are held back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertSilence)]
pub(crate) struct SilenceFacts {
    /// Its id in Alertmanager.
    id: String,
    /// Who made it.
    by: String,
    comment: String,
    /// RFC 3339 in UTC.
    until: String,
}

impl SilenceFacts {
    fn of(alert: &Alert, view: &View, knows_silences: bool) -> Maybe<Self> {
        let of = |silence: &Silence| Self {
            id: silence.id.to_string(),
            by: silence.by.to_string(),
            comment: silence.comment.to_string(),
            until: Timestamp(silence.until).to_string(),
        };
        let without = match view.source {
            _ if !knows_silences => Reason::NotConfigured,
            AlertSource::WithoutSilences(_) | AlertSource::Unreachable(_) => Reason::CollectorFailed,
            _ => Reason::NotApplicable,
        };
        alert.silence.as_ref().map(of).or_unknown(without)
    }
}

impl AlertFacts {
    /// Of an alert as it is now.
    pub(crate) fn of(alert: &Alert, parts: &Parts) -> Self {
        let node = &parts.node;
        let text = |at: i64| Timestamp(at).to_string();
        let Acknowledged { by, at } = Acknowledged::of(alert);
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.to_string(),
            severity: alert.severity.as_str().to_owned(),
            category: alert.category.to_string(),
            title: title(&alert.rule),
            message: alert.summary.to_string(),
            description: alert.description.to_string(),
            status: if alert.resolved.is_some() { "resolved" } else { "firing" },
            started_at: text(alert.started),
            fired_at: alert.fired.map(text).or_unknown(Reason::NotYet),
            resolved_at: alert.resolved.map(text).or_unknown(Reason::NotYet),
            acknowledged: alert.is_seen(),
            acknowledged_by: by,
            acknowledged_at: at,
            value: alert.value.or_unknown(Reason::NotReported),
            threshold: alert.threshold.or_unknown(Reason::NotReported),
            silence: SilenceFacts::of(alert, &parts.alerts.view(), parts.knows_silences),
            labels: object(&alert.labels),
            node_id: node_of(&alert.labels, node),
            actions: alert.actions.iter().map(ToString::to_string).collect(),
            runbook: alert.runbook.as_ref().map(ToString::to_string).or_unknown(Reason::NotReported),
        }
    }
}

struct Acknowledged {
    by: Maybe<String>,
    at: Maybe<String>,
}

impl Acknowledged {
    /// Whoever has said so here, else whoever has silenced it.
    fn of(alert: &Alert) -> Self {
        let text = |at: i64| Maybe::Known(Timestamp(at).to_string());
        match (&alert.acknowledged, &alert.silence) {
            (Some(known), _) => {
                let by = known.by.as_ref().map(ToString::to_string);
                Self { by: by.or_unknown(Reason::NotReported), at: text(known.at) }
            }
            (None, Some(silence)) => Self { by: Maybe::Known(silence.by.to_string()), at: text(silence.from) },
            (None, None) => {
                Self { by: Maybe::Unknown(Reason::NotApplicable), at: Maybe::Unknown(Reason::NotApplicable) }
            }
        }
    }
}

/// The machine that labels name: as `node`, else as the host of another program's `instance`, else this one.
fn node_of(labels: &Labels, node: &str) -> String {
    let host = |instance: &str| {
        let host = instance.rsplit_once(':').map_or(instance, |(host, _)| host).trim_matches(['[', ']']).to_owned();
        let is_here = host.is_empty() || host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        (!is_here).then_some(host)
    };
    let named = labels.get("node");
    if !named.is_empty() {
        return named.to_owned();
    }
    host(labels.get("instance")).unwrap_or_else(|| node.to_owned())
}

/// What is wrong, in a line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issue {
    severity: &'static str,
    /// The category and the name of the rule, such as `gpu.thermal_throttling`.
    #[serde(rename = "type")]
    kind: String,
    message: String,
    /// The machine that it concerns.
    node_id: String,
}

impl Issue {
    pub(crate) fn of(alert: &Alert, node: &str) -> Self {
        Self {
            severity: alert.severity.as_str(),
            kind: format!("{}.{}", alert.category, title(&alert.rule).to_lowercase().replace(' ', "_")),
            message: alert.summary.to_string(),
            node_id: node_of(&alert.labels, node),
        }
    }
}

/// How many alerts fire.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct AlertCounts {
    pub(crate) critical: usize,
    pub(crate) warning: usize,
    pub(crate) info: usize,
}

impl AlertCounts {
    pub(crate) fn of(alerts: &[Alert]) -> Self {
        let count = |severity| alerts.iter().filter(|alert| alert.severity == severity).count();
        Self { critical: count(Severity::Critical), warning: count(Severity::Warning), info: count(Severity::Info) }
    }

    /// Of what is kept.
    pub(crate) fn of_tallies(tallies: &[AlertTally]) -> Self {
        let count = |severity: Severity| {
            let of_it = tallies.iter().filter(|tally| *tally.severity == *severity.as_str());
            of_it.map(|tally| usize::try_from(tally.count).unwrap_or(usize::MAX)).sum()
        };
        Self { critical: count(Severity::Critical), warning: count(Severity::Warning), info: count(Severity::Info) }
    }

    /// 100, less 40 for each critical alert, 10 for each warning and 2 for each for information; not below 0.
    pub(crate) fn system_health(self) -> usize {
        100_usize.saturating_sub(40 * self.critical + 10 * self.warning + 2 * self.info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_an_alert_is_named_by_its_labels_and_else_this_one() {
        for (node, instance, expected) in [
            ("gpu-box", "10.0.0.5:9090", "gpu-box"),
            ("", "10.0.0.5:9090", "10.0.0.5"),
            ("", "[fd00::7]:9090", "fd00::7"),
            ("", "gpu-box", "gpu-box"),
            ("", "127.0.0.1:9090", "here"),
            ("", "[::1]:9090", "here"),
            ("", "localhost:9090", "here"),
            ("", "", "here"),
        ] {
            let labels = Labels::default().with("node", node).with("instance", instance);
            assert_eq!(node_of(&labels, "here"), expected, "{node} {instance}");
        }
    }
}
