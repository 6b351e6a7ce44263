//! What is kept beside exchanges: events, the audit, alerts, jobs and lines of the log. Other rooms report through [`Journal`].
//!
//! Promises: reporting takes no lock, waits for nothing and wakes nobody; what finds the queue full is dropped and
//! counted. An entry is in the file after the next turn of the history's writer. Nothing here holds a prompt, an answer, a
//! key or a client's address: texts are names that a backend has confirmed, configured names and words of closed sets.

pub mod alert;
pub mod audit;
pub(super) mod entry;
pub mod event;
pub mod job;
pub mod kind;
pub mod log_line;
pub mod running;

use std::sync::Arc;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;

use super::state::HistoryState;
use alert::KeptAlert;
use audit::Audit;
use entry::Entry;
use event::Event;
use job::Job;
use kind::JournalKind;
use running::RunningJobs;

/// Entries that may wait for the writer: far more than happens in a turn.
const MAX_WAITING: usize = 4_096;

/// Takes reports. Clones share the queue; without a history it does nothing.
#[derive(Clone, Debug, Default)]
pub struct Journal(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    reports: ArrayQueue<(Instant, Report)>,
    jobs: RunningJobs,
    state: Arc<HistoryState>,
}

/// What waits.
#[derive(Debug)]
pub(super) enum Report {
    /// An event or an audit entry.
    Entry(Box<Entry>),
    /// A job that is over.
    Job(Box<Job>),
    /// An alert as it is now.
    Alert(Box<KeptAlert>),
}

impl Report {
    fn kind(&self) -> JournalKind {
        match self {
            Self::Entry(entry) => entry.kind,
            Self::Job(_) => JournalKind::Job,
            Self::Alert(_) => JournalKind::Event,
        }
    }
}

impl Journal {
    pub(super) fn new(state: Arc<HistoryState>) -> Self {
        let reports = ArrayQueue::new(MAX_WAITING);
        Self(Some(Arc::new(Queue { reports, jobs: RunningJobs::default(), state })))
    }

    /// Reports an event.
    pub fn event(&self, event: Event) {
        self.push(|| Report::Entry(Box::new(event.into_entry())));
    }

    /// Reports what somebody did.
    pub fn audit(&self, audit: Audit) {
        self.push(|| Report::Entry(Box::new(audit.into_entry())));
    }

    /// Reports an alert: that it fires, that somebody has seen it, or that it is over. One that is lost counts as an event.
    pub fn alert(&self, alert: KeptAlert) {
        self.push(|| Report::Alert(Box::new(alert)));
    }

    /// The jobs that run. Empty without a history.
    #[must_use]
    pub fn jobs(&self) -> RunningJobs {
        self.0.as_ref().map(|queue| queue.jobs.clone()).unwrap_or_default()
    }

    /// Reports the end of a job.
    pub(super) fn job(&self, job: Job) {
        self.push(|| Report::Job(Box::new(job)));
    }

    /// A job is not followed, since too many run.
    pub(super) fn lose_job(&self) {
        if let Some(queue) = &self.0 {
            queue.state.lost_entries(JournalKind::Job, 1);
        }
    }

    /// The next report, with its instant.
    pub(super) fn pop(&self) -> Option<(Instant, Report)> {
        self.0.as_ref()?.reports.pop()
    }

    fn push(&self, report: impl FnOnce() -> Report) {
        let Some(queue) = &self.0 else { return };
        if let Err((_, refused)) = queue.reports.push((Instant::now(), report())) {
            queue.state.lost_entries(refused.kind(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::event::EventKind;
    use super::*;

    #[test]
    fn what_finds_the_queue_full_is_counted_and_waits_for_nothing() {
        let state = Arc::<HistoryState>::default();
        let journal = Journal::new(state.clone());
        (0..MAX_WAITING + 3).for_each(|_| journal.event(Event::new(EventKind::Started)));
        assert_eq!(state.health().entries_lost, [3, 0, 0, 0]);
        assert!(journal.pop().is_some());
        journal.event(Event::new(EventKind::Drained));
        assert_eq!(state.health().entries_lost, [3, 0, 0, 0]);
    }
}
