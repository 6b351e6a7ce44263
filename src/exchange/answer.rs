//! What the events of one answer add up to.
//!
//! Takes the normalised events of any dialect, in order, each with the instant at which its frame arrived. It never
//! fails, it allocates only for the model's name, and it knows nothing of bytes.

use std::time::Instant;

use super::names::NamedModel;
use super::timing::Timing;
use super::usage::Tally;
use crate::wire::event::{Event, FinishReason, Timings};

/// What was read of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first name that the backend gave the model.
    pub(super) model: Option<NamedModel>,
    /// Instants.
    pub(super) timing: Timing,
    /// Counts.
    pub(super) tally: Tally,
    /// Durations that the backend reported.
    pub(super) reported: Timings,
    /// Why generation stopped; the last word counts.
    pub(super) finish: Option<FinishReason>,
    /// Bytes moved by a transfer.
    pub(super) progress: Option<u64>,
    /// The backend said that the model runs elsewhere.
    pub(super) elsewhere: bool,
    /// The backend said that it failed.
    pub(super) error: bool,
    /// The terminal event was seen, and no token since.
    pub(super) terminal: bool,
    /// What was made has no tokens by nature.
    pub(super) has_no_tokens: bool,
}

impl Answer {
    /// Takes one event of the frame that arrived at `now`. `offset` counts the bytes of the body up to its end.
    pub(super) fn event(&mut self, event: Event<'_>, offset: u64, now: Instant) {
        match event {
            Event::Model(name) if self.model.is_none() && !name.is_empty() => self.model = Some(name.into()),
            Event::Model(_) => {}
            Event::Tokens(tokens) => {
                // A list of prompts goes on after the end of one: llama.cpp begins the next only then.
                self.terminal = false;
                self.tally.tokens(tokens);
                if tokens.answer || tokens.thinking {
                    self.timing.token(tokens, offset, now);
                }
            }
            Event::Usage(usage) => self.tally.usage(usage),
            Event::Timings(timings) => self.timings(timings),
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Progress(progress) => self.progress = Some(progress.completed),
            Event::Elsewhere => self.elsewhere = true,
            Event::Error => self.error = true,
            Event::Terminal => self.terminal = true,
            Event::NoTokens => self.has_no_tokens = true,
        }
    }

    fn timings(&mut self, timings: Timings) {
        let known = &mut self.reported;
        known.load = timings.load.or(known.load);
        known.prefill = timings.prefill.or(known.prefill);
        known.decode = timings.decode.or(known.decode);
        known.total = timings.total.or(known.total);
    }
}
