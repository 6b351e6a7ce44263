//! The queue of lines to standard error: collected in a buffer per logging thread, written by a writer thread.
//!
//! A logging thread wakes the writer only for the first line since the last write. Promises: a line is written at once
//! if nothing was written lately, else with those that follow it, after [`INTERVAL`] at most; an urgent line, and the
//! end of the program, flush all lines at once. Logging never waits for the reader of standard error: lines that do not
//! fit, or that standard error rejects, are dropped and counted.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for those that follow it.
const INTERVAL: Duration = Duration::from_millis(250);

/// A thread's buffer above this size in bytes is written before that. A line has some 250 bytes.
const EARLY_WRITE: usize = 64 << 10;

/// The size limit of a thread's buffer in bytes.
pub(super) const MAX_WAITING: usize = 4 << 20;

/// The pause before the next attempt where standard error is non-blocking and full.
const PAUSE: Duration = Duration::from_millis(10);

/// The time limit for the last lines at the end of the program.
const FLUSH: Duration = Duration::from_millis(1500);

/// Shared by the logging threads and the writer.
#[derive(Default)]
struct LineBuffers {
    /// The complete lines of each thread, in the order in which they were logged.
    lines: ThreadLocal<Mutex<Vec<u8>>>,
    /// Whether there are lines.
    waiting: AtomicBool,
    /// Whether there are lines that must be written at once.
    urgent: AtomicBool,
    closed: AtomicBool,
    dropped: AtomicU64,
}

/// Accepts lines. Clones share one queue.
#[derive(Clone)]
pub(super) struct LineQueue {
    shared: Arc<LineBuffers>,
    writer: Thread,
}

/// Keeps the writer thread. Dropping it writes the remaining lines, for at most [`FLUSH`].
pub(super) struct WriterGuard {
    queue: LineQueue,
    ended: mpsc::Receiver<()>,
}

impl std::fmt::Debug for WriterGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterGuard").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Starts the writer thread.
///
/// # Errors
/// When the system cannot create a thread.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(LineQueue, WriterGuard)> {
    let shared = Arc::<LineBuffers>::default();
    let (end, ended) = mpsc::channel();
    let writing = shared.clone();
    let thread = thread::Builder::new().name("log".into()).spawn(move || {
        run(&writing, out);
        drop(end);
    })?;
    let queue = LineQueue { shared, writer: thread.thread().clone() };
    Ok((queue.clone(), WriterGuard { queue, ended }))
}

impl WriterGuard {
    /// The number of lines dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.shared.dropped.load(Ordering::Relaxed)
    }

    /// A function that reads the number of dropped lines.
    pub(super) fn dropped_counter(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = self.queue.shared.clone();
        move || shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.queue.shared.closed.store(true, Ordering::Release);
        self.queue.writer.unpark();
        // The writer ends by itself, unless standard error blocks.
        let _ = self.ended.recv_timeout(FLUSH);
    }
}

impl LineQueue {
    /// Accepts the line that `write` appends, as not urgent: there may be thousands a second.
    pub(super) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push(false, write);
    }

    fn push(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
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
        let flag = if urgent || waiting > EARLY_WRITE { &self.shared.urgent } else { &self.shared.waiting };
        // Whoever sets the flag wakes the writer, which clears it before it takes the lines.
        if !flag.load(Ordering::Relaxed) && !flag.swap(true, Ordering::AcqRel) {
            self.writer.unpark();
        }
    }
}

/// Writes urgent lines, each with a single call of `write`.
pub(super) struct UrgentWriter<'a>(&'a LineQueue);

impl Write for UrgentWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(true, |lines| lines.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = UrgentWriter<'a>;

    fn make_writer(&'a self) -> UrgentWriter<'a> {
        UrgentWriter(self)
    }
}

/// Writes lines until the queue is closed.
fn run(shared: &LineBuffers, mut out: impl Write) {
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
fn collect(shared: &LineBuffers, batches: &mut Vec<Vec<u8>>) {
    batches.iter_mut().for_each(Vec::clear);
    for (at, lines) in shared.lines.iter().enumerate() {
        if batches.len() == at {
            batches.push(Vec::new());
        }
        std::mem::swap(&mut *lock(lines), &mut batches[at]);
    }
}

/// Writes the collected lines in the order of the instants that they begin with.
fn deliver(shared: &LineBuffers, batches: &[Vec<u8>], out: &mut impl Write) {
    let mut filled = batches.iter().filter(|lines| !lines.is_empty());
    let (Some(first), second) = (filled.next(), filled.next()) else { return };
    let lost = match second {
        None => write_all(out, first),
        Some(_) => write_all(out, &merged(batches)),
    };
    shared.dropped.fetch_add(lost, Ordering::Relaxed);
}

fn merged(batches: &[Vec<u8>]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = batches.iter().flat_map(|lines| lines.split_inclusive(|byte| *byte == b'\n')).collect();
    // The sort is stable: lines of the same microsecond keep their order.
    lines.sort_by_key(|line| &line[..memchr::memchr(INSTANT_END, line).unwrap_or(0)]);
    lines.concat()
}

/// The last byte of a line's instant, which is in UTC and always has the same length.
const INSTANT_END: u8 = b'Z';

/// Writes all lines. Returns the number of lines that `out` did not accept.
fn write_all(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(written) if written > 0 => lines = &lines[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            #[expect(clippy::disallowed_methods, reason = "this thread does nothing else")]
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Ok(_) | Err(_) => return memchr::memchr_iter(b'\n', lines).count() as u64,
        }
    }
    0
}

fn lock(lines: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
