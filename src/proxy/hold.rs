//! Keeps what has come of a request's body while no backend is chosen, within limits for one request and for all.
//!
//! Which backend can serve a request is in its body: clients send the messages before the model's name, and megabytes of
//! images with them. Servers parse a body whole before they begin, so waiting for the name delays no token. What is held
//! is as it is on the wire, and is sent to the backend in front of the rest.
//!
//! Where all bodies together are at their limit nothing more is read, so that the clients' systems hold back what they
//! would send; a request that has waited for room for [`PATIENCE`] is refused. One body at a time is read on nevertheless:
//! else bodies that are all nearly complete would wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a request waits for room.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes that are read at once, for which there has to be room.
pub(super) const READ: u64 = 64 * 1024;

/// How much of bodies is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Most bytes of one body. A longer one is placed without its model.
    pub request: u64,
    /// Most bytes of all bodies together. Each thread may exceed it by one read, and one body at a time altogether.
    pub total: u64,
}

impl Default for HoldLimits {
    /// A few large images in one request, and eight such requests.
    fn default() -> Self {
        Self { request: 32 << 20, total: 256 << 20 }
    }
}

/// The bytes that are held of all bodies.
#[derive(Clone, Debug, Default)]
pub struct HeldBodies(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    bytes: AtomicU64,
    /// Bodies that were too long.
    overflows: AtomicU64,
    /// One body is read on without room.
    is_passing: AtomicBool,
    /// Notified when there is room again.
    freed: Notify,
}

impl HeldBodies {
    /// Bytes that are held now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Bodies that were too long, since the start.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.0.overflows.load(Ordering::Relaxed)
    }

    /// Whether there is room for one more read.
    pub(super) fn has_room(&self, limits: &HoldLimits) -> bool {
        self.bytes() + READ <= limits.total.max(READ)
    }

    /// Waits until there may be. False where that has not come at `end`.
    pub(super) async fn wait_for_room(&self, limits: &HoldLimits, end: Instant) -> bool {
        let mut freed = std::pin::pin!(self.0.freed.notified());
        freed.as_mut().enable();
        self.has_room(limits) || tokio::time::timeout_at(end, freed).await.is_ok()
    }
}

/// The share of one body, given back on drop.
#[derive(Debug)]
pub(super) struct HeldBody {
    total: HeldBodies,
    bytes: u64,
    /// It is the one that is read on without room.
    passes: bool,
}

/// The body is longer than what may be held of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl HeldBody {
    pub(super) fn new(total: &HeldBodies) -> Self {
        Self { total: total.clone(), bytes: 0, passes: false }
    }

    /// Whether the body may be read on: there is room, or it is the one that needs none.
    pub(super) fn may_grow(&mut self, limits: &HoldLimits) -> bool {
        if self.total.has_room(limits) || self.passes {
            return true;
        }
        self.passes = self.bytes > 0 && !self.total.0.is_passing.swap(true, Ordering::Relaxed);
        self.passes
    }

    /// Counts further bytes.
    ///
    /// # Errors
    /// Where the body is now longer than what is to be held of it; the bytes are counted nevertheless.
    pub(super) fn grow(&mut self, bytes: usize, limits: &HoldLimits) -> Result<(), TooLong> {
        let bytes = bytes as u64;
        self.bytes += bytes;
        self.total.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.bytes <= limits.request {
            return Ok(());
        }
        self.total.0.overflows.fetch_add(1, Ordering::Relaxed);
        Err(TooLong)
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        if self.passes {
            self.total.0.is_passing.store(false, Ordering::Relaxed);
        }
        if self.bytes > 0 {
            self.total.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.total.0.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HoldLimits = HoldLimits { request: 100_000, total: 2 * READ };

    #[test]
    fn one_body_and_all_together_are_limited_and_what_is_dropped_counts_no_more() {
        let total = HeldBodies::default();
        let mut bodies = [HeldBody::new(&total), HeldBody::new(&total)];
        assert_eq!(bodies[0].grow(100_000, &LIMITS), Ok(()));
        assert!(!total.has_room(&LIMITS), "for 64 KiB more");
        assert_eq!((bodies[0].grow(1, &LIMITS), total.overflows()), (Err(TooLong), 1));
        assert_eq!((bodies[1].grow(1, &LIMITS), total.bytes()), (Ok(()), 100_002));
        drop(bodies);
        assert_eq!((total.bytes(), total.has_room(&LIMITS)), (0, true));
        assert!(total.has_room(&HoldLimits { total: 1, ..LIMITS }), "one read is always allowed");
    }

    #[test]
    fn whatever_bodies_come_together_one_of_them_is_read_on_and_what_ends_is_free_again() {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let total = HeldBodies::default();
        let mut bodies: Vec<_> = (0..6).map(|_| HeldBody::new(&total)).collect();
        for _ in 0..50_000 {
            assert!((0..6).any(|at| bodies[at].may_grow(&LIMITS)), "all wait for each other");
            let at = random(6);
            if bodies[at].may_grow(&LIMITS) && random(4) > 0 {
                let read = 1 + random(READ as usize);
                let fits = bodies[at].grow(read, &LIMITS).is_ok();
                assert_eq!(fits, bodies[at].bytes <= LIMITS.request);
            } else if random(3) == 0 {
                bodies[at] = HeldBody::new(&total);
            }
            let passing: Vec<_> = bodies.iter().filter(|body| body.passes).collect();
            let beyond = passing.iter().map(|body| body.bytes).sum::<u64>();
            assert!(passing.len() <= 1 && total.bytes() <= LIMITS.total + READ + beyond, "{} bytes", total.bytes());
            assert_eq!(total.bytes(), bodies.iter().map(|body| body.bytes).sum::<u64>());
        }
        drop(bodies);
        assert!(total.bytes() == 0 && !total.0.is_passing.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_body_waits_for_room_until_its_time_is_over() {
        let total = HeldBodies::default();
        let mut body = HeldBody::new(&total);
        body.grow(100_000, &LIMITS).expect("not too long");
        assert!(!total.wait_for_room(&LIMITS, Instant::now()).await);
        let freed = async {
            tokio::task::yield_now().await;
            drop(body);
        };
        let end = Instant::now() + Duration::from_secs(20);
        let (room, ()) = tokio::join!(total.wait_for_room(&LIMITS, end), freed);
        assert!(room, "it is woken");
    }

    #[test]
    fn one_body_that_has_begun_is_read_on_without_room() {
        let total = HeldBodies::default();
        let mut bodies = [HeldBody::new(&total), HeldBody::new(&total), HeldBody::new(&total)];
        bodies[0].grow(50_000, &LIMITS).expect("not too long");
        bodies[1].grow(50_000, &LIMITS).expect("not too long");
        assert_eq!([2, 1, 0, 1].map(|at| bodies[at].may_grow(&LIMITS)), [false, true, false, true]);
        let [first, second, _] = bodies;
        drop(second);
        assert!(total.has_room(&LIMITS) && !total.0.is_passing.load(Ordering::Relaxed));
        drop(first);
    }
}
