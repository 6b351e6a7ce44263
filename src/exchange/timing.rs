//! When the parts of an answer arrived: first byte, first token, first answer, gaps and stalls.
//!
//! Promises: every instant is an argument; time never runs backwards (an earlier instant counts as no time); no
//! allocation for an answer of one choice. Each choice has a clock of its own: the gap between the tokens of two of them
//! is nothing that a model did. A frame that was read only after a slow client had to be waited for had arrived before:
//! it ends no gap and opens none. Left out: whether the answer is a stream. It may show late, so all is kept and the
//! record decides.

use std::time::{Duration, Instant};

use super::sink::TokenFrame;
use crate::wire::event::Tokens;

/// Choices with clocks of their own. `OpenAI` allows 128; beyond, there are no gaps.
const CHOICES: usize = 128;

/// When something was first seen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the frame that held it arrived.
    pub(super) at: Instant,
    /// Offset in the response body just past the element that held it.
    pub(super) offset: u64,
}

/// What is known of time so far.
#[derive(Debug, Default)]
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
    /// The longest gap between frames that bore tokens of one choice.
    pub(super) largest_gap: Option<Duration>,
    /// Token-bearing events of the frame that is being read.
    in_frame: u32,
    /// The frame that is being read was read late, for the client's sake.
    held_back: bool,
    /// The first, and the last, frame with tokens was read late.
    late: (bool, bool),
    /// The choice that most answers have alone.
    first_choice: Clock,
    /// The choices from the second on, once one of them bore tokens.
    other_choices: Vec<Clock>,
}

/// The time of one choice.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// When the last frame arrived that bore tokens of it, if that is known.
    last: Option<Instant>,
    /// Token-bearing events of it in the frame that is being read.
    events: u32,
    /// Tokens in them, as far as that is known; at least one each.
    tokens: u32,
}

impl Timing {
    /// A frame of the response body arrived.
    pub(super) fn bytes(&mut self, now: Instant) {
        self.first_byte.get_or_insert(now);
        self.last_byte = Some(now);
    }

    /// The frame that is being read had arrived before: it was left unread while the client took nothing.
    pub(super) fn held_back(&mut self) {
        self.held_back = true;
    }

    /// A token-bearing event was read.
    pub(super) fn token(&mut self, tokens: Tokens, offset: u64, now: Instant) {
        self.events += 1;
        self.in_frame = self.in_frame.saturating_add(1);
        let mark = Mark { at: now, offset };
        self.first_token.get_or_insert(mark);
        if tokens.answer {
            self.first_answer.get_or_insert(mark);
        }
        let held = u32::try_from(tokens.listed.unwrap_or(1).max(1)).unwrap_or(u32::MAX);
        let clock = self.clock(tokens.choice);
        clock.events = clock.events.saturating_add(1);
        clock.tokens = clock.tokens.saturating_add(held);
    }

    fn clock(&mut self, choice: u64) -> &mut Clock {
        if choice == 0 {
            return &mut self.first_choice;
        }
        let place = usize::try_from(choice).unwrap_or(usize::MAX).min(CHOICES) - 1;
        if self.other_choices.len() <= place {
            self.other_choices.resize(place + 1, Clock::default());
        }
        &mut self.other_choices[place]
    }

    /// The frame that is being read bears tokens.
    pub(super) fn bears(&self) -> bool {
        self.in_frame > 0
    }

    /// Several choices share the answer.
    pub(super) fn several_choices(&self) -> bool {
        !self.other_choices.is_empty()
    }

    /// The frame was read to its end. Tells what it bore, choice by choice.
    pub(super) fn frame_end(&mut self, stall: Duration, now: Instant, mut tell: impl FnMut(TokenFrame)) {
        let (events, late) = (std::mem::take(&mut self.in_frame), std::mem::take(&mut self.held_back));
        if events == 0 {
            return;
        }
        if self.last_token.is_none() {
            self.events_at_once = u64::from(events);
            self.late.0 = late;
        }
        let since = |last: Option<Instant>| last.map(|last| now.saturating_duration_since(last)).filter(|_| !late);
        // One stall a frame, however many choices waited.
        let mut may_stall = since(self.last_token).is_some_and(|gap| gap > stall);
        let shared = self.other_choices.len() >= CHOICES;
        let others = self.other_choices.iter_mut().enumerate().map(|(place, clock)| (place + 1, clock));
        for (choice, clock) in std::iter::once((0, &mut self.first_choice)).chain(others) {
            let Clock { last, events, tokens } = std::mem::take(clock);
            clock.last = last;
            if events == 0 {
                continue;
            }
            let gap = since(last).filter(|_| !(shared && choice == CHOICES));
            let stalled = may_stall && gap.is_some_and(|gap| gap > stall);
            may_stall &= !stalled;
            self.stalls += u64::from(stalled);
            self.largest_gap = self.largest_gap.max(gap);
            clock.last = (!late).then_some(now);
            tell(TokenFrame { events, tokens, gap, stalled });
        }
        self.last_token = Some(now);
        self.late.1 = late;
    }

    /// From the first token to the last frame that bore one: the decode that could be watched. None where either was
    /// read late.
    pub(super) fn window(&self) -> Option<Duration> {
        let watched = self.late == (false, false);
        Some(self.last_token?.saturating_duration_since(self.first_token?.at)).filter(|_| watched)
    }
}
