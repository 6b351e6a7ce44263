//! Sums over time.

use rusqlite::types::Value;

use super::page::condition;
use super::{OpenDay, Reading, RemoteReading, begin};
use crate::history::codes::Coded as _;
use crate::history::query::Range;
use crate::history::query::series::{DurationsOf, Group, Groups, Interval, Series, SeriesQuery};
use crate::history::rollup::{By, Dimensions, Sums};
use crate::history::row::{Entry, Row};
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::schema::FileKind;
use crate::history::store::sqlite::{open, rows};

const HOURS_ALONE_UNTIL: &str = "SELECT (max(at) + 3600) * 1000 FROM ran WHERE step = 3600 \
    AND at / 3600 < coalesce((SELECT min(at) / 3600 FROM ran WHERE step = 60), 9e9)";

/// A group, as it is known while sums are added up.
type GroupId = Option<std::sync::Arc<str>>;

impl Reading {
    /// The shortest interval that gives at most so many points of a range, of sums that are kept.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn fitting(&self, range: Range, points: usize) -> Result<Interval, StoreError> {
        Ok(Interval::fitting_kept(range, points, self.hours_alone_until()?))
    }

    /// Where the newest hour ends that is kept without its minutes, in milliseconds since the epoch.
    fn hours_alone_until(&self) -> Result<Option<i64>, StoreError> {
        if let Some(answer) = self.remotely(RemoteReading::hours_alone_until) {
            return answer;
        }
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(None) };
        let ask = || {
            begin(&connection, self.deadline())?;
            connection.query_row(HOURS_ALONE_UNTIL, [], |row| row.get(0))
        };
        ask().map_err(|error| StoreError::of(&error, &path))
    }

    /// The sums of each interval of a range. `None` where there would be too many intervals.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn series(&self, query: &SeriesQuery) -> Result<Option<Series>, StoreError> {
        // Of intervals that rows are read for, this machine's files answer.
        if !query.interval.is_fine()
            && let Some(answer) = self.remotely(|remote| remote.series(query))
        {
            return answer;
        }
        Ok(self.groups(query, None)?.map(Groups::together))
    }

    /// As [`Reading::series`], divided into groups, of which those with the most exchanges come first.
    ///
    /// # Errors
    /// When a file cannot be read, or in time.
    pub fn series_by(&self, query: &SeriesQuery, by: By) -> Result<Option<Vec<Group>>, StoreError> {
        if !query.interval.is_fine()
            && let Some(answer) = self.remotely(|remote| remote.series_by(query, by))
        {
            return answer;
        }
        Ok(self.groups(query, Some(by))?.map(|groups| groups.named(Clone::clone)))
    }

    fn groups(&self, query: &SeriesQuery, by: Option<By>) -> Result<Option<Groups<GroupId>>, StoreError> {
        let Some(mut empty) = Series::empty(query.range, query.interval) else { return Ok(None) };
        let range = Range { from: empty.from * 1000, to: empty.to() * 1000 };
        let Some(snapshot) = self.snapshot(self.deadline())? else { return Ok(Some(Groups::new(empty))) };
        let step = query.interval.step();
        // Of a part of a minute it is known only whether the program ran in the minute.
        for at in snapshot.ran(step, Range { from: range.from - step.seconds() * 1000, ..range })? {
            for part in (at..at + step.seconds()).step_by(query.interval.seconds().min(step.seconds()) as usize) {
                if let Some(point) = empty.point(part) {
                    point.get_or_insert_default();
                }
            }
        }
        let mut groups = Groups::new(empty);
        if query.interval.is_fine() {
            self.rows(range, query, by, &mut groups)?;
        } else {
            snapshot.each(self, (step, range), (&query.filter, by), |at, group, operation, sums| {
                if let Some(sum) = groups.at(group, at) {
                    query.durations.merge(sum, sums, operation);
                }
            })?;
        }
        Ok(Some(groups))
    }

    /// Adds up the rows of a range.
    fn rows(
        &self,
        range: Range,
        query: &SeriesQuery,
        by: Option<By>,
        groups: &mut Groups<GroupId>,
    ) -> Result<(), StoreError> {
        let deadline = self.deadline();
        for day in self.days_of(range) {
            let Some(open) = self.day(day, deadline)? else { continue };
            let Some((condition, values)) = condition(&open, &self.names, range, &query.filter) else { continue };
            open.each_row((&condition, &values), |entry| {
                let group = by.and_then(|by| self.names.name(Dimensions::of(&entry.row).of_group(by)));
                add(groups, group, &entry, query.durations);
            })?;
        }
        Ok(())
    }
}

impl OpenDay {
    fn each_row(&self, (condition, values): (&str, &[Value]), mut visit: impl FnMut(Entry)) -> Result<(), StoreError> {
        let mut select = || {
            let select = format!("SELECT {} FROM exchanges {condition}", rows::COLUMNS);
            let mut select = self.connection.prepare(&select)?;
            let mut found = select.query(rusqlite::params_from_iter(values))?;
            while let Some(row) = found.next()? {
                rows::read(row, &self.names)?.into_iter().for_each(&mut visit);
            }
            Ok(())
        };
        select().map_err(|error| StoreError::of(&error, &self.path))
    }
}

/// Adds an exchange to the interval in which it ended, and its time to those that it was in.
fn add(groups: &mut Groups<GroupId>, group: GroupId, Entry { id, weight, row }: &Entry, durations: DurationsOf) {
    let (ended, weight) = (id.millis(), u64::from(*weight));
    if let Some(sums) = groups.at(group.clone(), ended.div_euclid(1000)) {
        let mut one = Sums::default();
        one.add_end(row, weight);
        durations.merge(sums, &one, row.operation.code());
    }
    let length = groups.empty.interval.seconds() * 1000;
    let begun = ended - millis(row);
    if let Some(sums) = groups.at(group.clone(), begun.div_euclid(1000)) {
        sums.started += weight;
    }
    let first = begun.max(groups.empty.from * 1000).div_euclid(length) * length;
    for at in (first..=ended).step_by(length as usize) {
        let inside = ended.min(at + length) - begun.max(at);
        if let Some(sums) = groups.at(group.clone(), at / 1000).filter(|_| inside > 0) {
            sums.busy_us += inside.unsigned_abs() * 1000 * weight;
        }
    }
}

fn millis(row: &Row) -> i64 {
    i64::try_from(row.duration.micros().unwrap_or(0) / 1000).unwrap_or(0)
}
