//! One collector on its thread, and the slot through which its last reading is handed over.
//!
//! Promises: the lock is held for copying a pointer and a few words, never across a reading; a reading that is too old
//! is not handed out; a collector that hangs or panics shows in [`Health`] and holds up nobody. A hanging thread is not
//! waited for at the end: the end of the process ends it.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::collector::{Collector, Health, ReadError};

/// Readings that may be missed before the last one is stale.
const MISSED: u32 = 3;

/// No reading is stale sooner.
const LEAST_STALE: Duration = Duration::from_secs(15);

/// The last reading of a collector, and the thread that makes it. Dropping it ends the thread after its reading.
#[derive(Debug)]
pub struct Source<P> {
    slot: Arc<Slot<P>>,
    name: &'static str,
    stale: Duration,
    /// Hangs up when dropped, which wakes and ends the thread.
    _stop: Sender<()>,
}

#[derive(Debug)]
struct Slot<P>(Mutex<State<P>>);

#[derive(Debug)]
struct State<P> {
    part: Option<(Instant, Arc<P>)>,
    /// When the reading that is under way began.
    reading: Option<Instant>,
    success: Option<bool>,
    duration: Option<Duration>,
    last_success: Option<Instant>,
}

impl<P: Send + Sync + 'static> Source<P> {
    /// Begins to read, at once and then after each period.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(collector: impl Collector<Part = P>, period: Duration) -> io::Result<Self> {
        let period = collector.period(period);
        let name = collector.name();
        let slot = Arc::new(Slot::default());
        let (stop, stopped) = mpsc::channel();
        let theirs = Arc::clone(&slot);
        thread::Builder::new().name(name.to_owned()).spawn(move || run(collector, &theirs, period, &stopped))?;
        Ok(Self { slot, name, stale: (period * MISSED).max(LEAST_STALE), _stop: stop })
    }

    /// The last reading; `None` where there was none, nothing is there to be read, or it is too old.
    #[must_use]
    pub fn latest(&self, now: Instant) -> Option<Arc<P>> {
        let state = self.slot.lock();
        let (at, part) = state.part.as_ref()?;
        (now.saturating_duration_since(*at) <= self.stale).then(|| Arc::clone(part))
    }

    /// How its readings go.
    #[must_use]
    pub fn health(&self, now: Instant) -> Health {
        let state = self.slot.lock();
        let under_way = state.reading.map(|since| now.saturating_duration_since(since));
        let hanging = under_way.filter(|so_far| *so_far > Health::HANGING);
        Health {
            name: self.name,
            success: if hanging.is_some() { Some(false) } else { state.success },
            duration: hanging.or(state.duration),
            last_success: state.last_success,
        }
    }
}

impl<P> Slot<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // Whoever panicked held no half of a change: every change is one assignment a field.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, at: Instant) {
        self.lock().reading = Some(at);
    }

    /// A reading ended. The old part is dropped outside the lock. Returns whether success changed.
    fn ended(&self, begun: Instant, now: Instant, found: Option<Option<P>>) -> bool {
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
        // The lock first: the old part may be large.
        drop(state);
        drop(old);
        before.is_none_or(|before| before != success)
    }
}

impl<P> Default for Slot<P> {
    fn default() -> Self {
        Self(Mutex::new(State { part: None, reading: None, success: None, duration: None, last_success: None }))
    }
}

fn run<C: Collector>(mut collector: C, slot: &Slot<C::Part>, period: Duration, stopped: &Receiver<()>) {
    loop {
        let begun = Instant::now();
        slot.begun(begun);
        let (found, error) = match collector.read(begun) {
            Ok(part) => (Some(part), None),
            Err(error) => (None, Some(error)),
        };
        if slot.ended(begun, Instant::now(), found) {
            tell(collector.name(), error.as_ref());
        }
        match stopped.recv_timeout(period.saturating_sub(begun.elapsed())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Only changes are told.
fn tell(collector: &'static str, error: Option<&ReadError>) {
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
    fn a_reading_is_handed_out_until_it_is_stale() {
        let rig = rig();
        assert_eq!(rig.source.health(Instant::now()).success, None, "nothing is known before the first");
        rig.answer(Ok(Some(7)));
        let now = Instant::now();
        assert_eq!(rig.source.latest(now).as_deref(), Some(&7));
        assert_eq!(rig.source.latest(now + LEAST_STALE + Duration::from_secs(1)), None);
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
    fn a_hanging_reading_is_named_and_its_age_grows() {
        let rig = rig();
        rig.answer(Ok(Some(7)));
        let now = Instant::now();
        assert_eq!(rig.source.health(now).success, Some(true), "a reading under way is none that hangs");
        let later = now + Health::HANGING + Duration::from_secs(1);
        let health = rig.source.health(later);
        assert_eq!((health.name, health.success), ("scripted", Some(false)));
        assert!(health.duration.expect("it is under way") > Health::HANGING);
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
        let later = Instant::now() + Health::HANGING + Duration::from_secs(1);
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
