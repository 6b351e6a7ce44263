//! Lines on their way to standard error: gathered by the thread that logs them, written by a thread of their own.
//!
//! A thread that logs puts its line into a buffer that is its own and wakes nobody, unless it is the first line since the
//! last were written. Promises: a line is written at once where nothing was written a moment ago, else with those that
//! follow it, after [`INTERVAL`] at most; an urgent one takes all before it along at once, and so does the end of the
//! program. Logging never waits for the reader: lines that find no room, or that nobody takes, are dropped and counted.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for those that follow it.
const INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of a thread's lines that are worth being written before that. A line is some 250 bytes.
const MANY: usize = 64 << 10;

/// Bytes of a thread's lines that wait for standard error at most.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// A pause before standard error is tried again, where it is not to block and takes nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the last lines may take at the end of the program.
const FLUSH: Duration = Duration::from_millis(1500);

/// What the threads that log share with the one that writes.
#[derive(Default)]
struct Shared {
    /// Whole lines of each thread, in the order in which they were logged.
    lines: ThreadLocal<Mutex<Vec<u8>>>,
    /// There are lines.
    waiting: AtomicBool,
    /// There are lines that cannot wait.
    urgent: AtomicBool,
    closed: AtomicBool,
    dropped: AtomicU64,
}

/// Takes lines. Its clones are one queue.
#[derive(Clone)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    writer: Thread,
}

/// Keeps the thread that writes. Dropping it writes what there is, for a second and a half at most.
pub(super) struct Guard {
    queue: Queue,
    ended: mpsc::Receiver<()>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Starts the thread that writes.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Queue, Guard)> {
    let shared = Arc::<Shared>::default();
    let (end, ended) = mpsc::channel();
    let writing = shared.clone();
    let thread = thread::Builder::new().name("log".into()).spawn(move || {
        write(&writing, out);
        drop(end);
    })?;
    let queue = Queue { shared, writer: thread.thread().clone() };
    Ok((queue.clone(), Guard { queue, ended }))
}

impl Guard {
    /// Lines that were lost so far.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.shared.dropped.load(Ordering::Relaxed)
    }

    /// Reads how many lines were lost.
    pub(super) fn dropped_counter(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = self.queue.shared.clone();
        move || shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.queue.shared.closed.store(true, Ordering::Release);
        self.queue.writer.unpark();
        // It ends by itself, unless nobody reads.
        let _ = self.ended.recv_timeout(FLUSH);
    }
}

impl Queue {
    /// Takes the line that `write` appends. It comes by the thousand, and can wait.
    pub(super) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.take(false, write);
    }

    fn take(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let waiting = {
            let mut lines = lock(self.shared.lines.get_or_default());
            let before = lines.len();
            write(&mut lines);
            if lines.len() > MAX_WAITING {
                lines.truncate(before);
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            lines.len()
        };
        let flag = if urgent || waiting > MANY { &self.shared.urgent } else { &self.shared.waiting };
        // Who sets it wakes the thread: it is taken down before the lines are.
        if !flag.load(Ordering::Relaxed) && !flag.swap(true, Ordering::AcqRel) {
            self.writer.unpark();
        }
    }
}

/// Takes urgent lines; each comes in one piece.
pub(super) struct Urgent<'a>(&'a Queue);

impl Write for Urgent<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(true, |lines| lines.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Urgent<'a>;

    fn make_writer(&'a self) -> Urgent<'a> {
        Urgent(self)
    }
}

/// Writes lines until the queue is closed.
fn write(shared: &Shared, mut out: impl Write) {
    let mut written: Option<Instant> = None;
    let mut batches = Vec::new();
    loop {
        let closed = shared.closed.load(Ordering::Acquire);
        let left = written.and_then(|written| INTERVAL.checked_sub(written.elapsed()));
        let is_due = shared.urgent.swap(false, Ordering::AcqRel)
            || closed
            || (left.is_none() && shared.waiting.load(Ordering::Acquire));
        if is_due {
            shared.waiting.store(false, Ordering::Release);
            collect(shared, &mut batches);
            deliver(shared, &batches, &mut out);
            written = Some(Instant::now());
            if closed {
                return;
            }
            continue;
        }
        match left.filter(|_| shared.waiting.load(Ordering::Acquire)) {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

/// Takes the lines of every thread.
fn collect(shared: &Shared, batches: &mut Vec<Vec<u8>>) {
    batches.iter_mut().for_each(Vec::clear);
    for (at, lines) in shared.lines.iter().enumerate() {
        if batches.len() == at {
            batches.push(Vec::new());
        }
        std::mem::swap(&mut *lock(lines), &mut batches[at]);
    }
}

/// Writes what was collected, by time: a line begins with its instant, after what all have in common.
fn deliver(shared: &Shared, batches: &[Vec<u8>], out: &mut impl Write) {
    let mut filled = batches.iter().filter(|lines| !lines.is_empty());
    let (Some(first), second) = (filled.next(), filled.next()) else { return };
    let lost = match second {
        None => put(out, first),
        Some(_) => put(out, &merged(batches)),
    };
    shared.dropped.fetch_add(lost, Ordering::Relaxed);
}

fn merged(batches: &[Vec<u8>]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = batches.iter().flat_map(|lines| lines.split_inclusive(|byte| *byte == b'\n')).collect();
    // What was logged within a microsecond stays as it came.
    lines.sort_by_key(|line| &line[..memchr::memchr(INSTANT_END, line).unwrap_or(0)]);
    lines.concat()
}

/// Ends the instant of a line, which is in UTC and of one length.
const INSTANT_END: u8 = b'Z';

/// Writes all of it, and gives the number of lines that were not taken.
fn put(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(written) if written > 0 => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Ok(_) | Err(_) => return memchr::memchr_iter(b'\n', lines).count() as u64,
        }
    }
    0
}

fn lock(lines: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
