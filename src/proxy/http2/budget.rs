//! Limits the memory of decoded heads: HTTP/2 compresses heads, so that a few bytes can stand for a head of the largest
//! size.
//!
//! Each stream is charged with the size of its head in HTTP/1.1 for as long as it lives: that much is sent to the
//! backend and held until the backend has it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a connection may hold regardless of what it has sent and of other connections: about a hundred ordinary
/// heads, so that nobody can use up the shared limit to the harm of ordinary clients.
const FREE: u64 = 64 * 1024;
/// Beyond that, a connection may hold this many times the bytes that it has sent. The heads of ordinary clients, even
/// well compressed and a hundred at once, come to half of it.
const RATIO: u64 = 32;
/// Bytes that all connections together may hold beyond their [`FREE`] ones.
const TOTAL: u64 = 64 * 1024 * 1024;

/// The budget of one connection, and its share in the common one.
#[derive(Default)]
pub(super) struct Budget {
    /// Bytes that the client has sent.
    pub(super) received: Cell<u64>,
    held: Cell<u64>,
    /// What all connections hold beyond their [`FREE`] bytes.
    total: Arc<AtomicU64>,
}

impl Budget {
    pub(super) fn new(total: Arc<AtomicU64>) -> Self {
        Self { total, ..Self::default() }
    }

    /// Holds more bytes; false where that exceeds a limit, and nothing was added.
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

/// How many of a connection's bytes count toward [`TOTAL`].
const fn beyond(held: u64) -> u64 {
    held.saturating_sub(FREE)
}

/// Bytes charged to one stream, released on drop.
pub(super) struct Charge {
    budget: Rc<Budget>,
    bytes: Cell<u64>,
}

impl Charge {
    pub(super) fn new(budget: Rc<Budget>) -> Self {
        Self { budget, bytes: Cell::new(0) }
    }

    /// Charges more bytes. False where that exceeds a limit, and nothing was charged.
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
    fn a_connection_may_hold_32_times_what_it_has_sent_and_released_bytes_count_again() {
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
    fn the_total_is_bounded_and_free_bytes_are_never_refused() {
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
