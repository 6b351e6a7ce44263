//! What one thread may spend on decoding copies of compressed bodies.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::wire::budget::{DecodeBudget, Limits};

/// Bytes held by the decoders of all threads.
#[derive(Clone, Default)]
pub(super) struct HeldByDecoders {
    requests: Arc<AtomicU64>,
    responses: Arc<AtomicU64>,
}

/// The budgets of one thread. They are separate so that the cost of observing responses cannot change what is known of
/// requests.
pub(super) struct Decoding {
    pub(super) requests: Rc<DecodeBudget>,
    pub(super) responses: Rc<DecodeBudget>,
}

impl Decoding {
    pub(super) fn new(held: HeldByDecoders) -> Self {
        Self {
            requests: DecodeBudget::new(Limits::REQUESTS, held.requests),
            responses: DecodeBudget::new(Limits::RESPONSES, held.responses),
        }
    }

    /// Grants a new turn's work, as another task runs.
    #[inline]
    pub(super) fn begin_turn(&self, now: Instant) {
        self.requests.begin_turn(now);
        self.responses.begin_turn(now);
    }

    /// Whether the work left in this turn may not suffice for another read in one of the directions.
    pub(super) fn is_spent(&self) -> bool {
        self.requests.is_spent() || self.responses.is_spent()
    }
}
