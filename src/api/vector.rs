//! An instant vector, as Prometheus and VictoriaMetrics answer a query (`/api/v1/query` of Prometheus' HTTP API).

use std::collections::BTreeMap;

use serde::Deserialize;

/// One of its samples.
#[derive(Debug)]
pub(super) struct Sample {
    labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    /// Seconds since the epoch, and the value as a text.
    value: (f64, String),
}

impl Sample {
    /// A label; `None` where it is missing or empty, which is the same to Prometheus.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The first samples of an answer; `None` where it cannot be read.
pub(super) fn samples(body: &[u8], most: usize) -> Option<Vec<Sample>> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let sample = |Element { metric: labels, value: (_, value) }| Some(Sample { labels, value: value.parse().ok()? });
    answer.data.result.into_iter().take(most).map(sample).collect()
}
