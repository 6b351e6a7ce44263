//! Alerts as the history keeps them.

use serde_json::{Map, Value};

use super::labels::Labels;
use super::raised::{Acknowledgement, Alert};
use super::rule::Severity;
use super::rules;
use crate::history::journal::alert::KeptAlert;

/// What is kept of an alert that fires or has fired.
#[must_use]
pub fn kept(alert: &Alert) -> KeptAlert {
    KeptAlert {
        id: alert.id.clone(),
        rule: alert.rule.clone(),
        severity: alert.severity.as_str().into(),
        category: alert.category.clone(),
        labels: object(&alert.labels).to_string().into(),
        subject: alert.subject().map(Into::into),
        started: alert.started,
        fired: alert.fired.unwrap_or(alert.started),
        resolved: alert.resolved,
        acknowledged_by: alert.acknowledged.as_ref().and_then(|it| it.by.as_deref().map(Into::into)),
        acknowledged: alert.acknowledged.as_ref().map(|it| it.at),
        value: alert.value,
        threshold: alert.threshold,
        summary: alert.summary.clone(),
        description: alert.description.clone(),
    }
}

/// The alert that was kept.
#[must_use]
pub fn restored(kept: &KeptAlert) -> Alert {
    let labels: Map<String, Value> = serde_json::from_str(&kept.labels).unwrap_or_default();
    let rule = rules::find(&kept.rule);
    let by = kept.acknowledged_by.as_deref().map(Into::into);
    Alert {
        id: kept.id.clone(),
        rule: kept.rule.clone(),
        severity: Severity::parse(&kept.severity).unwrap_or(Severity::Warning),
        category: kept.category.clone(),
        labels: labels.iter().map(|(name, value)| (&**name, value.as_str().unwrap_or_default())).collect(),
        value: kept.value,
        threshold: kept.threshold,
        started: kept.started,
        fired: Some(kept.fired),
        resolved: kept.resolved,
        summary: kept.summary.clone(),
        description: kept.description.clone(),
        runbook: rule.map(|rule| rule.runbook().into()),
        actions: rule.iter().flat_map(|rule| rule.actions).map(|action| (*action).into()).collect::<Vec<_>>().into(),
        acknowledged: kept.acknowledged.map(|at| Acknowledgement { by, at }),
        silence: None,
    }
}

/// Labels as a JSON object.
#[must_use]
pub fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}
