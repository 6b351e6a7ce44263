//! How often each may ask: token buckets that refill steadily.
//!
//! Promises: the tables are bounded, and addresses that do not fit share one entry; credentials, of which there are few,
//! always have their own.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::identity::Holder;

/// Holders with an entry of their own.
const MAX_HOLDERS: usize = 4_096;

/// The entry that the others share.
const OTHERS: Holder = Holder::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

const MINUTE: Duration = Duration::from_secs(60);

/// The time that a burst is counted over.
const BURST: Duration = Duration::from_secs(10);

/// Requests to the API that are answered. Each limit is a bucket that holds so many and refills within its time, so that
/// whoever was silent may ask for more for a while, and whoever asks without a pause gets exactly the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In a minute, by each key, token or user, or by each address without one.
    pub per_minute: NonZeroU32,
    /// Of those, in ten seconds.
    pub per_ten_seconds: NonZeroU32,
    /// In a minute, by all sessions of a user.
    pub session_per_minute: NonZeroU32,
}

/// No limit to speak of.
impl Default for Limits {
    fn default() -> Self {
        let [per_minute, per_ten_seconds, session_per_minute] = [NonZeroU32::MAX; 3];
        Self { per_minute, per_ten_seconds, session_per_minute }
    }
}

type Keyed<C> = RateLimiter<Holder, HashMapStateStore<Holder>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Counts requests.
pub(super) struct RequestLimiter<C: Clock = DefaultClock> {
    buckets: Mutex<Buckets<C>>,
    clock: C,
}

struct Buckets<C: Clock> {
    limits: Limits,
    minute: Keyed<C>,
    burst: Keyed<C>,
    session: Keyed<C>,
    swept: C::Instant,
}

impl RequestLimiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self::with_clock(limits, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RequestLimiter<C> {
    fn with_clock(limits: Limits, clock: C) -> Self {
        Self { buckets: Mutex::new(Buckets::new(limits, &clock)), clock }
    }

    /// Counts a request. `limits` are those in force: where they have changed, the count begins again.
    ///
    /// # Errors
    /// When there were too many: when to try again.
    pub(super) fn count(&self, holder: Holder, is_session: bool, limits: Limits) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if buckets.limits != limits {
            *buckets = Buckets::new(limits, &self.clock);
        }
        buckets.sweep(now);
        let check = |buckets: &Keyed<C>| {
            let is_full = matches!(holder, Holder::Address(_)) && buckets.len() >= MAX_HOLDERS;
            let holder = if is_full { &OTHERS } else { &holder };
            buckets.check_key(holder).map_err(|until| until.wait_time_from(now))
        };
        if is_session {
            return check(&buckets.session);
        }
        check(&buckets.burst)?;
        check(&buckets.minute)
    }
}

impl<C: Clock + Clone> Buckets<C> {
    fn new(limits: Limits, clock: &C) -> Self {
        let quota = |most: NonZeroU32, time: Duration| {
            let period = Quota::with_period(time / most.get()).expect("most is far below the nanoseconds of a time");
            period.allow_burst(most)
        };
        let keyed = |quota| RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self {
            limits,
            minute: keyed(quota(limits.per_minute, MINUTE)),
            burst: keyed(quota(limits.per_ten_seconds, BURST)),
            session: keyed(quota(limits.session_per_minute, MINUTE)),
            swept: clock.now(),
        }
    }

    /// Forgets each minute who may ask as often as if never seen.
    fn sweep(&mut self, now: C::Instant) {
        if Duration::from(now.duration_since(self.swept)) >= MINUTE {
            self.swept = now;
            [&self.minute, &self.burst, &self.session].into_iter().for_each(RateLimiter::retain_recent);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(per_minute: u32, per_ten_seconds: u32, session_per_minute: u32) -> Limits {
        let [per_minute, per_ten_seconds, session_per_minute] =
            [per_minute, per_ten_seconds, session_per_minute].map(|most| NonZeroU32::new(most).expect("above zero"));
        Limits { per_minute, per_ten_seconds, session_per_minute }
    }

    fn address(host: u32) -> Holder {
        Holder::Address(Ipv4Addr::from_bits(0x0a00_0000 + host).into())
    }

    /// How many of these many are answered at this instant.
    fn answered(
        limiter: &RequestLimiter<FakeRelativeClock>,
        holder: &Holder,
        is_session: bool,
        limits: Limits,
    ) -> usize {
        (0..2_000).filter(|_| limiter.count(holder.clone(), is_session, limits).is_ok()).count()
    }

    #[test]
    fn the_burst_and_then_the_minute_bound_each_holder() {
        let (clock, limits) = (FakeRelativeClock::default(), limits(100, 20, 600));
        let limiter = RequestLimiter::with_clock(limits, clock.clone());
        assert_eq!(answered(&limiter, &address(1), false, limits), 20);
        assert_eq!(limiter.count(address(1), false, limits), Err(Duration::from_millis(500)));
        assert_eq!(answered(&limiter, &address(2), false, limits), 20, "another address has its own");
        let named = Holder::Named(super::super::identity::Means::ApiKey, "ci".into());
        assert_eq!(answered(&limiter, &named, false, limits), 20);
        let mut each = Vec::new();
        for _ in 0..60 {
            clock.advance(Duration::from_secs(10));
            each.push(answered(&limiter, &address(1), false, limits));
        }
        assert_eq!(each[..4], [20; 4], "as often as bursts allow");
        let last: usize = each[54..].iter().sum();
        assert_eq!(last, 100, "in the last of ten minutes of asking without a pause: {each:?}");
    }

    #[test]
    fn a_session_has_a_limit_of_its_own() {
        let (clock, limits) = (FakeRelativeClock::default(), limits(100, 20, 600));
        let limiter = RequestLimiter::with_clock(limits, clock.clone());
        assert_eq!(answered(&limiter, &address(1), true, limits), 600);
        assert_eq!(answered(&limiter, &address(1), false, limits), 20);
        clock.advance(Duration::from_secs(1));
        assert_eq!(answered(&limiter, &address(1), true, limits), 10);
    }

    #[test]
    fn addresses_beyond_a_number_share_an_entry_and_credentials_do_not() {
        let (clock, limits) = (FakeRelativeClock::default(), limits(100, 20, 600));
        let limiter = RequestLimiter::with_clock(limits, clock.clone());
        let hosts = u32::try_from(MAX_HOLDERS).expect("few");
        assert!((0..hosts).all(|host| limiter.count(address(host), false, limits).is_ok()));
        let strangers = (0..100).filter(|host| limiter.count(address(hosts + host), false, limits).is_ok());
        assert_eq!(strangers.count(), 20, "all of them together");
        let named = Holder::Named(super::super::identity::Means::Password, "me".into());
        assert_eq!(answered(&limiter, &named, false, limits), 20);
        clock.advance(MINUTE);
        assert!(limiter.count(address(0), false, limits).is_ok());
        let buckets = limiter.buckets.lock().expect("no panic");
        assert!(buckets.burst.len() <= 2 && buckets.minute.len() <= 2, "the rest is forgotten");
    }

    #[test]
    fn other_limits_hold_from_the_next_request() {
        let (clock, before) = (FakeRelativeClock::default(), limits(100, 20, 600));
        let limiter = RequestLimiter::with_clock(before, clock);
        assert_eq!(answered(&limiter, &address(1), false, before), 20);
        assert_eq!(answered(&limiter, &address(1), false, limits(1_000, 30, 600)), 30);
    }
}
