//! How many exchanges there are, without reading them.

use std::time::Instant;

use super::page::condition;
use super::{Reading, ends};
use crate::exchange::outcome::Outcome;
use crate::history::day::Day;
use crate::history::query::cover::{Part, cover};
use crate::history::query::{Filter, NoTotal, Range};
use crate::history::rollup::{Step, Sums};
use crate::history::store::error::StoreError;

impl Reading {
    /// How many exchanges a range has, of the time whose rows are kept: from the sums for whole intervals, from the rows for
    /// the rest.
    pub(super) fn total(
        &self,
        range: Range,
        filter: &Filter,
        deadline: Instant,
    ) -> Result<Result<u64, NoTotal>, StoreError> {
        if !filter.is_summed() {
            return Ok(Err(NoTotal::NotSummed));
        }
        let Some(snapshot) = self.snapshot(deadline)? else { return Ok(Ok(0)) };
        if filter.client.is_some() && snapshot.has_tenants(self)? {
            return Ok(Err(NoTotal::NotSummed));
        }
        let (minutes_from, mut total) = (snapshot.minutes_from()?, 0);
        for part in self.with_rows(range)?.into_iter().flat_map(|range| cover(range, minutes_from)) {
            match part {
                Part::Sums(step, range) => {
                    snapshot
                        .each(self, (step, range), (filter, None), |_, _, _, sums| total += counted(sums, filter))?;
                }
                Part::Rows(range) => total += self.weights(range, filter, deadline)?,
            }
        }
        Ok(Ok(total))
    }

    /// The parts of a range in which exchanges have rows, from the first: to the hour, but for the first and the last row
    /// of the days that it touches. Sums are kept for longer, and stay where a file is lost or full: what is only in them
    /// cannot be listed.
    fn with_rows(&self, range: Range) -> Result<Vec<Range>, StoreError> {
        const HOUR: i64 = Step::Hour.seconds() * 1000;
        let mut parts: Vec<Range> = Vec::new();
        let mut end = 0;
        let mut days: Vec<_> = self.days_of(range).collect();
        days.reverse();
        for day in days {
            let found = match ends(&self.directory, day) {
                // What is damaged cannot be listed either.
                Err(StoreError::Damaged(..)) => None,
                found => found?,
            };
            let Some((first, last)) = found else { continue };
            let (hour, after) = (first.div_euclid(HOUR) * HOUR, (last.div_euclid(HOUR) + 1) * HOUR);
            match parts.last_mut() {
                Some(before) if before.to == hour => before.to = after,
                Some(_) => parts.push(Range { from: hour, to: after }),
                None => parts.push(Range { from: first, to: after }),
            }
            end = last + 1;
        }
        let within = |part: Range| Range { from: part.from.max(range.from), to: part.to.min(range.to).min(end) };
        Ok(parts.into_iter().map(within).filter(|part| part.from < part.to).collect())
    }

    /// The weights of the rows of a range.
    fn weights(&self, range: Range, filter: &Filter, deadline: Instant) -> Result<u64, StoreError> {
        let mut total = 0;
        for day in self.days_of(range) {
            let Some(open) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&open, &self.names, range, filter) else { continue };
            let sum = format!("SELECT coalesce(sum(weight), 0) FROM exchanges {condition}");
            let sum = open.connection.query_row(&sum, rusqlite::params_from_iter(&values), |row| row.get::<_, i64>(0));
            let sum = sum.map_err(|error| StoreError::of(&error, &open.path))?;
            total += u64::try_from(sum).unwrap_or(0);
        }
        Ok(total)
    }

    /// The days that a range touches and that have a file, the newest first.
    pub(in crate::history::store::sqlite) fn days_of(&self, range: Range) -> impl Iterator<Item = Day> {
        let touches = move |day: &Day| day.begin() < range.to && day.next().begin() > range.from;
        self.directory.days().into_iter().rev().filter(touches)
    }
}

/// How many of the exchanges in these sums ended as asked for.
fn counted(sums: &Sums, filter: &Filter) -> u64 {
    let by_outcome = |outcome: Outcome| sums.by_outcome[outcome as usize];
    let wanted = |outcome: &Outcome| {
        filter.outcome.is_none_or(|wanted| wanted == *outcome) && !(filter.failed && *outcome == Outcome::Completed)
    };
    Outcome::ALL.iter().filter(|outcome| wanted(outcome)).map(|outcome| by_outcome(*outcome)).sum()
}
