//! Takes each finished exchange as a row into a bounded ring, on the data path.
//!
//! Promises: no allocation, no lock and no system call for a row, and nobody is woken; where the ring is full the row is
//! dropped and counted. Rows wait at most for the writer's next turn.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;

use super::actions;
use super::journal::Journal;
use super::journal::running::RunningJob;
use super::names::{NameId, NameKind, Names};
use super::row::Row;
use super::state::{Dropped, HistoryState};
use crate::exchange::names::NamedModel;
use crate::exchange::placement::Placement;
use crate::exchange::record::{Record, Start};
use crate::exchange::sink::{Sink, Watch};
use crate::exchange::vocabulary::{Dialect, Progress, TransferStep};

/// Rows that may wait for the writer: three seconds at 10,000 exchanges a second, 8 MiB.
pub(super) const RING: usize = 32_768;

/// The name under which a model is known that this backend, in this dialect, calls so; `None` where no backend has
/// confirmed it. Called for names that the backend does not list; it must not block.
pub type ConfirmModel = Box<dyn Fn(&str, Dialect, &str) -> Option<Arc<str>> + Send + Sync>;

/// Records finished exchanges; without a history it does nothing. Clones share the ring.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<Arc<Ring>>);

/// A row, and when its exchange ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) ended: Instant,
    pub(super) row: Row,
}

/// The rows that wait for the writer.
pub(super) struct Ring {
    rows: ArrayQueue<Finished>,
    pub(super) names: Arc<Names>,
    pub(super) journal: Journal,
    state: Arc<HistoryState>,
    confirm: ConfirmModel,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ring").field("waiting", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Ring {
    pub(super) fn new(capacity: usize, names: Arc<Names>, state: Arc<HistoryState>, confirm: ConfirmModel) -> Self {
        let journal = Journal::new(state.clone());
        Self { rows: ArrayQueue::new(capacity), names, journal, state, confirm }
    }

    pub(super) fn push(&self, row: Finished) {
        if self.rows.push(row).is_err() {
            self.state.dropped(Dropped::RingFull, 1);
        }
    }

    pub(super) fn pop(&self) -> Option<Finished> {
        self.rows.pop()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn record(&self, record: &Record) {
        let row = Row::new(record, &self.names, self.model(record));
        self.push(Finished { ended: record.start.at + record.duration, row });
    }

    /// The name of a model, where a backend has confirmed it.
    fn confirmed(&self, backend: &str, dialect: Dialect, model: &NamedModel) -> Option<Arc<str>> {
        model.as_listed().cloned().or_else(|| (self.confirm)(backend, dialect, model))
    }

    fn model(&self, record: &Record) -> NameId {
        let known = |model: &NamedModel| match model.as_listed() {
            Some(listed) => Some(self.names.shared(NameKind::Model, listed)),
            None => (self.confirm)(record.backend(), record.start.route.dialect, model)
                .map(|name| self.names.shared(NameKind::Model, &name)),
        };
        let answered = record.answered_model.as_ref().and_then(known);
        answered.or_else(|| record.requested_model.as_ref().and_then(known)).unwrap_or(NameId::NONE)
    }
}

impl Recorder {
    pub(super) fn into(ring: Arc<Ring>) -> Self {
        Self(Some(ring))
    }
}

impl Sink for Recorder {
    type Watch = Recording;

    fn started(&self, start: &Start) -> Recording {
        let job = self.0.as_ref().and_then(|ring| actions::begin(&ring.journal, start));
        Recording { recorder: self.clone(), dialect: start.route.dialect, job }
    }
}

/// Records one exchange at its end, and a job from its beginning.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    dialect: Dialect,
    /// `None` for what is no job.
    job: Option<Box<RunningJob>>,
}

impl Watch for Recording {
    fn placed(&mut self, placement: &Placement) {
        if let Some(job) = &mut self.job {
            job.place(&placement.backend);
        }
    }

    fn requested(&mut self, model: Option<&NamedModel>) {
        if let (Some(job), Some(model), Some(ring)) = (&mut self.job, model, &self.recorder.0) {
            let backend = job.backend().cloned().unwrap_or_else(|| "".into());
            job.name(model, ring.confirmed(&backend, self.dialect, model).is_some());
        }
    }

    fn progress(&mut self, progress: Progress) {
        if let Some(job) = &mut self.job {
            job.advance(progress);
        }
    }

    fn step(&mut self, step: TransferStep) {
        if let Some(job) = &mut self.job {
            job.step(step);
        }
    }

    fn finished(&mut self, record: &Record) {
        if let Some(ring) = &self.recorder.0 {
            ring.record(record);
            let dialect = self.dialect;
            actions::report(&ring.journal, record, self.job.take(), || {
                let model = record.requested_model.as_ref()?;
                ring.confirmed(record.backend(), dialect, model)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_ring_drops_rows_and_counts_them() {
        let state = Arc::<HistoryState>::default();
        let ring = Ring::new(3, Arc::default(), state.clone(), Box::new(|_, _, _| None));
        let row = crate::history::row::sample(Duration::from_millis(5));
        (0..5).for_each(|_| ring.push(Finished { ended: Instant::now(), row }));
        assert_eq!((ring.len(), state.health().dropped[Dropped::RingFull as usize]), (3, 2));
        assert!(ring.pop().is_some());
        ring.push(Finished { ended: Instant::now(), row });
        assert_eq!((ring.len(), state.health().lost()), (3, 2));
    }
}
