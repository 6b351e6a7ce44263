//! Brings events, audit entries, jobs and lines of the log to the file.

use std::time::Instant;

use super::Writer;
use super::entries::WaitingEntries;
use super::moment::Moment;
use crate::history::journal::Report;
use crate::history::journal::event::Event;
use crate::history::journal::kind::JournalKind;
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::journal::JournalBatch;

/// Entries of each kind that may wait while writing is paused.
const MAX_WAITING: usize = 4_096;

/// Lines of the log that a turn takes; the rest stays in the log's own queue.
const MAX_LINES: usize = 500;

impl Writer {
    /// Takes what was reported.
    pub(super) fn take_journal(&mut self, moment: Moment) {
        while let Some((at, report)) = self.journal.pop() {
            match report {
                Report::Entry(entry) => self.entries.entries.push((moment.wall_at(at), *entry)),
                Report::Alert(alert) => self.entries.alerts.push(*alert),
                Report::Job(job) => {
                    self.entries.running.remove(&job.id);
                    self.entries.jobs.push(*job);
                }
            }
        }
        self.take_running_jobs(moment.now);
        if let Some(log) = self.log.get() {
            let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let lines = std::iter::from_fn(|| log.next()).take(MAX_LINES);
            self.entries.lines.extend(lines);
            self.state.set_lines_lost(log.lost());
        }
        self.shed_journal();
    }

    /// Takes the jobs that are new at once, and what has become of the others at the pace of the sums.
    fn take_running_jobs(&mut self, now: Instant) {
        let is_due = self.due.merge <= now;
        let WaitingEntries { jobs, running, .. } = &mut self.entries;
        for job in self.journal.jobs().snapshot() {
            let is_news = running.get(&job.id).is_none_or(|written| is_due && *written != job);
            if is_news {
                running.insert(job.id, job.clone());
                jobs.push(job);
            }
        }
    }

    /// Something that the writer itself has to report.
    pub(super) fn note(&mut self, wall: i64, event: Event) {
        self.entries.entries.push((wall, event.into_entry()));
    }

    /// Writes what waits.
    pub(super) fn write_journal(&mut self) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let WaitingEntries { entries, alerts, jobs, lines, .. } = &mut self.entries;
        if entries.is_empty() && alerts.is_empty() && jobs.is_empty() && lines.is_empty() {
            return Ok(());
        }
        store.write_journal(&JournalBatch { entries, alerts, jobs, lines })?;
        entries.clear();
        alerts.clear();
        jobs.clear();
        lines.clear();
        Ok(())
    }

    /// Drops the oldest of each kind beyond what may wait.
    fn shed_journal(&mut self) {
        let WaitingEntries { entries, alerts, jobs, lines, .. } = &mut self.entries;
        let excess = alerts.len().saturating_sub(MAX_WAITING);
        self.state.lost_entries(JournalKind::Event, alerts.drain(..excess).count() as u64);
        let excess = entries.len().saturating_sub(MAX_WAITING);
        for (_, entry) in entries.drain(..excess) {
            self.state.lost_entries(entry.kind, 1);
        }
        let excess = jobs.len().saturating_sub(MAX_WAITING);
        self.state.lost_entries(JournalKind::Job, jobs.drain(..excess).count() as u64);
        let excess = lines.len().saturating_sub(MAX_WAITING);
        self.state.lost_entries(JournalKind::LogLine, lines.drain(..excess).count() as u64);
    }
}
