//! Checks of reported numbers, before they reach a series.
//!
//! A counter that took a value which is not finite, negative or absurdly high stays wrong until the process ends. So a
//! number is dropped unless it is finite, not negative and at most a cap.

use std::time::Duration;

/// Most tokens that one exchange can claim.
pub(super) const MAX_TOKENS: u64 = 1_000_000_000;
/// Most bytes that one exchange can move: a petabyte.
pub(super) const MAX_BYTES: u64 = 1_000_000_000_000_000;
/// Longest duration in seconds: about three years.
const MAX_SECONDS: f64 = 1e8;
/// Highest rate in tokens per second.
const MAX_RATE: f64 = 1e9;

fn checked(value: f64, cap: f64) -> Option<f64> {
    (value.is_finite() && (0.0..=cap).contains(&value)).then_some(value)
}

/// A whole number up to its cap.
pub(super) fn whole(value: u64, cap: u64) -> Option<u64> {
    (value <= cap).then_some(value)
}

/// A duration in seconds.
pub(super) fn seconds(value: Duration) -> Option<f64> {
    checked(value.as_secs_f64(), MAX_SECONDS)
}

/// A rate in tokens per second.
pub(super) fn rate(value: f64) -> Option<f64> {
    checked(value, MAX_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_would_spoil_a_series_are_dropped() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001, 1e9 + 1.0, f64::MAX] {
            assert_eq!(rate(value), None, "{value}");
        }
        assert_eq!(seconds(Duration::MAX), None);
        assert_eq!(whole(u64::MAX, MAX_TOKENS), None);
        assert_eq!(whole(MAX_TOKENS + 1, MAX_TOKENS), None);
    }

    #[test]
    fn ordinary_numbers_pass() {
        assert_eq!(rate(0.0), Some(0.0));
        assert_eq!(rate(37.5), Some(37.5));
        assert_eq!(seconds(Duration::from_millis(1500)), Some(1.5));
        assert_eq!(whole(0, MAX_TOKENS), Some(0));
        assert_eq!(whole(MAX_TOKENS, MAX_TOKENS), Some(MAX_TOKENS));
    }
}
