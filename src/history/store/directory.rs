//! The directory of the files: their names, their sizes, and who writes to them.
//!
//! ```text
//! main.db                    sums, events, jobs, the machine, alerts, prices
//! exchanges-2026-11-29.db    the exchanges that ended on that day (UTC)
//! process-3.lock             locked by the process that has this number
//! replica                    the number of this directory's copy in PostgreSQL, where there is one
//! open.lock                  locked by a process while it opens files, which it may have to create
//! notifications-….jsonl      what a webhook has not accepted yet, by the name of the program that tells it
//! ….corrupt-1764400000000    a damaged file, put aside
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::error::StoreError;
use crate::history::day::Day;
use crate::history::id::{MAX_PROCESSES, ProcessNumber};
use crate::history::state::Pause;

/// The directory.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

/// What SQLite keeps beside a file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A number of a process, for as long as this is kept.
#[derive(Debug)]
pub(super) struct ProcessLock {
    pub(super) number: ProcessNumber,
    _file: File,
}

/// How long another process may hold a file before writing is given up for this turn.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// No other process opens files for as long as this is kept.
#[derive(Debug)]
#[must_use]
pub(super) struct OpeningLock {
    _file: File,
}

impl Directory {
    /// Within the program's own directory; nothing is created.
    #[must_use]
    pub fn within(data: &Path) -> Self {
        Self(data.join("history"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Creates it, with its parents, for this user alone.
    pub(in crate::history) fn create(&self) -> Result<(), StoreError> {
        let built = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        built.map_err(|error| StoreError::of_system(&error, &self.0))
    }

    /// The file of everything but exchanges.
    #[must_use]
    pub fn main(&self) -> PathBuf {
        self.0.join("main.db")
    }

    /// The file with the number of its copy.
    pub(super) fn replica(&self) -> PathBuf {
        self.0.join("replica")
    }

    /// The number of its copy in PostgreSQL; `None` where it was never copied.
    pub(super) fn replica_number(&self) -> Result<Option<i32>, StoreError> {
        let path = self.replica();
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| StoreError::Paused(Pause::Failing, format!("{}: it holds no number", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::of_system(&error, &path)),
        }
    }

    /// Keeps the number of its copy, whole or not at all.
    pub(super) fn set_replica_number(&self, number: i32) -> Result<(), StoreError> {
        let path = self.replica();
        let beside = path.with_extension("new");
        let written = fs::write(&beside, format!("{number}\n")).and_then(|()| fs::rename(&beside, &path));
        written.map_err(|error| StoreError::of_system(&error, &path))
    }

    /// The file of a day.
    #[must_use]
    pub fn day(&self, day: Day) -> PathBuf {
        self.0.join(format!("exchanges-{day}.db"))
    }

    /// The days that have a file, the oldest first.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        let day = |name: String| Day::parse(name.strip_prefix("exchanges-")?.strip_suffix(".db")?);
        let mut days: Vec<_> = self.files().filter_map(|(name, _)| day(name)).collect();
        days.sort_unstable();
        days
    }

    /// Bytes of the file of a day, with what SQLite keeps beside it.
    #[must_use]
    pub fn day_bytes(&self, day: Day) -> u64 {
        let path = self.day(day);
        let beside = COMPANIONS.map(|suffix| size(&with_suffix(&path, suffix)));
        size(&path) + beside.iter().sum::<u64>()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes).sum()
    }

    fn files(&self) -> impl Iterator<Item = (String, u64)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().map_or(0, |about| about.len()))
        })
    }

    /// Removes the file of a day. Whoever reads it reads on.
    pub(super) fn remove_day(&self, day: Day) -> Result<(), StoreError> {
        let path = self.day(day);
        for suffix in COMPANIONS {
            let _absent = fs::remove_file(with_suffix(&path, suffix));
        }
        fs::remove_file(&path).map_err(|error| StoreError::of_system(&error, &path))
    }

    /// Renames a damaged file and what belongs to it. Returns its new name.
    pub(super) fn put_aside(path: &Path, millis: i64) -> Result<PathBuf, StoreError> {
        let aside = |path: &Path| with_suffix(path, &format!(".corrupt-{millis}"));
        for suffix in COMPANIONS {
            let beside = with_suffix(path, suffix);
            let _absent = fs::rename(&beside, aside(&beside));
        }
        fs::rename(path, aside(path)).map_err(|error| StoreError::of_system(&error, path))?;
        Ok(aside(path))
    }

    /// Takes this process number, unless a running process has it.
    pub(super) fn lock(&self, number: u8) -> Result<Option<ProcessLock>, StoreError> {
        let path = self.0.join(format!("process-{number}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| StoreError::of_system(&error, &path))?;
        let is_taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
        Ok((!is_taken).then_some(ProcessLock { number: ProcessNumber(number), _file: file }))
    }

    /// Lets one process at a time open files for writing: SQLite does not wait where two of them create one, or switch its
    /// journal. Waits for at most [`BUSY`].
    pub(super) fn begin_opening(&self) -> Result<OpeningLock, StoreError> {
        let path = self.0.join("open.lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| StoreError::of_system(&error, &path))?;
        let begun = Instant::now();
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if begun.elapsed() > BUSY {
                let text = format!("{}: another process has been opening the files for too long", path.display());
                return Err(StoreError::Paused(Pause::Busy, text));
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        Ok(OpeningLock { _file: file })
    }

    /// Every number is taken.
    pub(super) fn full(&self) -> StoreError {
        let text = format!("{}: {MAX_PROCESSES} processes write to it", self.0.display());
        StoreError::Paused(Pause::TooManyProcesses, text)
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
