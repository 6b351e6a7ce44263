//! Copies what is kept beside exchanges and sums: events, jobs, the top lists and the machine.

use rusqlite::types::Value;

use super::{Copier, MAX_ROWS};
use crate::history::journal::job::JobState;
use crate::history::rollup::Step;
use crate::history::store::error::StoreError;
use crate::history::store::mirrored;
use crate::history::store::sqlite::tail::Values;

/// Ids of jobs of one process can come this much later than those of another: a minute, above their low bits.
const JOBS_LATE: i64 = 60_000 << 20;

/// What happened to alerts is written this much later at most, in milliseconds, also by another process.
const ALERTS_LATE: i64 = 60_000;

/// When an alert changes.
const ALERT_TIMES: [&str; 3] = ["fired", "resolved", "acked_at"];

impl Copier {
    /// Copies all of it. `has_rows` says whether exchanges were written. Returns whether that is all: false where this ends.
    pub(super) fn copy_others(&mut self, has_rows: bool) -> Result<bool, StoreError> {
        let is_whole = self.copy_events()? && (!has_rows || self.copy_tops()?);
        self.copy_alerts()?;
        self.copy_jobs()?;
        self.copy_means()?;
        Ok(is_whole)
    }

    fn copy_events(&mut self) -> Result<bool, StoreError> {
        let table = mirrored::events();
        loop {
            let after = self.replica().events_cursor();
            let rows = self.tail.events(&table, after, MAX_ROWS)?;
            let Some(last) = rows.last().map(|row| number(&row[0])) else { return Ok(true) };
            self.replica().copy_events(rows, last)?;
            if self.is_stopped() {
                return Ok(false);
            }
        }
    }

    fn copy_alerts(&mut self) -> Result<(), StoreError> {
        let table = mirrored::alerts();
        let rows = self.tail.alerts(&table, self.others.last_alert - ALERTS_LATE)?;
        let is_copied = |row: &Values| self.others.alerts.get(&text(&row[0])) == Some(row);
        let changed: Vec<_> = rows.iter().filter(|row| !is_copied(row)).cloned().collect();
        if !changed.is_empty() {
            self.replica().copy_table(&table, changed, None)?;
        }
        let times = table.columns.iter().enumerate().filter(|(_, column)| ALERT_TIMES.contains(&column.name));
        let times: Vec<_> = times.map(|(at, _)| at).collect();
        let last_change = |row: &Values| times.iter().map(|at| number(&row[*at])).max().unwrap_or(0);
        let last = rows.iter().map(last_change).fold(self.others.last_alert, i64::max);
        let may_come_again = |row: &Values| last_change(row) >= last - ALERTS_LATE;
        let again = rows.into_iter().filter(may_come_again);
        self.others.alerts = again.map(|row| (text(&row[0]), row)).collect();
        self.others.last_alert = last;
        Ok(())
    }

    fn copy_jobs(&mut self) -> Result<(), StoreError> {
        let table = mirrored::jobs();
        let after = self.others.last_job - JOBS_LATE;
        let rows = self.tail.jobs(&table, after, self.others.jobs.keys().copied())?;
        let changed: Vec<_> =
            rows.iter().filter(|row| self.others.jobs.get(&number(&row[0])) != Some(row)).cloned().collect();
        if !changed.is_empty() {
            self.replica().copy_table(&table, changed, None)?;
        }
        let last = rows.last().map_or(0, |row| number(&row[0])).max(self.others.last_job);
        let running = Value::Text(JobState::Running.as_str().to_owned());
        let may_change = |row: &Values| row[2] == running || number(&row[0]) > last - JOBS_LATE;
        self.others.jobs = rows.into_iter().filter(may_change).map(|row| (number(&row[0]), row)).collect();
        self.others.last_job = last;
        Ok(())
    }

    /// The lists of an hour grow until some seconds after its end. What has left one stays in the copy: it is among the first
    /// still, though not of the first hundred.
    fn copy_tops(&mut self) -> Result<bool, StoreError> {
        let table = mirrored::tops();
        let from = self.replica().tops_cursor() - Step::Hour.seconds();
        if from != self.others.tops_from {
            self.others.tops.clear();
            self.others.tops_from = from;
        }
        let mut after: Option<Values> = None;
        loop {
            let rows = self.tail.tops(&table, from, after.as_ref(), MAX_ROWS)?;
            let Some(last) = rows.last().cloned() else { return Ok(true) };
            let hour = number(&last[0]);
            let is_new = |row: &Values| self.others.tops.insert((text(&row[1]), number(&row[3])));
            let new: Vec<_> = rows.into_iter().filter(is_new).collect();
            if !new.is_empty() {
                self.replica().copy_tops(new, hour)?;
            }
            after = Some(last);
            if self.is_stopped() {
                return Ok(false);
            }
        }
    }

    fn copy_means(&mut self) -> Result<(), StoreError> {
        for table in [mirrored::host(), mirrored::gpu()] {
            for step in Step::ALL {
                let key = (table.name, step.seconds());
                let last = match self.others.means.get(&key) {
                    Some((last, _)) => *last,
                    None => self.replica().last_means(&table, step)?,
                };
                // Once more the last two, to which readings may have been added.
                let rows = self.tail.means(&table, step, last - 2 * step.seconds())?;
                let is_same = self.others.means.get(&key).is_some_and(|(_, before)| *before == rows);
                if rows.is_empty() || is_same {
                    continue;
                }
                let last = rows.last().map_or(last, |row| number(&row[1]));
                let from = last - 2 * step.seconds();
                let latest = rows.iter().filter(|row| number(&row[1]) >= from).cloned().collect();
                self.replica().copy_table(&table, rows, None)?;
                self.others.means.insert(key, (last, latest));
            }
        }
        Ok(())
    }
}

fn number(value: &Value) -> i64 {
    if let Value::Integer(number) = value { *number } else { 0 }
}

fn text(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { String::new() }
}
