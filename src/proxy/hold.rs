//! Keeps what has come of a request's body while no backend is chosen, within limits for one request and for all.
//!
//! Which backend can serve a request is in its body: clients send the messages before the model's name, and megabytes of
//! images with them. Servers parse a body whole before they begin, so waiting for the name delays no token. What is held
//! is as it is on the wire, and is sent to the backend in front of the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes of one body that are held.
const MAX_REQUEST: u64 = 32 << 20;
/// Most bytes that are held of all bodies together.
const MAX_TOTAL: u64 = 256 << 20;

/// The bytes that are held of all bodies.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldBodies(Arc<AtomicU64>);

/// The share of one body, given back on drop.
#[derive(Debug)]
pub(super) struct HeldBody {
    total: HeldBodies,
    bytes: u64,
}

/// Why no more of a body is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldLimit {
    /// This body is too long.
    Request,
    /// All together are.
    Total,
}

impl HeldBody {
    pub(super) fn new(total: &HeldBodies) -> Self {
        Self { total: total.clone(), bytes: 0 }
    }

    /// Counts further bytes.
    ///
    /// # Errors
    /// The limit that they would exceed; then they are not counted.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), HoldLimit> {
        let bytes = bytes as u64;
        if self.bytes + bytes > MAX_REQUEST {
            return Err(HoldLimit::Request);
        }
        let before = self.total.0.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > MAX_TOTAL {
            self.total.0.fetch_sub(bytes, Ordering::Relaxed);
            return Err(HoldLimit::Total);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.total.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_body_and_all_together_are_limited_and_what_is_dropped_counts_no_more() {
        let total = HeldBodies::default();
        let mut bodies: Vec<_> = (0..8).map(|_| HeldBody::new(&total)).collect();
        for body in &mut bodies {
            assert_eq!(body.grow(32 << 20), Ok(()));
            assert_eq!(body.grow(1), Err(HoldLimit::Request));
        }
        let mut other = HeldBody::new(&total);
        assert_eq!(other.grow(1), Err(HoldLimit::Total));
        bodies.pop();
        assert_eq!(other.grow(1), Ok(()));
        drop((bodies, other));
        assert_eq!(total.0.load(Ordering::Relaxed), 0);
    }
}
