//! The state of the history, for metrics, health and the log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::journal::kind::JournalKind;

/// Why rows were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// They came faster than the writer takes them.
    RingFull,
    /// Writing was paused for longer than rows can wait.
    Paused,
    /// The exchanges of the current day fill all files together, and more.
    DayFull,
    /// Writing was paused for longer than sums can wait: the sums lack the exchange, whatever becomes of its row.
    NotSummed,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::RingFull, Self::Paused, Self::DayFull, Self::NotSummed];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Paused => "paused",
            Self::DayFull => "day_full",
            Self::NotSummed => "not_summed",
        }
    }
}

/// Why nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// No directory is configured, and the environment names none.
    NoDirectory,
    /// The disk, or the quota, is full.
    Full,
    /// The directory or a file may not be written.
    ReadOnly,
    /// A newer release wrote the files.
    NewerSchema,
    /// The maximum number of processes write to the directory.
    TooManyProcesses,
    /// Another process holds the files for too long.
    Busy,
    /// The disk reports errors, or a file is not as the program writes it.
    Failing,
}

impl Pause {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::NoDirectory,
        Self::Full,
        Self::ReadOnly,
        Self::NewerSchema,
        Self::TooManyProcesses,
        Self::Busy,
        Self::Failing,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoDirectory => "no_directory",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::NewerSchema => "newer_schema",
            Self::TooManyProcesses => "too_many_processes",
            Self::Busy => "busy",
            Self::Failing => "failing",
        }
    }
}

/// What the writer is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// The history is switched off.
    #[default]
    Off,
    /// The files are being opened.
    Opening,
    /// Rows are written as they come.
    Writing,
    /// Nothing is written for now; it is retried. The text is for people.
    Paused(Pause, Box<str>),
}

impl Activity {
    /// One word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opening => "opening",
            Self::Writing => "writing",
            Self::Paused(..) => "paused",
        }
    }
}

/// What the copy to PostgreSQL is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Copying {
    /// None is configured.
    #[default]
    Off,
    /// It has not begun.
    Connecting,
    /// What is written is copied within seconds.
    Following,
    /// Another process of this directory does it.
    Elsewhere,
    /// It is tried again. The text is for people.
    Failing(Box<str>),
}

impl Copying {
    /// One word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Following => "following",
            Self::Elsewhere => "elsewhere",
            Self::Failing(_) => "failing",
        }
    }
}

/// Unknown, in what is counted in milliseconds.
const UNKNOWN: i64 = i64::MIN;

/// The state of the history, shared by its threads and its readers.
#[derive(Debug)]
pub struct HistoryState {
    activity: Mutex<Activity>,
    written: AtomicU64,
    thinned: AtomicU64,
    of_others: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    damaged: AtomicU64,
    waiting: AtomicU64,
    bytes: AtomicU64,
    /// Milliseconds since the epoch.
    committed: AtomicI64,
    /// Milliseconds since the epoch.
    oldest: AtomicI64,
    copying: Mutex<Copying>,
    removes: AtomicI64,
    copied_rows: AtomicU64,
    /// Milliseconds since the epoch.
    copied: AtomicI64,
    /// By [`JournalKind`].
    entries_lost: [AtomicU64; JournalKind::ALL.len()],
    /// Lines that the log's queue has lost.
    lines_lost: AtomicU64,
    /// By [`JournalKind`].
    entries: Mutex<[KeptEntries; JournalKind::ALL.len()]>,
}

/// What is kept of one kind beside exchanges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptEntries {
    /// How many.
    pub count: u64,
    /// When the oldest was, in milliseconds since the epoch. `None` where none is.
    pub oldest: Option<i64>,
}

impl Default for HistoryState {
    fn default() -> Self {
        Self {
            activity: Mutex::default(),
            written: AtomicU64::new(0),
            thinned: AtomicU64::new(0),
            of_others: AtomicU64::new(0),
            dropped: Default::default(),
            damaged: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            committed: AtomicI64::new(UNKNOWN),
            oldest: AtomicI64::new(UNKNOWN),
            copying: Mutex::default(),
            removes: AtomicI64::new(UNKNOWN),
            copied_rows: AtomicU64::new(0),
            copied: AtomicI64::new(UNKNOWN),
            entries_lost: Default::default(),
            lines_lost: AtomicU64::new(0),
            entries: Mutex::default(),
        }
    }
}

/// A copy of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryHealth {
    /// What the writer is doing.
    pub activity: Activity,
    /// Rows written since the start.
    pub written: u64,
    /// Rows left out by thinning since the start; the weights of other rows count them.
    pub thinned: u64,
    /// Exchanges since the start whose tenant, or client, is summed as `other`.
    pub of_others: u64,
    /// Rows lost, and exchanges not summed, since the start, in the order of [`Dropped::ALL`].
    pub dropped: [u64; Dropped::ALL.len()],
    /// Damaged files that were renamed since the start.
    pub damaged: u64,
    /// Rows waiting to be written, as of the writer's last turn.
    pub waiting: u64,
    /// Bytes of all files; 0 before they are opened.
    pub bytes: u64,
    /// When rows were last committed, in milliseconds since the epoch. `None` where none were.
    pub committed: Option<i64>,
    /// When the oldest exchange that is kept ended, in milliseconds since the epoch. `None` where none is.
    pub oldest: Option<i64>,
    /// When what is too old will be removed next, in milliseconds since the epoch. `None` before the first time.
    pub removes: Option<i64>,
    /// What the copy to PostgreSQL is doing.
    pub copying: Copying,
    /// Rows copied since the start.
    pub copied_rows: u64,
    /// When the copy last had everything that was in the files, in milliseconds since the epoch; until then, when it was
    /// begun. `None` without a copy.
    pub copied: Option<i64>,
    /// Events, audit entries, jobs and log lines lost since the start, in the order of [`JournalKind::ALL`].
    pub entries_lost: [u64; JournalKind::ALL.len()],
    /// What is kept of them.
    pub entries: [KeptEntries; JournalKind::ALL.len()],
}

impl HistoryHealth {
    /// Rows lost since the start, for any reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        Dropped::ALL.iter().filter(|why| **why != Dropped::NotSummed).map(|why| self.dropped[*why as usize]).sum()
    }
}

impl HistoryState {
    /// A copy.
    #[must_use]
    pub fn health(&self) -> HistoryHealth {
        let known = |millis: &AtomicI64| Some(millis.load(Ordering::Relaxed)).filter(|millis| *millis != UNKNOWN);
        HistoryHealth {
            activity: self.activity.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            written: self.written.load(Ordering::Relaxed),
            thinned: self.thinned.load(Ordering::Relaxed),
            of_others: self.of_others.load(Ordering::Relaxed),
            dropped: std::array::from_fn(|at| self.dropped[at].load(Ordering::Relaxed)),
            damaged: self.damaged.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            committed: known(&self.committed),
            oldest: known(&self.oldest),
            copying: self.copying.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            copied_rows: self.copied_rows.load(Ordering::Relaxed),
            copied: known(&self.copied),
            removes: known(&self.removes),
            entries_lost: JournalKind::ALL.map(|kind| self.entries_lost_of(kind)),
            entries: *self.entries.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn entries_lost_of(&self, kind: JournalKind) -> u64 {
        let before = if kind == JournalKind::LogLine { self.lines_lost.load(Ordering::Relaxed) } else { 0 };
        before + self.entries_lost[kind as usize].load(Ordering::Relaxed)
    }

    /// Sets what the writer is doing. Returns whether the activity, or the reason of a pause, has changed.
    pub(super) fn set_activity(&self, activity: Activity) -> bool {
        let mut current = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = match (&*current, &activity) {
            (Activity::Paused(before, _), Activity::Paused(now, _)) => before == now,
            (before, now) => before == now,
        };
        *current = activity;
        !is_same
    }

    /// Whether nothing can be written.
    pub(super) fn is_paused(&self) -> bool {
        matches!(*self.activity.lock().unwrap_or_else(PoisonError::into_inner), Activity::Paused(..))
    }

    pub(super) fn dropped(&self, why: Dropped, rows: u64) {
        self.dropped[why as usize].fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn committed(&self, rows: u64, millis: i64) {
        self.written.fetch_add(rows, Ordering::Relaxed);
        self.committed.store(millis, Ordering::Relaxed);
    }

    pub(super) fn thinned(&self, rows: u64) {
        self.thinned.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn of_others(&self, exchanges: u64) {
        self.of_others.fetch_add(exchanges, Ordering::Relaxed);
    }

    pub(super) fn damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, rows: usize) {
        self.waiting.store(rows as u64, Ordering::Relaxed);
    }

    /// Sets what the copy is doing. Returns whether that, or the reason of a failure, is something else than before.
    pub(super) fn set_copying(&self, copying: Copying) -> bool {
        let mut current = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = *current == copying;
        *current = copying;
        !is_same
    }

    pub(super) fn copied_rows(&self, rows: u64) {
        self.copied_rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// The copy has everything that was in the files at this time.
    pub(super) fn copied(&self, millis: i64) {
        self.copied.store(millis, Ordering::Relaxed);
    }

    pub(super) fn set_kept(&self, bytes: u64, oldest: Option<i64>) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.oldest.store(oldest.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    pub(super) fn set_removes(&self, millis: i64) {
        self.removes.store(millis, Ordering::Relaxed);
    }

    pub(super) fn lost_entries(&self, kind: JournalKind, count: u64) {
        self.entries_lost[kind as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set_lines_lost(&self, count: u64) {
        self.lines_lost.store(count, Ordering::Relaxed);
    }

    pub(super) fn set_entries(&self, entries: [KeptEntries; JournalKind::ALL.len()]) {
        *self.entries.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    }
}
