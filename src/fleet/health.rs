//! Whether a backend works, from what becomes of exchanges on it. Pure.
//!
//! A backend that accepts no connection is down at once, until a probe is answered. One that accepts connections but fails
//! is taken out after several failures in a row, or where half of its latest exchanges fail. Once its time is over one exchange tries it: if that succeeds
//! the backend is up again, with a share of the traffic that grows; if not it stays out for longer.
//!
//! A backend that is busy works: a refusal for that reason is load and no failure, and the caller must not report it.

use std::time::{Duration, Instant};

use super::policy::Standing;
use crate::backend::monitor::PROBE_EVERY;

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
/// How long the result of a failed probe holds: long enough for the next probe to end.
const BELIEVED: Duration = PROBE_EVERY.saturating_mul(2);
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
            State::Tried(_) if is_trial => self.come_back(now),
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

    /// An exchange was answered without a model having worked for it, or with a refusal. This shows that the backend accepts
    /// connections: a trial of one that was down succeeds. It clears no failures of answers, and does not end an ejection.
    pub fn reached(&mut self, is_trial: bool, now: Instant) {
        match self.state {
            State::Tried(Standing::Down) if is_trial && self.ejections == 0 => self.come_back(now),
            State::Tried(_) if is_trial => self.abandon_trial(now),
            State::Up(_) | State::Out { .. } | State::Tried(_) => {}
        }
    }

    fn come_back(&mut self, now: Instant) {
        self.state = State::Up(Some(now));
        (self.window, self.in_a_row, self.unreachable) = (None, 0, 0);
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

    /// A probe was answered: the backend is no longer down. An ejection goes on, as a server that is stuck still answers
    /// probes; a backend that was ejected before it was down must first pass a trial.
    pub fn answered_probe(&mut self, now: Instant) {
        match &mut self.state {
            State::Out { standing: Standing::Down, until } if self.ejections > 0 => *until = now.min(*until),
            State::Out { standing: Standing::Down, .. } => self.come_back(now),
            State::Tried(Standing::Down) if self.ejections == 0 => self.come_back(now),
            State::Up(_) | State::Out { .. } | State::Tried(_) => {}
        }
    }

    /// A probe failed: the backend is down until one is answered, or until the next probe is overdue. An ejection that is
    /// still running ends first. Returns whether the backend was up before.
    pub fn failed_probe(&mut self, now: Instant) -> bool {
        let (was_up, until) = match self.state {
            State::Out { standing: Standing::Ejected, until } if until > now => return false,
            State::Out { until, .. } => (false, until.max(now + BELIEVED)),
            State::Tried(_) => (false, now + BELIEVED),
            State::Up(_) => (true, now + BELIEVED),
        };
        self.state = State::Out { standing: Standing::Down, until };
        (self.window, self.in_a_row) = (None, 0);
        was_up
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
mod tests;
