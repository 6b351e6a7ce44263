//! The body of a notification, in the format in which Alertmanager notifies a webhook (version 4).

use serde_json::{Value, json};

use super::engine::Change;
use super::kept::object;
use super::labels::Labels;
use super::raised::Alert;

/// The body that tells of these changes: those that fire, or those that are over. `written` makes a text of milliseconds
/// since the epoch, `instance` says who tells.
#[must_use]
pub fn body(changes: &[&Change], instance: &str, written: impl Fn(i64) -> String) -> Value {
    let alerts: Vec<&Alert> = changes
        .iter()
        .map(|change| match change {
            Change::Fired(alert) | Change::Resolved(alert) => alert,
        })
        .collect();
    let status = |alert: &Alert| if alert.resolved.is_some() { "resolved" } else { "firing" };
    let is_over = alerts.iter().all(|alert| alert.resolved.is_some());
    let labels: Vec<Labels> = alerts.iter().map(|alert| labels(alert)).collect();
    let listed: Vec<_> = alerts
        .iter()
        .zip(&labels)
        .map(|(alert, labels)| {
            json!({
                "status": status(alert),
                "labels": object(labels),
                "annotations": {
                    "summary": alert.summary,
                    "description": alert.description,
                    "runbook_url": alert.runbook.as_deref().unwrap_or_default(),
                },
                "startsAt": written(alert.started),
                "endsAt": alert.resolved.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), &written),
                "generatorURL": "",
                "fingerprint": format!("{:016x}", alert.labels.fingerprint(&alert.rule)),
            })
        })
        .collect();
    json!({
        "version": "4",
        "groupKey": format!("inferometer:{instance}"),
        "truncatedAlerts": 0,
        "status": if is_over { "resolved" } else { "firing" },
        "receiver": "inferometer",
        "groupLabels": {},
        "commonLabels": object(&common(&labels)),
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": listed,
    })
}

fn labels(alert: &Alert) -> Labels {
    alert.labels.clone().with("alertname", &alert.rule).with("severity", alert.severity.as_str())
}

/// The labels that all have, with the same values.
fn common(all: &[Labels]) -> Labels {
    let Some((first, rest)) = all.split_first() else { return Labels::default() };
    first.iter().filter(|(name, value)| rest.iter().all(|labels| labels.get(name) == *value)).collect()
}
