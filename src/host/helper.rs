//! The client of the privileged helper, which reads facts that need privileges, over a local socket.
//!
//! Promises: facts older than [`STALE`] are not used; a helper that is slow or sends without end costs bounded time and
//! memory; an impossible number is unknown. Left out: TLS and credentials, since the helper is on the same machine.

mod address;
mod answer;
mod fetch;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use address::{HelperAddress, InvalidHelperAddress};
pub use answer::{HelperReading, ThermalPressure, parse_answer};

use super::collector::{Collector, ReadError};

/// Older facts are not used.
pub const STALE: Duration = Duration::from_secs(15);

/// The longest interval of requests, so that the last answer is not stale.
const MAX_PERIOD: Duration = Duration::from_secs(5);

/// The facts of the helper with their time.
#[derive(Clone, Debug, PartialEq)]
pub struct HelperPart {
    /// The facts.
    pub reading: HelperReading,
    /// When they were measured.
    pub at: Instant,
}

/// Requests the facts from the helper.
#[derive(Debug)]
pub struct HelperCollector {
    address: HelperAddress,
}

impl HelperCollector {
    /// Uses the helper at this address.
    #[must_use]
    pub fn new(address: HelperAddress) -> Self {
        Self { address }
    }
}

impl Collector for HelperCollector {
    type Part = HelperPart;

    fn name(&self) -> &'static str {
        "helper"
    }

    fn period(&self, configured: Duration) -> Duration {
        configured.min(MAX_PERIOD)
    }

    fn read(&mut self, now: Instant) -> Result<Option<HelperPart>, ReadError> {
        let body = fetch::get(&self.address)?;
        let reading = parse_answer(&body).ok_or_else(|| ReadError::malformed(&self.address))?;
        let age = age(reading.timestamp, SystemTime::now())?;
        Ok(Some(HelperPart { reading, at: now.checked_sub(age).unwrap_or(now) }))
    }
}

/// The age of the facts, 0 without a timestamp. A timestamp more than [`STALE`] in the past or the future is an error.
fn age(timestamp: Option<f64>, now: SystemTime) -> Result<Duration, ReadError> {
    let Some(timestamp) = timestamp else { return Ok(Duration::ZERO) };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let age = now - timestamp;
    if age.abs() > STALE.as_secs_f64() {
        let when = if age > 0.0 { "ago" } else { "ahead" };
        return Err(ReadError::Source(format!("the helper's facts are of {:.0} s {when}", age.abs())));
    }
    Ok(Duration::try_from_secs_f64(age).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_seconds_are_fresh_and_more_is_stale_in_both_directions() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(age(None, now).ok(), Some(Duration::ZERO));
        assert_eq!(age(Some(999_985.0), now).ok(), Some(STALE));
        assert_eq!(age(Some(1_000_003.0), now).ok(), Some(Duration::ZERO), "clocks differ a little");
        for timestamp in [999_984.0, 1_000_016.0, 0.0, 1e300] {
            assert!(age(Some(timestamp), now).is_err(), "{timestamp}");
        }
    }
}
