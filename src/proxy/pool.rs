//! Idle connections to the backend, one small pool a thread: no lock, no wake-up across threads.
//!
//! A connection is polled by whoever uses it. While it rests here nobody polls it; when it is taken out it is polled
//! once, which notices a backend that has closed it. Connections older than the idle limit are dropped, well below the
//! 5 s after which backends such as vLLM and llama.cpp close theirs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::upstream::Upstream;

/// Most idle connections kept by one thread.
const MAX_IDLE: usize = 64;

/// Idle for as long, the system is asked what became of a connection; before, it costs more than it finds, unless a
/// request that crosses its end is lost.
const ASK: Duration = Duration::from_millis(1);

/// Idle connections, the most recently used at the back.
pub(super) struct Pool {
    idle: RefCell<VecDeque<(Instant, Box<Upstream>)>>,
    /// None is no limit.
    limit: Option<Duration>,
    sweeping: Cell<bool>,
}

impl Pool {
    pub(super) fn new(limit: Option<Duration>) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), limit, sweeping: Cell::new(false) })
    }

    /// A connection that can be used at once, for a request that is `repeatable` or not.
    pub(super) fn take(&self, now: Instant, repeatable: bool) -> Option<Box<Upstream>> {
        loop {
            let (since, mut upstream) = self.idle.borrow_mut().pop_back()?;
            let ask = !repeatable || now.duration_since(since) >= ASK;
            if self.is_young(since, now) && upstream.is_quiet(ask) {
                return Some(upstream);
            }
        }
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn put(self: &Rc<Self>, mut upstream: Box<Upstream>, now: Instant) {
        upstream.reused = true;
        let mut idle = self.idle.borrow_mut();
        if idle.len() == MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back((now, upstream));
        if self.limit.is_some() && !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Drops all that is idle.
    pub(super) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// Drops connections as they grow old; ends when none is left.
    async fn sweep(self: Rc<Self>) {
        while let Some(due) = self.next_due() {
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            let mut idle = self.idle.borrow_mut();
            while idle.front().is_some_and(|(since, _)| !self.is_young(*since, now)) {
                idle.pop_front();
            }
        }
        self.sweeping.set(false);
    }

    fn next_due(&self) -> Option<Instant> {
        let limit = self.limit?;
        self.idle.borrow().front().map(|(since, _)| *since + limit)
    }

    fn is_young(&self, since: Instant, now: Instant) -> bool {
        self.limit.is_none_or(|limit| now.duration_since(since) < limit)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls::Stream;

    /// A connection, and the backend's end of it.
    async fn connection() -> (Box<Upstream>, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it listens");
        let (far, _) = listener.accept().await.expect("a connection");
        (Upstream::new(Stream::Plain(near)), far.into_std().expect("a socket"))
    }

    #[tokio::test]
    async fn what_cannot_be_repeated_goes_over_no_connection_that_was_closed_just_now() {
        let pool = Pool::new(None);
        let now = Instant::now();
        let (kept, _open) = connection().await;
        pool.put(kept, now);
        assert!(pool.take(now, false).is_some(), "an open one is used");
        let (closed, backend) = connection().await;
        pool.put(closed, now);
        // The thread has no turn in which it could hear of it.
        drop(backend);
        assert!(pool.take(now, false).is_none(), "a closed one is not");
    }
}
