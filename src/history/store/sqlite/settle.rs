//! Closes the accounts of processes that died, on a thread of its own: the writer writes meanwhile.
//!
//! A process that starts after a crash has rows to write at once, and whoever kills it again must not find a second of
//! them in memory. Checking the files takes as long as they are large. So the files are checked, and what the dead process
//! had written is summed, beside the writing; until then every question reads these rows.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::main_file::MainFile;
use super::schema::FileKind;
use super::{open, recover};
use crate::history::day::Day;
use crate::history::names::Names;
use crate::history::state::Pause;
use crate::history::store::directory::{Directory, ProcessLock};
use crate::history::store::error::StoreError;
use crate::priority;

/// How long each file may be checked. Nothing waits for it, but the log beside the file grows meanwhile.
const CHECK: Duration = Duration::from_secs(10);

/// The thread. Dropping this ends it; what it has not done is left to the next.
#[derive(Debug)]
pub(super) struct Settling {
    /// `None` once its answer was taken.
    thread: Option<JoinHandle<Result<u64, StoreError>>>,
    stopped: Arc<AtomicBool>,
}

impl Settling {
    /// Starts it, for these processes. The file of `unchecked` and `main.db` are checked first.
    pub(super) fn start(
        directory: Directory,
        names: Arc<Names>,
        dead: Vec<ProcessLock>,
        unchecked: Option<Day>,
    ) -> io::Result<Self> {
        let stopped = Arc::<AtomicBool>::default();
        let is_stopped = stopped.clone();
        let thread = thread::Builder::new().name("history-settle".into()).spawn(move || {
            priority::step_back();
            settle(&directory, &names, dead, unchecked, &is_stopped)
        })?;
        Ok(Self { thread: Some(thread), stopped })
    }

    /// How many rows were summed, or why not. `None` while it runs, and once it was answered.
    pub(super) fn answer(&mut self) -> Option<Result<u64, StoreError>> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        let panicked =
            |_| Err(StoreError::Paused(Pause::Failing, "a bug: the thread that does it has ended".to_owned()));
        Some(thread.join().unwrap_or_else(panicked))
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        let _answer = self.thread.take().map(JoinHandle::join);
    }
}

fn settle(
    directory: &Directory,
    names: &Names,
    dead: Vec<ProcessLock>,
    unchecked: Option<Day>,
    stopped: &Arc<AtomicBool>,
) -> Result<u64, StoreError> {
    let mut main = {
        let alone = directory.begin_opening()?;
        MainFile::open(directory, &alone)?
    };
    if let Some(day) = unchecked {
        // The day first: where `main.db` is replaced, no account says that there is something to check.
        let path = directory.day(day);
        if let Some(connection) = open::readable(&path, FileKind::Day)? {
            check(&connection, &path, stopped)?;
        }
        check(&main.connection, &main.path, stopped)?;
    }
    let mut recovered = 0;
    for lock in dead {
        if stopped.load(Ordering::Acquire) {
            break;
        }
        main.lose_jobs(lock.number)?;
        recovered += recover::recover(&mut main, directory, lock.number, names)?;
    }
    Ok(recovered)
}

/// Checks a file. It counts as sound until damage is met, also where there was no time.
fn check(connection: &Connection, path: &Path, stopped: &Arc<AtomicBool>) -> Result<(), StoreError> {
    let stopped = stopped.clone();
    match open::check_unless(connection, path, CHECK, move || stopped.load(Ordering::Acquire)) {
        Err(StoreError::Interrupted) => Ok(()),
        checked => checked,
    }
}
