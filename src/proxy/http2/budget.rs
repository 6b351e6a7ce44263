//! What decoded heads may take: HTTP/2 compresses them, so that a few bytes can stand for as many as a head may have.
//!
//! Each stream is charged for its head as HTTP/1.1 writes it, for as long as it lives: so much was sent to the backend for
//! it, and is held until that has it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a connection may hold whatever it has sent, and without regard to others: about a hundred ordinary heads, so that
/// nobody can use up what all have together to the harm of those.
const FREE: u64 = 64 * 1024;
/// How many times what it has sent a connection may hold beyond that. Well-compressed heads of ordinary clients come to
/// half as much, even a hundred at once.
const RATIO: u64 = 32;
/// What all connections may hold beyond what is free.
const TOTAL: u64 = 64 * 1024 * 1024;

/// The budget of one connection, and its part of everybody's.
#[derive(Default)]
pub(super) struct Budget {
    /// Bytes that the client has sent.
    pub(super) received: Cell<u64>,
    held: Cell<u64>,
    /// What all connections hold beyond what is free.
    total: Arc<AtomicU64>,
}

impl Budget {
    pub(super) fn new(total: Arc<AtomicU64>) -> Self {
        Self { total, ..Self::default() }
    }

    /// Holds some more, if that much may be held.
    fn grow(&self, bytes: u64) -> bool {
        let (before, after) = (self.held.get(), self.held.get().saturating_add(bytes));
        if after > FREE.max(self.received.get().saturating_mul(RATIO)) {
            return false;
        }
        let shared = beyond(after) - beyond(before);
        if shared > 0 && self.total.fetch_add(shared, Ordering::Relaxed) + shared > TOTAL {
            self.total.fetch_sub(shared, Ordering::Relaxed);
            return false;
        }
        self.held.set(after);
        true
    }

    fn shrink(&self, bytes: u64) {
        let (before, after) = (self.held.get(), self.held.get() - bytes);
        self.held.set(after);
        self.total.fetch_sub(beyond(before) - beyond(after), Ordering::Relaxed);
    }
}

/// What is not free of what a connection holds.
const fn beyond(held: u64) -> u64 {
    held.saturating_sub(FREE)
}

/// What one stream is charged; given back when it is dropped.
pub(super) struct Charge {
    budget: Rc<Budget>,
    bytes: Cell<u64>,
}

impl Charge {
    /// Of nothing yet.
    pub(super) fn new(budget: Rc<Budget>) -> Self {
        Self { budget, bytes: Cell::new(0) }
    }

    /// Charges some more. False where that is too much, and nothing was charged.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let grown = self.budget.grow(bytes as u64);
        if grown {
            self.bytes.set(self.bytes.get() + bytes as u64);
        }
        grown
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.shrink(self.bytes.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(total: &Arc<AtomicU64>, received: u64) -> Rc<Budget> {
        let budget = Budget::new(total.clone());
        budget.received.set(received);
        Rc::new(budget)
    }

    #[test]
    fn a_connection_holds_32_times_what_it_has_sent_and_gets_back_what_it_gives_back() {
        let total = Arc::default();
        let budget = connection(&total, 10_000);
        let [first, second] = [0, 1].map(|_| Charge::new(budget.clone()));
        assert!(first.grow(200_000) && second.grow(120_000), "320,000 are 32 times 10,000");
        assert!(!first.grow(1));
        assert_eq!(total.load(Ordering::Relaxed), 320_000 - FREE);
        drop(first);
        assert!(second.grow(200_000) && !second.grow(1));
        drop(second);
        assert_eq!((total.load(Ordering::Relaxed), budget.held.get()), (0, 0));
    }

    #[test]
    fn what_all_hold_together_is_bounded_and_what_is_free_is_not_refused() {
        let total = Arc::default();
        let greedy = Charge::new(connection(&total, u64::MAX));
        assert!(greedy.grow((TOTAL + FREE) as usize) && !greedy.grow(1));
        let ordinary = Charge::new(connection(&total, 0));
        assert!(ordinary.grow(FREE as usize) && !ordinary.grow(1), "others have what is free to them");
        drop(greedy);
        let large = Charge::new(connection(&total, TOTAL));
        assert!(large.grow(TOTAL as usize));
    }
}
