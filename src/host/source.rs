//! A collector on its own thread, and the slot with its last reading.
//!
//! Promises: the lock is held only to copy a pointer and a few words, never during a reading; a stale reading is not
//! returned; a collector that hangs or panics shows in [`CollectorHealth`] and blocks nothing else. A hanging thread is
//! not joined; it ends with the process.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::collector::{Collector, CollectorHealth, ReadError};
use crate::priority;

/// The last reading is stale after this number of intervals.
const STALE_INTERVALS: u32 = 3;

/// No reading is stale before this age.
const MIN_STALE_AGE: Duration = Duration::from_secs(15);

/// The last reading of a collector. Dropping it ends the collector's thread after its current reading.
#[derive(Debug)]
pub struct Source<P> {
    slot: Arc<ReadingSlot<P>>,
    name: &'static str,
    /// The age from which a reading is stale.
    stale_age: Duration,
    /// Disconnects when dropped, which wakes and ends the thread.
    _stop: Sender<()>,
}

#[derive(Debug)]
struct ReadingSlot<P>(Mutex<SlotState<P>>);

#[derive(Debug)]
struct SlotState<P> {
    /// The last successful reading, with its beginning.
    part: Option<(Instant, Arc<P>)>,
    /// When the current reading began; `None` between readings.
    reading: Option<Instant>,
    success: Option<bool>,
    duration: Option<Duration>,
    last_success: Option<Instant>,
}

impl<P: Send + Sync + 'static> Source<P> {
    /// Starts the thread, which reads at once and then in each period.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    pub fn spawn(collector: impl Collector<Part = P>, period: Duration) -> io::Result<Self> {
        let period = collector.period(period);
        let name = collector.name();
        let slot = Arc::new(ReadingSlot::default());
        let (stop, stopped) = mpsc::channel();
        let theirs = Arc::clone(&slot);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            priority::step_back();
            run(collector, &theirs, period, &stopped);
        })?;
        let stale_age = (period * STALE_INTERVALS).max(MIN_STALE_AGE);
        Ok(Self { slot, name, stale_age, _stop: stop })
    }

    /// The last reading; `None` where there was none, the source does not exist, or the reading is stale.
    #[must_use]
    pub fn latest(&self, now: Instant) -> Option<Arc<P>> {
        let state = self.slot.lock();
        let (at, part) = state.part.as_ref()?;
        (now.saturating_duration_since(*at) <= self.stale_age).then(|| Arc::clone(part))
    }

    /// The health of the collector.
    #[must_use]
    pub fn health(&self, now: Instant) -> CollectorHealth {
        let state = self.slot.lock();
        let under_way = state.reading.map(|since| now.saturating_duration_since(since));
        let hanging = under_way.filter(|so_far| *so_far > CollectorHealth::HANGING);
        CollectorHealth {
            name: self.name,
            success: if hanging.is_some() { Some(false) } else { state.success },
            duration: hanging.or(state.duration),
            last_success: state.last_success,
        }
    }
}

impl<P> ReadingSlot<P> {
    fn lock(&self) -> MutexGuard<'_, SlotState<P>> {
        // After a panic no field is half written: each is set by one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, at: Instant) {
        self.lock().reading = Some(at);
    }

    /// Stores the result of a reading; `None` is a failure. Returns whether success has changed.
    fn end(&self, begun: Instant, now: Instant, found: Option<Option<P>>) -> bool {
        let success = found.is_some();
        let part = found.map(|part| part.map(|part| (begun, Arc::new(part))));
        let mut state = self.lock();
        state.reading = None;
        state.duration = Some(now.saturating_duration_since(begun));
        let before = state.success.replace(success);
        let old = part.and_then(|part| {
            state.last_success = Some(now);
            std::mem::replace(&mut state.part, part)
        });
        // The old part may be large: it is dropped after the lock.
        drop(state);
        drop(old);
        before.is_none_or(|before| before != success)
    }
}

impl<P> Default for ReadingSlot<P> {
    fn default() -> Self {
        Self(Mutex::new(SlotState { part: None, reading: None, success: None, duration: None, last_success: None }))
    }
}

fn run<C: Collector>(mut collector: C, slot: &ReadingSlot<C::Part>, period: Duration, stopped: &Receiver<()>) {
    loop {
        let begun = Instant::now();
        slot.begin(begun);
        let (found, error) = match collector.read(begun) {
            Ok(part) => (Some(part), None),
            Err(error) => (None, Some(error)),
        };
        if slot.end(begun, Instant::now(), found) {
            log_change(collector.name(), error.as_ref());
        }
        match stopped.recv_timeout(period.saturating_sub(begun.elapsed())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Logs that a collector fails, or works again.
fn log_change(collector: &'static str, error: Option<&ReadError>) {
    match error {
        Some(error) => tracing::warn!(collector, %error, "cannot read from the machine; its metrics are left out"),
        None => tracing::debug!(collector, "reads from the machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what it is sent, and waits until it is.
    struct Scripted(Receiver<Result<Option<u32>, ReadError>>, Sender<()>);

    impl Collector for Scripted {
        type Part = u32;

        fn name(&self) -> &'static str {
            "scripted"
        }

        fn read(&mut self, _: Instant) -> Result<Option<u32>, ReadError> {
            let _ = self.1.send(());
            self.0.recv().unwrap_or_else(|_| Err(ReadError::Source("over".into())))
        }
    }

    struct Rig {
        source: Source<u32>,
        answers: Sender<Result<Option<u32>, ReadError>>,
        asked: Receiver<()>,
    }

    fn rig() -> Rig {
        let (answers, script) = mpsc::channel();
        let (asks, asked) = mpsc::channel();
        let source = Source::spawn(Scripted(script, asks), Duration::from_millis(1)).expect("a thread");
        asked.recv().expect("it reads at once");
        Rig { source, answers, asked }
    }

    impl Rig {
        /// One reading ends with this, and the next has begun.
        fn answer(&self, answer: Result<Option<u32>, ReadError>) {
            self.answers.send(answer).expect("it waits for it");
            self.asked.recv().expect("it reads again");
        }
    }

    #[test]
    fn a_reading_is_returned_until_it_is_stale() {
        let rig = rig();
        assert_eq!(rig.source.health(Instant::now()).success, None, "nothing is known before the first");
        rig.answer(Ok(Some(7)));
        let now = Instant::now();
        assert_eq!(rig.source.latest(now).as_deref(), Some(&7));
        assert_eq!(rig.source.latest(now + MIN_STALE_AGE + Duration::from_secs(1)), None);
    }

    #[test]
    fn nothing_there_is_a_success_and_an_error_keeps_the_last_reading_until_it_is_stale() {
        let rig = rig();
        rig.answer(Ok(Some(7)));
        let good = rig.source.health(Instant::now()).last_success;
        rig.answer(Err(ReadError::Source("lost".into())));
        let health = rig.source.health(Instant::now());
        assert_eq!((health.success, health.last_success), (Some(false), good));
        assert_eq!(rig.source.latest(Instant::now()).as_deref(), Some(&7));
        rig.answer(Ok(None));
        assert_eq!(rig.source.health(Instant::now()).success, Some(true));
        assert_eq!(rig.source.latest(Instant::now()), None);
    }

    #[test]
    fn a_hanging_reading_is_a_failure_with_a_growing_duration() {
        let rig = rig();
        rig.answer(Ok(Some(7)));
        let now = Instant::now();
        assert_eq!(rig.source.health(now).success, Some(true), "a current reading does not hang yet");
        let later = now + CollectorHealth::HANGING + Duration::from_secs(1);
        let health = rig.source.health(later);
        assert_eq!((health.name, health.success), ("scripted", Some(false)));
        assert!(health.duration.expect("it is under way") > CollectorHealth::HANGING);
        assert!(health.last_success.expect("the first was good") <= now);
    }

    #[test]
    fn a_panic_in_a_collector_looks_like_one_that_hangs() {
        struct Panics;
        impl Collector for Panics {
            type Part = ();

            fn name(&self) -> &'static str {
                "panics"
            }

            fn read(&mut self, _: Instant) -> Result<Option<()>, ReadError> {
                std::panic::resume_unwind(Box::new("a test"));
            }
        }
        let source = Source::spawn(Panics, Duration::from_millis(1)).expect("a thread");
        while source.slot.lock().reading.is_none() {
            thread::yield_now();
        }
        let later = Instant::now() + CollectorHealth::HANGING + Duration::from_secs(1);
        assert_eq!(source.health(later).success, Some(false));
    }

    #[test]
    fn dropping_the_source_ends_its_thread() {
        let Rig { source, answers, asked } = rig();
        drop(source);
        answers.send(Ok(None)).expect("it still waits for this one");
        assert!(asked.recv().is_err(), "the thread ended and dropped its collector");
    }
}
