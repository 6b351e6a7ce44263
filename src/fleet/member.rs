//! One backend of a fleet.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::condition::Condition;
use super::health::{Failure, State};
use super::lists::Listed;
use super::policy::Standing;
use super::settings::{Share, Slots};
use crate::backend::dial::Dialer;
use crate::backend::{Backend, Settings};
use crate::exchange::placement::PlacementReason;
use crate::wire::listing::Listing;

/// The state of a backend, as metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// It is chosen.
    Up,
    /// It is chosen, and requests wait for it to load their model.
    Loading,
    /// It is chosen less, as it generates several times more slowly than usual.
    Slow,
    /// Its answers were failures.
    Ejected,
    /// It was left out, and one exchange tries it, or the next one will.
    HalfOpen,
    /// It is given no further exchange, by configuration.
    Draining,
    /// It accepts no connection.
    Down,
}

impl BackendState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Up, Self::Loading, Self::Slow, Self::Ejected, Self::HalfOpen, Self::Draining, Self::Down];

    /// Whether requests go to a backend in this state, without a failure in the way.
    #[must_use]
    pub const fn is_chosen(self) -> bool {
        matches!(self, Self::Up | Self::Loading | Self::Slow)
    }

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Loading => "loading",
            Self::Slow => "slow",
            Self::Ejected => "ejected",
            Self::HalfOpen => "half_open",
            Self::Draining => "draining",
            Self::Down => "down",
        }
    }
}

/// A backend with everything that an exchange needs of it.
#[derive(Debug)]
pub struct Member {
    /// Its name and address.
    pub backend: Backend,
    /// The settings for requests to it.
    pub settings: Settings,
    /// What is asked of it.
    pub share: Share,
    /// Opens connections to it.
    pub dialer: Arc<Dialer>,
    /// Host and port in the form of a `Host` field.
    pub authority: Box<str>,
    /// Shared by the members that a change of settings creates.
    pub(super) condition: Arc<Condition>,
}

impl Member {
    /// A member with no exchange in flight.
    #[must_use]
    pub fn new(backend: Backend, settings: Settings, share: Share, dialer: Arc<Dialer>, now: Instant) -> Self {
        let authority = backend.address.authority().into();
        Self { backend, settings, share, dialer, authority, condition: Arc::new(Condition::new(now)) }
    }

    /// Takes over what is known of a member with other settings.
    pub(super) fn succeed(&mut self, previous: &Self) {
        self.condition = previous.condition.clone();
    }

    /// How many exchanges it works on at once: as configured, else as the backend says. `None` where that is unknown; the
    /// largest number is no limit.
    #[must_use]
    pub fn slots(&self) -> Option<u32> {
        match self.share.slots {
            Slots::Auto => self.condition.slots(),
            Slots::Unlimited => Some(u32::MAX),
            Slots::AtMost(most) => Some(most.get()),
        }
    }

    /// The backend says that it works on so many exchanges at once.
    pub fn set_reported_slots(&self, slots: Option<NonZeroU32>) {
        self.condition.set_slots(slots);
    }

    /// Exchanges placed on it that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.condition.in_flight()
    }

    /// Whether it works, as far as is known.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        self.condition.health().standing(now)
    }

    /// The same as a state of metrics, but for loads, which the fleet knows.
    #[must_use]
    pub(super) fn state(&self, now: Instant) -> BackendState {
        match self.condition.health() {
            _ if self.share.drains => BackendState::Draining,
            State::Tried(_) => BackendState::HalfOpen,
            health => match health.standing(now) {
                Standing::Up if self.slowness(now) > 1.0 => BackendState::Slow,
                Standing::Up => BackendState::Up,
                Standing::Trial => BackendState::HalfOpen,
                Standing::Ejected => BackendState::Ejected,
                Standing::Down => BackendState::Down,
            },
        }
    }

    /// Its weight, which grows again after it was taken out.
    #[must_use]
    pub fn weight(&self, now: Instant) -> f64 {
        f64::from(self.share.weight.get()) * self.condition.health().share(now)
    }

    /// How many times slower than usual it generates; 1 where it is not slow.
    #[must_use]
    pub fn slowness(&self, now: Instant) -> f64 {
        self.condition.slowness(now)
    }

    /// How often it was chosen out of several for this reason.
    #[must_use]
    pub fn placed(&self, reason: PlacementReason) -> u64 {
        self.condition.placed(reason)
    }

    /// How often it was taken out for such a failure.
    #[must_use]
    pub fn ejections(&self, failure: Failure) -> u64 {
        self.condition.ejections(failure)
    }

    /// Failed probes that were ignored because the backend was working.
    #[must_use]
    pub fn ignored_probes(&self) -> u64 {
        self.condition.ignored_probes()
    }

    /// It has answered with this list.
    pub fn remember(&self, listing: Listing, listed: Listed, now: Instant) -> Option<Arc<Listed>> {
        Some(self.condition.lists.remember(listing, listed, now))
    }

    /// It has not answered: the list that it answered with before, for a minute.
    #[must_use]
    pub fn remembered(&self, listing: Listing, now: Instant) -> Option<Arc<Listed>> {
        self.condition.lists.remembered(listing, now)
    }

    /// By endpoint, how old its list was in the latest merged answer; `None` where it was not in it.
    pub fn listing_ages(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> {
        Listing::ALL.into_iter().map(|listing| (listing.endpoint(), self.condition.lists.age(listing)))
    }

    /// A probe of it has ended.
    pub fn probed(&self, answered: bool, now: Instant) {
        self.condition.probed(answered, now);
    }

    /// Whether both are the same backend, regardless of settings.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.condition, &other.condition)
    }
}
