//! What Alertmanager says of alerts: which are silenced, by which silence.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::heard::instant;
use super::labels::Labels;
use super::raised::{Alert, Silence};
use super::rules;

/// What is asked for alerts: those that are suppressed among them.
pub const ALERTS: &str = "/api/v2/alerts";

/// What is asked for silences.
pub const SILENCES: &str = "/api/v2/silences";

/// The alerts that are silenced.
#[derive(Clone, Debug, Default)]
pub struct Silences(Vec<(Labels, Silence)>);

#[derive(Deserialize)]
struct TheirAlert {
    labels: BTreeMap<String, String>,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default, rename = "silencedBy")]
    silenced_by: Vec<String>,
}

#[derive(Deserialize)]
struct TheirSilence {
    id: String,
    #[serde(default, rename = "createdBy")]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt")]
    ends_at: String,
}

impl Silences {
    /// Of the answers to [`ALERTS`] and [`SILENCES`]. `None` where they are others.
    #[must_use]
    pub fn parse(alerts: &[u8], silences: &[u8]) -> Option<Self> {
        let alerts: Vec<TheirAlert> = serde_json::from_slice(alerts).ok()?;
        let silences: Vec<TheirSilence> = serde_json::from_slice(silences).ok()?;
        let silence = |id: &String| {
            let found = silences.iter().find(|silence| silence.id == *id)?;
            Some(Silence {
                id: found.id.as_str().into(),
                by: found.created_by.as_str().into(),
                comment: found.comment.as_str().into(),
                from: instant(&found.starts_at)?,
                until: instant(&found.ends_at)?,
            })
        };
        let silenced = alerts.iter().filter_map(|alert| {
            let labels = alert.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            Some((labels, alert.status.silenced_by.iter().find_map(silence)?))
        });
        Some(Self(silenced.collect()))
    }

    /// The silence of an alert. What Alertmanager got may have labels that Prometheus adds when it sends.
    #[must_use]
    pub fn of(&self, alert: &Alert) -> Option<Silence> {
        let mut labels = alert.labels.clone().with("alertname", &alert.rule);
        if rules::find(&alert.rule).is_some() {
            labels.set("severity", alert.severity.as_str());
        }
        let fits = |theirs: &Labels| labels.iter().all(|(name, value)| theirs.get(name) == value);
        self.0.iter().find(|(theirs, _)| fits(theirs)).map(|(_, silence)| silence.clone())
    }
}
