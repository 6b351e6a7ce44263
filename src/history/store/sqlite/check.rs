//! Examines all files: their structure, and whether rows and sums agree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::schema::FileKind;
use super::{open, recover};
use crate::history::day::Day;
use crate::history::store::directory::Directory;
use crate::history::store::error::StoreError;

/// How long a file may be checked: as long as it takes.
const CHECK: Duration = Duration::from_secs(24 * 3600);

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// Files whose structure is sound.
    pub sound: usize,
    /// Files that are damaged, with what SQLite says of each.
    pub damaged: Vec<(PathBuf, String)>,
    /// Hours of which rows and sums were compared.
    pub hours: usize,
    /// Hours that have more in their rows than in their sums, which can never be.
    pub lacking: Vec<Hour>,
    /// Hours that have more in their sums: rows were lost while the history was paused.
    pub lost: Vec<Hour>,
}

/// The exchanges of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour {
    /// Its beginning, in milliseconds since the epoch.
    pub at: i64,
    /// By its rows and their weights.
    pub rows: i64,
    /// By its sums.
    pub sums: i64,
}

/// Examines every file; beside a program that writes them, too. `done` is called for each.
///
/// # Errors
/// When a file cannot be read for another reason than damage.
pub fn check(directory: &Directory, mut done: impl FnMut(&Path)) -> Result<Examined, StoreError> {
    let mut found = Examined::default();
    let days = directory.days();
    let files = days.iter().map(|day| (directory.day(*day), FileKind::Day));
    for (path, kind) in std::iter::once((directory.main(), FileKind::Main)).chain(files) {
        match open::readable(&path, kind).and_then(|file| file.map(|it| open::check(&it, &path, CHECK)).transpose()) {
            Ok(None) => continue,
            Ok(Some(())) => found.sound += 1,
            Err(StoreError::Damaged(path, text)) => found.damaged.push((path, text)),
            Err(error) => return Err(error),
        }
        done(&path);
    }
    if found.damaged.is_empty() {
        compare(directory, &days, &mut found)?;
    }
    Ok(found)
}

/// Compares, for each hour of the days that are kept, what its sums and its rows count.
fn compare(directory: &Directory, days: &[Day], found: &mut Examined) -> Result<(), StoreError> {
    let path = directory.main();
    let Some((first, main)) = days.first().zip(open::readable(&path, FileKind::Main)?) else { return Ok(()) };
    let failed = |error: rusqlite::Error| StoreError::of(&error, &path);
    // Sums and accounts of one instant; the rows that these contain are in the files by then.
    main.execute_batch("BEGIN").map_err(failed)?;
    let accounts = recover::accounts(&main).map_err(failed)?;
    let read = || {
        let mut select =
            main.prepare("SELECT at * 1000, sum(requests) FROM rollups WHERE step = 3600 AND at >= ?1 GROUP BY at")?;
        select.query_map([first.begin() / 1000], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()
    };
    let sums: BTreeMap<i64, i64> = read().map_err(failed)?;
    let mut rows: BTreeMap<i64, i64> = BTreeMap::new();
    for day in days {
        let path = directory.day(*day);
        let Some(file) = open::readable(&path, FileKind::Day)? else { continue };
        let not_summed: Vec<_> = accounts
            .iter()
            .map(|(process, last)| format!("((id >> 16) & 15 = {} AND id > {})", process.0, last.0))
            .collect();
        let condition =
            if not_summed.is_empty() { String::new() } else { format!("WHERE NOT ({})", not_summed.join(" OR ")) };
        let read = || {
            let select =
                format!("SELECT (id >> 20) / {HOUR} * {HOUR}, sum(weight) FROM exchanges {condition} GROUP BY 1");
            let mut select = file.prepare(&select)?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<Vec<(i64, i64)>>>()
        };
        for (at, count) in read().map_err(|error| StoreError::of(&error, &path))? {
            *rows.entry(at).or_default() += count;
        }
    }
    let all: std::collections::BTreeSet<_> = sums.keys().chain(rows.keys()).copied().collect();
    found.hours = all.len();
    for at in all {
        let count = |counts: &BTreeMap<i64, i64>| counts.get(&at).copied().unwrap_or(0);
        let hour = Hour { at, rows: count(&rows), sums: count(&sums) };
        match hour.rows.cmp(&hour.sums) {
            std::cmp::Ordering::Greater => found.lacking.push(hour),
            std::cmp::Ordering::Less => found.lost.push(hour),
            std::cmp::Ordering::Equal => {}
        }
    }
    Ok(())
}
