//! The lease that an exchange holds on a backend: counts it as in flight, and reports how it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::Failure;
use super::loads::LoadGuard;
use super::member::Member;
use crate::exchange::placement::PlacementReason;

/// Counts one exchange as in flight on a backend until it is dropped.
#[derive(Debug)]
pub struct Lease {
    member: Arc<Member>,
    reason: PlacementReason,
    /// When a model began to work on it; `None` where none does, as for a listing.
    works_since: Option<Instant>,
    /// It finds out whether the backend works again.
    is_trial: bool,
    /// The load that it waits for.
    load: Option<LoadGuard>,
}

/// What the end of an exchange says of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// A model worked on it.
    Succeeded,
    /// It answered, but this says nothing about whether it can run models: the request ran none, or was refused.
    Answered,
    /// It was reached, and has too much to do: it asks to stay away for this long, if it says so.
    Busy(Option<Duration>),
    /// Its answer was an error of its own, came too late or broke off.
    Failed,
    /// No connection could be opened, or it broke before the answer.
    Unreachable,
    /// Nothing, as when the client left.
    Unknown,
}

impl Lease {
    pub(super) fn take(member: &Arc<Member>, reason: PlacementReason) -> Self {
        member.condition.enter(reason);
        let is_trial = reason == PlacementReason::Trial;
        Self { member: member.clone(), reason, works_since: None, is_trial, load: None }
    }

    pub(super) fn works_since(mut self, now: Option<Instant>) -> Self {
        self.works_since = now;
        self
    }

    pub(super) fn waits_for(mut self, load: Option<LoadGuard>) -> Self {
        self.load = load;
        self
    }

    /// The backend.
    #[must_use]
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Why it was chosen.
    #[must_use]
    pub fn reason(&self) -> PlacementReason {
        self.reason
    }

    /// A part of the answer has come. Of an only backend nothing is kept.
    pub fn heard(&self, now: Instant) {
        if self.reason != PlacementReason::Only {
            self.member.condition.heard(now);
        }
    }

    /// The model took this long to load. Counts where the exchange began the load.
    pub fn loaded(&self, took: Duration) {
        self.load.as_ref().into_iter().for_each(|load| load.learn(took));
    }

    /// The model generated with this time per output token. Of an only backend nothing is kept.
    pub fn paced(&self, model: &Arc<str>, per_token: Duration, now: Instant) {
        if !matches!(self.reason, PlacementReason::Only | PlacementReason::All) {
            self.member.condition.paced(model, per_token, now);
        }
    }

    /// The exchange ended. Only the first call counts; without one nothing is learnt. `random` gives a number from 0 to 1,
    /// uniform. Of an only backend nothing is kept, and of an exchange that was for several neither.
    pub fn report(&mut self, end: LeaseEnd, random: impl FnOnce() -> f64, now: Instant) {
        let (since, is_trial) = (self.works_since.take(), std::mem::take(&mut self.is_trial));
        if matches!(self.reason, PlacementReason::Only | PlacementReason::All) {
            return;
        }
        let condition = &self.member.condition;
        let took = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        match end {
            LeaseEnd::Succeeded => condition.update(|load, health| {
                health.succeeded(is_trial, now);
                if since.is_some() {
                    load.succeeded(took, now);
                }
            }),
            LeaseEnd::Answered => condition.update(|_, health| health.reached(is_trial, now)),
            LeaseEnd::Busy(retry_after) => condition.update(|load, health| {
                health.reached(is_trial, now);
                load.failed(took, retry_after, now);
            }),
            LeaseEnd::Failed | LeaseEnd::Unreachable => {
                condition.update(|load, _| load.failed(took, None, now));
                let failure = if end == LeaseEnd::Failed { Failure::Failed } else { Failure::Unreachable };
                condition.failed(failure, is_trial, random(), now);
            }
            LeaseEnd::Unknown if is_trial => condition.update(|_, health| health.abandon_trial(now)),
            LeaseEnd::Unknown => {}
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.member.condition.leave();
    }
}
