//! Limits frames that cost work and carry nothing: a client may send some at any time, and more with time and with the
//! data that it is sent. Pure.

use std::time::{Duration, Instant};

use super::frames::{END_STREAM, Frame, kind};

/// Most such frames at once.
const BURST: u32 = 1_000;
/// After this time one more is allowed.
const EACH: Duration = Duration::from_millis(10);
/// How many more each frame of an answer allows: clients send window updates after each, for the stream and for the
/// connection, and some measure the round trip with pings.
const FOR_AN_ANSWER: u32 = 4;
/// This many bytes of an answer's data allow one more: some clients send two window updates for each 4 KiB that they
/// read, however large the frames are.
const FOR_BYTES: u32 = 1024;

/// How many frames one connection may still send.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// Takes a frame of the client. True where it is one too many. Reads the clock only when the allowance is used up.
    pub(super) fn is_spent_by(&mut self, frame: Frame, now: impl FnOnce() -> Instant) -> bool {
        let carries = match frame.kind {
            kind::HEADERS => true,
            kind::DATA => frame.length > 0 || frame.flags & END_STREAM != 0,
            _ => false,
        };
        !carries && self.is_spent(now)
    }

    /// Takes a frame that was sent to the client.
    pub(super) fn answered(&mut self, frame: Frame) {
        let earned = match frame.kind {
            kind::DATA => FOR_AN_ANSWER + frame.length / FOR_BYTES,
            kind::HEADERS => FOR_AN_ANSWER,
            _ => return,
        };
        self.left = BURST.min(self.left + earned);
    }

    fn is_spent(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.left == 0 {
            let passed = now().duration_since(self.since);
            // Time that does not make a whole frame is kept.
            let whole = u32::try_from(passed.as_nanos() / EACH.as_nanos()).unwrap_or(u32::MAX);
            self.since += EACH * whole;
            self.left = whole.min(BURST);
        }
        self.left.checked_sub(1).map(|left| self.left = left).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Frame = Frame { length: 8, kind: 6, flags: 0, stream: 0, word: None };
    const DATA: Frame = Frame { length: 1, kind: kind::DATA, flags: 0, stream: 1, word: None };
    const NOTHING: Frame = Frame { length: 0, ..DATA };

    #[test]
    fn a_download_of_any_length_allows_two_updates_for_each_4_kib() {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        let data = Frame { length: 16 * 1024, ..DATA };
        let update = Frame { length: 4, kind: 8, ..PING };
        for frame in 0..64 * 1024 * 1024 / data.length {
            allowance.answered(data);
            for _ in 0..2 * data.length / 4096 {
                assert!(!allowance.is_spent_by(update, || begun), "after {frame} frames");
            }
        }
        allowance.answered(data);
        assert!((0..BURST).all(|_| !allowance.is_spent_by(update, || begun)));
        assert!(allowance.is_spent_by(update, || begun), "what was earned is no more than a burst");
    }

    #[test]
    fn a_burst_is_allowed_and_more_as_time_goes_by_and_answers_are_given() {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        assert!(
            (0..BURST).all(|number| !allowance.is_spent_by(if number % 2 == 0 { PING } else { NOTHING }, || begun))
        );
        assert!(allowance.is_spent_by(PING, || begun));
        assert!(!allowance.is_spent_by(DATA, || begun), "what carries something costs nothing");
        allowance.answered(DATA);
        assert!((0..FOR_AN_ANSWER).all(|_| !allowance.is_spent_by(PING, || begun)));
        assert!(allowance.is_spent_by(PING, || begun));
        let later = begun + Duration::from_millis(1_015);
        assert!((0..101).all(|_| !allowance.is_spent_by(PING, || later)));
        assert!(allowance.is_spent_by(PING, || later));
        assert!(!allowance.is_spent_by(PING, || later + Duration::from_millis(5)), "nothing of the time is lost");
        let mut quiet = Allowance::new(begun);
        let much_later = begun + Duration::from_secs(1 << 20);
        assert_eq!((0..3 * BURST).filter(|_| !quiet.is_spent_by(PING, || much_later)).count(), 2 * BURST as usize);
    }
}
