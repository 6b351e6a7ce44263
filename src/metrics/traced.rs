//! A histogram that remembers one exchange for each of its buckets.
//!
//! The newest exchange takes the place of the one before it. Memory is that of the buckets that were hit. A lock is
//! taken once an exchange, and never by the tokens of a stream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::exposition::Kind;
use super::family::{Child, Place, Spec, histogram_lines};
use super::histogram::Histogram;
use super::openmetrics::Exemplar;
use crate::exchange::trace::TraceId;

/// The histogram, and for buckets that were hit (by index, the endless one last) the newest exchange in them.
#[derive(Clone)]
pub(super) struct TracedHistogram {
    histogram: Histogram,
    exemplars: Arc<Mutex<Vec<(usize, Exemplar)>>>,
}

impl TracedHistogram {
    /// An exchange of this trace ended now, with this value.
    pub(super) fn observe(&self, value: f64, trace: TraceId, now: SystemTime) {
        self.histogram.observe(value);
        let bucket = self.histogram.bucket(value);
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

    fn create(spec: &Spec) -> Self {
        Self { histogram: Histogram::new(spec.buckets), exemplars: Arc::default() }
    }

    fn write(&self, place: &mut Place<'_>) {
        let exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner).clone();
        histogram_lines(&self.histogram, place, |bucket| {
            exemplars.iter().find(|(index, _)| *index == bucket).map(|(_, exemplar)| exemplar)
        });
    }
}
