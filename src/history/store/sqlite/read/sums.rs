//! Sums of `main.db` as of now: with the rows that their writers have not added yet.

use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::{Reading, begin};
use crate::exchange::vocabulary::Operation;
use crate::history::codes::Coded;
use crate::history::day::Day;
use crate::history::id::RowId;
use crate::history::names::NameKind;
use crate::history::query::{Filter, Range};
use crate::history::rollup::{By, Dimensions, Key, OperationKey, Rollups, Step, Sums};
use crate::history::store::error::StoreError;
use crate::history::store::sqlite::{open, recover, schema::FileKind, sums};
use crate::history::store::terms::operations;

/// `main.db` as it is at one instant, and the rows that it does not have yet.
pub(super) struct Snapshot {
    connection: Connection,
    /// What was written after the last merge of each writer.
    unmerged: HashMap<Key, Sums>,
    path: std::path::PathBuf,
}

impl Reading {
    /// Takes a snapshot; `None` where there is no file yet.
    pub(super) fn snapshot(&self, deadline: std::time::Instant) -> Result<Option<Snapshot>, StoreError> {
        let path = self.directory.main();
        let Some(connection) = open::readable(&path, FileKind::Main)? else { return Ok(None) };
        let failed = |error: rusqlite::Error| StoreError::of(&error, &path);
        // Sums and accounts are those of one instant.
        begin(&connection, deadline).map_err(failed)?;
        let accounts = recover::accounts(&connection).map_err(failed)?;
        let mut unmerged = Rollups::default();
        let oldest = accounts.iter().map(|(_, last)| Day::of(last.millis())).min();
        for day in self.directory.days().into_iter().filter(|day| oldest.is_some_and(|oldest| *day >= oldest)) {
            let Some(day) = self.day(day, deadline)? else { continue };
            for account in &accounts {
                let folded = recover::fold(&day.connection, *account, &day.names, &mut unmerged);
                folded.map_err(|error| StoreError::of(&error, &day.path))?;
            }
        }
        Ok(Some(Snapshot { connection, unmerged: unmerged.intervals(), path }))
    }
}

impl Snapshot {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The sums of the intervals of a range that the file does not have yet.
    pub(super) fn unmerged(&self, (step, range): (Step, Range)) -> impl Iterator<Item = (&Key, &Sums)> {
        let is_inside = move |key: &Key| key.step == step && (range.from..range.to).contains(&(key.at * 1000));
        self.unmerged.iter().filter(move |(key, _)| is_inside(key))
    }

    pub(super) fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        |error| StoreError::of(&error, &self.path)
    }

    /// Whether any exchange has a tenant, as far as the sums go.
    pub(super) fn has_tenants(&self, reading: &Reading) -> Result<bool, StoreError> {
        let is_tenant = |key: &Key| {
            let kind = reading.names.kind_and_name(key.of.tenant).map(|(kind, _)| kind);
            kind == Some(NameKind::Tenant)
        };
        let select = "SELECT EXISTS (SELECT 1 FROM names WHERE kind = ?1)";
        let stored = self.connection.query_row(select, [NameKind::Tenant.as_str()], |row| row.get::<_, bool>(0));
        Ok(stored.map_err(self.failed())? || self.unmerged.keys().any(is_tenant))
    }

    /// Passes on the sums of each interval of a range that fit, with its beginning, its group, where there are groups, and
    /// the operation. `range` holds whole intervals, in milliseconds. Of the filter, backend, model, tenant, client and operation count.
    pub(super) fn each(
        &self,
        reading: &Reading,
        within: (Step, Range),
        (filter, by): (&Filter, Option<By>),
        mut visit: impl FnMut(i64, Option<Arc<str>>, OperationKey, &Sums),
    ) -> Result<(), StoreError> {
        self.stored(within, filter, by, &mut visit).map_err(self.failed())?;
        for (key, sums) in self.unmerged(within).filter(|(key, _)| fits(reading, &key.of, filter)) {
            visit(key.at, by.and_then(|by| reading.names.name(key.of.of_group(by))), key.of.operation, sums);
        }
        Ok(())
    }

    fn stored(
        &self,
        (step, range): (Step, Range),
        filter: &Filter,
        by: Option<By>,
        visit: &mut impl FnMut(i64, Option<Arc<str>>, OperationKey, &Sums),
    ) -> rusqlite::Result<()> {
        let mut terms = vec!["step = ? AND at >= ? AND at < ?".to_owned()];
        let mut values = vec![step.seconds(), range.from.div_euclid(1000), range.to.div_euclid(1000)];
        for (column, kind, name) in filter.summed_names() {
            let Some(name) = name else { continue };
            let number = "SELECT max(id) FROM names WHERE kind = ?1 AND name = ?2";
            let number: Option<i64> = self.connection.query_row(number, (kind.as_str(), &**name), |row| row.get(0))?;
            let Some(number) = number else { return Ok(()) };
            terms.push(format!("{column} = ?"));
            values.push(number);
        }
        terms.extend(operations(filter));
        let group = by.map_or("0", By::column);
        let select =
            format!("SELECT at, {group}, operation, {} FROM rollups WHERE {}", sums::COLUMNS, terms.join(" AND "));
        let mut select = self.connection.prepare(&select)?;
        let mut found = select.query(rusqlite::params_from_iter(values.into_iter().map(Value::Integer)))?;
        let mut name = self.connection.prepare("SELECT max(name) FROM names WHERE id = ?1")?;
        let mut known: HashMap<i64, Option<Arc<str>>> = HashMap::from([(0, None)]);
        while let Some(row) = found.next()? {
            let number: i64 = row.get(1)?;
            let group = match known.get(&number) {
                Some(group) => group.clone(),
                None => known.entry(number).insert(name.query_row([number], |row| row.get(0))?).get().clone(),
            };
            visit(row.get(0)?, group, row.get(2)?, &sums::read(row, 3)?);
        }
        Ok(())
    }

    /// The beginnings of the intervals of a range in which the program ran.
    pub(super) fn ran(&self, step: Step, range: Range) -> Result<Vec<i64>, StoreError> {
        let select = || {
            let mut select = self.connection.prepare("SELECT at FROM ran WHERE step = ?1 AND at >= ?2 AND at < ?3")?;
            let bounds = (step.seconds(), range.from.div_euclid(1000), range.to.div_euclid(1000));
            select.query_map(bounds, |row| row.get(0))?.collect::<Result<_, _>>()
        };
        select().map_err(self.failed())
    }

    /// When the oldest minute that is kept begins, in milliseconds; far in the future where none is.
    pub(super) fn minutes_from(&self) -> Result<i64, StoreError> {
        let select = "SELECT min(at) FROM ran WHERE step = 60";
        let oldest: Option<i64> = self.connection.query_row(select, [], |row| row.get(0)).map_err(self.failed())?;
        Ok(oldest.map_or(i64::MAX, |oldest| oldest * 1000))
    }

    /// The ids of the first exchanges of the hours of a range, the first of all first.
    pub(super) fn tops(&self, by: &str, range: Range, most: usize) -> Result<Vec<RowId>, StoreError> {
        let select = || {
            let mut select = self.connection.prepare(
                "SELECT exchange FROM tops WHERE at >= ?1 AND at < ?2 AND measure = ?3 ORDER BY value DESC, exchange DESC \
                 LIMIT ?4",
            )?;
            let bounds = (range.from.div_euclid(1000), range.to.div_euclid(1000), by, i64::try_from(most).unwrap_or(0));
            select.query_map(bounds, |row| row.get(0).map(RowId))?.collect::<Result<_, _>>()
        };
        select().map_err(self.failed())
    }
}

/// Whether sums of these dimensions are asked for.
fn fits(reading: &Reading, of: &Dimensions, filter: &Filter) -> bool {
    let ids = [of.backend, of.model, of.tenant, of.tenant];
    let names = filter.summed_names().into_iter().zip(ids);
    let same = |((_, kind, name), id): ((_, NameKind, &Option<Arc<str>>), _)| {
        name.as_deref().is_none_or(|name| reading.names.find(kind, name) == Some(id))
    };
    let asked = Operation::from_code(of.operation);
    let is_any = filter.operation.is_none() && !filter.inference;
    names.into_iter().all(same) && (is_any || asked.is_some_and(|operation| filter.has_operation(operation)))
}
