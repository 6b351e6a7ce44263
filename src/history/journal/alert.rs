//! Alerts: what deserved attention, since when, and what became of it.

/// An alert as it is kept. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptAlert {
    /// One for each time that the condition of the rule began to hold.
    pub id: Box<str>,
    /// The name of the rule.
    pub rule: Box<str>,
    /// `info`, `warning` or `critical`.
    pub severity: Box<str>,
    /// What it is about, one word.
    pub category: Box<str>,
    /// What it concerns: label names and values, as a JSON object.
    pub labels: Box<str>,
    /// The label that tells it from others of its rule.
    pub subject: Option<Box<str>>,
    /// When the condition began to hold.
    pub started: i64,
    /// When it had held for long enough.
    pub fired: i64,
    /// When it ended; `None` until then.
    pub resolved: Option<i64>,
    /// Who has seen it; `None` where that is not known.
    pub acknowledged_by: Option<Box<str>>,
    /// When; `None` where nobody has said so.
    pub acknowledged: Option<i64>,
    /// The last value of the condition; `None` where it is not known.
    pub value: Option<f64>,
    /// The value at which it begins; `None` where it is not known.
    pub threshold: Option<f64>,
    /// One line.
    pub summary: Box<str>,
    /// Sentences.
    pub description: Box<str>,
}

impl KeptAlert {
    /// `firing` or `resolved`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.resolved.is_some() { "resolved" } else { "firing" }
    }
}
