//! What exchanges and probes have shown of one backend. Each end of an exchange writes it under the backend's own lock;
//! the choice of a backend reads it without one.
//!
//! A reader may see a part of a change before the rest. That can make one choice worse, and no state wrong.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::health::{Failure, Health, State};
use super::lists::Lists;
use super::load::Load;
use super::pace::{Pace, Slowness};
use crate::backend::monitor::PROBE_EVERY;
use crate::exchange::placement::PlacementReason;

/// How long nothing may be heard of a backend with exchanges in flight before a failed probe counts.
const SILENCE: Duration = PROBE_EVERY.saturating_mul(2);

/// Shared by all members that stand for the same backend, one after another.
#[derive(Debug)]
pub(super) struct Condition {
    /// Instants are published as the time since then.
    anchor: Instant,
    kept: Mutex<Kept>,
    load: [AtomicU64; 4],
    slowness: [AtomicU64; 2],
    state: AtomicU64,
    /// What it has listed last.
    pub(super) lists: Lists,
    /// Exchanges placed on the backend that have not ended.
    in_flight: AtomicU64,
    /// Exchanges that it works on at once, as it says; 0 is unknown.
    slots: AtomicU32,
    /// Times that it was chosen out of several, by [`PlacementReason`].
    placed: [AtomicU64; PlacementReason::ALL.len()],
    /// Times that it was taken out, by [`Failure`].
    ejections: [AtomicU64; 2],
    /// When anything was last heard of it, as microseconds since the anchor: a part of an answer, or an answer to a probe.
    heard: AtomicU64,
    /// Failed probes that were ignored because the backend was working.
    ignored_probes: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    load: Load,
    health: Health,
    pace: Pace,
}

impl Condition {
    pub(super) fn new(anchor: Instant) -> Self {
        let condition = Self {
            anchor,
            kept: Mutex::default(),
            load: Default::default(),
            slowness: Default::default(),
            state: AtomicU64::default(),
            lists: Lists::default(),
            in_flight: AtomicU64::default(),
            slots: AtomicU32::default(),
            placed: Default::default(),
            ejections: Default::default(),
            heard: AtomicU64::default(),
            ignored_probes: AtomicU64::default(),
        };
        condition.update(|_, _| {});
        condition
    }

    pub(super) fn enter(&self, reason: PlacementReason) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if reason != PlacementReason::Only {
            self.placed[reason as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn placed(&self, reason: PlacementReason) -> u64 {
        self.placed[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn slots(&self) -> Option<u32> {
        Some(self.slots.load(Ordering::Relaxed)).filter(|slots| *slots > 0)
    }

    pub(super) fn set_slots(&self, slots: Option<NonZeroU32>) {
        self.slots.store(slots.map_or(0, NonZeroU32::get), Ordering::Relaxed);
    }

    /// Whether the backend works, and its share of its weight.
    pub(super) fn health(&self) -> State {
        State::from_word(self.state.load(Ordering::Relaxed), self.anchor)
    }

    /// How busy it has been.
    pub(super) fn load(&self) -> Load {
        Load::from_words(self.load.each_ref().map(|word| word.load(Ordering::Relaxed)), self.anchor)
    }

    /// How many times slower than usual it generates; 1 where it is not slow.
    pub(super) fn slowness(&self, now: Instant) -> f64 {
        let words = self.slowness.each_ref().map(|word| word.load(Ordering::Relaxed));
        Slowness::from_words(words, self.anchor).times(now)
    }

    /// A generation ended with this time per output token.
    pub(super) fn paced(&self, model: &Arc<str>, per_token: Duration, now: Instant) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pace.observe(model, per_token, self.in_flight(), now);
        for (word, value) in self.slowness.iter().zip(kept.pace.slowness(self.anchor).to_words(self.anchor)) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Changes what is known, and publishes it.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Load, &mut Health) -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { load, health, .. } = &mut *kept;
        let result = change(load, health);
        for (word, value) in self.load.iter().zip(load.to_words(self.anchor)) {
            word.store(value, Ordering::Relaxed);
        }
        self.state.store(health.state().to_word(self.anchor), Ordering::Relaxed);
        result
    }

    /// An exchange failed; counts it where the backend is taken out.
    pub(super) fn failed(&self, failure: Failure, is_trial: bool, random: f64, now: Instant) {
        if self.update(|_, health| health.failed(failure, is_trial, random, now)) {
            self.ejections[failure as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A part of an answer has arrived. Stores the time at most once a second, as this is called for each part.
    pub(super) fn heard(&self, now: Instant) {
        let micros = u64::try_from(now.saturating_duration_since(self.anchor).as_micros()).unwrap_or(u64::MAX);
        if micros > self.heard.load(Ordering::Relaxed).saturating_add(1_000_000) {
            self.heard.store(micros, Ordering::Relaxed);
        }
    }

    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.anchor + Duration::from_micros(self.heard.load(Ordering::Relaxed)))
    }

    /// A probe has ended. While exchanges are in flight a failed one says nothing, as a busy server may be slow to accept:
    /// but only for as long as something is heard of the backend, as one that hangs has exchanges in flight for ever.
    pub(super) fn probed(&self, answered: bool, now: Instant) {
        if answered {
            self.heard(now);
            if !matches!(self.health(), State::Up(_)) {
                self.update(|_, health| health.answered_probe(now));
            }
        } else if self.in_flight() > 0 && self.silence(now) < SILENCE {
            self.ignored_probes.fetch_add(1, Ordering::Relaxed);
        } else if self.update(|_, health| health.failed_probe(now)) {
            self.ejections[Failure::Unreachable as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn ejections(&self, failure: Failure) -> u64 {
        self.ejections[failure as usize].load(Ordering::Relaxed)
    }

    pub(super) fn ignored_probes(&self) -> u64 {
        self.ignored_probes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Standing;
    use super::*;

    #[test]
    fn what_is_published_is_what_was_kept() {
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        let condition = Condition::new(start);
        assert_eq!((condition.load().service(), condition.health().standing(start)), (None, Standing::Up));
        condition.update(|load, _| {
            load.succeeded(Duration::from_millis(1500), seconds(3));
            load.failed(Duration::from_secs(7), None, seconds(4));
        });
        let load = condition.load();
        assert_eq!(load.service(), Some(Duration::from_millis(1500)));
        assert_eq!(load.penalty(seconds(14)), Duration::from_millis(3500));
        assert_eq!(load.silence(seconds(8)), Duration::from_secs(5));
        condition.failed(Failure::Unreachable, false, 0.5, seconds(5));
        let standing = |at| condition.health().standing(seconds(at));
        assert_eq!(
            (standing(5), standing(6), condition.ejections(Failure::Unreachable)),
            (Standing::Down, Standing::Trial, 1)
        );
        assert!(condition.update(|_, health| health.begin_trial(seconds(6))));
        assert_eq!(standing(7), Standing::Down, "for the others");
        condition.update(|_, health| health.succeeded(true, seconds(7)));
        assert_eq!(standing(7), Standing::Up);
        assert!((condition.health().share(seconds(22)) - 0.55).abs() < 1e-3, "a slow start");
    }

    #[test]
    fn a_failed_probe_counts_where_nothing_is_in_flight_and_where_nothing_is_heard() {
        let start = Instant::now();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        let condition = Condition::new(start);
        let standing = |at| condition.health().standing(seconds(at));
        condition.enter(PlacementReason::Home);
        condition.probed(false, start);
        assert_eq!((standing(0), condition.ignored_probes()), (Standing::Up, 1));
        condition.leave();
        condition.probed(false, start);
        assert_eq!((standing(0), condition.ejections(Failure::Unreachable)), (Standing::Down, 1));
        condition.probed(true, seconds(5));
        assert_eq!(standing(5), Standing::Up, "a probe that is answered clears it");
        assert!(condition.health().share(seconds(5)) < 0.11, "it starts slowly");
        condition.enter(PlacementReason::Home);
        for at in [10, 14] {
            condition.probed(false, seconds(at));
            assert_eq!(standing(at), Standing::Up, "two periods have not passed since the latest answer");
        }
        for at in 15..40 {
            condition.heard(seconds(at));
        }
        condition.probed(false, seconds(45));
        assert_eq!((standing(45), condition.ignored_probes()), (Standing::Up, 4), "its answer goes on");
        condition.probed(false, seconds(50));
        assert_eq!(standing(50), Standing::Down, "it hangs");
        condition.probed(true, seconds(55));
        assert_eq!((standing(55), condition.in_flight()), (Standing::Up, 1));
    }

    #[test]
    fn a_backend_is_down_for_as_long_as_its_probes_fail() {
        let start = Instant::now();
        let condition = Condition::new(start);
        for seconds in 0..600 {
            let now = start + Duration::from_secs(seconds);
            // Probes begin every five seconds; every second one takes two seconds to fail.
            if matches!(seconds % 10, 0 | 7) {
                condition.probed(false, now);
            }
            assert_eq!(condition.health().standing(now), Standing::Down, "after {seconds} s");
        }
        assert_eq!(condition.ejections(Failure::Unreachable), 1);
    }
}
