//! Client connections as seen by the accepting thread: which are idle and may be closed to make room.
//!
//! A worker marks its connections busy or idle with one atomic store; only the accepting thread scans them, and only
//! when the connection limit is reached. Promises: a connection with an exchange in flight is never asked to close; of
//! the others, the one that has been idle longest is asked first, whichever worker serves it and whatever protocol it
//! speaks.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Instant;

/// An exchange is in flight.
const BUSY: u64 = 0;
/// It was idle and has been asked to close.
const LEAVING: u64 = 1;
/// The connection has ended.
const ENDED: u64 = 2;
/// The smallest time stamp; values below it are the states above.
const FIRST: u64 = 3;

/// One in this many idle connections is found by each scan, so that a connection that closes bears the cost of few
/// visits and not of a whole scan.
const SHARE: usize = 64;

/// One connection.
pub(super) struct Slot {
    /// The worker that serves it.
    pub(super) worker: usize,
    /// Unique within the process.
    pub(super) number: u64,
    /// When the proxy started.
    start: Instant,
    /// [`BUSY`], [`LEAVING`], [`ENDED`], or [`FIRST`] plus the time since `start` at which it became idle, in
    /// microseconds.
    state: AtomicU64,
}

impl Slot {
    /// Marks it busy. Its exchange is served even if the connection was just asked to close.
    pub(super) fn begin(&self) {
        self.state.store(BUSY, Relaxed);
    }

    /// Marks it idle since `now`.
    pub(super) fn rest(&self, now: Instant) {
        self.state.store(self.stamp(now), Relaxed);
    }

    /// Marks it idle since `now`, unless it was asked to close: the place is already counted on. False in that case.
    pub(super) fn rest_unless_leaving(&self, now: Instant) -> bool {
        let stamp = self.stamp(now);
        self.state.fetch_update(Relaxed, Relaxed, |state| (state != LEAVING).then_some(stamp)).is_ok()
    }

    /// A head has begun: the idle time starts again, unless the connection was asked to close.
    pub(super) fn restart_idle(&self, now: Instant) {
        if let Some(since) = self.idle_since() {
            let _ = self.state.compare_exchange(since, self.stamp(now), Relaxed, Relaxed);
        }
    }

    fn stamp(&self, now: Instant) -> u64 {
        // Enough for half a million years of microseconds.
        FIRST + now.saturating_duration_since(self.start).as_micros() as u64
    }

    /// Whether the connection has to close: it is idle, and its place is needed.
    pub(super) fn is_leaving(&self) -> bool {
        self.state.load(Relaxed) == LEAVING
    }

    /// Waits until the connection has to close; the worker wakes its task then.
    pub(super) async fn asked_to_leave(&self) {
        poll_fn(|_| if self.is_leaving() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn has_ended(&self) -> bool {
        self.state.load(Relaxed) == ENDED
    }

    fn idle_since(&self) -> Option<u64> {
        Some(self.state.load(Relaxed)).filter(|since| *since >= FIRST)
    }

    /// Asks the connection to close. False where it was used after `since`.
    fn ask_to_leave(&self, since: u64) -> bool {
        self.state.compare_exchange(since, LEAVING, Relaxed, Relaxed).is_ok()
    }
}

/// A connection's own handle to its slot.
pub(super) struct Seat(Arc<Slot>);

impl Deref for Seat {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.state.store(ENDED, Relaxed);
    }
}

/// The slots of all connections.
pub(super) struct Slots {
    start: Instant,
    made: u64,
    all: Vec<Arc<Slot>>,
    /// How many were left when ended ones were last removed.
    swept: usize,
    /// Some that have been idle longer than all others, longest first, each with its time stamp.
    longest: VecDeque<(u64, Arc<Slot>)>,
    /// Those that were asked to close.
    leaving: Vec<Arc<Slot>>,
}

impl Slots {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, made: 0, all: Vec::new(), swept: 0, longest: VecDeque::new(), leaving: Vec::new() }
    }

    /// Makes the slot of a new connection. It is not asked to close until [`Slots::keep`] is called.
    pub(super) fn make(&mut self, worker: usize, now: Instant) -> Seat {
        self.made += 1;
        let slot = Slot { worker, number: self.made, start: self.start, state: AtomicU64::new(BUSY) };
        slot.rest(now);
        Seat(Arc::new(slot))
    }

    /// Registers the connection, which may be asked to close from now on.
    pub(super) fn keep(&mut self, seat: &Seat) {
        if self.all.len() > 2 * self.swept + SHARE {
            self.all.retain(|slot| !slot.has_ended());
            self.swept = self.all.len();
        }
        self.all.push(seat.0.clone());
    }

    /// Whether any connection can be asked to close.
    pub(super) fn has_idle(&mut self) -> bool {
        self.find_longest();
        !self.longest.is_empty()
    }

    /// Ensures that as many connections are about to close as are above the limit, calling `ask` for those not asked
    /// before. False where too few are idle.
    ///
    /// Connections end while this runs. They are no longer about to close, so `excess`, which counted them, is called
    /// again before this gives up.
    pub(super) fn make_room(&mut self, excess: impl Fn() -> u64, mut ask: impl FnMut(&Slot)) -> bool {
        let mut needed = excess();
        loop {
            self.leaving.retain(|slot| slot.is_leaving());
            while (self.leaving.len() as u64) < needed
                && let Some(slot) = self.next_to_ask()
            {
                ask(&slot);
                self.leaving.push(slot);
            }
            if self.leaving.len() as u64 >= needed {
                return true;
            }
            let now = excess();
            if now >= needed {
                return false;
            }
            needed = now;
        }
    }

    /// Asks the one that has been idle longest to close.
    fn next_to_ask(&mut self) -> Option<Arc<Slot>> {
        loop {
            self.find_longest();
            let (since, slot) = self.longest.pop_front()?;
            if slot.ask_to_leave(since) {
                return Some(slot);
            }
        }
    }

    /// Puts the connection that has been idle longest at the front of `longest`. One that becomes idle later belongs
    /// behind those, so there is no need for another scan until they are used up.
    fn find_longest(&mut self) {
        while let Some((since, slot)) = self.longest.front()
            && slot.idle_since() != Some(*since)
        {
            self.longest.pop_front();
        }
        if !self.longest.is_empty() {
            return;
        }
        let mut idle: Vec<_> = self.all.iter().filter_map(|slot| Some((slot.idle_since()?, slot))).collect();
        let share = idle.len() / SHARE + 1;
        if idle.len() > share {
            idle.select_nth_unstable_by_key(share, |(since, _)| *since);
            idle.truncate(share);
        }
        idle.sort_unstable_by_key(|(since, _)| *since);
        self.longest.extend(idle.into_iter().map(|(since, slot)| (since, slot.clone())));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes `count` connections, accepted one second apart.
    fn accepted(count: u64) -> (Slots, Vec<Seat>, Instant) {
        let start = Instant::now();
        let mut slots = Slots::new(start);
        let kept = |second| {
            let seat = slots.make(0, start + Duration::from_secs(second));
            slots.keep(&seat);
            seat
        };
        let seats = (0..count).map(kept).collect();
        (slots, seats, start)
    }

    /// Which connections are asked to close when so many have to.
    fn asked(slots: &mut Slots, needed: u64) -> (Vec<u64>, bool) {
        let mut asked = Vec::new();
        let enough = slots.make_room(|| needed, |slot| asked.push(slot.number - 1));
        (asked, enough)
    }

    #[test]
    fn the_longest_idle_is_asked_first_and_a_busy_one_never() {
        let (mut slots, seats, start) = accepted(5);
        seats[0].begin();
        seats[1].begin();
        seats[1].rest(start + Duration::from_secs(60));
        assert_eq!(asked(&mut slots, 2), (vec![2, 3], true));
        assert_eq!(asked(&mut slots, 2), (vec![], true), "two are on their way out");
        assert!(seats[2].is_leaving() && !seats[4].is_leaving());
        assert_eq!(asked(&mut slots, 5), (vec![4, 1], false), "the one that is left is busy");
        assert!(!slots.has_idle() && !seats[0].is_leaving());
    }

    #[test]
    fn a_request_that_comes_at_the_last_moment_is_served_and_another_asked() {
        let (mut slots, mut seats, _) = accepted(3);
        assert_eq!(asked(&mut slots, 1), (vec![0], true));
        seats[0].begin();
        assert!(!seats[0].is_leaving());
        assert_eq!(asked(&mut slots, 1), (vec![1], true));
        seats.remove(1);
        assert_eq!(asked(&mut slots, 1), (vec![2], true), "its place was taken when it had left");
    }

    #[test]
    fn what_ends_while_room_is_made_needs_none() {
        let (mut slots, mut seats, _) = accepted(5);
        let busy = seats.pop().expect("the fifth");
        busy.begin();
        let seats = std::cell::RefCell::new(seats);
        // As many as are left are in excess, of which most end before anybody looks at them.
        let excess = || {
            let mut left = seats.borrow_mut();
            let now = left.len();
            left.drain(..now.min(3));
            now as u64
        };
        assert!(slots.make_room(excess, |slot| assert_eq!(slot.number, 4)));
    }

    #[test]
    fn ended_connections_are_removed_and_the_search_for_the_longest_idle_is_amortised() {
        let (mut slots, seats, _) = accepted(10_000);
        let mut looks = 0;
        for needed in 1..=5_000 {
            let known = slots.longest.len();
            assert!(slots.make_room(|| needed, |slot| assert_eq!(slot.number, needed)));
            looks += if slots.longest.len() > known { slots.all.len() } else { 0 };
        }
        println!("{} looks at a slot for each connection that closes", looks / 5_000);
        assert!(looks / 5_000 < 4 * SHARE);
        drop(seats);
        for _ in 0..30_000 {
            let seat = slots.make(0, slots.start);
            slots.keep(&seat);
        }
        assert!(slots.all.len() <= SHARE + 1, "{}", slots.all.len());
    }
}
