//! Whether a backend answers, since when, and how fast.
//!
//! Promises: reading takes no lock and never sees half of a change. Written by one prober only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::tls::Fault;

/// Why a backend counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// The connection was not accepted in time.
    ConnectTimeout,
    /// Its name does not resolve.
    Dns,
    /// It cannot be reached otherwise.
    Unreachable,
    /// It accepted and did not answer in time.
    NoAnswer,
    /// What it answered is not HTTP.
    Protocol,
    /// It was connected to, and TLS failed.
    Tls(Fault),
}

impl Failure {
    const PLAIN: [Self; 6] =
        [Self::Refused, Self::ConnectTimeout, Self::Dns, Self::Unreachable, Self::NoAnswer, Self::Protocol];

    fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain(Fault::ALL.map(Self::Tls))
    }

    /// A few words for people.
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

/// What the last probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not probed yet.
    Unknown,
    /// It answered.
    Up,
    /// It did not.
    Down(Failure),
}

impl State {
    /// `None` is not known yet.
    #[must_use]
    pub const fn up(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Up => Some(true),
            Self::Down(_) => Some(false),
        }
    }
}

/// The status at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What the last probe found.
    pub state: State,
    /// When it became up or down; the start where neither is known.
    pub since: Instant,
    /// How long the last probe took; `None` before the first.
    pub probe: Option<Duration>,
}

/// The status of one backend.
#[derive(Debug)]
pub struct Status {
    anchor: Instant,
    /// State in the low byte (0 unknown, 1 up, from 2 down with the index of its failure); above it the microseconds
    /// from the anchor to the last change: 2,000 years of them. One word, so that the two always fit together.
    word: AtomicU64,
    /// Microseconds of the last probe, plus one; 0 before the first.
    probe: AtomicU64,
}

const STATE_BITS: u32 = 8;

impl Status {
    /// Not known yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { anchor: now, word: AtomicU64::new(0), probe: AtomicU64::new(0) }
    }

    /// A probe ended. Returns whether the state, or the reason for being down, is another than before.
    pub fn record(&self, now: Instant, found: Result<(), Failure>, took: Duration) -> bool {
        self.probe.store(micros(took).saturating_add(1), Ordering::Relaxed);
        let state = match found {
            Ok(()) => State::Up,
            Err(failure) => State::Down(failure),
        };
        let before = self.word.load(Ordering::Relaxed);
        let old = decode(before);
        let since = if old.up() == state.up() { before >> STATE_BITS } else { micros(now.duration_since(self.anchor)) };
        self.word.store(since << STATE_BITS | encode(state), Ordering::Release);
        old != state
    }

    /// As it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let word = self.word.load(Ordering::Acquire);
        let probe = self.probe.load(Ordering::Relaxed);
        Snapshot {
            state: decode(word),
            since: self.anchor + Duration::from_micros(word >> STATE_BITS),
            probe: probe.checked_sub(1).map(Duration::from_micros),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX >> STATE_BITS)
}

fn encode(state: State) -> u64 {
    match state {
        State::Unknown => 0,
        State::Up => 1,
        State::Down(failure) => 2 + Failure::all().take_while(|other| *other != failure).count() as u64,
    }
}

fn decode(word: u64) -> State {
    match word & ((1 << STATE_BITS) - 1) {
        0 => State::Unknown,
        1 => State::Up,
        index => {
            let failure = usize::try_from(index - 2).ok().and_then(|index| Failure::all().nth(index));
            State::Down(failure.expect("only encode writes the word"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_encoding() {
        let downs = Failure::all().map(State::Down);
        for state in [State::Unknown, State::Up].into_iter().chain(downs) {
            assert_eq!(decode(7 << STATE_BITS | encode(state)), state);
        }
    }

    #[test]
    fn since_moves_when_a_backend_goes_up_or_down_and_not_when_only_the_reason_changes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let took = Duration::from_millis(3);
        let status = Status::new(start);
        assert_eq!(status.snapshot(), Snapshot { state: State::Unknown, since: start, probe: None });
        assert!(status.record(at(1), Ok(()), took));
        assert!(!status.record(at(2), Ok(()), took));
        assert_eq!(status.snapshot(), Snapshot { state: State::Up, since: at(1), probe: Some(took) });
        assert!(status.record(at(3), Err(Failure::Refused), took));
        assert!(status.record(at(4), Err(Failure::NoAnswer), took), "another reason is news");
        let down = status.snapshot();
        assert_eq!((down.state, down.since), (State::Down(Failure::NoAnswer), at(3)));
    }
}
