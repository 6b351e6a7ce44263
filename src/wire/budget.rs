//! Bounds what decoding coded bodies costs a worker: a few bytes can decode to a thousand times as many, and open
//! windows of megabytes.
//!
//! Work is counted in decoded bytes; other work is converted to them. Memory is counted as it is filled: an announced
//! window is only address space until then. When the budget is used up, a body is no longer observed; it is still
//! forwarded.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Limits of a [`DecodeBudget`]. Work is in decoded bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Work in one turn of a task, during which the worker's other tasks wait.
    pub turn: u64,
    /// Work per second on average.
    pub rate: u64,
    /// Most unused work that is kept for later.
    pub saved: u64,
    /// Bytes that the decoders of one worker may hold.
    pub worker_memory: u64,
    /// Bytes that the decoders of all workers may hold.
    pub process_memory: u64,
}

/// Decoding a megabyte takes 0.1 ms (repetitive) to 4 ms, so other tasks wait 8 ms at most, and a worker spends at most
/// an eighth of its time on the coded bodies of either side.
impl Limits {
    /// For what backends send.
    pub const RESPONSES: Self =
        Self { turn: 2 << 20, rate: 32 << 20, saved: 32 << 20, worker_memory: 16 << 20, process_memory: 64 << 20 };

    /// For what clients send: less memory, as a request's decoder holds 3 MiB at most.
    pub const REQUESTS: Self = Self { worker_memory: 8 << 20, process_memory: 32 << 20, ..Self::RESPONSES };

    /// No limits: for trusted bodies.
    pub const NONE: Self =
        Self { turn: u64::MAX, rate: 0, saved: u64::MAX, worker_memory: u64::MAX, process_memory: u64::MAX };
}

/// Most bytes of a coded body to read at once. Decoding them, with a block for every flushed token, takes less than a
/// turn that is not spent has left.
pub const READ: usize = 8 << 10;

/// The budget of one worker. Not thread-safe, except for the memory held by all workers.
#[derive(Debug)]
pub struct DecodeBudget {
    limits: Limits,
    /// Work left in this turn.
    turn: Cell<u64>,
    /// When the turn began; `None` before the first.
    begun: Cell<Option<Instant>>,
    /// Unused work of earlier turns.
    saved: Cell<u64>,
    /// Until when `saved` has been credited.
    saved_until: Cell<Option<Instant>>,
    held: Cell<u64>,
    held_by_all: Arc<AtomicU64>,
}

impl DecodeBudget {
    /// `held_by_all` counts the bytes that the decoders of all workers hold; share it among the workers.
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

    /// Without limits: for trusted bodies.
    #[must_use]
    pub fn unlimited() -> Rc<Self> {
        Self::new(Limits::NONE, Arc::default())
    }

    /// Grants the work of a turn: another task runs.
    #[inline]
    pub fn begin_turn(&self, now: Instant) {
        self.turn.set(self.limits.turn);
        self.begun.set(Some(now));
    }

    /// Whether the work left in this turn might not suffice for another [`READ`]. The caller then yields, and reads on
    /// in its next turn.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.turn.get() < self.limits.turn - self.limits.turn / 4
    }

    /// Bytes that the decoders of this worker hold.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.get()
    }

    /// Work that may be done now. Credits the time since the last call.
    pub(super) fn available_work(&self) -> u64 {
        if let Some(now) = self.begun.get() {
            let since =
                self.saved_until.replace(Some(now)).map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
            let earned = (since.as_secs_f64() * self.limits.rate as f64) as u64;
            self.saved.set(self.saved.get().saturating_add(earned).min(self.limits.saved));
        }
        self.turn.get().min(self.saved.get())
    }

    pub(super) fn charge(&self, work: u64) {
        self.turn.set(self.turn.get().saturating_sub(work));
        self.saved.set(self.saved.get().saturating_sub(work));
    }
}

/// Memory is leased in pieces of this size: growing is cheap, and little is leased in excess.
const PIECE: u64 = 8 << 10;

/// The memory of one decoder. Dropping it returns all of it.
#[derive(Debug)]
pub(super) struct MemoryLease {
    pub(super) budget: Rc<DecodeBudget>,
    bytes: u64,
}

impl MemoryLease {
    pub(super) fn new(budget: &Rc<DecodeBudget>) -> Self {
        Self { budget: budget.clone(), bytes: 0 }
    }

    /// Leases at least this many bytes in all. Returns false, and changes nothing, where a limit forbids it.
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

impl Drop for MemoryLease {
    fn drop(&mut self) {
        self.budget.held.set(self.budget.held.get() - self.bytes);
        self.budget.held_by_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_its_limit_and_time_restores_the_rest() {
        let limits = Limits { turn: 10, rate: 1000, saved: 25, ..Limits::NONE };
        let budget = DecodeBudget::new(limits, Arc::default());
        let zero = Instant::now();
        let granted = |millis| {
            budget.begin_turn(zero + Duration::from_millis(millis));
            let work = budget.available_work();
            budget.charge(work);
            assert_eq!(budget.available_work(), 0, "the turn is over");
            work
        };
        assert_eq!([granted(0), granted(0), granted(0), granted(0)], [10, 10, 5, 0]);
        assert_eq!([granted(4), granted(1000), granted(1000)], [4, 10, 10]);
    }

    #[test]
    fn memory_is_bounded_per_worker_and_in_all_and_returned() {
        let limits = Limits { worker_memory: 3 * PIECE, process_memory: 5 * PIECE, ..Limits::NONE };
        let all = Arc::<AtomicU64>::default();
        let workers = [DecodeBudget::new(limits, all.clone()), DecodeBudget::new(limits, all.clone())];
        let [mut one, mut other] = [&workers[0], &workers[1]].map(MemoryLease::new);
        assert!(one.grow_to(1) && one.grow_to(3 * PIECE) && !one.grow_to(3 * PIECE + 1));
        assert!(other.grow_to(2 * PIECE) && !other.grow_to(2 * PIECE + 1), "the worker has room, the process has none");
        assert_eq!((workers[0].held(), workers[1].held()), (3 * PIECE, 2 * PIECE));
        drop(one);
        assert!(other.grow_to(3 * PIECE));
        drop(other);
        assert_eq!((workers[1].held(), all.load(Ordering::Relaxed)), (0, 0));
    }
}
