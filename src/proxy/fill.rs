//! How much of a body lies in the HTTP library, written by nobody yet.
//!
//! The library's own limit is also that of a head, 256 KiB and more, which is too much for every stream whose reader
//! stalls. A body asks here before it gives more; the socket tells when everything was handed to the system. Nothing is
//! held back from a reader that reads.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

/// Most that lies unwritten, in bytes, one frame more at the end.
const MOST: usize = 64 * 1024;

/// The count of one direction of one connection.
#[derive(Default)]
pub(super) struct Fill {
    bytes: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

impl Fill {
    /// Bytes were given to the library.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Whether no more may be given. The task is woken when it may.
    pub(super) fn is_full(&self, cx: &Context<'_>) -> bool {
        let full = self.bytes.get() >= MOST;
        if full {
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
        }
        full
    }

    /// The library has written everything.
    pub(super) fn clear(&self) {
        self.bytes.set(0);
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }
}
