//! What the reading of coded bodies may cost one worker: some bytes can decode to a thousand times as many, and open
//! windows of megabytes.
//!
//! Work is counted in decoded bytes; whatever else takes time counts as so many of them. Memory is counted as far as it
//! is filled: a window that was announced is only address space until then. Where the budget ends, the body is no
//! longer read; its bytes go on.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most that is granted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Work in one turn: while one task of a worker runs, the others wait.
    pub turn: u64,
    /// Work a second, in the long run.
    pub rate: u64,
    /// Work that is saved up while little is decoded.
    pub saved: u64,
    /// Bytes that the decoders of one worker hold.
    pub worker_memory: u64,
    /// Bytes that the decoders of all workers hold.
    pub process_memory: u64,
}

/// To decode a megabyte takes 0.1 ms where it repeats itself and 4 ms where it does not, so the others wait for 8 ms at
/// most, and in the long run a worker spends an eighth of its time on coded bodies at most.
impl Default for Limits {
    fn default() -> Self {
        Self { turn: 2 << 20, rate: 32 << 20, saved: 32 << 20, worker_memory: 16 << 20, process_memory: 64 << 20 }
    }
}

impl Limits {
    /// No limit at all: for bodies that are known.
    pub const NONE: Self =
        Self { turn: u64::MAX, rate: 0, saved: u64::MAX, worker_memory: u64::MAX, process_memory: u64::MAX };
}

/// Most bytes of a coded body that are to be read at once: with what they may decode to, and what a block costs for
/// every token that was flushed, they take less than what a turn that is not spent has left.
pub const READ: usize = 8 << 10;

/// The budget of one worker.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    /// Work left in this turn, and when the turn began.
    turn: Cell<u64>,
    begun: Cell<Option<Instant>>,
    /// Work left of what was saved up, and until when the time is accounted for.
    saved: Cell<u64>,
    saved_until: Cell<Option<Instant>>,
    held: Cell<u64>,
    held_by_all: Arc<AtomicU64>,
}

impl Budget {
    /// A budget that nothing was taken of. `held_by_all` counts what the decoders of all workers hold, in bytes.
    #[must_use]
    pub fn new(limits: Limits, held_by_all: Arc<AtomicU64>) -> Rc<Self> {
        Rc::new(Self {
            limits,
            turn: Cell::new(limits.turn),
            begun: Cell::new(None),
            saved: Cell::new(limits.saved),
            saved_until: Cell::new(None),
            held: Cell::new(0),
            held_by_all,
        })
    }

    /// Without limits: for bodies that are known.
    #[must_use]
    pub fn unlimited() -> Rc<Self> {
        Self::new(Limits::NONE, Arc::default())
    }

    /// Another task runs.
    #[inline]
    pub fn turn(&self, now: Instant) {
        self.turn.set(self.limits.turn);
        self.begun.set(Some(now));
    }

    /// So much of this turn's work was done that the rest might not reach for another [`READ`]. Whoever reads ends its
    /// turn then, and goes on in the next.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.turn.get() < self.limits.turn - self.limits.turn / 4
    }

    /// Bytes that the decoders of this worker hold.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.get()
    }

    /// Work that may be done now.
    pub(super) fn work(&self) -> u64 {
        if let Some(now) = self.begun.get() {
            let since =
                self.saved_until.replace(Some(now)).map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
            let earned = (since.as_secs_f64() * self.limits.rate as f64) as u64;
            self.saved.set(self.saved.get().saturating_add(earned).min(self.limits.saved));
        }
        self.turn.get().min(self.saved.get())
    }

    /// So much of it was done.
    pub(super) fn spend(&self, work: u64) {
        self.turn.set(self.turn.get().saturating_sub(work));
        self.saved.set(self.saved.get().saturating_sub(work));
    }
}

/// Memory is granted in pieces of this size, so that growing costs little, and little is granted that is not held.
const PIECE: u64 = 8 << 10;

/// The memory of one decoder. Dropping it gives all of it back.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) budget: Rc<Budget>,
    bytes: u64,
}

impl Held {
    pub(super) fn of(budget: &Rc<Budget>) -> Self {
        Self { budget: budget.clone(), bytes: 0 }
    }

    /// Holds so many bytes from now on, at least. False where that many are not granted.
    pub(super) fn grow_to(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let (budget, more) = (&self.budget, bytes.next_multiple_of(PIECE) - self.bytes);
        if budget.held.get() + more > budget.limits.worker_memory {
            return false;
        }
        let by_all = budget.held_by_all.fetch_add(more, Ordering::Relaxed) + more;
        if by_all > budget.limits.process_memory {
            budget.held_by_all.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        budget.held.set(budget.held.get() + more);
        self.bytes += more;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held.set(self.budget.held.get() - self.bytes);
        self.budget.held_by_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_grants_no_more_than_its_share_and_time_earns_the_rest() {
        let limits = Limits { turn: 10, rate: 1000, saved: 25, ..Limits::NONE };
        let budget = Budget::new(limits, Arc::default());
        let zero = Instant::now();
        let granted = |millis| {
            budget.turn(zero + Duration::from_millis(millis));
            let work = budget.work();
            budget.spend(work);
            assert_eq!(budget.work(), 0, "the turn is over");
            work
        };
        assert_eq!([granted(0), granted(0), granted(0), granted(0)], [10, 10, 5, 0]);
        assert_eq!([granted(4), granted(1000), granted(1000)], [4, 10, 10]);
    }

    #[test]
    fn memory_is_bounded_for_a_worker_and_for_all_and_given_back() {
        let limits = Limits { worker_memory: 3 * PIECE, process_memory: 5 * PIECE, ..Limits::NONE };
        let all = Arc::<AtomicU64>::default();
        let workers = [Budget::new(limits, all.clone()), Budget::new(limits, all.clone())];
        let [mut one, mut other] = [&workers[0], &workers[1]].map(Held::of);
        assert!(one.grow_to(1) && one.grow_to(3 * PIECE) && !one.grow_to(3 * PIECE + 1));
        assert!(other.grow_to(2 * PIECE) && !other.grow_to(2 * PIECE + 1), "the worker has room, the process has none");
        assert_eq!((workers[0].held(), workers[1].held()), (3 * PIECE, 2 * PIECE));
        drop(one);
        assert!(other.grow_to(3 * PIECE));
        drop(other);
        assert_eq!((workers[1].held(), all.load(Ordering::Relaxed)), (0, 0));
    }
}
