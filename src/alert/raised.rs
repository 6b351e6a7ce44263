//! An alert: a rule whose condition holds, or held, for one set of labels.

use std::sync::Arc;

use super::labels::Labels;
use super::rule::Severity;

/// An alert. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// One for each time that the condition begins to hold.
    pub id: Box<str>,
    /// The name of the rule.
    pub rule: Box<str>,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about.
    pub category: Box<str>,
    /// What it concerns.
    pub labels: Labels,
    /// The last value of the condition; `None` where it is not known.
    pub value: Option<f64>,
    /// The value at which it begins; `None` where it is not known.
    pub threshold: Option<f64>,
    /// When the condition began to hold.
    pub started: i64,
    /// When it had held for long enough; `None` until then.
    pub fired: Option<i64>,
    /// When it ended; `None` until then.
    pub resolved: Option<i64>,
    /// One line.
    pub summary: Box<str>,
    /// Sentences.
    pub description: Box<str>,
    /// Its place in the runbook; `None` where it has none.
    pub runbook: Option<Box<str>>,
    /// What to do, as slugs of the runbook.
    pub actions: Arc<[Box<str>]>,
    /// Who has seen it; `None` where nobody has said so.
    pub acknowledged: Option<Acknowledgement>,
    /// What holds its notifications back; `None` where nothing does, or that is not known.
    pub silence: Option<Silence>,
}

/// That somebody has seen an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who; `None` where that is not known.
    pub by: Option<Arc<str>>,
    /// When, in milliseconds since the epoch.
    pub at: i64,
}

/// That notifications of an alert are held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its id in Alertmanager.
    pub id: Box<str>,
    /// Who made it, in their own words.
    pub by: Box<str>,
    /// Why.
    pub comment: Box<str>,
    /// From when, in milliseconds since the epoch.
    pub from: i64,
    /// Until when, in milliseconds since the epoch.
    pub until: i64,
}

impl Alert {
    /// Whether somebody has seen it: has said so here, or has silenced it.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.acknowledged.is_some() || self.silence.is_some()
    }

    /// The id of an alert of these labels that began then. It is the same in another run of the program.
    #[must_use]
    pub fn id(rule: &str, labels: &Labels, started: i64) -> Box<str> {
        format!("{:016x}-{:x}", labels.fingerprint(rule), started.div_euclid(1_000)).into()
    }

    /// What it is about, for lists: the label that tells it from others of its rule.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        let names = ["model", "mountpoint", "gpu_uuid", "collector", "metric", "reason", "backend", "instance"];
        names.into_iter().map(|name| self.labels.get(name)).find(|value| !value.is_empty())
    }
}
