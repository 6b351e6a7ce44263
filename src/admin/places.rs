//! Who may hold one of the connections, and who has to give way.
//!
//! A scraper or a probe must get in however many others sit there: clients that send their head byte by byte, do not read
//! their answer, or say nothing. Where all places are taken, the connection that has been silent longest is closed, those
//! that were let in with a password last; after these the one whose answer has stood still longest. Never closed is one
//! that has just been accepted, one whose answer is being made, and one that is reading.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

/// Connections at once: far more than scrapers, probes and people need, so that a burst of them finds room.
pub(super) const MOST: usize = 256;

/// A new connection has this long to send its request before it can be made to give way.
const HEARING: Duration = Duration::from_millis(250);

/// An answer of which nothing is taken for so long stands still.
const STILL: Duration = Duration::from_millis(500);

/// From then on an answer counts as standing still, however it moves.
const LONG: Duration = Duration::from_secs(10);

/// What a connection is doing.
#[derive(Clone)]
pub(super) struct Doing {
    /// Where it comes from.
    pub(super) ip: IpAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    act: Act,
    /// It has been let in with a password.
    let_in: bool,
    /// The number of the page of metrics that it waits for or is being sent.
    page: Option<u64>,
}

#[derive(Clone, Copy)]
enum Act {
    /// It has sent no request yet, since it was accepted.
    New(Instant),
    /// Its answer is being made.
    Answering,
    /// Its answer is being written since the first time; the second is when last some of it was taken.
    Writing(Instant, Instant),
    /// The same, and the last of it is with the HTTP library, which has not handed it to the system.
    Leaving(Instant, Instant),
    /// It is between requests.
    Silent(Instant),
}

/// How early a connection gives way: the least first.
type Turn = (bool, bool, Instant);

impl Doing {
    /// It was accepted just now.
    pub(super) fn nothing_yet(ip: IpAddr) -> Self {
        let state = State { act: Act::New(Instant::now()), let_in: false, page: None };
        Self { ip, state: Arc::new(Mutex::new(state)) }
    }

    /// A request has come and is being answered.
    pub(super) fn answering(&self) -> Answering {
        self.state().act = Act::Answering;
        Answering(self.clone())
    }

    /// When it gives way; none while it must not.
    fn turn(&self, now: Instant) -> Option<Turn> {
        let past = |since: Instant| now.saturating_duration_since(since);
        let state = self.state();
        match state.act {
            Act::Silent(since) => Some((false, state.let_in, since)),
            Act::New(since) if past(since) >= HEARING => Some((false, state.let_in, since)),
            Act::Writing(begun, moved) | Act::Leaving(begun, moved) if past(moved) >= STILL || past(begun) >= LONG => {
                Some((true, state.let_in, moved))
            }
            Act::New(_) | Act::Answering | Act::Writing(..) | Act::Leaving(..) => None,
        }
    }

    fn page(&self) -> Option<u64> {
        self.state().page
    }

    /// Some of an answer has been taken.
    pub(super) fn moved(&self) {
        if let Act::Writing(_, moved) | Act::Leaving(_, moved) = &mut self.state().act {
            *moved = Instant::now();
        }
    }

    /// All that was written is with the system.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        if matches!(state.act, Act::Leaving(..)) {
            (state.act, state.page) = (Act::Silent(Instant::now()), None);
        }
    }

    /// Whether it is between requests, and not in the midst of an answer; none before the first.
    #[cfg(test)]
    pub(super) fn is_answered(&self) -> Option<bool> {
        match self.state().act {
            Act::New(_) => None,
            act => Some(matches!(act, Act::Silent(_))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, until the last of its answer is with the HTTP library; from then on [`Doing::flushed`] ends it.
pub(super) struct Answering(Doing);

impl Answering {
    /// Its password was right.
    pub(super) fn let_in(&self) {
        self.0.state().let_in = true;
    }

    /// It waits for this page of metrics, and is sent it.
    pub(super) fn page(&self, number: u64) {
        self.0.state().page = Some(number);
    }

    /// The answer is made.
    pub(super) fn made(&self) {
        let now = Instant::now();
        self.0.state().act = Act::Writing(now, now);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        match state.act {
            Act::Writing(begun, moved) => state.act = Act::Leaving(begun, moved),
            _ => (state.act, state.page) = (Act::Silent(Instant::now()), None),
        }
    }
}

/// The connections.
#[derive(Default)]
pub(super) struct Places(Vec<(Doing, AbortHandle)>);

impl Places {
    /// Whether there is room for one more, if need be in place of another.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MOST || self.first_to_go().is_some()
    }

    /// Takes a place; where none is free, from whoever is first to go.
    pub(super) fn take(&mut self, doing: Doing, task: AbortHandle) {
        if self.0.len() >= MOST
            && let Some(at) = self.first_to_go()
        {
            self.0.swap_remove(at).1.abort();
        }
        self.0.push((doing, task));
    }

    fn first_to_go(&self) -> Option<usize> {
        let now = Instant::now();
        let turns = self.0.iter().enumerate().filter_map(|(at, (doing, _))| Some((doing.turn(now)?, at)));
        turns.min().map(|(_, at)| at)
    }

    /// Ends the connections that hold the oldest page of metrics.
    pub(super) fn drop_oldest_page(&mut self) {
        let oldest = self.0.iter().filter_map(|(doing, _)| doing.page()).min();
        for (_, task) in self.0.iter().filter(|(doing, _)| oldest.is_some() && doing.page() == oldest) {
            task.abort();
        }
    }

    /// Gives back those of connections that have ended.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|(_, task)| !task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// In this state since so many seconds.
    fn doing(seconds: u64, let_in: bool, act: impl Fn(Instant) -> Act) -> Doing {
        let doing = Doing::nothing_yet(HERE);
        let since = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine has run for longer");
        (doing.state().act, doing.state().let_in) = (act(since), let_in);
        doing
    }

    #[test]
    fn who_gives_way_first() {
        let now = Instant::now();
        // In the order in which they go.
        let order = [
            doing(5, false, Act::Silent),
            doing(4, false, Act::New),
            doing(3, false, Act::Silent),
            doing(9, true, Act::Silent),
            doing(2, false, |since| Act::Writing(since, since)),
            doing(20, false, |since| Act::Writing(since, now)),
            doing(8, true, |since| Act::Writing(since, since)),
        ];
        let mut turns: Vec<_> = order.iter().map(|doing| doing.turn(now).expect("it may go")).collect();
        let sorted = {
            turns.sort();
            turns
        };
        for (at, doing) in order.iter().enumerate() {
            assert_eq!(doing.turn(now), Some(sorted[at]), "{at}");
        }
        for stays in [
            doing(0, false, Act::New),
            doing(60, false, |_| Act::Answering),
            doing(5, false, |since| Act::Writing(since, now)),
        ] {
            assert_eq!(stays.turn(now), None);
        }
    }

    fn pending() -> tokio::task::JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }

    #[tokio::test]
    async fn who_is_being_answered_is_never_the_one_that_goes() {
        let mut places = Places::default();
        let doing: Vec<Doing> = (0..MOST).map(|_| Doing::nothing_yet(HERE)).collect();
        let tasks: Vec<_> = doing.iter().map(|_| pending()).collect();
        for (doing, task) in doing.iter().zip(&tasks) {
            places.take(doing.clone(), task.abort_handle());
        }
        assert!(!places.has_room(), "the next one waits until they had a chance to ask");
        let mut answers: Vec<_> = doing.iter().map(Doing::answering).collect();
        assert!(!places.has_room());
        drop(answers.remove(5));
        assert!(places.has_room());
        places.take(Doing::nothing_yet(HERE), pending().abort_handle());
        for (at, task) in tasks.into_iter().enumerate() {
            if at == 5 {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            } else {
                assert!(!task.is_finished(), "{at}");
            }
        }
        places.sweep();
        assert!(!places.has_room(), "the newcomer has not had its time");
    }

    #[tokio::test]
    async fn the_oldest_page_goes_with_all_that_hold_it() {
        let mut places = Places::default();
        let held: Vec<_> =
            [Some(7), Some(5), None, Some(5)].map(|page| (Doing::nothing_yet(HERE), page, pending())).into();
        let answering: Vec<_> = held
            .iter()
            .map(|(doing, page, task)| {
                places.take(doing.clone(), task.abort_handle());
                let answering = doing.answering();
                page.iter().for_each(|page| answering.page(*page));
                answering
            })
            .collect();
        places.drop_oldest_page();
        for (_, page, task) in held {
            if page == Some(5) {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            } else {
                assert!(!task.is_finished());
            }
        }
        drop(answering);
    }
}
