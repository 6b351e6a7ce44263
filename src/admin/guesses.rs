//! How many passwords an address may try, and which addresses have been let in.
//!
//! Promises: an address has [`BURST`] tries and a new one every [`PAUSE`], and a right password costs none; the table is
//! bounded, and addresses that find no place in it share one. Networks of IPv6 are handed out by /64, so such a network is
//! one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::turns::Rank;

/// Tries at once.
const BURST: u32 = 10;

/// Until another one is free.
const PAUSE: Duration = Duration::from_secs(6);

/// How long an address counts as let in.
const RECENTLY: Duration = Duration::from_secs(60 * 60);

/// Addresses that are kept apart.
const ADDRESSES: usize = 4096;

/// Those that are not.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What is known of addresses.
#[derive(Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, Address>>);

#[derive(Clone, Copy)]
struct Address {
    /// When all tries are free again.
    settled: Instant,
    let_in: Option<Instant>,
}

impl Address {
    fn is_known(&self, now: Instant) -> bool {
        self.let_in.is_some_and(|at| now.saturating_duration_since(at) < RECENTLY)
    }
}

impl Guesses {
    /// A try at a password, and its rank. It is given back by [`Guesses::right`].
    ///
    /// # Errors
    /// No try is left; the time until the next one.
    pub(super) fn take(&self, ip: IpAddr, now: Instant) -> Result<Rank, Duration> {
        let mut table = self.table();
        let address = entry(&mut table, ip, now);
        let settled = address.settled.max(now);
        let waits = (settled + PAUSE).saturating_duration_since(now + BURST * PAUSE);
        if !waits.is_zero() {
            return Err(waits);
        }
        address.settled = settled + PAUSE;
        Ok(match address {
            known if known.is_known(now) => Rank::Known,
            _ if settled == now => Rank::Stranger,
            _ => Rank::Guesser,
        })
    }

    /// The try was not made.
    pub(super) fn give_back(&self, ip: IpAddr, now: Instant) {
        let mut table = self.table();
        let address = entry(&mut table, ip, now);
        address.settled = address.settled.checked_sub(PAUSE).unwrap_or(now);
    }

    /// The address is let in.
    pub(super) fn let_in(&self, ip: IpAddr, now: Instant) {
        entry(&mut self.table(), ip, now).let_in = Some(now);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(table: &mut HashMap<IpAddr, Address>, ip: IpAddr, now: Instant) -> &mut Address {
    let mut key = network(ip);
    if table.len() >= ADDRESSES && !table.contains_key(&key) {
        table.retain(|_, address| address.settled > now || address.is_known(now));
        if table.len() >= ADDRESSES {
            key = OTHERS;
        }
    }
    table.entry(key).or_insert(Address { settled: now, let_in: None })
}

/// Whoever has an address has all of these.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_tries_and_then_waits() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        assert_eq!(guesses.take(ip("10.0.0.1"), now), Ok(Rank::Stranger));
        for _ in 1..BURST {
            assert_eq!(guesses.take(ip("::ffff:10.0.0.1"), now), Ok(Rank::Guesser));
        }
        assert_eq!(guesses.take(ip("10.0.0.1"), now), Err(PAUSE));
        assert_eq!(guesses.take(ip("10.0.0.1"), now + PAUSE / 2), Err(PAUSE / 2));
        assert_eq!(guesses.take(ip("10.0.0.2"), now), Ok(Rank::Stranger), "another has its own");
        assert_eq!(guesses.take(ip("10.0.0.1"), now + PAUSE), Ok(Rank::Guesser));
        assert!(guesses.take(ip("10.0.0.1"), now + PAUSE).is_err());
        assert_eq!(guesses.take(ip("10.0.0.1"), now + 20 * PAUSE), Ok(Rank::Stranger));
    }

    #[test]
    fn a_right_password_costs_nothing_and_goes_first_from_then_on() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..3 * BURST {
            assert!(guesses.take(ip("10.0.0.1"), now).is_ok());
            guesses.give_back(ip("10.0.0.1"), now);
            guesses.let_in(ip("10.0.0.1"), now);
        }
        assert_eq!(guesses.take(ip("10.0.0.1"), now), Ok(Rank::Known));
        assert_eq!(guesses.take(ip("10.0.0.1"), now + RECENTLY), Ok(Rank::Stranger), "it is long ago");
    }

    #[test]
    fn a_network_is_one_address_and_the_table_is_bounded() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for host in 0..BURST {
            assert!(guesses.take(ip(&format!("2001:db8::{host:x}")), now).is_ok());
        }
        assert!(guesses.take(ip("2001:db8::ffff"), now).is_err());
        guesses.let_in(ip("192.0.2.1"), now);
        for host in 0..3 * ADDRESSES {
            let _ = guesses.take(ip(&format!("10.0.{}.{}", host >> 8, host & 255)), now);
        }
        assert!(guesses.table().len() <= ADDRESSES + 1);
        assert_eq!(guesses.take(ip("192.0.2.1"), now), Ok(Rank::Known));
        assert!(guesses.take(ip("172.16.0.1"), now).is_err(), "the others share");
        assert_eq!(
            guesses.take(ip("172.16.0.1"), now + BURST * PAUSE),
            Ok(Rank::Stranger),
            "those that settled made room"
        );
    }
}
