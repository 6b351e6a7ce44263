//! The copy of one directory, for the thread that makes it.

use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::client::{Client, Transaction};
use super::columns::{self, Column, as_row, is_name};
use super::connect::Server;
use super::names::Numbers;
use super::value::{Cell, seconds_of, timestamp};
use super::{copy, mirror, schema};
use crate::exchange::outcome::Outcome;
use crate::history::day::Day;
use crate::history::id::{MAX_PROCESSES, RowId};
use crate::history::rollup::Step;
use crate::history::settings::Retention;
use crate::history::state::Pause;
use crate::history::store::error::StoreError;
use crate::history::store::mirrored::{self, Mirrored};
use crate::history::store::sqlite::tail::{ChangedSums, Rows, Values, read_sums};

/// How long a statement may take: one that copies or removes a lot.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// A connection, and how far the copy is.
pub(in crate::history) struct Replica {
    server: Server,
    client: Client,
    id: i32,
    numbers: Numbers,
    /// Of each process number.
    cursors: HashMap<u8, RowId>,
    /// The last change of sums that is there.
    sums: i64,
    /// The last event that is there.
    events: i64,
    /// The hour of the last entry of the top lists, in seconds since the epoch.
    tops: i64,
    /// The days that have a partition.
    days: std::ops::Range<i64>,
    /// Reads sums from their values.
    scratch: Connection,
}

/// The stream of sums among the cursors, which follow those of the processes.
const SUMS: i16 = MAX_PROCESSES as i16;

/// The stream of events.
const EVENTS: i16 = SUMS + 1;

/// The stream of the top lists.
const TOPS: i16 = SUMS + 2;

/// A connection that does not copy: it asks whether it may.
pub(in crate::history) struct Candidate {
    server: Server,
    client: Client,
    id: i32,
    node: Arc<str>,
}

impl Candidate {
    /// Connects, for the copy of this number. `node` names this machine.
    pub(in crate::history) fn connect(server: &Server, id: i32, node: Arc<str>) -> Result<Self, StoreError> {
        Ok(Self { client: server.connect(LIMIT)?, server: server.clone(), id, node })
    }

    /// The number of the copy.
    pub(in crate::history) fn id(&self) -> i32 {
        self.id
    }

    /// Begins to copy, unless another process copies this replica: then it returns when that copy was last whole, in
    /// milliseconds since the epoch, where that is known. No table is touched before.
    pub(in crate::history) fn begin(mut self) -> Result<Result<Replica, (Self, Option<i64>)>, StoreError> {
        let lock = "SELECT pg_try_advisory_lock($1, $2)";
        let locked = self.client.query_one(lock, &[&schema::LOCKS, &self.id]);
        if !locked.map_err(|error| self.server.failed(&error))?.get::<_, bool>(0) {
            let whole = self.whole().map_err(|error| self.server.failed(&error))?;
            return Ok(Err((self, whole)));
        }
        Replica::begin(self).map(Ok)
    }

    fn whole(&mut self) -> Result<Option<i64>, Error> {
        if !schema::is_there(&mut self.client, "replicas")? {
            return Ok(None);
        }
        let select = "SELECT (extract(epoch FROM seen) * 1000)::bigint FROM replicas WHERE id = $1";
        Ok(self.client.query_opt(select, &[&self.id])?.map(|row| row.get(0)))
    }
}

impl Replica {
    fn begin(Candidate { server, mut client, id, node }: Candidate) -> Result<Self, StoreError> {
        let failed = |error: Error| server.failed(&error);
        if !schema::prepare(&mut client).map_err(failed)? {
            let text = format!("{}: a newer release made the tables", server.target);
            return Err(StoreError::Paused(Pause::NewerSchema, text));
        }
        let seen = "INSERT INTO replicas (id, node, seen) VALUES ($1, $2, now())
            ON CONFLICT (id) DO UPDATE SET node = $2";
        client.execute(seen, &[&id, &&*node]).map_err(failed)?;
        let found = client.query("SELECT stream, last FROM cursors WHERE replica = $1", &[&id]).map_err(failed)?;
        let (mut cursors, mut sums, mut events, mut tops) = (HashMap::new(), 0, 0, 0);
        for row in found {
            match (row.get::<_, i16>(0), row.get::<_, i64>(1)) {
                (SUMS, last) => sums = last,
                (EVENTS, last) => events = last,
                (TOPS, last) => tops = last,
                (stream, last) => drop(u8::try_from(stream).map(|process| cursors.insert(process, RowId(last)))),
            }
        }
        let scratch = Connection::open_in_memory().map_err(|error| StoreError::of(&error, "memory".as_ref()))?;
        Ok(Self { server, client, id, numbers: Numbers::default(), cursors, sums, events, tops, days: 0..0, scratch })
    }

    /// The number of the copy.
    pub(in crate::history) fn id(&self) -> i32 {
        self.id
    }

    /// The last row of a process that is there.
    pub(in crate::history) fn cursor(&self, process: u8) -> RowId {
        self.cursors.get(&process).copied().unwrap_or(RowId(0))
    }

    /// The last change of sums that is there.
    pub(in crate::history) fn sums_cursor(&self) -> i64 {
        self.sums
    }

    /// Copies rows of a process, and notes how far it is, within one transaction.
    pub(in crate::history) fn copy_rows(&mut self, process: u8, rows: Rows) -> Result<(), StoreError> {
        let last = rows.last;
        self.try_copy_rows(process, rows).map_err(|error| self.server.failed(&error))?;
        self.cursors.insert(process, last);
        Ok(())
    }

    fn try_copy_rows(&mut self, process: u8, Rows { day, rows, names, last }: Rows) -> Result<(), Error> {
        if !self.days.contains(&day.0) {
            schema::create_partitions(&mut self.client, day)?;
            self.days = day.0..day.0 + 1;
        }
        let numbers = self.numbers.of(&mut self.client, names)?;
        let own = columns::of_exchanges();
        let named: Vec<bool> = own.iter().map(|column| is_name(&column.name)).collect();
        let replica = self.id;
        let cells = |row: Vec<Value>| {
            let millis = match row.first() {
                Some(Value::Integer(id)) => RowId(*id).millis(),
                _ => 0,
            };
            let own = row.into_iter().zip(&named).map(|(value, is_name)| match value {
                Value::Integer(number) if *is_name => name(&numbers, number),
                value => Cell(value),
            });
            [Cell(Value::Integer(millis)), Cell(Value::Integer(replica.into()))].into_iter().chain(own).collect()
        };
        let rows: Vec<Vec<Cell>> = rows.into_iter().map(cells).collect();
        let mut columns = vec![
            Column { name: "at".into(), kind: tokio_postgres::types::Type::TIMESTAMPTZ },
            Column { name: "replica".into(), kind: tokio_postgres::types::Type::INT4 },
        ];
        columns.extend(own);
        let mut transaction = self.client.transaction()?;
        copy::insert(&mut transaction, "exchanges", &columns, &rows, "DO NOTHING")?;
        set_cursor(&mut transaction, self.id, i16::from(process), last.0)?;
        transaction.commit()
    }

    /// Copies sums, and notes how far they are, within one transaction.
    pub(in crate::history) fn copy_sums(&mut self, sums: ChangedSums) -> Result<(), StoreError> {
        let last = sums.last;
        self.try_copy_sums(sums).map_err(|error| self.server.failed(&error))?;
        self.sums = last;
        Ok(())
    }

    fn try_copy_sums(&mut self, ChangedSums { rows, names, last }: ChangedSums) -> Result<(), Error> {
        let numbers = self.numbers.of(&mut self.client, names)?;
        let (scratch, replica) = (&self.scratch, self.id);
        let cells = |row: Vec<Value>| -> Vec<Cell> {
            let more = derived(scratch, &row);
            let own = row.into_iter().enumerate().map(|(at, value)| match (at, value) {
                // Seconds, where a time is milliseconds.
                (1, Value::Integer(seconds)) => Cell(Value::Integer(seconds * 1000)),
                (2..=4, Value::Integer(0)) => Cell(Value::Integer(0)),
                (2..=4, Value::Integer(number)) => name(&numbers, number),
                (_, value) => Cell(value),
            });
            own.chain(more).chain([Cell(Value::Integer(replica.into()))]).collect()
        };
        let rows: Vec<Vec<Cell>> = rows.into_iter().map(cells).collect();
        let columns = schema::sums_columns();
        let set: Vec<_> = columns.iter().map(|Column { name, .. }| format!("{name} = EXCLUDED.{name}")).collect();
        let update = format!("(step, at, replica, backend, model, tenant, operation) DO UPDATE SET {}", set.join(", "));
        let mut transaction = self.client.transaction()?;
        copy::insert(&mut transaction, "rollups", &columns, &rows, &update)?;
        set_cursor(&mut transaction, self.id, SUMS, last)?;
        transaction.commit()
    }

    /// The last event that is there.
    pub(in crate::history) fn events_cursor(&self) -> i64 {
        self.events
    }

    /// The hour of the last entry of the top lists that is there, in seconds since the epoch.
    pub(in crate::history) fn tops_cursor(&self) -> i64 {
        self.tops
    }

    /// Copies events, up to this one.
    pub(in crate::history) fn copy_events(&mut self, rows: Vec<Values>, last: i64) -> Result<(), StoreError> {
        self.copy_table(&mirrored::events(), rows, Some((EVENTS, last)))?;
        self.events = last;
        Ok(())
    }

    /// Copies entries of the top lists, up to this hour.
    pub(in crate::history) fn copy_tops(&mut self, rows: Vec<Values>, hour: i64) -> Result<(), StoreError> {
        self.copy_table(&mirrored::tops(), rows, Some((TOPS, hour)))?;
        self.tops = hour;
        Ok(())
    }

    /// Copies rows of a table, and notes how far a stream is, within one transaction.
    pub(in crate::history) fn copy_table(
        &mut self,
        table: &Mirrored,
        rows: Vec<Values>,
        cursor: Option<(i16, i64)>,
    ) -> Result<(), StoreError> {
        let (client, replica) = (&mut self.client, self.id);
        let copy = || {
            let mut transaction = client.transaction()?;
            mirror::insert(&mut transaction, table, replica, rows)?;
            if let Some((stream, last)) = cursor {
                set_cursor(&mut transaction, replica, stream, last)?;
            }
            transaction.commit()
        };
        copy().map_err(|error| self.server.failed(&error))
    }

    /// When the last means of a step are that this replica has in a table, in seconds since the epoch.
    pub(in crate::history) fn last_means(&mut self, table: &Mirrored, step: Step) -> Result<i64, StoreError> {
        let select = format!(
            "SELECT extract(epoch FROM max(at))::bigint FROM {} WHERE step = {} AND replica = $1",
            table.name,
            step.seconds()
        );
        let found = self.client.query_one(&select, &[&self.id]);
        found.map(|row| row.get::<_, Option<i64>>(0).unwrap_or(0)).map_err(|error| self.server.failed(&error))
    }

    /// The last interval of a step in which this replica is known to have run, in seconds since the epoch.
    pub(in crate::history) fn last_ran(&mut self, step: Step) -> Result<i64, StoreError> {
        let select = "SELECT extract(epoch FROM max(at))::bigint FROM ran WHERE step = $1 AND replica = $2";
        let found = self.client.query_one(select, &[&seconds_of(step), &self.id]);
        found.map(|row| row.get::<_, Option<i64>>(0).unwrap_or(0)).map_err(|error| self.server.failed(&error))
    }

    /// Notes intervals in which this replica ran.
    pub(in crate::history) fn note_ran(&mut self, step: Step, intervals: &[i64]) -> Result<(), StoreError> {
        let at: Vec<_> = intervals.iter().map(|seconds| timestamp(seconds * 1000)).collect();
        let insert =
            "INSERT INTO ran (step, replica, at) SELECT $1, $2, unnest($3::timestamptz[]) ON CONFLICT DO NOTHING";
        let noted = self.client.execute(insert, &[&seconds_of(step), &self.id, &at]);
        noted.map(|_| ()).map_err(|error| self.server.failed(&error))
    }

    /// Notes when the copy had everything, in milliseconds since the epoch.
    pub(in crate::history) fn note_whole(&mut self, millis: i64) -> Result<(), StoreError> {
        let update = "UPDATE replicas SET seen = $2 WHERE id = $1";
        let noted = self.client.execute(update, &[&self.id, &timestamp(millis)]);
        noted.map(|_| ()).map_err(|error| self.server.failed(&error))
    }

    /// Creates the partitions of the days ahead, and removes what is too old.
    pub(in crate::history) fn maintain(&mut self, retention: &Retention, now: i64) -> Result<(), StoreError> {
        let today = Day::of(now);
        schema::create_partitions(&mut self.client, today).map_err(|error| self.server.failed(&error))?;
        self.days = today.0..today.0 + 1;
        match schema::expire(&mut self.client, retention, now) {
            // Somebody reads for long, such as a dump: what is too old can wait until the next time.
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(()),
            done => done.map_err(|error| self.server.failed(&error)),
        }
    }
}

fn name(numbers: &HashMap<i64, i32>, number: i64) -> Cell {
    Cell(numbers.get(&number).map_or(Value::Null, |number| Value::Integer((*number).into())))
}

fn set_cursor(transaction: &mut Transaction<'_>, replica: i32, stream: i16, last: i64) -> Result<(), Error> {
    let update = "INSERT INTO cursors (replica, stream, last) VALUES ($1, $2, $3)
        ON CONFLICT (replica, stream) DO UPDATE SET last = $3";
    transaction.execute(update, &[&replica, &stream, &last]).map(|_| ())
}

/// How the exchanges of sums ended, and percentiles, as plain values.
fn derived(scratch: &Connection, row: &[Value]) -> Vec<Cell> {
    const KEY: usize = 6;
    let Ok(sums) = as_row(scratch, row[KEY..].to_vec(), |row| read_sums(row, 0)) else {
        return (0..Outcome::ALL.len() + sums_percentiles()).map(|_| Cell(Value::Null)).collect();
    };
    let by_outcome = sums.by_outcome.iter().map(|count| Value::Integer(i64::try_from(*count).unwrap_or(i64::MAX)));
    let percentiles = sums.sketches.iter().flat_map(|sketch| {
        schema::PERCENTILES.map(|(_, share)| sketch.quantile(share).map_or(Value::Null, Value::Real))
    });
    by_outcome.chain(percentiles).map(Cell).collect()
}

fn sums_percentiles() -> usize {
    crate::history::rollup::Measure::ALL.len() * schema::PERCENTILES.len()
}
