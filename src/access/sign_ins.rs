//! Sign-ins for the audit: whoever gives the right credentials after a pause, and whoever gives wrong ones.
//!
//! Every request carries its credentials, so a scraper would sign in every few seconds. Requests of a user from one address
//! without a pause of [`PAUSE`] are one sign-in. Refusals are limited, so that guesses do not push everything else out of
//! the audit; the next entry says how many were left out. Each entry has the address that it came from: whoever guesses is
//! to be found.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::USER_AGENT;

use super::identity::Means;
use crate::exchange::client::product;
use crate::history::journal::Journal;
use crate::history::journal::audit::{Action, ActionResult, Audit};

/// The pause after which a user signs in again.
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// Users and addresses that are remembered.
const MAX_REMEMBERED: usize = 1_024;

/// Refusals a minute that are written.
const MAX_REFUSALS: u32 = 30;

const MINUTE: Duration = Duration::from_secs(60);

/// Why a sign-in was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    WrongPassword,
    /// An API key or a token that is not accepted.
    WrongToken,
    /// An API key or a token whose time is over.
    Expired,
    TooManyAttempts,
}

impl Refusal {
    /// Every reason.
    pub(super) const ALL: [Self; 4] = [Self::WrongPassword, Self::WrongToken, Self::Expired, Self::TooManyAttempts];

    /// One word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::WrongToken => "wrong_token",
            Self::Expired => "expired",
            Self::TooManyAttempts => "too_many_attempts",
        }
    }
}

/// Reports sign-ins.
pub(super) struct SignIns {
    journal: Journal,
    state: Mutex<SignInState>,
}

#[derive(Default)]
struct SignInState {
    /// When each last gave its password.
    seen: HashMap<(Means, Arc<str>, IpAddr), Instant>,
    /// The minute of refusals, and how many were in it.
    minute: Option<(Instant, u32)>,
    /// Refusals that were left out since the last entry.
    left_out: i64,
}

impl SignIns {
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, state: Mutex::default() }
    }

    /// The credentials of this user, key or subject were right. `product` is the client's program.
    pub(super) fn accept(&self, means: Means, user: Arc<str>, client: IpAddr, product: Option<&str>, now: Instant) {
        let is_new = self.state.lock().unwrap_or_else(PoisonError::into_inner).see(means, user.clone(), client, now);
        if is_new {
            let audit = Audit::new(Action::SignIn, ActionResult::Success).by(Some(user)).with("by", means.as_str());
            self.journal.audit(came_from(audit, client, product));
        }
    }

    /// A session was ended.
    pub(super) fn end(&self, user: Option<Arc<str>>, client: IpAddr) {
        self.journal.audit(came_from(Audit::new(Action::SignOut, ActionResult::Success).by(user), client, None));
    }

    /// Credentials were refused. `user` is known to the configuration, or `None`: another name may be anything.
    pub(super) fn refuse(&self, user: Option<Arc<str>>, client: IpAddr, why: Refusal, now: Instant) {
        let left_out = self.state.lock().unwrap_or_else(PoisonError::into_inner).refuse(now);
        let Some(left_out) = left_out else { return };
        let audit = Audit::new(Action::SignIn, ActionResult::Refused).by(user).with("reason", why.as_str());
        let audit = came_from(audit, client, None);
        self.journal.audit(if left_out > 0 { audit.with("left_out", left_out) } else { audit });
    }
}

/// With the address and the program that something on the second listener came from.
#[must_use]
pub fn came_from(audit: Audit, client: IpAddr, product: Option<&str>) -> Audit {
    let audit = audit.with("address", &*client.to_string());
    product.into_iter().fold(audit, |audit, product| audit.with("client", product))
}

/// The program that sent a request, as the first product of its `User-Agent`.
#[must_use]
pub fn product_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(USER_AGENT).and_then(|agent| product(agent.as_bytes()))
}

impl SignInState {
    /// Whether this user was not seen lately from this address.
    fn see(&mut self, means: Means, user: Arc<str>, client: IpAddr, now: Instant) -> bool {
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < PAUSE;
        if self.seen.len() >= MAX_REMEMBERED {
            self.seen.retain(|_, at| is_recent(at));
        }
        if let Some(at) = self.seen.get_mut(&(means, user.clone(), client)) {
            return !is_recent(&std::mem::replace(at, now));
        }
        if self.seen.len() < MAX_REMEMBERED {
            self.seen.insert((means, user, client), now);
        }
        true
    }

    /// How many were left out before this one; `None` where it is left out itself.
    fn refuse(&mut self, now: Instant) -> Option<i64> {
        let is_over = |(begun, _): &(Instant, u32)| now.saturating_duration_since(*begun) >= MINUTE;
        let (begun, count) = self.minute.filter(|minute| !is_over(minute)).unwrap_or((now, 0));
        self.minute = Some((begun, count + 1));
        if count >= MAX_REFUSALS {
            self.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_a_pause_are_one_sign_in() {
        let (mut state, begun) = (SignInState::default(), Instant::now());
        let [here, there] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let mut see = |user: &str, client, minutes: u64| {
            state.see(Means::Password, user.into(), client, begun + MINUTE * minutes as u32)
        };
        let seen = [
            see("me", here, 0),
            see("me", here, 14),
            see("me", there, 14),
            see("you", here, 14),
            see("me", here, 28),
            see("me", here, 43),
        ];
        assert_eq!(seen, [true, false, true, true, false, true]);
    }

    #[test]
    fn a_bounded_number_of_users_is_remembered_and_the_others_sign_in_each_time() {
        let (mut state, now) = (SignInState::default(), Instant::now());
        let address = |host: usize| IpAddr::from([10, 0, (host >> 8) as u8, host as u8]);
        assert!((0..MAX_REMEMBERED).all(|host| state.see(Means::Password, "me".into(), address(host), now)));
        assert!(
            state.see(Means::Password, "you".into(), address(0), now)
                && state.see(Means::Password, "you".into(), address(0), now)
        );
        assert_eq!(state.seen.len(), MAX_REMEMBERED);
    }

    #[test]
    fn guesses_beyond_a_limit_are_counted_by_the_next_entry() {
        let (mut state, begun) = (SignInState::default(), Instant::now());
        let written = (0..100).filter_map(|_| state.refuse(begun)).collect::<Vec<_>>();
        assert_eq!(written, [0; MAX_REFUSALS as usize]);
        assert_eq!(state.refuse(begun + MINUTE), Some(70));
        assert_eq!(state.refuse(begun + MINUTE), Some(0));
    }
}
