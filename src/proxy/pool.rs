//! Idle connections to one backend, a pool for each thread: no lock, no wake-up across threads.
//!
//! An idle connection is polled by nobody; it is polled once when it is taken out, which detects that the backend has
//! closed it. Connections older than the idle limit are dropped, well before the 5 s after which backends such as vLLM
//! and llama.cpp close theirs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::upstream::Upstream;

/// Most idle connections kept by one thread: its share of half the client limit, within these bounds. Connections
/// opened in a burst are there for the next one, and are closed in batches rather than amid the burst.
const MIN_IDLE: u64 = 64;
const MAX_IDLE: u64 = 4096;

/// Idle connections closed in one batch: each costs some microseconds in the system.
const SWEEP_BATCH: usize = 32;

/// After being idle this long, a connection is checked by a system call; earlier that costs more than it finds, unless
/// a request that crosses the backend's close would be lost.
const CHECK_AFTER: Duration = Duration::from_millis(1);

/// For this long, a request that cannot be repeated is not sent over a connection that has carried an event stream:
/// some servers close it after the last event although they announced `Keep-Alive` (cpp-httplib does where the handler
/// of a stream returns false, as llama.cpp's does at its end: tools/server/server-http.cpp), and the close may be on
/// its way.
const AFTER_STREAM: Duration = Duration::from_millis(25);

/// Idle connections examined when looking for one that may carry a request.
const MAX_CANDIDATES: usize = 64;

/// How often idle connections are checked where there is no idle limit.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Idle connections, the most recently used at the back.
pub(super) struct Pool {
    idle: RefCell<VecDeque<(Instant, Box<Upstream>)>>,
    /// `None` is no limit.
    limit: Option<Duration>,
    /// Most connections kept.
    most: usize,
    sweeping: Cell<bool>,
    alarm: Alarm,
    after_streams: AfterStreams,
}

/// Whether connections that have carried an event stream are worth keeping: a backend that closes them does so each
/// time. A backend that restarts closes connections too, so the rule needs several in a row, and one is kept now and
/// then to see whether it still holds.
#[derive(Default)]
struct AfterStreams {
    /// Connections found closed in a row since the last one found open.
    closed: Cell<u8>,
    /// Connections not kept since the last one that was.
    closing: Cell<u8>,
}

impl AfterStreams {
    /// After this many in a row the backend is taken to close such connections.
    const CLOSED_IN_A_ROW: u8 = 3;
    /// Then one in this many is kept.
    const KEPT_ONE_IN: u8 = 16;

    /// Whether the next connection is kept.
    fn keeps(&self) -> bool {
        if self.closed.get() < Self::CLOSED_IN_A_ROW {
            return true;
        }
        let closing = (self.closing.get() + 1) % Self::KEPT_ONE_IN;
        self.closing.set(closing);
        closing == 0
    }

    fn found_closed(&self) {
        self.closed.set(self.closed.get().saturating_add(1));
    }

    /// To be called for a connection that was idle long enough for a close to show.
    fn found_open(&self) {
        self.closed.set(0);
    }
}

impl Pool {
    /// For one of `threads`, which serve `max_connections` clients together.
    pub(super) fn new(limit: Option<Duration>, max_connections: u64, threads: NonZeroUsize, alarm: Alarm) -> Rc<Self> {
        let part = max_connections / 2 / threads.get() as u64;
        let most = part.clamp(MIN_IDLE, MAX_IDLE) as usize;
        Rc::new(Self {
            idle: RefCell::default(),
            limit,
            most,
            sweeping: Cell::new(false),
            alarm,
            after_streams: AfterStreams::default(),
        })
    }

    /// Whether the idle limit is `limit`.
    pub(super) fn keeps_for(&self, limit: Option<Duration>) -> bool {
        self.limit == limit
    }

    /// Takes a connection that can be used at once. `repeatable` says whether the request may be sent again.
    pub(super) fn take(&self, now: Instant, repeatable: bool) -> Option<Box<Upstream>> {
        let mut closed = false;
        let taken = loop {
            let Some((idle, mut upstream)) = self.pop(now, repeatable) else { break None };
            let open = upstream.is_quiet(!repeatable || idle >= CHECK_AFTER);
            closed |= upstream.after_stream && !open;
            if open {
                if upstream.after_stream && idle >= AFTER_STREAM {
                    self.after_streams.found_open();
                }
                break Some(upstream);
            }
        };
        // Those found closed together count once, as they may have been closed together.
        if closed {
            self.after_streams.found_closed();
        }
        taken
    }

    /// The most recently used connection that may carry the request, and how long it was idle.
    fn pop(&self, now: Instant, repeatable: bool) -> Option<(Duration, Box<Upstream>)> {
        let mut idle = self.idle.borrow_mut();
        let may_end = |since: &Instant, upstream: &Upstream| {
            !repeatable && upstream.after_stream && now.duration_since(*since) < AFTER_STREAM
        };
        let before = idle.iter().rev().take(MAX_CANDIDATES).position(|(since, upstream)| !may_end(since, upstream))?;
        let at = idle.len() - 1 - before;
        let idle_for = now.duration_since(idle[at].0);
        // If the youngest is too old, all are: they are left to be closed in batches.
        let is_young = self.limit.is_none_or(|limit| idle_for < limit);
        is_young.then(|| idle.remove(at))?.map(|(_, upstream)| (idle_for, upstream))
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn put(self: &Rc<Self>, mut upstream: Box<Upstream>, now: Instant) {
        if upstream.after_stream && !self.after_streams.keeps() {
            return;
        }
        upstream.reused = true;
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most {
            idle.pop_front();
        }
        idle.push_back((now, upstream));
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Drops every idle connection. False where there was none.
    pub(super) fn clear(&self) -> bool {
        let idle = self.idle.take();
        !idle.is_empty()
    }

    /// Drops connections as they exceed the idle limit; ends when none is left.
    async fn sweep(self: Rc<Self>) {
        while let Some(due) = self.next_due() {
            self.alarm.until(due).await;
            match self.limit {
                Some(_) => self.drop_old(Instant::now()),
                None => self.drop_closed(),
            }
            tokio::task::yield_now().await;
        }
        self.sweeping.set(false);
    }

    fn drop_old(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let old = idle.iter().take(SWEEP_BATCH).take_while(|(since, _)| !self.is_young(*since, now)).count();
        idle.drain(..old);
    }

    /// Drops those that the backend has closed. Without an idle limit, nothing else would notice.
    fn drop_closed(&self) {
        self.idle.borrow_mut().retain_mut(|(_, upstream)| upstream.is_quiet(true));
    }

    fn next_due(&self) -> Option<Instant> {
        let idle = self.idle.borrow();
        let (since, _) = idle.front()?;
        Some(self.limit.map_or_else(|| Instant::now() + SWEEP_INTERVAL, |limit| *since + limit))
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

    /// No other close happens during the test.
    fn unswept(limit: Option<Duration>) -> Rc<Pool> {
        let pool = Pool::new(limit, 0, NonZeroUsize::MIN, Alarm::default());
        pool.sweeping.set(true);
        pool
    }

    #[tokio::test]
    async fn without_a_limit_only_what_the_backend_has_closed_is_dropped() {
        let (pool, now) = (unswept(None), Instant::now());
        let (open, _backend) = connection().await;
        let (closed, backend) = connection().await;
        pool.put(closed, now);
        pool.put(open, now);
        drop(backend);
        pool.drop_closed();
        assert_eq!(pool.idle.borrow().len(), 1);
        assert!(pool.take(now + Duration::from_secs(3600), false).is_some());
    }

    #[tokio::test]
    async fn expired_connections_are_not_closed_in_the_turn_of_a_request() {
        let limit = Duration::from_secs(2);
        let (pool, now) = (unswept(Some(limit)), Instant::now());
        let (idle, _backend) = connection().await;
        pool.put(idle, now);
        assert!(pool.take(now + limit, true).is_none());
        assert_eq!(pool.idle.borrow().len(), 1, "it is left to be closed in pieces");
    }

    #[tokio::test]
    async fn after_an_event_stream_a_connection_waits_for_a_late_close() {
        let (pool, now) = (unswept(None), Instant::now());
        let stream = |mut upstream: Box<Upstream>| {
            upstream.after_stream = true;
            pool.put(upstream, now);
        };
        let (kept, _open) = connection().await;
        stream(kept);
        assert!(pool.take(now, false).is_none(), "its end may be on its way");
        assert!(pool.take(now + AFTER_STREAM, false).is_some(), "none came");
        let (repeated, _open) = connection().await;
        stream(repeated);
        assert!(pool.take(now, true).is_some(), "what can be repeated need not wait");
        let (closed, backend) = connection().await;
        stream(closed);
        drop(backend);
        assert!(pool.take(now + AFTER_STREAM, false).is_none(), "it was closed");
    }

    /// Returns a connection after a stream, which the backend closes or not, and takes it later. Returns whether it was
    /// kept.
    async fn after_stream(pool: &Rc<Pool>, closes: bool) -> bool {
        let now = Instant::now();
        let (mut near, far) = connection().await;
        near.after_stream = true;
        pool.put(near, now);
        let kept = !pool.idle.borrow().is_empty();
        let far = Some(far).filter(|_| !closes);
        assert_eq!(pool.take(now + AFTER_STREAM, false).is_some(), kept && far.is_some());
        kept
    }

    #[tokio::test]
    async fn closing_after_streams_is_learnt_from_several_and_unlearnt_from_one_that_stays_open() {
        let pool = unswept(None);
        for _ in 0..AfterStreams::CLOSED_IN_A_ROW {
            assert!(after_stream(&pool, true).await);
        }
        let mut kept = 0;
        for _ in 0..4 * u32::from(AfterStreams::KEPT_ONE_IN) {
            kept += u32::from(after_stream(&pool, true).await);
        }
        println!("{kept} of {} were kept of a backend that closes them", 4 * u32::from(AfterStreams::KEPT_ONE_IN));
        assert_eq!(kept, 4);
        // From now on the backend keeps them: the next one tried shows it.
        let mut tries = 1;
        while !after_stream(&pool, false).await {
            tries += 1;
        }
        assert_eq!(tries, AfterStreams::KEPT_ONE_IN);
        for _ in 0..100 {
            assert!(after_stream(&pool, false).await);
        }
    }

    #[tokio::test]
    async fn a_restarted_backend_does_not_count_as_closing_after_streams() {
        let (pool, now) = (unswept(None), Instant::now());
        let mut backend = Vec::new();
        for _ in 0..10 {
            let (mut near, far) = connection().await;
            near.after_stream = true;
            pool.put(near, now);
            backend.push(far);
        }
        drop(backend);
        assert!(pool.take(now + AFTER_STREAM, false).is_none(), "all were closed");
        for _ in 0..100 {
            assert!(after_stream(&pool, false).await);
        }
    }

    #[tokio::test]
    async fn an_unrepeatable_request_avoids_a_connection_that_was_just_closed() {
        let pool = unswept(None);
        let now = Instant::now();
        let (kept, _open) = connection().await;
        pool.put(kept, now);
        assert!(pool.take(now, false).is_some(), "an open one is used");
        let (closed, backend) = connection().await;
        pool.put(closed, now);
        // The thread gets no turn in which it could be notified.
        drop(backend);
        assert!(pool.take(now, false).is_none(), "a closed one is not");
    }

    #[tokio::test]
    async fn connections_of_a_burst_are_kept_and_closed_in_batches() {
        let pool = Pool::new(Some(Duration::from_secs(2)), 400, NonZeroUsize::MIN, Alarm::default());
        pool.sweeping.set(true);
        let now = Instant::now();
        let (mut backend, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..201 {
            let (near, far) = connection().await;
            pool.put(near, now);
            backend.push(far);
        }
        let later = now + Duration::from_secs(2);
        loop {
            kept.push(pool.idle.borrow().len());
            if kept.ends_with(&[0]) {
                break;
            }
            pool.drop_old(later);
        }
        println!("kept, turn by turn: {kept:?}");
        assert_eq!(kept, [200, 168, 136, 104, 72, 40, 8, 0]);
    }
}
