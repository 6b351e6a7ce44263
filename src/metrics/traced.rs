//! A histogram with an exemplar, the newest exchange, for each of its buckets.
//!
//! Only buckets that were hit take memory for one. The lock is taken once for each exchange, never for a token.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::family::{Child, SampleWriter, write_histogram};
use super::histogram::Histogram;
use super::openmetrics::Exemplar;
use super::spec::{Kind, Spec};
use crate::exchange::trace::TraceId;

/// A handle; clones share the values.
#[derive(Clone)]
pub(super) struct TracedHistogram {
    histogram: Histogram,
    /// By the index of the bucket.
    exemplars: Arc<Mutex<Vec<(usize, Exemplar)>>>,
}

impl TracedHistogram {
    /// Records the value of an exchange that ended at `now`, and makes it the exemplar of its bucket.
    pub(super) fn observe(&self, value: f64, trace: TraceId, now: SystemTime) {
        let bucket = self.histogram.observe(value);
        let exemplar = Exemplar { value, trace, at: now };
        let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        match exemplars.iter_mut().find(|(index, _)| *index == bucket) {
            Some((_, known)) => *known = exemplar,
            None => exemplars.push((bucket, exemplar)),
        }
    }
}

impl Child for TracedHistogram {
    const KIND: Kind = Kind::Histogram;

    fn create(_spec: &Spec, bounds: &'static [f64]) -> Self {
        Self { histogram: Histogram::new(bounds), exemplars: Arc::default() }
    }

    fn write(&self, writer: &mut SampleWriter<'_>) {
        let exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        write_histogram(&self.histogram, writer, |bucket| {
            exemplars.iter().find(|(index, _)| *index == bucket).map(|(_, exemplar)| exemplar)
        });
    }
}
