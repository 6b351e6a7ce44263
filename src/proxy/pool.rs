//! Idle connections to the backend, one small pool a thread: no lock, no wake-up across threads.
//!
//! A connection is polled by whoever uses it. While it rests here nobody polls it; when it is taken out it is polled
//! once, which notices a backend that has closed it. Connections older than the idle limit are dropped, well below the
//! 5 s after which backends such as vLLM and llama.cpp close theirs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::upstream::Upstream;

/// Most idle connections kept by one thread: its part of half the clients that may be served, within these bounds. What
/// a rush has opened is there for the next one, and is closed in pieces instead of in the midst of it.
const MIN_IDLE: u64 = 64;
const MAX_IDLE: u64 = 4096;

/// Idle connections that are closed in one turn: each takes the system some microseconds.
const SWEEP: usize = 32;

/// Idle for as long, the system is asked what became of a connection; before, it costs more than it finds, unless a
/// request that crosses its end is lost.
const ASK: Duration = Duration::from_millis(1);

/// So soon after the thread has heard of its sockets there is nothing new to ask for: an end is longer on its way than
/// that.
const HEARD: Duration = Duration::from_micros(50);

/// For so long, what cannot be repeated goes over no connection that has carried a stream of events: some servers close it
/// after the last event although they announced `Keep-Alive` (cpp-httplib does where the handler of a stream returns
/// false, as llama.cpp's does at its end: tools/server/server-http.cpp), and their end may be on its way.
const AFTER_STREAM: Duration = Duration::from_millis(25);

/// Idle connections that are looked at for one that may carry a request.
const LOOKS: usize = 64;

/// How often idle connections without a limit are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Idle connections, the most recently used at the back.
pub(super) struct Pool {
    idle: RefCell<VecDeque<(Instant, Box<Upstream>)>>,
    /// None is no limit.
    limit: Option<Duration>,
    /// Kept at most.
    most: usize,
    sweeping: Cell<bool>,
    after_streams: AfterStreams,
}

/// What is known of connections that have carried a stream of events: those of a backend that closes them are not kept. A
/// backend that starts again closes them once too, so it takes several in a row, and now and then one is kept to see
/// whether that still holds.
#[derive(Default)]
struct AfterStreams {
    /// How often such connections were found closed since one was found open.
    closed: Cell<u8>,
    /// Such connections that were not kept since one was.
    closing: Cell<u8>,
}

impl AfterStreams {
    /// So often in a row it is no accident.
    const KNOWN: u8 = 3;
    /// Then one in so many is kept.
    const TRIED: u8 = 16;

    /// Whether the next one is kept.
    fn keeps(&self) -> bool {
        if self.closed.get() < Self::KNOWN {
            return true;
        }
        let closing = (self.closing.get() + 1) % Self::TRIED;
        self.closing.set(closing);
        closing == 0
    }

    fn found_closed(&self) {
        self.closed.set(self.closed.get().saturating_add(1));
    }

    /// It was idle for long enough for its end to show.
    fn found_open(&self) {
        self.closed.set(0);
    }
}

impl Pool {
    /// For one of so many threads, which serve so many clients at most.
    pub(super) fn new(limit: Option<Duration>, max_connections: u64, threads: NonZeroUsize) -> Rc<Self> {
        let part = max_connections / 2 / threads.get() as u64;
        let most = part.clamp(MIN_IDLE, MAX_IDLE) as usize;
        Rc::new(Self {
            idle: RefCell::default(),
            limit,
            most,
            sweeping: Cell::new(false),
            after_streams: AfterStreams::default(),
        })
    }

    /// Whether idle connections are kept for so long.
    pub(super) fn keeps_for(&self, limit: Option<Duration>) -> bool {
        self.limit == limit
    }

    /// A connection that can be used at once, for a request that is `repeatable` or not. `heard` is when the thread last
    /// heard what had become of its sockets.
    pub(super) fn take(&self, now: Instant, repeatable: bool, heard: Option<Instant>) -> Option<Box<Upstream>> {
        let mut closed = false;
        let up_to_date = heard.is_some_and(|heard| now.saturating_duration_since(heard) < HEARD);
        let taken = loop {
            let Some((since, mut upstream)) = self.pop(now, repeatable) else { break None };
            let idle = now.duration_since(since);
            let open = upstream.is_quiet(idle >= ASK || !(repeatable || up_to_date));
            closed |= upstream.after_stream && !open;
            if open {
                if upstream.after_stream && idle >= AFTER_STREAM {
                    self.after_streams.found_open();
                }
                break Some(upstream);
            }
        };
        // Those that are found together may have been closed together.
        if closed {
            self.after_streams.found_closed();
        }
        taken
    }

    /// The connection that was used last of those that may carry the request.
    fn pop(&self, now: Instant, repeatable: bool) -> Option<(Instant, Box<Upstream>)> {
        let mut idle = self.idle.borrow_mut();
        let may_end = |since: &Instant, upstream: &Upstream| {
            !repeatable && upstream.after_stream && now.duration_since(*since) < AFTER_STREAM
        };
        let before = idle.iter().rev().take(LOOKS).position(|(since, upstream)| !may_end(since, upstream))?;
        let at = idle.len() - 1 - before;
        // Where the youngest is too old, all are: they are left to be closed in pieces.
        self.is_young(idle[at].0, now).then(|| idle.remove(at))?
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

    /// Drops all that is idle. False where nothing was.
    pub(super) fn clear(&self) -> bool {
        let idle = self.idle.take();
        !idle.is_empty()
    }

    /// Drops connections as they grow old; ends when none is left.
    async fn sweep(self: Rc<Self>) {
        while let Some(due) = self.next_due() {
            tokio::time::sleep_until(due.into()).await;
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
        let old = idle.iter().take(SWEEP).take_while(|(since, _)| !self.is_young(*since, now)).count();
        idle.drain(..old);
    }

    /// Drops those that the backend has closed: where they are kept until then, nothing else would notice.
    fn drop_closed(&self) {
        self.idle.borrow_mut().retain_mut(|(_, upstream)| upstream.is_quiet(true));
    }

    fn next_due(&self) -> Option<Instant> {
        let idle = self.idle.borrow();
        let (since, _) = idle.front()?;
        Some(self.limit.map_or_else(|| Instant::now() + LOOK, |limit| *since + limit))
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

    /// Nothing is closed beside the test.
    fn unswept(limit: Option<Duration>) -> Rc<Pool> {
        let pool = Pool::new(limit, 0, NonZeroUsize::MIN);
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
        assert!(pool.take(now + Duration::from_secs(3600), false, None).is_some());
    }

    #[tokio::test]
    async fn where_the_youngest_is_too_old_none_is_closed_in_the_turn_of_a_request() {
        let limit = Duration::from_secs(2);
        let (pool, now) = (unswept(Some(limit)), Instant::now());
        let (idle, _backend) = connection().await;
        pool.put(idle, now);
        assert!(pool.take(now + limit, true, None).is_none());
        assert_eq!(pool.idle.borrow().len(), 1, "it is left to be closed in pieces");
    }

    #[tokio::test]
    async fn behind_a_stream_of_events_a_connection_waits_for_the_end_that_some_servers_make() {
        let (pool, now) = (unswept(None), Instant::now());
        let stream = |mut upstream: Box<Upstream>| {
            upstream.after_stream = true;
            pool.put(upstream, now);
        };
        let (kept, _open) = connection().await;
        stream(kept);
        assert!(pool.take(now, false, None).is_none(), "its end may be on its way");
        assert!(pool.take(now + AFTER_STREAM, false, None).is_some(), "none came");
        let (repeated, _open) = connection().await;
        stream(repeated);
        assert!(pool.take(now, true, None).is_some(), "what can be repeated need not wait");
        let (closed, backend) = connection().await;
        stream(closed);
        drop(backend);
        assert!(pool.take(now + AFTER_STREAM, false, None).is_none(), "it was closed");
    }

    /// Puts a connection after a stream, that the backend closes or not, and takes it later. Whether it was kept.
    async fn after_stream(pool: &Rc<Pool>, closes: bool) -> bool {
        let now = Instant::now();
        let (mut near, far) = connection().await;
        near.after_stream = true;
        pool.put(near, now);
        let kept = !pool.idle.borrow().is_empty();
        let far = Some(far).filter(|_| !closes);
        assert_eq!(pool.take(now + AFTER_STREAM, false, None).is_some(), kept && far.is_some());
        kept
    }

    #[tokio::test]
    async fn what_closes_behind_streams_is_learnt_from_several_and_unlearnt_from_one_that_stays_open() {
        let pool = unswept(None);
        for _ in 0..AfterStreams::KNOWN {
            assert!(after_stream(&pool, true).await);
        }
        let mut kept = 0;
        for _ in 0..4 * u32::from(AfterStreams::TRIED) {
            kept += u32::from(after_stream(&pool, true).await);
        }
        println!("{kept} of {} were kept of a backend that closes them", 4 * u32::from(AfterStreams::TRIED));
        assert_eq!(kept, 4);
        // From now on it keeps them: the next that is tried shows it.
        let mut tries = 1;
        while !after_stream(&pool, false).await {
            tries += 1;
        }
        assert_eq!(tries, AfterStreams::TRIED);
        for _ in 0..100 {
            assert!(after_stream(&pool, false).await);
        }
    }

    #[tokio::test]
    async fn a_backend_that_starts_again_teaches_nothing_of_streams() {
        let (pool, now) = (unswept(None), Instant::now());
        let mut backend = Vec::new();
        for _ in 0..10 {
            let (mut near, far) = connection().await;
            near.after_stream = true;
            pool.put(near, now);
            backend.push(far);
        }
        drop(backend);
        assert!(pool.take(now + AFTER_STREAM, false, None).is_none(), "all were closed");
        for _ in 0..100 {
            assert!(after_stream(&pool, false).await);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_repeated_goes_over_no_connection_that_was_closed_just_now() {
        let pool = unswept(None);
        let now = Instant::now();
        let (kept, _open) = connection().await;
        pool.put(kept, now);
        assert!(pool.take(now, false, None).is_some(), "an open one is used");
        let (closed, backend) = connection().await;
        pool.put(closed, now);
        // The thread has no turn in which it could hear of it.
        drop(backend);
        assert!(pool.take(now, false, None).is_none(), "a closed one is not");
    }

    #[tokio::test]
    async fn what_the_thread_has_heard_just_now_is_not_asked_for_again() {
        let pool = unswept(None);
        let now = Instant::now();
        for (since, asks) in [(HEARD / 2, false), (HEARD, true)] {
            let (kept, backend) = connection().await;
            pool.put(kept, now + since);
            // Closed since the thread has heard: only asking finds it.
            drop(backend);
            assert_eq!(pool.take(now + since, false, Some(now)).is_none(), asks, "{since:?}");
        }
        let (kept, backend) = connection().await;
        pool.put(kept, now);
        drop(backend);
        assert!(pool.take(now + ASK, false, Some(now + ASK)).is_none(), "what was idle is asked about");
    }

    #[tokio::test]
    async fn what_a_rush_has_opened_is_kept_and_closed_in_pieces() {
        let pool = Pool::new(Some(Duration::from_secs(2)), 400, NonZeroUsize::MIN);
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
