//! Durations and counts in four bytes, with a value for unknown.

use std::time::Duration;

/// A duration: to the microsecond up to 35 minutes, to the millisecond above, at most 24 days. Or unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Span(u32);

/// Set where the other bits are milliseconds.
const MILLIS: u32 = 1 << 31;

impl Span {
    /// Unknown, never zero.
    pub const UNKNOWN: Self = Self(u32::MAX);

    /// A known duration, capped at the longest that fits.
    #[must_use]
    pub fn known(duration: Duration) -> Self {
        Self::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    /// Of microseconds.
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        match u32::try_from(micros) {
            Ok(micros) if micros < MILLIS => Self(micros),
            _ => Self(MILLIS | u32::try_from(micros / 1000).unwrap_or(u32::MAX).min(MILLIS - 2)),
        }
    }

    /// In microseconds; `None` is unknown.
    #[must_use]
    pub fn micros(self) -> Option<u64> {
        match self.0 {
            u32::MAX => None,
            micros if micros < MILLIS => Some(u64::from(micros)),
            millis => Some(u64::from(millis & !MILLIS) * 1000),
        }
    }

    /// In seconds; `None` is unknown.
    #[must_use]
    pub fn seconds(self) -> Option<f64> {
        self.micros().map(|micros| micros as f64 / 1e6)
    }
}

impl From<Option<Duration>> for Span {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Self::UNKNOWN, Self::known)
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.micros().map(Duration::from_micros).fmt(out)
    }
}

/// A count up to four billion, or unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Count(u32);

impl Count {
    /// Unknown, never zero.
    pub const UNKNOWN: Self = Self(u32::MAX);

    /// A count. One that is implausibly high is unknown.
    #[must_use]
    pub fn known(count: u64) -> Self {
        Self(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// `None` is unknown.
    #[must_use]
    pub fn value(self) -> Option<u64> {
        (self != Self::UNKNOWN).then_some(u64::from(self.0))
    }
}

impl From<Option<u64>> for Count {
    fn from(count: Option<u64>) -> Self {
        count.map_or(Self::UNKNOWN, Self::known)
    }
}

impl std::fmt::Debug for Count {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_survives_to_the_microsecond_below_half_an_hour_and_to_the_millisecond_above() {
        for micros in [0, 1, 999_999, (1 << 31) - 1] {
            assert_eq!(Span::from_micros(micros).micros(), Some(micros));
        }
        let long = Duration::from_secs(3 * 3600) + Duration::from_micros(1_234_567);
        assert_eq!(Span::known(long).micros(), Some(3 * 3_600_000_000 + 1_234_000));
        assert_eq!(Span::known(Duration::MAX).micros(), Some(((1 << 31) - 2) * 1000), "the longest");
        assert_eq!((Span::from(None).micros(), Span::from(None).seconds()), (None, None));
        assert_eq!(Span::from_micros(1_500_000).seconds(), Some(1.5));
    }

    #[test]
    fn zero_is_a_count_and_what_cannot_be_believed_is_unknown() {
        assert_eq!(Count::known(0).value(), Some(0));
        assert_eq!(Count::known(u64::from(u32::MAX) - 1).value(), Some(u64::from(u32::MAX) - 1));
        assert_eq!((Count::known(u64::MAX).value(), Count::from(None).value()), (None, None));
    }
}
