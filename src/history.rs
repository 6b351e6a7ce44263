//! What happened stays known: the exchanges in flight, and those that are over, in files on this machine.
//!
//! ```text
//! data threads                     thread `history`                       files
//! Watch::finished ─► Row ─► ring ─► every 200 ms: sums and weights ─► exchanges-2026-11-29.db   (2,000 rows a transaction)
//!                    full = dropped            every 5 s: sums     ─► main.db
//!                    and counted               every minute: what is too old goes
//! ```
//!
//! Promises:
//! * The data path builds a row of a fixed size and pushes it into a bounded ring: no allocation, no lock, no system
//!   call, no wake-up ([`recorder`]). Nothing here makes a start or an exchange fail, or delays one.
//! * Sums by minute and hour ([`rollup`]) count every exchange that was taken from the ring, exactly once. Rows of ordinary
//!   exchanges are thinned above a rate (`thinning`), with weights that add up; failures, cancellations, stalls and the
//!   first of each hour ([`tops`]) never are.
//! * `kill -9` loses the rows of less than a second and damages no file. Sums are merged after the rows that they contain,
//!   with the last id in the same transaction: the next start sums what follows that id. So rows and sums agree, and an
//!   interval is complete however often the program was killed in it.
//! * Several processes may write to one directory: each has a number, by a lock on a file, that is part of its ids ([`id`]).
//!   Sums are added within immediate transactions and never replaced. The account of a process that died is closed by
//!   whoever starts next, or by another that runs, within a minute, on a thread of its own that first checks the files:
//!   rows are written meanwhile, and once more where their file turns out to be damaged.
//! * A fault (disk full, directory read-only, file damaged, a newer release's file) pauses writing, is said in the log, the
//!   metrics and health, and is tried again every 30 s; what cannot wait any longer is counted as lost ([`state`]). A
//!   damaged file is renamed and a new one begun.
//! * Ids follow the wall clock. Where it goes back, the process takes another number, so that its ids stay unique and
//!   ascending for each number, and still say when an exchange ended.
//! * Never content, a client's address or a raw query. A model's name is stored once a backend has confirmed it, a client's
//!   product where it looks like one, and of what it calls its conversation a hash with a secret salt ([`conversation`]).
//! * PostgreSQL, where it is configured, gets a copy from the files ([`replica`]): it is never in the way of writing.
//! * Beside exchanges, events, the audit, jobs and lines of the log go to `main.db` ([`journal`]), through queues of their
//!   own that nobody waits for.
//! * The machine is read every ten seconds ([`machine`]): an hour in memory, means by minute and by hour in `main.db`.
//!
//! Readers open the same files ([`query`], [`Reading`]), also from another process. SQL is in `store` only. A day of
//! exchanges is one file with its own names, so that it can be copied or removed on its own.
//!
//! Each schema has a version (`PRAGMA user_version`) and a list of steps; a migration library would be a dependency for
//! a single loop.

mod actions;
mod codes;
pub mod conversation;
mod day;
pub mod id;
pub mod in_flight;
pub mod journal;
pub mod machine;
pub mod names;
pub mod outbox;
pub mod query;
pub mod readers;
pub mod recent;
pub mod recorder;
pub mod replica;
mod retention;
pub mod rollup;
pub mod row;
pub mod settings;
pub mod sketch;
pub mod state;
mod store;
mod thinning;
pub mod timestamp;
pub mod tops;
pub mod units;
mod writer;

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

pub use codes::Coded;
pub use day::Day;
use journal::Journal;
use journal::log_line::LineSource;
use machine::{ReadMachine, RecentMachine};
use names::Names;
use recorder::{ConfirmModel, RING, Recorder, Ring};
use settings::{Engine, Pace, Settings};
use state::HistoryState;
pub use store::directory::Directory;
pub use store::error::StoreError;
pub use store::postgres::connect::{MakeTls, Server, Verification, check_target};
pub use store::postgres::forget::forget_on;
pub use store::sqlite::backup::backup;
pub use store::sqlite::check::{Examined, Hour, check};
pub use store::sqlite::forget::{Forgotten, Removed, forget};
pub use store::sqlite::read::Reading;
pub use store::sqlite::scan::{Field, ScanError, fields};
use writer::{WallClock, WatchedLog, WatchedMachine, Writer, WriterThread};

/// The history of this process. Dropping it writes what is left.
#[derive(Debug)]
pub struct History {
    recorder: Recorder,
    state: Arc<HistoryState>,
    writer: Mutex<Option<WriterThread>>,
    machine: Arc<OnceLock<WatchedMachine>>,
    recent: RecentMachine,
    journal: Journal,
    log: Arc<OnceLock<WatchedLog>>,
}

impl History {
    /// Starts the thread that writes, which opens the files. `confirm` says which models have a name.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    pub fn start(settings: Settings, confirm: ConfirmModel) -> io::Result<Self> {
        Self::with_pace(settings, confirm, Pace::default(), Box::new(SystemTime::now))
    }

    /// As [`History::start`], at another pace and with another wall clock.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    pub fn with_pace(settings: Settings, confirm: ConfirmModel, pace: Pace, clock: WallClock) -> io::Result<Self> {
        let (machine, watched) = (Arc::<OnceLock<WatchedMachine>>::default(), RecentMachine::default());
        let state = Arc::<HistoryState>::default();
        if settings.engine == Engine::Off {
            return Ok(Self {
                recorder: Recorder::default(),
                state,
                writer: Mutex::default(),
                machine,
                recent: watched,
                journal: Journal::default(),
                log: Arc::default(),
            });
        }
        let ring = Arc::new(Ring::new(RING, Arc::new(Names::limited()), state.clone(), confirm));
        let writer = Writer::new(ring.clone(), state.clone(), settings, pace, clock);
        let log = Arc::<OnceLock<WatchedLog>>::default();
        let writer = writer.with_machine(machine.clone(), watched.clone()).with_log(log.clone()).spawn()?;
        let (journal, writer) = (ring.journal.clone(), Mutex::new(Some(writer)));
        Ok(Self { recorder: Recorder::into(ring), state, writer, machine, recent: watched, journal, log })
    }

    /// Reads the machine of this name from now on. Only the first call has an effect.
    pub fn watch_machine(&self, node: Arc<str>, read: ReadMachine) {
        let _first = self.machine.set(WatchedMachine { node, read: Mutex::new(read) });
    }

    /// The readings of the last hour.
    #[must_use]
    pub fn recent_machine(&self) -> RecentMachine {
        self.recent.clone()
    }

    /// Keeps the lines of this log from now on. Only the first call has an effect.
    pub fn watch_log(&self, lines: Box<dyn LineSource>) {
        let _first = self.log.set(Mutex::new(lines));
    }

    /// Takes reports of what happens beside exchanges.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Records finished exchanges.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Writes what is left, within two seconds, and ends the thread. What is recorded afterwards is lost.
    pub fn close(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Its state, for metrics and health.
    #[must_use]
    pub fn state(&self) -> Arc<HistoryState> {
        self.state.clone()
    }
}
