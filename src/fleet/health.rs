//! Whether a backend works, from what becomes of exchanges on it. Pure.
//!
//! A backend that accepts no connection is down at once. One that accepts but fails is taken out after several failures
//! in a row, or where half of its latest exchanges fail. Once its time is over one exchange tries it: if that succeeds
//! the backend is up again, with a share of the traffic that grows; if not it stays out for longer.
//!
//! A backend that is busy works: a refusal for that reason is load and no failure, and the caller must not report it.

use std::time::{Duration, Instant};

use super::policy::Standing;

/// Failures in a row that take a backend out.
const IN_A_ROW: u32 = 5;
/// How long exchanges are counted together.
const WINDOW: Duration = Duration::from_secs(30);
/// Exchanges in that time from which on half of them failing takes a backend out.
const ENOUGH: u32 = 10;
/// How long a backend is out the first time; the second time it is twice that, and so on.
const EJECTION: Duration = Duration::from_secs(30);
/// Times that make it no longer.
const MAX_EJECTIONS: u32 = 10;
/// How long a backend is down after the first refused connection; it doubles with each.
const DOWN: Duration = Duration::from_secs(1);
/// The longest that it is down before another try.
const MAX_DOWN: Duration = Duration::from_secs(60);
/// How much each such time is changed at random, so that several proxies do not try at once.
const JITTER: f64 = 0.2;
/// How long a backend that works again takes to its full share.
const SLOW_START: Duration = Duration::from_secs(30);
/// Its share at first.
const FIRST_SHARE: f64 = 0.1;

/// How an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be opened, or it was reset before the response's head.
    Unreachable,
    /// The response was an error of the server, came too late, or broke off.
    Failed,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 2] = [Self::Unreachable, Self::Failed];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }
}

/// What follows from the health of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Since when after having been out; `None` is from the beginning.
    Up(Option<Instant>),
    Out {
        standing: Standing,
        until: Instant,
    },
    /// One exchange tries it; what it was before that.
    Tried(Standing),
}

/// Bits of a word that say which state it is; the others are microseconds, enough for 70,000 years.
const KIND_BITS: u32 = 3;

impl State {
    /// As [`Health::standing`].
    pub(super) fn standing(self, now: Instant) -> Standing {
        match self {
            Self::Up(_) => Standing::Up,
            Self::Out { until, .. } if until <= now => Standing::Trial,
            Self::Out { standing, .. } | Self::Tried(standing) => standing,
        }
    }

    /// As [`Health::share`].
    pub(super) fn share(self, now: Instant) -> f64 {
        match self {
            Self::Up(Some(since)) => {
                let passed = now.saturating_duration_since(since).as_secs_f64() / SLOW_START.as_secs_f64();
                (FIRST_SHARE + (1.0 - FIRST_SHARE) * passed).min(1.0)
            }
            Self::Up(None) | Self::Out { .. } | Self::Tried(_) => 1.0,
        }
    }

    /// As one word, with instants as the time since `anchor`.
    pub(super) fn to_word(self, anchor: Instant) -> u64 {
        let micros = |at: Instant| {
            u64::try_from(at.saturating_duration_since(anchor).as_micros()).unwrap_or(u64::MAX) << KIND_BITS
        };
        match self {
            Self::Up(None) => 0,
            Self::Up(Some(since)) => micros(since) | 1,
            Self::Out { standing: Standing::Down, until } => micros(until) | 2,
            Self::Out { until, .. } => micros(until) | 3,
            Self::Tried(Standing::Down) => 4,
            Self::Tried(_) => 5,
        }
    }

    /// The state of a word.
    pub(super) fn from_word(word: u64, anchor: Instant) -> Self {
        let at = anchor + Duration::from_micros(word >> KIND_BITS);
        match word & ((1 << KIND_BITS) - 1) {
            0 => Self::Up(None),
            1 => Self::Up(Some(at)),
            2 => Self::Out { standing: Standing::Down, until: at },
            3 => Self::Out { standing: Standing::Ejected, until: at },
            4 => Self::Tried(Standing::Down),
            _ => Self::Tried(Standing::Ejected),
        }
    }
}

/// The health of one backend.
#[derive(Clone, Debug)]
pub struct Health {
    state: State,
    /// Failures since the last success.
    in_a_row: u32,
    /// Exchanges, and failures among them, since the instant.
    window: Option<(Instant, u32, u32)>,
    /// Times in succession that it was taken out.
    ejections: u32,
    /// Times in succession that it was unreachable.
    unreachable: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: State::Up(None), in_a_row: 0, window: None, ejections: 0, unreachable: 0 }
    }
}

impl Health {
    /// Whether it works now, for [`super::policy::pick`].
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        self.state.standing(now)
    }

    /// Its share of its weight, from 0.1 to 1.
    #[must_use]
    pub fn share(&self, now: Instant) -> f64 {
        self.state.share(now)
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// An exchange that tries the backend begins. Returns false where another already does, or none is wanted.
    pub fn begin_trial(&mut self, now: Instant) -> bool {
        match self.state {
            State::Out { standing, until } if until <= now => {
                self.state = State::Tried(standing);
                true
            }
            State::Up(_) | State::Out { .. } | State::Tried(_) => false,
        }
    }

    /// The exchange that tried the backend ended without telling whether it works, as when its client left.
    pub fn abandon_trial(&mut self, now: Instant) {
        if let State::Tried(standing) = self.state {
            self.state = State::Out { standing, until: now };
        }
    }

    /// An exchange succeeded. One that began before the backend was taken out does not bring it back.
    pub fn succeeded(&mut self, is_trial: bool, now: Instant) {
        match self.state {
            State::Tried(_) if is_trial => {
                self.state = State::Up(Some(now));
                self.window = None;
            }
            State::Up(since) => {
                // What was forgiven once it has had its full share again.
                if since.is_none_or(|since| since + SLOW_START <= now) {
                    self.ejections = 0;
                }
                self.count(false, now);
            }
            State::Out { .. } | State::Tried(_) => return,
        }
        self.in_a_row = 0;
        self.unreachable = 0;
    }

    /// An exchange failed. `random` is uniform from 0 to 1. Returns whether the backend was taken out by it.
    pub fn failed(&mut self, failure: Failure, is_trial: bool, random: f64, now: Instant) -> bool {
        match self.state {
            State::Up(_) => {}
            State::Tried(_) if is_trial => {}
            // It began before the backend was taken out, and says nothing new.
            State::Tried(_) | State::Out { .. } => return false,
        }
        self.in_a_row += 1;
        let too_many = self.count(true, now);
        let (standing, time) = match failure {
            Failure::Unreachable => {
                self.unreachable += 1;
                let doublings = (self.unreachable - 1).min(MAX_DOWN.as_secs().ilog2() + 1);
                (Standing::Down, (DOWN * 2_u32.pow(doublings)).min(MAX_DOWN))
            }
            Failure::Failed if is_trial || too_many || self.in_a_row >= IN_A_ROW => {
                self.ejections = (self.ejections + 1).min(MAX_EJECTIONS);
                (Standing::Ejected, EJECTION * self.ejections)
            }
            Failure::Failed => return false,
        };
        let until = now + time.mul_f64(1.0 + JITTER * (2.0 * random - 1.0));
        self.state = State::Out { standing, until };
        (self.window, self.in_a_row) = (None, 0);
        true
    }

    /// A probe of the backend found that it accepts connections: an exchange may try it now. It does not bring back one
    /// that accepts and fails: a server that is stuck still answers its probes.
    pub fn answered_probe(&mut self, now: Instant) {
        if let State::Out { standing: Standing::Down, until } = &mut self.state {
            *until = now.min(*until);
        }
    }

    /// Counts an exchange. Returns whether too many of the latest have failed.
    fn count(&mut self, failed: bool, now: Instant) -> bool {
        let (since, all, failures) = self.window.filter(|(since, ..)| *since + WINDOW > now).unwrap_or((now, 0, 0));
        let (all, failures) = (all + 1, failures + u32::from(failed));
        self.window = Some((since, all, failures));
        all >= ENOUGH && failures * 2 >= all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Fails `times`, without jitter.
    fn fail(health: &mut Health, times: u32, now: Instant) -> bool {
        (0..times).map(|_| health.failed(Failure::Failed, false, 0.5, now)).fold(false, |_, ejected| ejected)
    }

    #[test]
    fn five_failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let (mut health, now) = (Health::default(), Instant::now());
        assert!(!fail(&mut health, 4, now));
        health.succeeded(false, now);
        assert!(!fail(&mut health, 4, now));
        assert_eq!(health.standing(now), Standing::Up);
        assert!(fail(&mut health, 1, now));
        assert_eq!(health.standing(now + seconds(29)), Standing::Ejected);
        assert_eq!(health.standing(now + seconds(30)), Standing::Trial);
    }

    #[test]
    fn half_of_the_latest_ten_failing_ejects_and_older_ones_do_not_count() {
        let (mut health, start) = (Health::default(), Instant::now());
        let alternate = |health: &mut Health, now| {
            health.succeeded(false, now);
            health.failed(Failure::Failed, false, 0.5, now)
        };
        assert!((0..4).all(|_| !alternate(&mut health, start)));
        assert!((0..4).all(|_| !alternate(&mut health, start + seconds(30))), "those are forgotten");
        assert!(alternate(&mut health, start + seconds(31)));
    }

    #[test]
    fn exactly_one_exchange_tries_and_each_failed_trial_makes_it_wait_longer() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        fail(&mut health, 5, now);
        for times in [2, 3] {
            now += seconds(30) * (times - 1);
            assert!(health.begin_trial(now) && !health.begin_trial(now), "one by one");
            assert_eq!(health.standing(now), Standing::Ejected, "for the others");
            assert!(!health.failed(Failure::Failed, false, 0.5, now), "one that began before says nothing new");
            assert!(health.failed(Failure::Failed, true, 0.5, now));
            assert_eq!(health.standing(now + seconds(30) * times - Duration::from_millis(1)), Standing::Ejected);
        }
        now += seconds(90);
        assert!(health.begin_trial(now));
        health.abandon_trial(now);
        assert!(health.begin_trial(now), "the next one tries instead");
        health.succeeded(false, now);
        assert_eq!(health.standing(now), Standing::Ejected, "an exchange from before does not bring it back");
        health.succeeded(true, now);
        assert_eq!(health.standing(now), Standing::Up);
        assert!((health.share(now) - 0.1).abs() < 1e-9 && (health.share(now + seconds(15)) - 0.55).abs() < 1e-9);
        assert!((health.share(now + seconds(31)) - 1.0).abs() < 1e-9);
        health.succeeded(false, now + seconds(30));
        assert!(fail(&mut health, 5, now + seconds(31)));
        assert_eq!(health.standing(now + seconds(61)), Standing::Trial, "what was before is forgiven");
    }

    #[test]
    fn a_refused_connection_is_down_for_twice_as_long_each_time_until_a_probe_succeeds() {
        let (mut health, mut now) = (Health::default(), Instant::now());
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(health.failed(Failure::Unreachable, true, 0.5, now));
            assert_eq!(health.standing(now), Standing::Down);
            assert_eq!(health.standing(now + seconds(expected) - Duration::from_millis(1)), Standing::Down);
            now += seconds(expected);
            assert!(health.begin_trial(now), "after {expected} s");
        }
        health.failed(Failure::Unreachable, true, 1.0, now);
        assert_eq!(health.standing(now + seconds(71)), Standing::Down, "the time varies by a fifth");
        health.answered_probe(now);
        assert_eq!(health.standing(now), Standing::Trial);
    }

    #[test]
    fn a_backend_that_fails_again_while_it_starts_slowly_is_out_for_longer() {
        let (mut health, start) = (Health::default(), Instant::now());
        fail(&mut health, 5, start);
        let back = start + seconds(30);
        assert!(health.begin_trial(back));
        health.succeeded(true, back);
        health.succeeded(false, back + seconds(1));
        assert!(fail(&mut health, 5, back + seconds(1)));
        assert_eq!(health.standing(back + seconds(60)), Standing::Ejected);
        assert_eq!(health.standing(back + seconds(61)), Standing::Trial);
    }

    #[test]
    fn a_backend_that_was_reached_meanwhile_is_down_for_a_second_again() {
        let (mut health, start) = (Health::default(), Instant::now());
        health.failed(Failure::Unreachable, false, 0.5, start);
        let back = start + seconds(1);
        assert!(health.begin_trial(back));
        health.succeeded(true, back);
        health.failed(Failure::Unreachable, false, 0.5, back);
        assert_eq!(health.standing(back + seconds(1)), Standing::Trial);
    }

    #[test]
    fn a_good_probe_does_not_bring_back_a_backend_whose_answers_fail() {
        let (mut health, now) = (Health::default(), Instant::now());
        fail(&mut health, 5, now);
        health.answered_probe(now);
        assert_eq!(health.standing(now), Standing::Ejected);
    }
}
