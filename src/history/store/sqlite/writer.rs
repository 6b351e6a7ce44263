//! All files, for the one thread of this process that writes them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::day_file::DayFile;
use super::main_file::{MainFile, Merge};
use super::schema::FileKind;
use super::settle::Settling;
use super::{open, recover};
use crate::history::conversation::Salt;
use crate::history::day::Day;
use crate::history::id::{IdSource, MAX_PROCESSES, ProcessNumber, RowId};
use crate::history::names::Names;
use crate::history::rollup::Rollups;
use crate::history::row::Entry;
use crate::history::store::directory::{Directory, ProcessLock};
use crate::history::store::error::StoreError;
use crate::history::tops::Candidate;

/// How long a file may be checked that is to be put aside: rows wait meanwhile.
const CHECK: Duration = Duration::from_secs(2);

/// Most entries that are kept until the file that has them is found sound.
const MAX_UNPROVEN: usize = 20_000;

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
    /// Closes the accounts of processes that died.
    settling: Option<Settling>,
    /// What was written to a file that a process which died may have left damaged. `None` once it is found sound.
    unproven: Option<Unproven>,
}

/// Entries in a file that is not checked yet. They are written again where it is replaced.
struct Unproven {
    day: Day,
    entries: Vec<Entry>,
    /// Whether the file was replaced, and does not have the entries.
    is_lost: bool,
}

impl Store {
    /// Opens the files; creates what is missing. `now` is in milliseconds since the epoch. What processes that died have
    /// left is settled in the background ([`Store::settled`]).
    pub(in crate::history) fn open(directory: Directory, names: Arc<Names>, now: i64) -> Result<Self, StoreError> {
        directory.create()?;
        let alone = directory.begin_opening()?;
        let mut main = MainFile::open(&directory, &alone)?;
        let day = DayFile::open(&directory, Day::of(now), &alone)?;
        let (lock, last) = choose(&directory, &mut main, &names, now)?;
        main.begin(lock.number, last)?;
        let ids = IdSource::after(lock.number, last);
        let salt = main.salt()?;
        let inode = std::fs::metadata(&main.path).map_or(0, |about| about.ino());
        let unproven = Some(Unproven { day: day.day, entries: Vec::new(), is_lost: false });
        let mut store =
            Self { directory, names, main, day: Some(day), lock, ids, salt, inode, settling: None, unproven };
        store.begin_settling()?;
        if store.settling.is_none() {
            store.unproven = None;
        }
        Ok(store)
    }

    /// The id of an exchange that ended at this time.
    pub(in crate::history) fn next_id(&mut self, millis: i64) -> RowId {
        self.ids.next(millis)
    }

    /// Inserts entries of one day within one transaction.
    pub(in crate::history) fn insert(&mut self, day: Day, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(day, entries)?;
        if let Some(unproven) = self.unproven.as_mut().filter(|unproven| unproven.day == day) {
            let room = MAX_UNPROVEN - unproven.entries.len();
            unproven.entries.extend_from_slice(&entries[..entries.len().min(room)]);
        }
        Ok(())
    }

    fn write(&mut self, day: Day, entries: &[Entry]) -> Result<(), StoreError> {
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

    /// Writes again, with the same ids, what was lost with a damaged file.
    pub(in crate::history) fn restore(&mut self) -> Result<(), StoreError> {
        let Some(mut unproven) = self.unproven.take_if(|unproven| unproven.is_lost) else { return Ok(()) };
        let written = self.write(unproven.day, &unproven.entries);
        unproven.is_lost = written.is_err();
        self.unproven = Some(unproven);
        written
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

    /// Begins to close the accounts of other processes that died, unless that is being done: until then every question reads
    /// what they wrote. The files are checked once, after they were opened.
    pub(in crate::history) fn begin_settling(&mut self) -> Result<(), StoreError> {
        if self.settling.is_some() {
            return Ok(());
        }
        let accounts = recover::accounts(&self.main.connection);
        let accounts = accounts.map_err(|error| StoreError::of(&error, &self.main.path))?;
        let own = self.ids.process();
        let mut dead = Vec::new();
        for (number, _) in accounts.into_iter().filter(|(number, _)| *number != own) {
            dead.extend(self.directory.lock(number.0)?);
        }
        if !dead.is_empty() {
            let unchecked = self.unproven.as_ref().map(|unproven| unproven.day);
            let settling = Settling::start(self.directory.clone(), self.names.clone(), dead, unchecked);
            self.settling = Some(settling.map_err(|error| StoreError::of_system(&error, self.directory.path()))?);
        }
        Ok(())
    }

    /// How many rows of processes that died were summed, or why not; once. `None` while it is being done, or nothing is.
    pub(in crate::history) fn settled(&mut self) -> Option<Result<u64, StoreError>> {
        let answer = self.settling.as_mut()?.answer()?;
        self.settling = None;
        if answer.is_ok() {
            self.unproven = None;
        }
        Some(answer)
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
        let (lock, last) = choose(&self.directory, &mut self.main, &self.names, now)?;
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

    /// Opens the file of a day again before the next row of that day: it may have been replaced.
    pub(in crate::history) fn forget_day(&mut self, path: &Path) {
        self.day.take_if(|open| open.path == path);
        if let Some(unproven) = self.unproven.as_mut().filter(|it| self.directory.day(it.day) == path) {
            unproven.is_lost = true;
        }
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

/// Takes a free number without an account whose ids are all in the past; else one to go on after its last id. An account
/// is closed here only where every number has one. Returns the id that the next one must follow.
fn choose(
    directory: &Directory,
    main: &mut MainFile,
    names: &Names,
    now: i64,
) -> Result<(ProcessLock, RowId), StoreError> {
    let last = recover::last_ids_from(directory, now)?;
    let (mut ahead, mut owing) = (None, None);
    for number in 0..MAX_PROCESSES {
        let Some(lock) = directory.lock(number)? else { continue };
        match last.get(&lock.number) {
            _ if main.folded(lock.number)?.is_some() => owing = owing.or(Some(lock)),
            None => return Ok((lock, before(now))),
            Some(last) => ahead = ahead.or(Some((lock, *last))),
        }
    }
    if let Some(ahead) = ahead {
        return Ok(ahead);
    }
    let lock = owing.ok_or_else(|| directory.full())?;
    recover::recover(main, directory, lock.number, names)?;
    let last = last.get(&lock.number).copied().unwrap_or_else(|| before(now));
    Ok((lock, last))
}

/// Puts a file aside that was found damaged. Returns its new name; `None` where a check finds it sound, as another process
/// may have replaced it meanwhile.
pub(in crate::history) fn put_aside(path: &Path, millis: i64) -> Result<Option<PathBuf>, StoreError> {
    put_aside_after(path, millis, CHECK)
}

/// What takes longer to check than `limit` is not the small file that another process has begun.
fn put_aside_after(path: &Path, millis: i64, limit: Duration) -> Result<Option<PathBuf>, StoreError> {
    let kind = if path.ends_with("main.db") { FileKind::Main } else { FileKind::Day };
    let checked = open::readable(path, kind).and_then(|connection| match connection {
        Some(connection) => open::check(&connection, path, limit),
        None => Ok(()),
    });
    match checked {
        Ok(()) => Ok(None),
        Err(StoreError::Damaged(..) | StoreError::Interrupted) => Directory::put_aside(path, millis).map(Some),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_that_is_too_large_to_check_is_put_aside() {
        let folder = std::env::temp_dir().join(format!("inferometer-large-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let directory = Directory::within(&folder);
        drop(Store::open(directory.clone(), Arc::default(), 0).expect("a fresh directory"));
        let path = directory.main();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
            INSERT INTO logs (at, level, component, message, bytes) SELECT i, 2, 'proxy', 'a line', 70 FROM n";
        rusqlite::Connection::open(&path).expect("a file").execute(fill, []).expect("it can be filled");
        let put_aside = |limit| put_aside_after(&path, 7, limit).expect("it can be renamed");
        assert_eq!(put_aside(Duration::from_secs(20)), None, "a check has the time to find it sound");
        assert!(put_aside(Duration::ZERO).is_some_and(|aside| aside.exists()));
        assert!(!path.exists());
        let _ = std::fs::remove_dir_all(&folder);
    }
}
