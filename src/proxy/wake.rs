//! A waker that keeps quiet while its own task is at work.
//!
//! The backend's connection and the body that it feeds are polled by the same task, one right after the other. The HTTP
//! library joins them by channels, and each frame through a channel wakes the other end: the task that is running
//! already. Such a wake costs a whole further poll of everything. Within [`Quiet::poll`] it is only noted, and whoever
//! polls looks once more if it was; outside, wakes pass on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Rounds after which the task is woken properly, so that other tasks have their turn.
const ROUNDS: usize = 4;

/// The quiet waker of one task.
pub(super) struct Quiet {
    state: Arc<State>,
    waker: Waker,
}

struct State {
    /// The task is between [`Quiet::poll`] and its return.
    at_work: AtomicBool,
    /// It was woken since it began.
    noted: AtomicBool,
    /// Who is woken outside.
    task: Mutex<Option<Waker>>,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.at_work.load(Ordering::Relaxed) {
            self.noted.store(true, Ordering::Relaxed);
        } else if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.wake_by_ref();
        }
    }
}

impl Default for Quiet {
    fn default() -> Self {
        let state = State { at_work: AtomicBool::new(false), noted: AtomicBool::new(false), task: Mutex::default() };
        let state = Arc::new(state);
        Self { waker: state.clone().into(), state }
    }
}

impl Quiet {
    /// Polls until nothing is woken any more. All wakes come from this task: nothing else holds the waker while the
    /// sockets of both sides live on this thread.
    pub(super) fn poll<T>(&self, cx: &mut Context<'_>, mut step: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.follow(cx.waker());
        let mut quiet = Context::from_waker(&self.waker);
        self.state.at_work.store(true, Ordering::Relaxed);
        let mut polled = Poll::Pending;
        for _ in 0..ROUNDS {
            self.state.noted.store(false, Ordering::Relaxed);
            polled = step(&mut quiet);
            if polled.is_ready() || !self.state.noted.load(Ordering::Relaxed) {
                break;
            }
        }
        self.state.at_work.store(false, Ordering::Relaxed);
        if polled.is_pending() && self.state.noted.load(Ordering::Relaxed) {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Wakes outside go to this task.
    fn follow(&self, waker: &Waker) {
        let mut task = self.state.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wake_from_within_polls_once_more_and_one_from_outside_wakes_the_task() {
        let (quiet, count) = (Quiet::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let mut rounds = 0;
        let mut kept = None;
        let polled: Poll<()> = quiet.poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            kept = Some(cx.waker().clone());
            if rounds == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((rounds, count.0.load(Ordering::Relaxed)), (2, 0));
        kept.expect("a waker").wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_step_that_never_rests_lets_other_tasks_have_their_turn() {
        let (quiet, count) = (Quiet::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let polled: Poll<()> = quiet.poll(&mut Context::from_waker(&waker), |cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(polled.is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
