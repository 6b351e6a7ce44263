//! Sums of an interval as a row of `rollups`, and back.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use crate::exchange::outcome::Outcome;
use crate::history::codes::Coded;
use crate::history::rollup::{Key, Measure, Sums};
use crate::history::sketch::Sketch;

/// The columns of the sums, in the order in which they are read, from the first.
pub(super) const COLUMNS: &str = "requests, by_outcome, started, prompt_tokens, generated_tokens, cached_tokens, \
    cached_of_tokens, reasoning_tokens, wasted_tokens, busy_us, bytes_in, bytes_out, cold, stalls, client_errors, retried, \
    messages, cost_nano, duration, ttft, ttft_warm, tpot, tps, queue, load";

/// The names of one key in the file: backend, model and tenant; 0 is none.
pub(super) type KeyNames = [i64; 3];

/// Adds sums to those that the file has. Call it within a transaction.
pub(super) fn merge(connection: &Connection, key: &Key, names: KeyNames, sums: &Sums) -> rusqlite::Result<()> {
    let [backend, model, tenant] = names;
    let (step, at, operation) = (key.step.seconds(), key.at, key.of.operation);
    let select = format!(
        "SELECT {COLUMNS} FROM rollups WHERE step = ?1 AND at = ?2 AND backend = ?3 AND model = ?4 AND tenant = ?5 \
         AND operation = ?6"
    );
    let found =
        connection.query_row(&select, (step, at, backend, model, tenant, operation), |row| read(row, 0)).optional()?;
    let merged = found.map(|mut found| {
        found.merge(sums);
        found
    });
    write(connection, (step, at, backend, model, tenant, operation), merged.as_ref().unwrap_or(sums))
}

type SqlKey = (i64, i64, i64, i64, i64, u8);

fn write(connection: &Connection, key: SqlKey, sums: &Sums) -> rusqlite::Result<()> {
    let places = vec!["?"; 6 + COLUMNS.split(',').count()].join(", ");
    let insert = format!(
        "INSERT OR REPLACE INTO rollups (step, at, backend, model, tenant, operation, {COLUMNS}, changed) \
         VALUES ({places}, (SELECT value FROM meta WHERE key = 'changed'))"
    );
    // Never falls, also where the latest change was removed, or all of an earlier file: the copy follows this number.
    connection.execute(
        "INSERT INTO meta (key, value) \
         VALUES ('changed', max(CAST(unixepoch('subsec') * 1000000 AS INTEGER), \
         (SELECT coalesce(max(changed), 0) FROM rollups)) + 1) \
         ON CONFLICT (key) DO UPDATE SET value = value + 1",
        [],
    )?;
    let mut statement = connection.prepare(&insert)?;
    let mut at = 0;
    let mut put = |value: &dyn rusqlite::ToSql| {
        at += 1;
        statement.raw_bind_parameter(at, value)
    };
    let (step, begin, backend, model, tenant, operation) = key;
    [step, begin, backend, model, tenant, i64::from(operation)].iter().try_for_each(|value| put(value))?;
    put(&signed(sums.requests))?;
    put(&outcomes_to_bytes(&sums.by_outcome))?;
    put(&signed(sums.started))?;
    [sums.prompt, sums.generated, sums.cached, sums.cached_of, sums.reasoning]
        .iter()
        .try_for_each(|sum| put(&sum.map(signed)))?;
    let counts = [sums.wasted, sums.busy_us, sums.bytes_in, sums.bytes_out, sums.cold, sums.stalls, sums.client_errors];
    counts.iter().chain(&[sums.retried]).try_for_each(|sum| put(&signed(*sum)))?;
    put(&sums.messages.map(signed))?;
    put(&sums.cost)?;
    sums.sketches.iter().try_for_each(|sketch| put(&sketch.to_bytes()))?;
    statement.raw_execute().map(|_| ())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads the sums that begin at this column.
pub(super) fn read(row: &SqlRow<'_>, first: usize) -> rusqlite::Result<Sums> {
    let number =
        |at: usize| row.get::<_, Option<i64>>(first + at).map(|value| value.and_then(|value| value.try_into().ok()));
    let sum = |at: usize| number(at).map(Option::unwrap_or_default);
    let mut sketches: [Sketch; Measure::ALL.len()] = Default::default();
    for (at, sketch) in sketches.iter_mut().enumerate() {
        *sketch = Sketch::from_bytes(row.get_ref(first + 18 + at)?.as_blob_or_null()?);
    }
    Ok(Sums {
        requests: sum(0)?,
        by_outcome: outcomes_from_bytes(row.get_ref(first + 1)?.as_blob()?),
        started: sum(2)?,
        prompt: number(3)?,
        generated: number(4)?,
        cached: number(5)?,
        cached_of: number(6)?,
        reasoning: number(7)?,
        wasted: sum(8)?,
        busy_us: sum(9)?,
        bytes_in: sum(10)?,
        bytes_out: sum(11)?,
        cold: sum(12)?,
        stalls: sum(13)?,
        client_errors: sum(14)?,
        retried: sum(15)?,
        messages: number(16)?,
        cost: row.get(first + 17)?,
        sketches,
    })
}

/// Pairs of varints: the number of the outcome, and how many there were.
fn outcomes_to_bytes(counts: &[u64; Outcome::ALL.len()]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (outcome, count) in Outcome::ALL.iter().zip(counts).filter(|(_, count)| **count > 0) {
        bytes.push(outcome.code());
        let mut rest = *count;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes
}

/// What cannot be read counts nothing.
fn outcomes_from_bytes(bytes: &[u8]) -> [u64; Outcome::ALL.len()] {
    let mut counts = [0; Outcome::ALL.len()];
    let mut bytes = bytes.iter();
    while let Some(code) = bytes.next() {
        let (mut count, mut shift) = (0_u64, 0);
        for byte in bytes.by_ref() {
            count |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if *byte < 0x80 {
                break;
            }
        }
        if let Some(outcome) = Outcome::from_code(*code) {
            counts[outcome as usize] = count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::store::sqlite::schema::{self, FileKind};

    #[test]
    fn the_number_of_a_change_never_falls() {
        let mut connection = Connection::open_in_memory().expect("memory");
        schema::upgrade(&mut connection, FileKind::Main).expect("a schema");
        let changed = |at| {
            write(&connection, (60, at, 0, 0, 0, 0), &Sums::default()).expect("it is written");
            let select = "SELECT changed FROM rollups WHERE at = ?1";
            connection.query_row(select, [at], |row| row.get::<_, i64>(0)).expect("it is there")
        };
        let (first, second) = (changed(0), changed(60));
        connection.execute("DELETE FROM rollups", []).expect("they are too old");
        let third = changed(120);
        assert!(first < second && second < third, "{first} {second} {third}");
        // A file that is begun later is beyond those of an earlier one.
        assert!(first > 1_700_000_000_000_000, "{first}");
    }

    #[test]
    fn counts_by_outcome_survive_their_encoding() {
        for counts in [[0; 7], [1, 0, 127, 128, 300, 0, u64::MAX], [u64::MAX / 3; 7]] {
            assert_eq!(outcomes_from_bytes(&outcomes_to_bytes(&counts)), counts);
        }
        assert_eq!(outcomes_from_bytes(&[99, 5, 0, 7]), {
            let mut counts = [0; 7];
            counts[Outcome::Completed as usize] = 7;
            counts
        });
    }
}
