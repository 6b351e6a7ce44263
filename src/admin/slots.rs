//! A bounded set of connections, and which of them is evicted for a new one.
//!
//! A scraper or a probe must get in however many clients send their head byte by byte, do not read their answer, or are
//! silent. When all slots are taken, the connection that has been silent longest is closed, authenticated ones last; if
//! there is none, the one whose answer has stalled longest. Never evicted: a connection that has just been accepted,
//! one whose answer is being made, and one whose client reads.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// Most connections at once: far more than scrapers, probes and people need, so that a burst of them finds room.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// A new connection cannot be evicted for this long, in which it should send its request.
const REQUEST_GRACE: Duration = Duration::from_millis(250);

/// An answer of which the client takes nothing for this long has stalled.
const STALLED_AFTER: Duration = Duration::from_millis(500);

/// An answer that has taken this long counts as stalled, however fast it is read.
const MAX_WRITING: Duration = Duration::from_secs(10);

/// What a connection is doing. Clones share it.
#[derive(Clone)]
pub(super) struct Activity {
    /// The client's address.
    pub(super) client: IpAddr,
    state: Arc<Mutex<ActivityState>>,
}

struct ActivityState {
    step: Step,
    is_authenticated: bool,
    /// The number of the exposition that it waits for or is being sent; `None` outside such an answer.
    exposition: Option<u64>,
}

#[derive(Clone, Copy)]
enum Step {
    /// Accepted at this instant; no request yet.
    New(Instant),
    /// The answer is being made.
    Answering,
    /// The answer has been written since `begun`; the client last took some of it at `moved`.
    Writing { begun: Instant, moved: Instant },
    /// As `Writing`, but the last bytes are in the HTTP library's buffer, not yet handed to the system.
    Flushing { begun: Instant, moved: Instant },
    /// Between requests since this instant.
    Silent(Instant),
}

/// The least is evicted first: silent before stalled, anonymous before authenticated, then the longest wait.
type EvictionOrder = (bool, bool, Instant);

impl Activity {
    /// The activity of a connection that was just accepted.
    pub(super) fn accepted(client: IpAddr) -> Self {
        let state = ActivityState { step: Step::New(Instant::now()), is_authenticated: false, exposition: None };
        Self { client, state: Arc::new(Mutex::new(state)) }
    }

    /// A request has arrived.
    pub(super) fn begin_answer(&self) -> AnswerGuard {
        self.state().step = Step::Answering;
        AnswerGuard(self.clone())
    }

    /// `None` while it must not be evicted.
    fn eviction_order(&self, now: Instant) -> Option<EvictionOrder> {
        let past = |since: Instant| now.saturating_duration_since(since);
        let state = self.state();
        let is_stalled = |begun, moved| past(moved) >= STALLED_AFTER || past(begun) >= MAX_WRITING;
        match state.step {
            Step::Silent(since) => Some((false, state.is_authenticated, since)),
            Step::New(since) if past(since) >= REQUEST_GRACE => Some((false, state.is_authenticated, since)),
            Step::Writing { begun, moved } | Step::Flushing { begun, moved } if is_stalled(begun, moved) => {
                Some((true, state.is_authenticated, moved))
            }
            Step::New(_) | Step::Answering | Step::Writing { .. } | Step::Flushing { .. } => None,
        }
    }

    fn exposition(&self) -> Option<u64> {
        self.state().exposition
    }

    /// The client has taken some of the answer.
    pub(super) fn record_progress(&self) {
        if let Step::Writing { moved, .. } | Step::Flushing { moved, .. } = &mut self.state().step {
            *moved = Instant::now();
        }
    }

    /// Everything written has been handed to the system.
    pub(super) fn record_flush(&self) {
        let mut state = self.state();
        if matches!(state.step, Step::Flushing { .. }) {
            state.end_answer();
        }
    }

    /// Whether it is between requests; `None` before the first.
    #[cfg(test)]
    pub(super) fn is_answered(&self) -> Option<bool> {
        match self.state().step {
            Step::New(_) => None,
            step => Some(matches!(step, Step::Silent(_))),
        }
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActivityState {
    fn end_answer(&mut self) {
        (self.step, self.exposition) = (Step::Silent(Instant::now()), None);
    }
}

/// Held while a request is answered, until the last of the answer is with the HTTP library; then
/// [`Activity::record_flush`] ends the answer.
pub(super) struct AnswerGuard(Activity);

impl AnswerGuard {
    pub(super) fn mark_authenticated(&self) {
        self.0.state().is_authenticated = true;
    }

    /// The answer is the exposition of this number.
    pub(super) fn set_exposition(&self, number: u64) {
        self.0.state().exposition = Some(number);
    }

    pub(super) fn begin_writing(&self) {
        let now = Instant::now();
        self.0.state().step = Step::Writing { begun: now, moved: now };
    }
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.step {
            Step::Writing { begun, moved } => state.step = Step::Flushing { begun, moved },
            _ => state.end_answer(),
        }
    }
}

/// The open connections, bounded unless [`ConnectionSlots::has_room`] is ignored.
pub(super) struct ConnectionSlots {
    open: Vec<(Activity, AbortHandle)>,
    most: usize,
}

impl ConnectionSlots {
    /// For this many connections, and for [`MAX_CONNECTIONS`] at most.
    pub(super) fn new(most: usize) -> Self {
        Self { open: Vec::new(), most: most.min(MAX_CONNECTIONS) }
    }

    /// Whether a slot is free or can be freed by evicting.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < self.most || self.next_to_evict().is_some()
    }

    /// Evicts a connection where no slot is free.
    pub(super) fn insert(&mut self, activity: Activity, task: AbortHandle) {
        if self.open.len() >= self.most
            && let Some(at) = self.next_to_evict()
        {
            self.open.swap_remove(at).1.abort();
        }
        self.open.push((activity, task));
    }

    fn next_to_evict(&self) -> Option<usize> {
        let now = Instant::now();
        let connections = self.open.iter().enumerate();
        connections.filter_map(|(at, (activity, _))| Some((activity.eviction_order(now)?, at))).min().map(|(_, at)| at)
    }

    /// Closes every connection that holds the oldest exposition.
    pub(super) fn close_oldest_exposition(&mut self) {
        let oldest = self.open.iter().filter_map(|(activity, _)| activity.exposition()).min();
        for (_, task) in self.open.iter().filter(|(activity, _)| oldest.is_some() && activity.exposition() == oldest) {
            task.abort();
        }
    }

    /// Frees the slots of connections that have ended.
    pub(super) fn remove_finished(&mut self) {
        self.open.retain(|(_, task)| !task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// In this step for so many seconds.
    fn activity(seconds: u64, is_authenticated: bool, step: impl Fn(Instant) -> Step) -> Activity {
        let activity = Activity::accepted(HERE);
        let since = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine has run for longer");
        (activity.state().step, activity.state().is_authenticated) = (step(since), is_authenticated);
        activity
    }

    #[test]
    fn silent_connections_are_evicted_before_stalled_ones_and_authenticated_ones_last() {
        let now = Instant::now();
        // In the order of eviction.
        let order = [
            activity(5, false, Step::Silent),
            activity(4, false, Step::New),
            activity(3, false, Step::Silent),
            activity(9, true, Step::Silent),
            activity(2, false, |since| Step::Writing { begun: since, moved: since }),
            activity(20, false, |since| Step::Writing { begun: since, moved: now }),
            activity(8, true, |since| Step::Writing { begun: since, moved: since }),
        ];
        let orders: Vec<_> = order.iter().map(|it| it.eviction_order(now).expect("it can be evicted")).collect();
        assert!(orders.is_sorted(), "{orders:?}");
        for stays in [
            activity(0, false, Step::New),
            activity(60, false, |_| Step::Answering),
            activity(5, false, |since| Step::Writing { begun: since, moved: now }),
        ] {
            assert_eq!(stays.eviction_order(now), None);
        }
    }

    fn pending() -> tokio::task::JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }

    #[tokio::test]
    async fn a_connection_whose_answer_is_being_made_is_not_evicted() {
        let mut slots = ConnectionSlots::new(usize::MAX);
        let activities: Vec<Activity> = (0..MAX_CONNECTIONS).map(|_| Activity::accepted(HERE)).collect();
        let tasks: Vec<_> = activities.iter().map(|_| pending()).collect();
        for (activity, task) in activities.iter().zip(&tasks) {
            slots.insert(activity.clone(), task.abort_handle());
        }
        assert!(!slots.has_room(), "the next one waits until they had a chance to ask");
        let mut answers: Vec<_> = activities.iter().map(Activity::begin_answer).collect();
        assert!(!slots.has_room());
        drop(answers.remove(5));
        assert!(slots.has_room());
        slots.insert(Activity::accepted(HERE), pending().abort_handle());
        for (at, task) in tasks.into_iter().enumerate() {
            if at == 5 {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            } else {
                assert!(!task.is_finished(), "{at}");
            }
        }
        slots.remove_finished();
        assert!(!slots.has_room(), "the newcomer has not had its time");
    }

    #[tokio::test]
    async fn closing_the_oldest_exposition_closes_every_connection_that_holds_it() {
        let mut slots = ConnectionSlots::new(usize::MAX);
        let held: Vec<_> =
            [Some(7), Some(5), None, Some(5)].map(|number| (Activity::accepted(HERE), number, pending())).into();
        let guards: Vec<_> = held
            .iter()
            .map(|(activity, number, task)| {
                slots.insert(activity.clone(), task.abort_handle());
                let guard = activity.begin_answer();
                number.iter().for_each(|number| guard.set_exposition(*number));
                guard
            })
            .collect();
        slots.close_oldest_exposition();
        for (_, number, task) in held {
            if number == Some(5) {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            } else {
                assert!(!task.is_finished());
            }
        }
        drop(guards);
    }
}
