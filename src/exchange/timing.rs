//! When the parts of an answer arrived: first byte, first token, first answer, gaps and stalls.
//!
//! Promises: every instant is an argument; time never runs backwards (an earlier instant counts as no time); no
//! allocation for an answer of one choice. Gaps are measured for each choice separately: the time between tokens of two
//! choices means nothing. A frame whose reading a slow client delayed had arrived earlier: it ends no gap and begins
//! none. Left out: whether the answer is a stream, which may show only later; the record decides.

use std::time::{Duration, Instant};

use super::sink::TokenFrame;
use crate::wire::event::Tokens;

/// Choices whose gaps are measured. `OpenAI` allows 128; further choices have no gaps.
const CHOICES: usize = 128;

/// When something was first seen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When its frame arrived.
    pub(super) at: Instant,
    /// Offset in the response body just past its element.
    pub(super) offset: u64,
}

/// The instants and gaps observed so far.
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
    /// The last token-bearing frame.
    pub(super) last_token: Option<Instant>,
    /// Token-bearing events of all frames.
    pub(super) events: u64,
    /// Those of the first frame that had any.
    pub(super) events_at_once: u64,
    /// Gaps above the threshold.
    pub(super) stalls: u64,
    /// The longest gap between token-bearing frames of one choice.
    pub(super) largest_gap: Option<Duration>,
    /// Token-bearing events of the current frame.
    in_frame: u32,
    /// The current frame was read late because the client was slow.
    held_back: bool,
    /// Whether the first, and the last, token-bearing frame was read late.
    late: (bool, bool),
    /// Choice 0, the only one of most answers.
    first_choice: ChoiceTiming,
    /// The choices from 1 on; empty until one of them has tokens.
    other_choices: Vec<ChoiceTiming>,
}

/// The timing of one choice.
#[derive(Clone, Copy, Debug, Default)]
struct ChoiceTiming {
    /// When its last token-bearing frame arrived; `None` before the first, and after a frame that was read late.
    last: Option<Instant>,
    /// Its token-bearing events in the current frame.
    events: u32,
    /// Tokens in them, at least one each.
    tokens: u32,
}

impl Timing {
    /// Records that bytes of the response body arrived.
    pub(super) fn record_bytes(&mut self, now: Instant) {
        self.first_byte.get_or_insert(now);
        self.last_byte = Some(now);
    }

    /// Marks the current frame as read late: it had arrived while the client took nothing.
    pub(super) fn mark_held_back(&mut self) {
        self.held_back = true;
    }

    /// Records a token-bearing event.
    pub(super) fn record_token(&mut self, tokens: Tokens, offset: u64, now: Instant) {
        self.events += 1;
        self.in_frame = self.in_frame.saturating_add(1);
        let mark = Mark { at: now, offset };
        self.first_token.get_or_insert(mark);
        if tokens.answer {
            self.first_answer.get_or_insert(mark);
        }
        let listed = u32::try_from(tokens.listed.unwrap_or(1).max(1)).unwrap_or(u32::MAX);
        let choice = self.choice(tokens.choice);
        choice.events = choice.events.saturating_add(1);
        choice.tokens = choice.tokens.saturating_add(listed);
    }

    fn choice(&mut self, number: u64) -> &mut ChoiceTiming {
        if number == 0 {
            return &mut self.first_choice;
        }
        let index = usize::try_from(number).unwrap_or(usize::MAX).min(CHOICES) - 1;
        if self.other_choices.len() <= index {
            self.other_choices.resize(index + 1, ChoiceTiming::default());
        }
        &mut self.other_choices[index]
    }

    /// Whether the current frame contains tokens.
    pub(super) fn has_tokens_in_frame(&self) -> bool {
        self.in_frame > 0
    }

    /// Whether several choices share the answer.
    pub(super) fn has_several_choices(&self) -> bool {
        !self.other_choices.is_empty()
    }

    /// Ends the current frame, and emits its tokens choice by choice.
    pub(super) fn end_frame(&mut self, stall: Duration, now: Instant, mut emit: impl FnMut(TokenFrame)) {
        let (events, late) = (std::mem::take(&mut self.in_frame), std::mem::take(&mut self.held_back));
        if events == 0 {
            return;
        }
        if self.last_token.is_none() {
            self.events_at_once = u64::from(events);
            self.late.0 = late;
        }
        let since = |last: Option<Instant>| last.map(|last| now.saturating_duration_since(last)).filter(|_| !late);
        // At most one stall a frame, however many choices waited.
        let mut may_stall = since(self.last_token).is_some_and(|gap| gap > stall);
        let shared = self.other_choices.len() >= CHOICES;
        let others = self.other_choices.iter_mut().enumerate().map(|(index, timing)| (index + 1, timing));
        for (choice, timing) in std::iter::once((0, &mut self.first_choice)).chain(others) {
            let ChoiceTiming { last, events, tokens } = std::mem::take(timing);
            timing.last = last;
            if events == 0 {
                continue;
            }
            let gap = since(last).filter(|_| !(shared && choice == CHOICES));
            let stalled = may_stall && gap.is_some_and(|gap| gap > stall);
            may_stall &= !stalled;
            self.stalls += u64::from(stalled);
            self.largest_gap = self.largest_gap.max(gap);
            timing.last = (!late).then_some(now);
            emit(TokenFrame { events, tokens, gap, stalled });
        }
        self.last_token = Some(now);
        self.late.1 = late;
    }

    /// The observed decode: from the first token to the last token-bearing frame. `None` where either was read late.
    pub(super) fn window(&self) -> Option<Duration> {
        let timely = self.late == (false, false);
        Some(self.last_token?.saturating_duration_since(self.first_token?.at)).filter(|_| timely)
    }
}
