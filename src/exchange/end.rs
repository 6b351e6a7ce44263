//! How an observation ends: what is left is read, everything becomes one record, and the watch learns of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::belief::Watched;
use super::outcome::{End, ErrorType, Outcome};
use super::rates::Decode;
use super::record::Record;
use super::residency::Cold;
use super::verdict::Evidence;
use super::{Observation, is_stream};
use crate::wire::event::{Defect, Defects, FinishReason, Source, Timings};

/// What a reader knows besides the events. The default is that of a body that nobody reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) streamed: bool,
    pub(super) expects_terminal: bool,
    pub(super) defects: Defects,
}

impl Observation {
    /// Ends it, unless it has ended.
    pub(super) fn conclude(&mut self, end: End, status: u16, overhead: Option<Duration>) {
        if self.watch.is_none() {
            return;
        }
        // An element without its terminator arrived with the last frame; a fault in reading it must not lose the end.
        if catch_unwind(AssertUnwindSafe(|| self.read_rest())).is_err() {
            self.defect(Defect::Panic);
        }
        let mut reading = self.reading();
        if self.watched(reading.streamed).contradicts(&self.answer.reported) {
            self.answer.reported = Timings::default();
            reading.defects.add(Defect::Duration);
        }
        let mut record = self.record(end, status, overhead, reading);
        record.truncation_suspected = self.suspects_truncation(&record);
        self.leave(&record);
        if let Some(mut watch) = self.watch.take() {
            watch.finished(&record);
        }
    }

    /// Only a completed generation with a reported count of its prompt says anything about cuts.
    fn suspects_truncation(&self, record: &Record) -> bool {
        let reported = record.prompt_tokens.filter(|count| count.source == Source::Reported);
        let known = reported.zip(record.prompt_characters).zip(record.model());
        let judged = record.is_generation() && record.outcome == Outcome::Completed && !self.answer.elsewhere;
        known.filter(|_| judged).is_some_and(|((tokens, characters), model)| {
            let stay = self.stay.as_ref().and_then(|stay| stay.suspects(model, characters, tokens.value));
            let others = |backend| self.shared.residency.suspects(backend, model, characters, tokens.value);
            stay.unwrap_or_else(|| self.backend().is_some_and(others))
        })
    }

    /// An answer that says nothing is that of a model which comes, or which the request sent away.
    fn finish_reason(&self) -> Option<FinishReason> {
        match self.answer.finish {
            Some(FinishReason::Load) if self.model_leaves => Some(FinishReason::Unload),
            finish => finish,
        }
    }

    /// What reported durations are held against.
    fn watched(&self, streamed: bool) -> Watched {
        let Answer { timing, tally, .. } = &self.answer;
        let one_choice = !(tally.several_choices() || timing.several_choices());
        Watched {
            whole: self.last.saturating_duration_since(self.start.at),
            decode: timing.window().filter(|_| streamed && one_choice),
            generated: tally.generated().map(|count| count.value),
        }
    }

    fn read_rest(&mut self) {
        self.settle_requested();
        if std::mem::take(&mut self.requested_untold) {
            self.tell_requested();
        }
        self.take_place();
        let arrived = self.arrived();
        if let Some(reader) = &mut self.reader {
            let answer = &mut self.answer;
            reader.end(&mut |event, offset| answer.event(event, offset, arrived));
            let streamed = is_stream(reader.framing());
            self.settle_frame(streamed);
        }
    }

    /// Gives its place on the model back, and says what its end says of what the backend holds in memory.
    fn leave(&mut self, record: &Record) {
        if let Some(backend) = self.backend().filter(|_| record.error == Some(ErrorType::ConnectRefused)) {
            self.shared.residency.refuses(backend);
        }
        let Some(mut stay) = self.stay.take() else { return };
        let unloads = self.answer.finish == Some(FinishReason::Unload) && record.outcome == Outcome::Completed;
        if unloads {
            stay.unloaded();
        } else if self.model_leaves {
            stay.leaves();
        }
        drop(stay);
        if unloads || self.model_leaves {
            self.changed();
        }
    }

    /// Why its model was cold, if it was: something answered in the model's name, and not to say that it was sent away.
    fn was_cold(&mut self) -> Option<Cold> {
        let load = self.answer.reported.load;
        let answered = load.is_some() || (self.names_answer() && self.answer.model.is_some());
        if !answered || self.answer.elsewhere || self.answer.finish == Some(FinishReason::Unload) {
            return None;
        }
        if let Some(stay) = self.stay.as_mut().filter(|_| load.is_some()) {
            stay.ran_here();
        }
        self.is_in_memory();
        self.stay.as_ref().and_then(|stay| stay.cold(load))
    }

    /// What the reader knows now.
    pub(super) fn reading(&self) -> Reading {
        match &self.reader {
            Some(reader) => Reading {
                streamed: is_stream(reader.framing()),
                expects_terminal: reader.expects_terminal(),
                defects: reader.defects(),
            },
            None => self.left.as_deref().copied().unwrap_or_default(),
        }
    }

    fn record(&mut self, end: End, status: u16, overhead: Option<Duration>, reading: Reading) -> Record {
        let mut defects = reading.defects;
        self.request_defect.into_iter().for_each(|defect| defects.add(defect));
        let error = self.answer.error && status < 400;
        let evidence = Evidence {
            end,
            answered: self.answered_status.is_some(),
            status,
            tunnel: self.tunnel,
            terminal: self.answer.terminal,
            error,
            expects_terminal: reading.expects_terminal,
        };
        let (outcome, error) = evidence.verdict();
        let cold = self.was_cold();
        if outcome == Outcome::Completed && matches!(end, End::BackendFailed(_)) {
            defects.add(Defect::Framing);
        }
        let (timing, tally, reported) = (&self.answer.timing, &self.answer.tally, self.answer.reported);
        let since = |at: Instant| at.saturating_duration_since(self.start.at);
        let first_token = timing.first_token.filter(|_| reading.streamed);
        let first_answer = timing.first_answer.filter(|_| reading.streamed);
        let generated = tally.generated();
        let decode = Decode {
            generated: generated.map(|count| count.value),
            reported: reported.decode,
            watched: timing.window().filter(|_| reading.streamed),
            events: timing.events,
            events_at_once: timing.events_at_once,
            several_choices: tally.several_choices() || timing.several_choices(),
        };
        Record {
            status,
            outcome,
            error,
            phase: self.phase,
            tunnel: self.tunnel,
            streamed: reading.streamed,
            duration: since(self.last),
            time_to_first_byte: timing.first_byte.map(since),
            time_to_first_token: first_token.map(|mark| since(mark.at)),
            time_to_first_answer: first_answer.map(|mark| since(mark.at)),
            first_token_offset: first_token.map(|mark| mark.offset),
            first_answer_offset: first_answer.map(|mark| mark.offset),
            token_events: timing.events,
            stalls: if reading.streamed { timing.stalls } else { 0 },
            largest_gap: timing.largest_gap.filter(|_| reading.streamed),
            prompt_tokens: tally.prompt(),
            generated_tokens: generated,
            cached_tokens: tally.cached(),
            reasoning_tokens: tally.reasoning(),
            drafted_tokens: tally.drafted(),
            draft_accepted_tokens: tally.draft_accepted(),
            load: reported.load,
            cold,
            prompt_characters: self.prompt_characters,
            truncation_suspected: false,
            prefill: reported.prefill,
            decode: reported.decode,
            time_per_output_token: decode.time_per_output_token(),
            tokens_per_second: decode.tokens_per_second(),
            finish_reason: self.finish_reason(),
            has_no_tokens: self.answer.has_no_tokens,
            progress_bytes: self.answer.progress,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            overhead: overhead.filter(|_| !self.tunnel),
            defects,
            requested_model: self.requested_model.take(),
            answered_model: if self.model_told { self.answer.model.take() } else { None },
            placement: self.placement.clone(),
            timeline: self.timeline,
            start: self.start.clone(),
        }
    }
}
