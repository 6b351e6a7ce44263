//! The thread that copies the files to PostgreSQL.
//!
//! Promises: nothing waits for it. It reads the files as any reader does, from where PostgreSQL says that the copy is: an
//! outage of any length loses nothing that the files still have, and a row that is copied twice is there once. Of several
//! processes in one directory one copies. Everything written appears within some seconds.

mod copied;
mod others;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::id::RowId;
use super::rollup::Step;
use super::settings::Retention;
use super::state::{Copying, HistoryState};
use super::store::directory::Directory;
use super::store::error::StoreError;
use super::store::postgres::connect::Server;
use super::store::postgres::replica::{Candidate, Replica};
use super::store::sqlite::tail::Tail;
use crate::priority;
use copied::Others;

/// What a copy is made of, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The files.
    pub directory: Directory,
    /// Where they are copied to.
    pub server: Server,
    /// This machine's name, for people.
    pub node: Arc<str>,
    /// The name of the copy, which makes its number, and stands in the place of the machine's. `None`: a number that is made
    /// once in the directory.
    pub instance: Option<String>,
    /// How long things are kept there.
    pub retention: Retention,
    /// Between two looks at the files.
    pub pace: Duration,
}

/// The usual pace.
pub const PACE: Duration = Duration::from_secs(1);

/// Rows of one transaction.
const MAX_ROWS: usize = 5_000;

/// Sums of one transaction.
const MAX_SUMS: usize = 1_000;

/// The longest wait between two attempts to connect, in paces; it doubles with each.
const MAX_WAIT: u32 = 30;

/// The longest wait between two questions whether another process still copies, in paces.
const MAX_ASKING: u32 = 8;

/// Between two looks at everything: for rows of a process that died, and for what is too old.
const THOROUGH: Duration = Duration::from_secs(3600);

/// How long the end waits for what is still to be copied.
const LAST: Duration = Duration::from_secs(2);

/// Between two notes in the database of when the copy was whole, for processes that wait.
const NOTED: Duration = Duration::from_secs(5);

/// Keeps the thread. Dropping it closes it.
#[derive(Debug)]
pub struct ReplicaThread {
    /// It copies once more, and ends.
    closed: Arc<AtomicBool>,
    /// It ends after what it is doing.
    stopped: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ReplicaThread {
    /// Copies what was written, within two seconds, and ends.
    pub fn close(&self) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.closed.store(true, Ordering::Release);
        thread.thread().unpark();
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < LAST {
            thread::park_timeout(Duration::from_millis(5));
        }
        self.stopped.store(true, Ordering::Release);
    }
}

impl Drop for ReplicaThread {
    fn drop(&mut self) {
        self.close();
    }
}

/// The connection.
enum Link {
    None,
    /// Another process copies.
    Waiting(Box<Candidate>),
    Copying(Box<Replica>),
}

struct Copier {
    settings: Settings,
    tail: Tail,
    state: Arc<HistoryState>,
    stopped: Arc<AtomicBool>,
    /// When the database was last given the time of a whole copy.
    noted: Option<Instant>,
    link: Link,
    /// The accounts as of the last look.
    accounts: BTreeMap<u8, RowId>,
    thorough: Option<Instant>,
    others: Others,
    wait: u32,
}

/// Starts the thread.
///
/// # Errors
/// When the system gives none.
pub fn start(settings: Settings, state: Arc<HistoryState>) -> io::Result<ReplicaThread> {
    let (closed, stopped) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    state.set_copying(Copying::Connecting);
    state.copied(now());
    let mut copier = Copier {
        tail: Tail(settings.directory.clone()),
        settings,
        state,
        stopped: stopped.clone(),
        noted: None,
        link: Link::None,
        accounts: BTreeMap::new(),
        thorough: None,
        others: Others::default(),
        wait: 1,
    };
    let is_closed = closed.clone();
    let thread = thread::Builder::new().name("history-copy".into()).spawn(move || {
        priority::step_back();
        while !is_closed.load(Ordering::Acquire) {
            let wait = copier.turn();
            // A call of the end meanwhile makes this return at once.
            thread::park_timeout(wait);
        }
        if matches!(copier.link, Link::Copying(_)) {
            copier.turn();
        }
    })?;
    Ok(ReplicaThread { closed, stopped, thread: Mutex::new(Some(thread)) })
}

impl Copier {
    /// Copies what there is. Returns how long to wait.
    fn turn(&mut self) -> Duration {
        match self.copy() {
            Ok(copying) => {
                let is_elsewhere = copying == Copying::Elsewhere;
                if self.state.set_copying(copying.clone()) && copying == Copying::Following {
                    tracing::info!(server = %self.settings.server.target, "the history is being copied");
                }
                if is_elsewhere {
                    return self.back_off(MAX_ASKING);
                }
                self.wait = 1;
                self.settings.pace
            }
            Err(error) => {
                self.link = Link::None;
                let failing = Copying::Failing(error.to_string().into());
                if self.state.set_copying(failing) {
                    tracing::warn!(%error, "the history cannot be copied for now; it is kept here and copied later");
                }
                self.back_off(MAX_WAIT)
            }
        }
    }

    /// The wait before the next attempt: twice the last one, at most `most` times the pace.
    fn back_off(&mut self, most: u32) -> Duration {
        let wait = self.settings.pace * self.wait.min(most);
        self.wait = (self.wait * 2).min(most);
        wait
    }

    /// Whether this copies. It begins to, where it may.
    fn begin(&mut self, id: i32) -> Result<bool, StoreError> {
        let candidate = match std::mem::replace(&mut self.link, Link::None) {
            Link::Copying(replica) if replica.id() == id => {
                self.link = Link::Copying(replica);
                return Ok(true);
            }
            Link::Waiting(candidate) if candidate.id() == id => *candidate,
            _ => {
                let Settings { server, instance, node, .. } = &self.settings;
                Candidate::connect(server, id, instance.as_deref().map_or_else(|| node.clone(), Into::into))?
            }
        };
        self.link = match candidate.begin()? {
            Ok(replica) => Link::Copying(Box::new(replica)),
            Err((candidate, whole)) => {
                whole.into_iter().for_each(|whole| self.state.copied(whole));
                Link::Waiting(Box::new(candidate))
            }
        };
        self.noted = None;
        self.thorough = None;
        self.others = Others::default();
        Ok(matches!(self.link, Link::Copying(_)))
    }

    fn copy(&mut self) -> Result<Copying, StoreError> {
        let id = match &self.settings.instance {
            Some(name) => self.tail.be_replica(number_of(name))?,
            None => self.tail.replica(fresh)?,
        };
        let Some(id) = id else { return Ok(Copying::Connecting) };
        if !self.begin(id)? {
            return Ok(Copying::Elsewhere);
        }
        let began = now();
        let is_thorough = self.thorough.is_none_or(|due| due <= Instant::now());
        if is_thorough {
            let retention = self.settings.retention.clone();
            self.replica().maintain(&retention, began)?;
        }
        let accounts = self.accounts.clone();
        let has_all_rows = self.copy_rows(is_thorough)?;
        let is_news = is_thorough || accounts != self.accounts;
        let is_whole = has_all_rows & self.copy_sums()? & self.copy_others(is_news)?;
        self.copy_ran()?;
        if is_thorough && is_whole {
            self.thorough = Some(Instant::now() + THOROUGH);
        }
        if is_whole {
            self.state.copied(began);
            if self.noted.is_none_or(|noted| noted.elapsed() >= NOTED) {
                self.replica().note_whole(began)?;
                self.noted = Some(Instant::now());
            }
        }
        Ok(Copying::Following)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn replica(&mut self) -> &mut Replica {
        match &mut self.link {
            Link::Copying(replica) => replica,
            Link::None | Link::Waiting(_) => unreachable!("it begins before it copies"),
        }
    }

    /// Copies the rows of every process that has written. Returns whether that are all.
    fn copy_rows(&mut self, is_thorough: bool) -> Result<bool, StoreError> {
        // Before the rows: an account that changes later shows at the next look.
        let accounts = self.tail.accounts()?;
        let newest = if is_thorough { self.tail.newest()? } else { BTreeMap::new() };
        for process in 0..super::id::MAX_PROCESSES {
            let has_written = accounts.get(&process) != self.accounts.get(&process);
            let is_behind = newest.get(&process).is_some_and(|last| *last > self.replica().cursor(process));
            if (has_written || is_behind) && !self.copy_process(process)? {
                return Ok(false);
            }
        }
        self.accounts = accounts;
        Ok(true)
    }

    /// Returns whether all rows are copied: false where this ends.
    fn copy_process(&mut self, process: u8) -> Result<bool, StoreError> {
        let mut after = self.replica().cursor(process);
        while let Some(rows) = self.tail.rows(process, after, MAX_ROWS)? {
            after = rows.last;
            let count = rows.rows.len();
            self.replica().copy_rows(process, rows)?;
            self.state.copied_rows(count as u64);
            if self.is_stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether all sums are copied: false where this ends.
    fn copy_sums(&mut self) -> Result<bool, StoreError> {
        let mut after = self.replica().sums_cursor();
        while let Some(sums) = self.tail.sums(after, MAX_SUMS)? {
            after = sums.last;
            self.replica().copy_sums(sums)?;
            if self.is_stopped() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn copy_ran(&mut self) -> Result<(), StoreError> {
        for step in Step::ALL {
            let last = self.replica().last_ran(step)?;
            // Once more what may have been noted late by another process.
            let ran = self.tail.ran(step, last - 2 * step.seconds())?;
            if ran.iter().any(|at| *at > last) {
                self.replica().note_ran(step, &ran)?;
            }
        }
        Ok(())
    }
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A number that no other replica has: of 2³¹ at random.
fn fresh() -> i32 {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 4];
    ring::rand::SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers");
    replica_number(bytes)
}

/// The number of a replica that has a name: the same in every directory.
fn number_of(name: &str) -> i32 {
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    replica_number(*hash.as_ref().first_chunk().expect("32 bytes"))
}

/// Not 0, which is the lock of the tables.
fn replica_number(bytes: [u8; 4]) -> i32 {
    (i32::from_le_bytes(bytes) & i32::MAX) | 1
}
