//! Rate-limits wrong passwords by client address, and remembers which addresses have authenticated.
//!
//! Promises: an address has [`BURST`] attempts and a new one every [`REFILL`], and a right password costs none; the
//! table is bounded, and addresses that do not fit in it share one entry. IPv6 networks are assigned by /64, so such a
//! network counts as one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::network;
use super::priority::Rank;

/// Attempts in a row.
const BURST: u32 = 10;

/// Until another attempt is free.
const REFILL: Duration = Duration::from_secs(6);

/// How long an address counts as authenticated.
const RECENTLY: Duration = Duration::from_secs(60 * 60);

/// Addresses with an entry of their own.
const MAX_ADDRESSES: usize = 4096;

/// The entry that the others share.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[derive(Default)]
pub(super) struct GuessLimiter(Mutex<HashMap<IpAddr, AddressRecord>>);

#[derive(Clone, Copy)]
struct AddressRecord {
    /// When all attempts are free again.
    settled: Instant,
    authenticated: Option<Instant>,
}

impl AddressRecord {
    fn is_known(&self, now: Instant) -> bool {
        self.authenticated.is_some_and(|at| now.saturating_duration_since(at) < RECENTLY)
    }
}

impl GuessLimiter {
    /// Charges an attempt and returns its rank. A right password is refunded with [`GuessLimiter::refund`].
    ///
    /// # Errors
    /// When no attempt is left: the time until the next one.
    pub(super) fn charge(&self, ip: IpAddr, now: Instant) -> Result<Rank, Duration> {
        let mut table = self.table();
        let record = record(&mut table, ip, now);
        let settled = record.settled.max(now);
        let wait = (settled + REFILL).saturating_duration_since(now + BURST * REFILL);
        if !wait.is_zero() {
            return Err(wait);
        }
        record.settled = settled + REFILL;
        Ok(match record {
            known if known.is_known(now) => Rank::Known,
            _ if settled == now => Rank::Stranger,
            _ => Rank::Guesser,
        })
    }

    /// Returns an attempt that was not made, or whose password was right.
    pub(super) fn refund(&self, ip: IpAddr, now: Instant) {
        let mut table = self.table();
        let record = record(&mut table, ip, now);
        record.settled = record.settled.checked_sub(REFILL).unwrap_or(now);
    }

    pub(super) fn mark_authenticated(&self, ip: IpAddr, now: Instant) {
        record(&mut self.table(), ip, now).authenticated = Some(now);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, AddressRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(table: &mut HashMap<IpAddr, AddressRecord>, ip: IpAddr, now: Instant) -> &mut AddressRecord {
    let mut key = network::of_client(ip);
    if table.len() >= MAX_ADDRESSES && !table.contains_key(&key) {
        table.retain(|_, record| record.settled > now || record.is_known(now));
        if table.len() >= MAX_ADDRESSES {
            key = OTHERS;
        }
    }
    table.entry(key).or_insert(AddressRecord { settled: now, authenticated: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_a_burst_of_attempts_and_then_waits() {
        let (guesses, now) = (GuessLimiter::default(), Instant::now());
        assert_eq!(guesses.charge(ip("10.0.0.1"), now), Ok(Rank::Stranger));
        for _ in 1..BURST {
            assert_eq!(guesses.charge(ip("::ffff:10.0.0.1"), now), Ok(Rank::Guesser));
        }
        assert_eq!(guesses.charge(ip("10.0.0.1"), now), Err(REFILL));
        assert_eq!(guesses.charge(ip("10.0.0.1"), now + REFILL / 2), Err(REFILL / 2));
        assert_eq!(guesses.charge(ip("10.0.0.2"), now), Ok(Rank::Stranger), "another address has its own");
        assert_eq!(guesses.charge(ip("10.0.0.1"), now + REFILL), Ok(Rank::Guesser));
        assert!(guesses.charge(ip("10.0.0.1"), now + REFILL).is_err());
        assert_eq!(guesses.charge(ip("10.0.0.1"), now + 20 * REFILL), Ok(Rank::Stranger));
    }

    #[test]
    fn a_right_password_costs_no_attempt_and_gives_priority() {
        let (guesses, now) = (GuessLimiter::default(), Instant::now());
        for _ in 0..3 * BURST {
            assert!(guesses.charge(ip("10.0.0.1"), now).is_ok());
            guesses.refund(ip("10.0.0.1"), now);
            guesses.mark_authenticated(ip("10.0.0.1"), now);
        }
        assert_eq!(guesses.charge(ip("10.0.0.1"), now), Ok(Rank::Known));
        assert_eq!(guesses.charge(ip("10.0.0.1"), now + RECENTLY), Ok(Rank::Stranger), "it is long ago");
    }

    #[test]
    fn a_network_is_one_address_and_the_table_is_bounded() {
        let (guesses, now) = (GuessLimiter::default(), Instant::now());
        for host in 0..BURST {
            assert!(guesses.charge(ip(&format!("2001:db8::{host:x}")), now).is_ok());
        }
        assert!(guesses.charge(ip("2001:db8::ffff"), now).is_err());
        guesses.mark_authenticated(ip("192.0.2.1"), now);
        for host in 0..3 * MAX_ADDRESSES {
            let _ = guesses.charge(ip(&format!("10.0.{}.{}", host >> 8, host & 255)), now);
        }
        assert!(guesses.table().len() <= MAX_ADDRESSES + 1);
        assert_eq!(guesses.charge(ip("192.0.2.1"), now), Ok(Rank::Known));
        assert!(guesses.charge(ip("172.16.0.1"), now).is_err(), "the others share");
        assert_eq!(
            guesses.charge(ip("172.16.0.1"), now + BURST * REFILL),
            Ok(Rank::Stranger),
            "settled entries are removed"
        );
    }
}
