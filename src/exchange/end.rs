//! The end of an observation: parses what is left, builds the record, and passes it to the watch.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::names::NamedModel;
use super::outcome::{End, ErrorType, Outcome};
use super::placement::PlacementReason;
use super::plausibility::Observed;
use super::rates::DecodeFacts;
use super::reading::{BodyReading, is_stream};
use super::record::Record;
use super::residency::{ColdStart, KeepAlive, ModelUse};
use super::verdict::EndEvidence;
use super::{Learnt, Observation};
use crate::wire::event::{Defect, FinishReason, Source, Timings};

impl Observation {
    /// Ends the exchange. Does nothing after the first call. `overhead` is `None` if it was not measured.
    pub(super) fn conclude(&mut self, end: End, status: u16, overhead: Option<Duration>) -> Learnt {
        if self.watch.is_none() {
            return Learnt::default();
        }
        // The last element may lack its terminator; a bug in parsing it must not lose the record.
        if catch_unwind(AssertUnwindSafe(|| self.read_rest())).is_err() {
            self.defect(Defect::Panic);
        }
        let mut reading = self.reading();
        let duration = self.last.saturating_duration_since(self.start.at);
        if self.observed(duration, reading.streamed).contradicts(&self.answer.reported) {
            self.answer.reported = Timings::default();
            reading.defects.add(Defect::Duration);
        }
        let mut record = self.record(end, status, (duration, overhead), reading);
        record.truncation_suspected = self.suspects_truncation(&record);
        self.leave_model(&record);
        if let Some(mut watch) = self.watch.take() {
            watch.finished(&record);
        }
        let load = record.cold.is_some().then(|| record.load.or(record.time_to_first_token)).flatten();
        let is_chosen = record.placement.as_ref().is_some_and(|it| it.reason != PlacementReason::Only);
        let model = record.answered_model.as_ref().or(record.requested_model.as_ref()).and_then(NamedModel::as_listed);
        let pace = record.time_per_output_token.filter(|_| is_chosen);
        Learnt { load, pace: pace.and_then(|pace| Some((model?.clone(), pace))) }
    }

    /// Whether the prompt was probably cut. False unless a generation completed and reported its prompt tokens.
    fn suspects_truncation(&self, record: &Record) -> bool {
        let reported = record.prompt_tokens.filter(|count| count.source == Source::Reported);
        let known = reported.zip(record.prompt_characters).zip(record.model());
        // Ollama's cloud answers under a name of its own.
        let is_remote = self.answer.is_remote || self.model_use.as_ref().is_some_and(ModelUse::is_remote);
        let judged = record.is_generation() && record.outcome == Outcome::Completed && !is_remote;
        known.filter(|_| judged).is_some_and(|((tokens, characters), model)| {
            let own = self.model_use.as_ref().and_then(|it| match &record.requested_model {
                // Under this name it is in use.
                Some(requested) if **requested == *model => Some(it.observe_own_prompt(characters, tokens.value)),
                _ => it.observe_prompt(model, characters, tokens.value),
            });
            let other = |backend| self.context.residency.observe_prompt(backend, model, characters, tokens.value);
            own.unwrap_or_else(|| self.backend().is_some_and(other))
        })
    }

    /// An answer without text comes from a model that was only loaded, or that the request unloaded.
    fn finish_reason(&self) -> Option<FinishReason> {
        match self.answer.finish {
            Some(FinishReason::Load) if self.unloads_model == Some(true) => Some(FinishReason::Unload),
            finish => finish,
        }
    }

    /// What reported durations are compared with.
    fn observed(&self, whole: Duration, streamed: bool) -> Observed {
        let Answer { timing, tokens, .. } = &self.answer;
        let one_choice = !(tokens.has_several_choices() || timing.has_several_choices());
        Observed {
            whole,
            decode: timing.window().filter(|_| streamed && one_choice),
            generated: tokens.generated().map(|count| count.value),
        }
    }

    fn read_rest(&mut self) {
        if std::mem::take(&mut self.requested_unreported) {
            self.report_requested();
        }
        self.enter_model();
        let arrived = self.arrived();
        if let Some(reader) = &mut self.reader {
            let answer = &mut self.answer;
            reader.end(&mut |event, offset| answer.observe(event, offset, arrived));
            let streamed = is_stream(reader.framing());
            self.settle_frame(streamed);
        }
    }

    /// Ends the use of the model, and passes on what the end says about the models in the backend's memory.
    fn leave_model(&mut self, record: &Record) {
        if let Some(backend) = self.backend().filter(|_| record.error == Some(ErrorType::ConnectRefused)) {
            self.context.residency.connection_refused(backend);
        }
        let Some(model_use) = self.model_use.take() else { return };
        let keep_alive = match self.unloads_model {
            _ if self.answer.finish == Some(FinishReason::Unload) && record.outcome == Outcome::Completed => {
                KeepAlive::Unloaded
            }
            Some(true) => KeepAlive::Zero,
            Some(false) => KeepAlive::Some,
            None => KeepAlive::Unset,
        };
        if model_use.leave(keep_alive) || keep_alive == KeepAlive::Unloaded {
            self.report_memory_change();
        }
    }

    /// Why the model had to be loaded; `None` where it was in memory, is remote, or did not answer.
    fn cold_start(&mut self) -> Option<ColdStart> {
        let load = self.answer.reported.load;
        let answered = load.is_some() || (self.names_answer() && self.answer.model.is_some());
        if !answered || self.answer.is_remote || self.answer.finish == Some(FinishReason::Unload) {
            return None;
        }
        if let Some(model_use) = self.model_use.as_mut().filter(|_| load.is_some()) {
            model_use.mark_local();
        }
        self.mark_in_memory();
        self.model_use.as_ref().and_then(|it| it.cold_start(load))
    }

    /// The current state of the reader, or the last one before it failed.
    pub(super) fn reading(&self) -> BodyReading {
        let failed = || self.failed_reading.as_deref().copied().unwrap_or_default();
        self.reader.as_ref().map_or_else(failed, BodyReading::from)
    }

    fn record(
        &mut self,
        end: End,
        status: u16,
        (duration, overhead): (Duration, Option<Duration>),
        reading: BodyReading,
    ) -> Record {
        let mut defects = reading.defects;
        self.request_defect.into_iter().for_each(|defect| defects.add(defect));
        let error = self.answer.error && status < 400;
        let evidence = EndEvidence {
            end,
            answered: self.answered_status.is_some(),
            status,
            tunnel: self.tunnel,
            terminal: self.answer.terminal,
            error,
            expects_terminal: reading.expects_terminal,
        };
        let (outcome, error) = evidence.verdict();
        let cold = self.cold_start();
        if outcome == Outcome::Completed && matches!(end, End::BackendFailed(_)) {
            defects.add(Defect::Framing);
        }
        let (timing, tokens, reported) = (&self.answer.timing, &self.answer.tokens, self.answer.reported);
        let since = |at: Instant| at.saturating_duration_since(self.start.at);
        let first_token = timing.first_token.filter(|_| reading.streamed);
        let first_answer = timing.first_answer.filter(|_| reading.streamed);
        let generated = tokens.generated();
        let decode = DecodeFacts {
            generated: generated.map(|count| count.value),
            reported: reported.decode,
            observed: timing.window().filter(|_| reading.streamed),
            events: timing.events,
            events_at_once: timing.events_at_once,
            several_choices: tokens.has_several_choices() || timing.has_several_choices(),
        };
        Record {
            status,
            outcome,
            error,
            phase: self.phase,
            tunnel: self.tunnel,
            streamed: reading.streamed,
            duration,
            time_to_first_byte: timing.first_byte.map(since),
            time_to_first_token: first_token.map(|mark| since(mark.at)),
            time_to_first_answer: first_answer.map(|mark| since(mark.at)),
            first_token_offset: first_token.map(|mark| mark.offset),
            first_answer_offset: first_answer.map(|mark| mark.offset),
            token_events: timing.events,
            stalls: if reading.streamed { timing.stalls } else { 0 },
            largest_gap: timing.largest_gap.filter(|_| reading.streamed),
            prompt_tokens: tokens.prompt(),
            generated_tokens: generated,
            cached_tokens: tokens.cached(),
            reasoning_tokens: tokens.reasoning(),
            drafted_tokens: tokens.drafted(),
            draft_accepted_tokens: tokens.draft_accepted(),
            load: reported.load,
            cold,
            messages: self.messages.map(|count| u64::from(count.get())),
            prompt_characters: self.prompt_characters.map(NonZeroU64::get),
            truncation_suspected: false,
            prefill: reported.prefill,
            decode: reported.decode,
            time_per_output_token: decode.time_per_output_token(),
            tokens_per_second: decode.tokens_per_second(),
            finish_reason: self.finish_reason(),
            has_no_tokens: self.answer.has_no_tokens,
            progress_bytes: self.answer.transfer.as_ref().and_then(|it| Some(it.progress?.completed)),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            overhead: overhead.filter(|_| !self.tunnel),
            defects,
            requested_model: self.requested_model.take(),
            answered_model: if self.answered_model_reported { self.answer.model.take() } else { None },
            placement: self.placement.clone(),
            timeline: self.timeline,
            start: self.start.clone(),
        }
    }
}
