//! All files, for the one thread of this process that writes them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::day_file::DayFile;
use super::main_file::{MainFile, Merge};
use super::open;
use super::recover::recover;
use super::schema::FileKind;
use crate::history::conversation::Salt;
use crate::history::day::Day;
use crate::history::id::{IdSource, MAX_PROCESSES, ProcessNumber, RowId};
use crate::history::names::Names;
use crate::history::rollup::Rollups;
use crate::history::row::Entry;
use crate::history::store::directory::{Directory, ProcessLock};
use crate::history::store::error::StoreError;
use crate::history::tops::Candidate;

/// How long a file may be checked after its writer has died.
const CHECK: Duration = Duration::from_secs(2);

/// The open files.
pub(in crate::history) struct Store {
    directory: Directory,
    names: Arc<Names>,
    main: MainFile,
    day: Option<DayFile>,
    lock: ProcessLock,
    ids: IdSource,
    /// Of the conversations in this directory.
    salt: Salt,
    /// Of `main.db`.
    inode: u64,
}

/// What was found when the files were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::history) struct Opened {
    /// Rows that a process which died had written and not summed.
    pub(in crate::history) recovered: u64,
}

impl Store {
    /// Opens the files; creates what is missing. `now` is in milliseconds since the epoch.
    pub(in crate::history) fn open(
        directory: Directory,
        names: Arc<Names>,
        now: i64,
    ) -> Result<(Self, Opened), StoreError> {
        directory.create()?;
        let alone = directory.begin_opening()?;
        let mut main = MainFile::open(&directory, &alone)?;
        let day = DayFile::open(&directory, Day::of(now), &alone)?;
        let recovered = settle_accounts(&directory, &mut main, &day, &names)?;
        let (lock, last) = choose(&directory, &day, now)?;
        main.begin(lock.number, last)?;
        let ids = IdSource::after(lock.number, last);
        let salt = main.salt()?;
        let inode = std::fs::metadata(&main.path).map_or(0, |about| about.ino());
        Ok((Self { directory, names, main, day: Some(day), lock, ids, salt, inode }, Opened { recovered }))
    }

    /// The id of an exchange that ended at this time.
    pub(in crate::history) fn next_id(&mut self, millis: i64) -> RowId {
        self.ids.next(millis)
    }

    /// Inserts entries of one day within one transaction.
    pub(in crate::history) fn insert(&mut self, day: Day, entries: &[Entry]) -> Result<(), StoreError> {
        if self.day.as_ref().is_none_or(|open| open.day != day) {
            let alone = self.directory.begin_opening()?;
            if let Some(before) = self.day.take() {
                before.close(&alone);
            }
            self.day = Some(DayFile::open(&self.directory, day, &alone)?);
        }
        let file = self.day.as_mut().expect("opened above");
        file.insert(entries, &self.names, self.salt)
    }

    /// Adds sums, and notes that they reach to the last id given. `ran` are the minute and the hour in which the program
    /// runs.
    pub(in crate::history) fn merge(
        &mut self,
        rollups: &Rollups,
        tops: &[Candidate],
        ran: [i64; 2],
    ) -> Result<(), StoreError> {
        let folded = (self.ids.process(), Some(self.ids.last()));
        self.main.merge(&Merge { rollups, tops, names: &self.names, ran: Some(ran), folded })
    }

    /// After the last merge: closes the account of this process.
    pub(in crate::history) fn close(mut self) -> Result<(), StoreError> {
        let folded = (self.ids.process(), None);
        self.main.merge(&Merge { rollups: &Rollups::default(), tops: &[], names: &self.names, ran: None, folded })
    }

    /// After the clock has gone back, and with everything merged: takes a number whose last id is in the past, so that ids
    /// follow the clock again. Where there is none, ids go on after the last.
    pub(in crate::history) fn renumber(&mut self, now: i64) -> Result<(), StoreError> {
        let alone = self.directory.begin_opening()?;
        let day = DayFile::open(&self.directory, Day::of(now), &alone)?;
        let (lock, last) = choose(&self.directory, &day, now)?;
        self.day = Some(day);
        if last.millis() < now {
            self.main.begin(lock.number, last)?;
            let folded = (self.ids.process(), None);
            self.main.merge(&Merge {
                rollups: &Rollups::default(),
                tops: &[],
                names: &self.names,
                ran: None,
                folded,
            })?;
            self.ids = IdSource::after(lock.number, last);
            self.lock = lock;
        }
        Ok(())
    }

    /// Opens the file of the day again before the next row.
    pub(in crate::history) fn forget_day(&mut self) {
        self.day = None;
    }

    pub(super) fn forget_day_if(&mut self, day: Day) {
        if self.day.as_ref().is_some_and(|open| open.day == day) {
            self.day = None;
        }
    }

    pub(super) fn process(&self) -> ProcessNumber {
        self.ids.process()
    }

    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    pub(in crate::history) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Runs a piece of work on `main.db` within an immediate transaction.
    pub(super) fn main(&mut self) -> &mut MainFile {
        &mut self.main
    }
}

/// The highest id of the milliseconds before a time.
fn before(millis: i64) -> RowId {
    RowId(RowId::first_of(millis).0 - 1)
}

/// Closes the accounts of processes that died. Returns how many rows were folded for that.
fn settle_accounts(
    directory: &Directory,
    main: &mut MainFile,
    day: &DayFile,
    names: &Names,
) -> Result<u64, StoreError> {
    let (mut recovered, mut is_checked) = (0, false);
    for number in 0..MAX_PROCESSES {
        let Some(lock) = directory.lock(number)? else { continue };
        main.lose_jobs(lock.number)?;
        if main.folded(lock.number)?.is_none() {
            continue;
        }
        if !std::mem::replace(&mut is_checked, true) {
            open::check(&main.connection, &main.path, CHECK)?;
            open::check(&day.connection, &day.path, CHECK)?;
        }
        recovered += recover(main, directory, lock.number, names)?;
    }
    Ok(recovered)
}

/// Takes a free number whose ids are all in the past; else the first, to go on after its last id. Returns the id that the
/// next one must follow.
fn choose(directory: &Directory, day: &DayFile, now: i64) -> Result<(ProcessLock, RowId), StoreError> {
    let mut ahead = None;
    for number in 0..MAX_PROCESSES {
        let Some(lock) = directory.lock(number)? else { continue };
        match day.last_id_from(lock.number, now)? {
            None => return Ok((lock, before(now))),
            Some(last) => ahead = ahead.or(Some((lock, last))),
        }
    }
    ahead.ok_or_else(|| directory.full())
}

/// Puts a damaged file aside, unless another process has done so meanwhile. Returns its new name, where it has one.
pub(in crate::history) fn put_aside(path: &Path, millis: i64) -> Result<Option<std::path::PathBuf>, StoreError> {
    let kind = if path.ends_with("main.db") { FileKind::Main } else { FileKind::Day };
    let is_sound = match open::readable(path, kind) {
        Ok(Some(connection)) => open::check(&connection, path, CHECK).is_ok(),
        Ok(None) => true,
        Err(_) => false,
    };
    if is_sound { Ok(None) } else { Directory::put_aside(path, millis).map(Some) }
}
