//! The accumulated events of one answer.
//!
//! Takes the normalised events of any dialect, in order, each with the instant at which its frame arrived. It never
//! fails and allocates only for the model's name.

use std::time::Instant;

use super::names::NamedModel;
use super::timing::Timing;
use super::usage::TokenCounts;
use crate::wire::event::{Event, FinishReason, Progress, Timings, TransferStep};

/// What is known of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first name that the backend gave the model.
    pub(super) model: Option<NamedModel>,
    /// When its parts arrived.
    pub(super) timing: Timing,
    /// Its token counts, by source.
    pub(super) tokens: TokenCounts,
    /// Durations that the backend reported.
    pub(super) reported: Timings,
    /// Why generation stopped, from the last event with a reason.
    pub(super) finish: Option<FinishReason>,
    /// A pull, push or create. Boxed, as it is rare.
    pub(super) transfer: Option<Box<TransferFacts>>,
    /// The backend said that the model runs on another host.
    pub(super) is_remote: bool,
    /// The backend reported an error.
    pub(super) error: bool,
    /// The terminal event was seen, and no token after it.
    pub(super) terminal: bool,
    /// The result has no tokens by nature, such as an image.
    pub(super) has_no_tokens: bool,
}

/// What is known of a transfer.
#[derive(Debug, Default)]
pub(super) struct TransferFacts {
    /// How far it is; `None` while that is unknown.
    pub(super) progress: Option<Progress>,
    /// A step that was not reported yet.
    pub(super) step: Option<TransferStep>,
}

impl Answer {
    /// Adds an event of the frame that arrived at `now`. `offset` is the number of body bytes up to the event's end.
    pub(super) fn observe(&mut self, event: Event<'_>, offset: u64, now: Instant) {
        match event {
            Event::Model(name) if self.model.is_none() && !name.is_empty() => self.model = Some(name.into()),
            Event::Model(_) => {}
            Event::Tokens(tokens) => {
                // With a list of prompts, llama.cpp begins the next one after the terminal event of the last.
                self.terminal = false;
                self.tokens.add_listed(tokens);
                if tokens.answer || tokens.thinking {
                    self.timing.record_token(tokens, offset, now);
                }
            }
            Event::Usage(usage) => self.tokens.merge(usage),
            Event::Timings(timings) => self.merge_timings(timings),
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Progress(progress) => self.transfer.get_or_insert_default().progress = Some(progress),
            Event::Step(step) => self.transfer.get_or_insert_default().step = Some(step),
            Event::Elsewhere => self.is_remote = true,
            Event::Error => self.error = true,
            Event::Terminal => self.terminal = true,
            Event::NoTokens => self.has_no_tokens = true,
        }
    }

    fn merge_timings(&mut self, timings: Timings) {
        let known = &mut self.reported;
        known.load = timings.load.or(known.load);
        known.prefill = timings.prefill.or(known.prefill);
        known.decode = timings.decode.or(known.decode);
        known.total = timings.total.or(known.total);
    }
}
