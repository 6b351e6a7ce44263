//! When the parts of an answer arrived: first byte, first token, first answer, gaps and stalls.
//!
//! Promises: every instant is an argument; time never runs backwards (an earlier instant counts as no time); no
//! allocation. Left out: whether the answer is a stream. It may show late, so all is kept and the record decides.

use std::time::{Duration, Instant};

use super::sink::TokenFrame;

/// When something was first seen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the frame that held it arrived.
    pub(super) at: Instant,
    /// Offset in the response body just past the element that held it.
    pub(super) offset: u64,
}

/// What is known of time so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    /// The first byte of the response body.
    pub(super) first_byte: Option<Instant>,
    /// The last frame of the response body.
    pub(super) last_byte: Option<Instant>,
    /// The first event with text, thinking or tool data.
    pub(super) first_token: Option<Mark>,
    /// The first event with text or tool data.
    pub(super) first_answer: Option<Mark>,
    /// The last frame that bore tokens.
    pub(super) last_token: Option<Instant>,
    /// Token-bearing events of all frames.
    pub(super) events: u64,
    /// Those of the first frame that had any.
    pub(super) events_at_once: u64,
    /// Gaps above the threshold.
    pub(super) stalls: u64,
    /// Token-bearing events of the frame that is being read.
    in_frame: u32,
}

impl Timing {
    /// A frame of the response body arrived.
    pub(super) fn bytes(&mut self, now: Instant) {
        self.first_byte.get_or_insert(now);
        self.last_byte = Some(now);
    }

    /// A token-bearing event was read.
    pub(super) fn token(&mut self, answer: bool, offset: u64, now: Instant) {
        self.events += 1;
        self.in_frame = self.in_frame.saturating_add(1);
        let mark = Mark { at: now, offset };
        self.first_token.get_or_insert(mark);
        if answer {
            self.first_answer.get_or_insert(mark);
        }
    }

    /// The frame was read to its end. Yields what it bore, if it bore tokens.
    pub(super) fn frame_end(&mut self, stall: Duration, now: Instant) -> Option<TokenFrame> {
        let events = std::mem::take(&mut self.in_frame);
        if events == 0 {
            return None;
        }
        if self.last_token.is_none() {
            self.events_at_once = u64::from(events);
        }
        let gap = self.last_token.map(|last| now.saturating_duration_since(last));
        let stalled = gap.is_some_and(|gap| gap > stall);
        self.stalls += u64::from(stalled);
        self.last_token = Some(now);
        Some(TokenFrame { events, gap, stalled })
    }

    /// From the first token to the last frame that bore one: the decode that could be watched.
    pub(super) fn window(&self) -> Option<Duration> {
        Some(self.last_token?.saturating_duration_since(self.first_token?.at))
    }
}
