//! What a thread may spend on decoding copies of coded bodies.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::wire::budget::{DecodeBudget, Limits};

/// Bytes that the decoders of all threads hold.
#[derive(Clone, Default)]
pub(super) struct HeldByDecoders {
    requests: Arc<AtomicU64>,
    responses: Arc<AtomicU64>,
}

/// The budgets of one thread. They are separate so that what the observation of responses costs changes nothing about
/// what is known of requests.
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

    /// Grants the work of a turn: another task runs.
    #[inline]
    pub(super) fn begin_turn(&self, now: Instant) {
        self.requests.begin_turn(now);
        self.responses.begin_turn(now);
    }

    /// Whether this turn's work may not suffice for another read in one of the directions.
    pub(super) fn is_spent(&self) -> bool {
        self.requests.is_spent() || self.responses.is_spent()
    }
}
