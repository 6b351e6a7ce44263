//! The thread that writes: it takes the rows from the ring, sums them, and brings them to the files.
//!
//! Promises: nothing waits for it, and it wakes by itself; every row that it takes is summed exactly once; a fault
//! pauses writing, is logged once, and is retried until it is over. Sums are merged only once all rows that they
//! contain are in the files, so that after a crash the account of this process shows which rows still have to be
//! summed.

mod batch;
mod entries;
mod journal;
mod machine;
mod moment;
mod retain;
mod turn;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use super::journal::Journal;
use super::journal::log_line::LineSource;
use super::machine::{MachineRollups, ReadMachine, RecentMachine};
use super::recorder::Ring;
use super::retention::Room;
use super::rollup::Rollups;
use super::settings::{Pace, Settings};
use super::state::{Activity, HistoryState};
use super::store::sqlite::writer::Store;
use super::thinning::Budget;
use super::tops::{Candidate, Tops};
use crate::priority;
use entries::WaitingEntries;
use moment::Moment;
use waiting::Waiting;

/// Rows that may wait while writing is paused: 5 MiB.
const MAX_WAITING: usize = 20_000;

/// Rows of one transaction.
const MAX_ROWS: usize = 2_000;

/// Intervals whose sums may wait while writing is paused.
const MAX_SUMS: usize = 20_000;

/// The wall clock: the system's, or a test's.
pub(super) type WallClock = Box<dyn Fn() -> SystemTime + Send>;

/// The state of the writer.
pub(super) struct Writer {
    ring: Arc<Ring>,
    journal: Journal,
    state: Arc<HistoryState>,
    settings: Settings,
    pace: Pace,
    clock: WallClock,
    /// `None` while the files cannot be opened.
    store: Option<Store>,
    /// Rows that are summed and not yet in the files, the oldest first.
    waiting: VecDeque<Waiting>,
    /// Memory for the rows of a turn; empty between turns.
    batch: Vec<Waiting>,
    rollups: Rollups,
    candidates: Vec<Candidate>,
    tops: Tops,
    budget: Budget,
    room: Room,
    /// The interval of each step that was last noted as one in which the program ran.
    ran: [i64; 2],
    machine: Arc<OnceLock<WatchedMachine>>,
    recent: RecentMachine,
    means: MachineRollups,
    log: Arc<OnceLock<WatchedLog>>,
    /// Events, audit entries, jobs and lines of the log that are not in the file yet.
    entries: WaitingEntries,
    due: Due,
    last_turn: Instant,
    /// In milliseconds since the epoch.
    last_wall: i64,
    /// The clock has gone back, and ids do not follow it yet.
    went_back: bool,
    /// The file that was damaged for its writer and for no check. It was opened again since.
    doubted: Option<PathBuf>,
    /// Why the accounts of processes that died stay open, as it was last logged.
    unsettled: Option<String>,
}

/// When each kind of work is due.
struct Due {
    merge: Instant,
    retry: Instant,
    retain: Instant,
    sample: Instant,
}

/// The machine that is read, once it is known.
pub(super) struct WatchedMachine {
    pub(super) node: Arc<str>,
    pub(super) read: Mutex<ReadMachine>,
}

/// The log that is kept, once it is known.
pub(super) type WatchedLog = Mutex<Box<dyn LineSource>>;

impl std::fmt::Debug for WatchedMachine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "WatchedMachine({})", self.node)
    }
}

/// Owns the writer's thread. Dropping it writes what is left, and ends the thread.
#[derive(Debug)]
pub(super) struct WriterThread {
    closed: Arc<AtomicBool>,
    thread: Thread,
    ended: mpsc::Receiver<()>,
}

/// The time limit for the last rows at the end of the program.
const FLUSH: Duration = Duration::from_secs(2);

impl Writer {
    pub(super) fn new(
        ring: Arc<Ring>,
        state: Arc<HistoryState>,
        settings: Settings,
        pace: Pace,
        clock: WallClock,
    ) -> Self {
        let Moment { now, wall: last_wall } = Moment::read(&clock);
        Self {
            budget: Budget::new(settings.raw_rate),
            journal: ring.journal.clone(),
            ring,
            state,
            settings,
            pace,
            clock,
            store: None,
            waiting: VecDeque::new(),
            batch: Vec::new(),
            rollups: Rollups::default(),
            room: Room::Enough,
            candidates: Vec::new(),
            tops: Tops::default(),
            ran: [i64::MIN; 2],
            machine: Arc::default(),
            recent: RecentMachine::default(),
            means: MachineRollups::default(),
            log: Arc::default(),
            entries: WaitingEntries::default(),
            due: Due { merge: now + pace.merge, retry: now, retain: now, sample: now },
            last_turn: now,
            last_wall,
            went_back: false,
            doubted: None,
            unsettled: None,
        }
    }

    /// Reads the machine once it is set, and keeps the last readings here.
    pub(super) fn with_machine(self, machine: Arc<OnceLock<WatchedMachine>>, recent: RecentMachine) -> Self {
        Self { machine, recent, ..self }
    }

    /// Keeps the lines of this log once it is set.
    pub(super) fn with_log(self, log: Arc<OnceLock<WatchedLog>>) -> Self {
        Self { log, ..self }
    }

    /// Starts the thread.
    pub(super) fn spawn(mut self) -> io::Result<WriterThread> {
        let closed = Arc::<AtomicBool>::default();
        let is_closed = closed.clone();
        let (end, ended) = mpsc::channel();
        self.state.set_activity(Activity::Opening);
        let thread = thread::Builder::new().name("history".into()).spawn(move || {
            priority::step_back();
            loop {
                let is_last = is_closed.load(Ordering::Acquire);
                self.turn(is_last);
                if is_last {
                    self.close();
                    return drop(end);
                }
                thread::park_timeout(self.pace.drain);
            }
        })?;
        Ok(WriterThread { closed, thread: thread.thread().clone(), ended })
    }

    fn moment(&self) -> Moment {
        Moment::read(&self.clock)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        self.thread.unpark();
        // The thread ends by itself, unless the disk hangs.
        let _ = self.ended.recv_timeout(FLUSH);
    }
}
