//! Whether a backend answers, since when, and how fast.
//!
//! Promises: reading takes no lock and never sees a partial change. Only one task may write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::tls::Fault;

/// Why a backend counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFailure {
    /// Nothing listens there.
    Refused,
    /// The connection was not accepted in time.
    ConnectTimeout,
    /// Its name does not resolve.
    Dns,
    /// It cannot be reached for another reason.
    Unreachable,
    /// It accepted the connection and did not answer in time.
    NoAnswer,
    /// Its answer is not HTTP.
    Protocol,
    /// The TLS handshake failed.
    Tls(Fault),
}

impl ProbeFailure {
    const PLAIN: [Self; 6] =
        [Self::Refused, Self::ConnectTimeout, Self::Dns, Self::Unreachable, Self::NoAnswer, Self::Protocol];

    fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain(Fault::ALL.map(Self::Tls))
    }

    /// A short text for logs and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::ConnectTimeout => "connection not accepted in time",
            Self::Dns => "name does not resolve",
            Self::Unreachable => "cannot be reached",
            Self::NoAnswer => "no answer in time",
            Self::Protocol => "no HTTP answer",
            Self::Tls(fault) => fault.as_str(),
        }
    }
}

/// The result of the last probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// Not probed yet.
    Unknown,
    /// It answered.
    Up,
    /// It did not answer.
    Down(ProbeFailure),
}

impl ProbeState {
    /// Whether it answered; `None` before the first probe.
    #[must_use]
    pub const fn is_up(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Up => Some(true),
            Self::Down(_) => Some(false),
        }
    }
}

/// The status at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusSnapshot {
    /// The result of the last probe.
    pub state: ProbeState,
    /// When it became up or down; the start of the monitoring before the first probe.
    pub since: Instant,
    /// How long the last probe took; `None` before the first.
    pub probe: Option<Duration>,
    /// When it last answered one; `None` where it never has.
    pub answered: Option<Instant>,
}

/// The status of one backend, shared between threads.
#[derive(Debug)]
pub struct Status {
    anchor: Instant,
    /// The state in the low byte (0 unknown, 1 up, from 2 on down with the index of the failure); above it the
    /// microseconds from the anchor to the last change, enough for 2,000 years. In one word, so that the two always
    /// match.
    word: AtomicU64,
    /// Microseconds of the last probe, plus one; 0 before the first.
    probe: AtomicU64,
    /// Microseconds from the anchor to the last probe that was answered, plus one; 0 before the first.
    answered: AtomicU64,
}

const STATE_BITS: u32 = 8;

impl Status {
    /// The status before the first probe.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { anchor: now, word: AtomicU64::new(0), probe: AtomicU64::new(0), answered: AtomicU64::new(0) }
    }

    /// Records a probe that took `took`. Returns whether the state, or the reason for being down, has changed.
    pub fn record(&self, now: Instant, found: Result<(), ProbeFailure>, took: Duration) -> bool {
        self.probe.store(micros(took).saturating_add(1), Ordering::Relaxed);
        if found.is_ok() {
            self.answered.store(micros(now.duration_since(self.anchor)).saturating_add(1), Ordering::Relaxed);
        }
        let state = match found {
            Ok(()) => ProbeState::Up,
            Err(failure) => ProbeState::Down(failure),
        };
        let before = self.word.load(Ordering::Relaxed);
        let old = decode(before);
        let since =
            if old.is_up() == state.is_up() { before >> STATE_BITS } else { micros(now.duration_since(self.anchor)) };
        self.word.store(since << STATE_BITS | encode(state), Ordering::Release);
        old != state
    }

    /// Copies the current status.
    #[must_use]
    pub fn snapshot(&self) -> StatusSnapshot {
        let word = self.word.load(Ordering::Acquire);
        let (probe, answered) = (self.probe.load(Ordering::Relaxed), self.answered.load(Ordering::Relaxed));
        StatusSnapshot {
            state: decode(word),
            since: self.anchor + Duration::from_micros(word >> STATE_BITS),
            probe: probe.checked_sub(1).map(Duration::from_micros),
            answered: answered.checked_sub(1).map(|micros| self.anchor + Duration::from_micros(micros)),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> STATE_BITS)
}

fn encode(state: ProbeState) -> u64 {
    match state {
        ProbeState::Unknown => 0,
        ProbeState::Up => 1,
        ProbeState::Down(failure) => 2 + ProbeFailure::all().take_while(|other| *other != failure).count() as u64,
    }
}

fn decode(word: u64) -> ProbeState {
    match word & ((1 << STATE_BITS) - 1) {
        0 => ProbeState::Unknown,
        1 => ProbeState::Up,
        index => {
            let failure = usize::try_from(index - 2).ok().and_then(|index| ProbeFailure::all().nth(index));
            ProbeState::Down(failure.expect("only encode writes the word"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_encoding() {
        let downs = ProbeFailure::all().map(ProbeState::Down);
        for state in [ProbeState::Unknown, ProbeState::Up].into_iter().chain(downs) {
            assert_eq!(decode(7 << STATE_BITS | encode(state)), state);
        }
    }

    #[test]
    fn since_moves_when_a_backend_goes_up_or_down_and_not_when_only_the_reason_changes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let took = Duration::from_millis(3);
        let status = Status::new(start);
        assert_eq!(
            status.snapshot(),
            StatusSnapshot { state: ProbeState::Unknown, since: start, probe: None, answered: None }
        );
        assert!(status.record(at(1), Ok(()), took));
        assert!(!status.record(at(2), Ok(()), took));
        assert_eq!(
            status.snapshot(),
            StatusSnapshot { state: ProbeState::Up, since: at(1), probe: Some(took), answered: Some(at(2)) }
        );
        assert!(status.record(at(3), Err(ProbeFailure::Refused), took));
        assert!(status.record(at(4), Err(ProbeFailure::NoAnswer), took), "another reason is a change");
        let down = status.snapshot();
        assert_eq!((down.state, down.since), (ProbeState::Down(ProbeFailure::NoAnswer), at(3)));
        assert_eq!(down.answered, Some(at(2)), "only an answer is a sign of life");
    }
}
