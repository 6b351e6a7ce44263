//! How a backend is chosen. Pure.

use crate::exchange::placement::PlacementReason;

/// The only backend: its index, and why.
pub(super) const fn only() -> (usize, PlacementReason) {
    (0, PlacementReason::Only)
}
