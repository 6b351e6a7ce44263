//! Who may hold one of the few connections, and who has to give way.
//!
//! A scraper or a probe must get in however many others sit there: clients that send their head byte by byte, do not read
//! their answer, or say nothing. Where all places are taken, the connection that has been silent longest is closed; one
//! that is being answered never is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

/// Connections at once: scrapers, probes and a few people.
pub(super) const MOST: usize = 64;

/// What a connection is doing.
#[derive(Clone)]
pub(super) struct Doing(Arc<Mutex<State>>);

struct State {
    /// Requests being answered.
    answering: usize,
    /// Since the last of them began, else since the connection was accepted.
    since: Instant,
}

impl Doing {
    pub(super) fn nothing_yet() -> Self {
        Self(Arc::new(Mutex::new(State { answering: 0, since: Instant::now() })))
    }

    /// A request is being answered until what is given back is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.change(|state| (state.answering, state.since) = (state.answering + 1, Instant::now()));
        Answering(self.clone())
    }

    /// Since when it has been silent; none while it is being answered.
    fn silent(&self) -> Option<Instant> {
        self.change(|state| (state.answering == 0).then_some(state.since))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See [`Doing::answering`].
pub(super) struct Answering(Doing);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.change(|state| state.answering -= 1);
    }
}

/// The connections.
#[derive(Default)]
pub(super) struct Places(Vec<(Doing, AbortHandle)>);

impl Places {
    /// Whether there is room for one more, if need be in place of another.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MOST || self.0.iter().any(|(doing, _)| doing.silent().is_some())
    }

    /// Takes a place; where none is free, from whoever has been silent longest.
    pub(super) fn take(&mut self, doing: Doing, task: AbortHandle) {
        if self.0.len() >= MOST {
            let silent = self.0.iter().enumerate().filter_map(|(at, (doing, _))| Some((doing.silent()?, at)));
            if let Some((_, at)) = silent.min() {
                self.0.swap_remove(at).1.abort();
            }
        }
        self.0.push((doing, task));
    }

    /// Gives back those of connections that have ended.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|(_, task)| !task.is_finished());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_being_answered_is_never_the_one_that_goes() {
        let mut places = Places::default();
        let doing: Vec<Doing> = (0..MOST).map(|_| Doing::nothing_yet()).collect();
        let tasks: Vec<_> = doing.iter().map(|_| tokio::spawn(std::future::pending::<()>())).collect();
        for (doing, task) in doing.iter().zip(&tasks) {
            places.take(doing.clone(), task.abort_handle());
        }
        let mut answers: Vec<_> = doing.iter().map(Doing::answering).collect();
        assert!(!places.has_room(), "the next one waits");
        drop(answers.remove(5));
        assert!(places.has_room());
        places.take(Doing::nothing_yet(), tokio::spawn(std::future::pending::<()>()).abort_handle());
        for (at, task) in tasks.into_iter().enumerate() {
            if at == 5 {
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
            } else {
                assert!(!task.is_finished(), "{at}");
            }
        }
        places.sweep();
        assert!(places.has_room(), "the newcomer is silent");
    }
}
