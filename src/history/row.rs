//! A finished exchange in a fixed number of bytes, made on the data path.

use super::conversation::{ConversationId, RowConversation};
use super::id::RowId;
use super::names::{NameId, NameKind, Names};
use super::units::{Count, Span};
use crate::exchange::outcome::{ColdCause, ErrorType, Outcome, Phase};
use crate::exchange::record::{Method, Record, TokenCount};
use crate::exchange::trace::{ParentSpan, TraceId};
use crate::exchange::vocabulary::{Dialect, FinishReason, Operation, Source};

/// A finished exchange, without its time. Names are numbers of [`Names`].
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its number among the exchanges of its process, as long as that fits.
    pub number: u32,
    /// The client's span; `None` without a `traceparent`.
    pub parent: Option<ParentSpan>,
    /// The last backend that was tried.
    pub backend: NameId,
    /// The model that answered, else the one requested; none where no backend has confirmed the name.
    pub model: NameId,
    /// The tenant.
    pub tenant: NameId,
    /// The client's product.
    pub client: NameId,
    /// The conversation that it is part of, as far as the client names one.
    pub conversation: Option<RowConversation>,
    /// Messages in the request of a chat.
    pub messages: Count,
    /// The endpoint's template.
    pub endpoint: NameId,
    /// The request's method.
    pub method: Method,
    /// The wire format.
    pub dialect: Dialect,
    /// What the backend was asked to do.
    pub operation: Operation,
    /// The status sent to the client.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub error: Option<ErrorType>,
    /// The phase in which it ended.
    pub phase: Phase,
    /// Why generation stopped.
    pub finish: Option<FinishReason>,
    /// Why the model had to be loaded.
    pub cold: Option<ColdCause>,
    /// Further facts.
    pub flags: Flags,
    /// The sources of the prompt and generated token counts.
    pub sources: [Option<Source>; 2],
    /// Backends tried; 0 where none was chosen.
    pub attempts: u8,
    /// How long it waited for a place on a backend.
    pub queued: Span,
    /// Offsets from its start, as in [`crate::exchange::timeline::Timeline`].
    pub placed: Span,
    /// A connection was opened.
    pub dialled: Span,
    /// The request was about to be sent.
    pub sent: Span,
    /// The request was sent.
    pub uploaded: Span,
    /// The head of the response had arrived.
    pub head: Span,
    /// To the first byte of the response's body.
    pub first_byte: Span,
    /// To the first token.
    pub first_token: Span,
    /// To the first token of the answer.
    pub first_answer: Span,
    /// From its start to its end.
    pub duration: Span,
    /// Reported.
    pub load: Span,
    /// Reported.
    pub prefill: Span,
    /// Reported.
    pub decode: Span,
    /// The proxy's own time.
    pub overhead: Span,
    /// The longest gap between tokens.
    pub largest_gap: Span,
    /// Time per output token.
    pub per_token: Span,
    /// Tokens per second; NaN is unknown.
    pub rate: f32,
    /// Gaps above the stall threshold.
    pub stalls: Count,
    /// Token-bearing events.
    pub events: Count,
    /// Prompt tokens, cached ones included.
    pub prompt: Count,
    /// Generated tokens.
    pub generated: Count,
    /// Prompt tokens read from a cache.
    pub cached: Count,
    /// Generated tokens that were thinking.
    pub reasoning: Count,
    /// Draft tokens proposed.
    pub drafted: Count,
    /// Draft tokens accepted.
    pub accepted: Count,
    /// Characters of the prompt.
    pub prompt_characters: Count,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// Bytes moved by a pull or push; `u64::MAX` is unknown.
    pub progress_bytes: u64,
    /// What it cost, in billionths of the currency's unit; `i64::MIN` is unknown.
    pub cost: i64,
}

/// A row with its id and weight: as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// When it ended, and the process that wrote it.
    pub id: RowId,
    /// For how many exchanges it counts: itself, and ordinary ones that were left out.
    pub weight: u16,
    /// Its facts.
    pub row: Row,
}

/// Boolean facts about an exchange, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// The connection switched protocols.
    pub const TUNNEL: Self = Self(1);
    /// The response was a stream of events.
    pub const STREAMED: Self = Self(1 << 1);
    /// The prompt was probably cut.
    pub const TRUNCATED_PROMPT: Self = Self(1 << 2);
    /// The result has no tokens by nature.
    pub const NO_TOKENS: Self = Self(1 << 3);
    /// Something could not be parsed, or contradicts itself.
    pub const DEFECT: Self = Self(1 << 4);
    /// The client may have recorded the trace.
    pub const SAMPLED: Self = Self(1 << 5);

    fn of(record: &Record) -> Self {
        let sampled = record.start.parent.is_some_and(|parent| parent.sampled);
        let all = [
            (Self::TUNNEL, record.tunnel),
            (Self::STREAMED, record.streamed),
            (Self::TRUNCATED_PROMPT, record.truncation_suspected),
            (Self::NO_TOKENS, record.has_no_tokens),
            (Self::DEFECT, !record.defects.is_empty()),
            (Self::SAMPLED, sampled),
        ];
        all.into_iter().fold(Self(0), |flags, (flag, set)| if set { Self(flags.0 | flag.0) } else { flags })
    }

    /// Whether all of these are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl Row {
    /// From a record. `model` is the name under which the model is known.
    pub(super) fn new(record: &Record, names: &Names, model: NameId) -> Self {
        let start = &record.start;
        let backend = record.placement.as_ref();
        let count = |count: Option<TokenCount>| Count::from(count.map(|count| count.value));
        Self {
            trace: start.trace,
            number: start.id as u32,
            parent: start.parent,
            backend: backend.map_or(NameId::NONE, |place| names.shared(NameKind::Backend, &place.backend)),
            model,
            tenant: NameId::NONE,
            client: start.client.as_ref().map_or(NameId::NONE, |client| names.shared(NameKind::Client, client)),
            conversation: start.conversation.map(RowConversation::Named),
            messages: record.messages.into(),
            endpoint: names.fixed(NameKind::Endpoint, start.route.endpoint),
            method: start.method,
            dialect: start.route.dialect,
            operation: start.route.operation,
            status: record.status,
            outcome: record.outcome,
            error: record.error,
            phase: record.phase,
            finish: record.finish_reason,
            cold: record.cold.as_ref().map(|cold| cold.cause),
            flags: Flags::of(record),
            sources: [record.prompt_tokens, record.best_generated()].map(|count| count.map(|count| count.source)),
            attempts: backend.map_or(0, |place| u8::try_from(place.attempt).unwrap_or(u8::MAX)),
            queued: backend.map(|place| place.queued).into(),
            placed: record.timeline.placed.into(),
            dialled: record.timeline.dialled.into(),
            sent: record.timeline.sent.into(),
            uploaded: record.timeline.uploaded.into(),
            head: record.timeline.head.into(),
            first_byte: record.time_to_first_byte.into(),
            first_token: record.time_to_first_token.into(),
            first_answer: record.time_to_first_answer.into(),
            duration: Span::known(record.duration),
            load: record.load.into(),
            prefill: record.prefill.into(),
            decode: record.decode.into(),
            overhead: record.overhead.into(),
            largest_gap: record.largest_gap.into(),
            per_token: record.time_per_output_token.into(),
            rate: record.tokens_per_second.map_or(f32::NAN, |rate| rate as f32),
            stalls: Count::known(record.stalls),
            events: Count::known(record.token_events),
            prompt: count(record.prompt_tokens),
            generated: count(record.best_generated()),
            cached: record.cached_tokens.into(),
            reasoning: record.reasoning_tokens.into(),
            drafted: record.drafted_tokens.into(),
            accepted: record.draft_accepted_tokens.into(),
            prompt_characters: record.prompt_characters.into(),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            progress_bytes: record.progress_bytes.unwrap_or(u64::MAX),
            cost: i64::MIN,
        }
    }

    /// The conversation of a row that was read from a file; `None` where the client named none.
    #[must_use]
    pub fn conversation(&self) -> Option<ConversationId> {
        match self.conversation {
            Some(RowConversation::Kept(kept)) => Some(kept),
            Some(RowConversation::Named(_)) | None => None,
        }
    }

    /// What it cost; `None` is unknown.
    #[must_use]
    pub fn cost(&self) -> Option<i64> {
        (self.cost != i64::MIN).then_some(self.cost)
    }

    /// Tokens in both directions, as far as they are known; `None` where neither is.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        let (prompt, generated) = (self.prompt.value(), self.generated.value());
        (prompt.is_some() || generated.is_some()).then(|| prompt.unwrap_or(0) + generated.unwrap_or(0))
    }

    /// Whether it is unremarkable: it completed, without an error or a stall.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        self.outcome == Outcome::Completed && self.error.is_none() && self.stalls.value() == Some(0)
    }
}

/// A completed chat of this duration.
#[cfg(test)]
pub(crate) fn sample(duration: std::time::Duration) -> Row {
    Row {
        trace: TraceId::from_random(7),
        number: 1,
        parent: None,
        backend: NameId::NONE,
        model: NameId::NONE,
        tenant: NameId::NONE,
        client: NameId::NONE,
        conversation: None,
        messages: Count::UNKNOWN,
        endpoint: NameId::NONE,
        method: Method::Post,
        dialect: Dialect::Ollama,
        operation: Operation::Chat,
        status: 200,
        outcome: Outcome::Completed,
        error: None,
        phase: Phase::Decode,
        finish: None,
        cold: None,
        flags: Flags::default(),
        sources: [None; 2],
        attempts: 1,
        queued: Span::UNKNOWN,
        placed: Span::UNKNOWN,
        dialled: Span::UNKNOWN,
        sent: Span::UNKNOWN,
        uploaded: Span::UNKNOWN,
        head: Span::UNKNOWN,
        first_byte: Span::UNKNOWN,
        first_token: Span::UNKNOWN,
        first_answer: Span::UNKNOWN,
        duration: Span::known(duration),
        load: Span::UNKNOWN,
        prefill: Span::UNKNOWN,
        decode: Span::UNKNOWN,
        overhead: Span::UNKNOWN,
        largest_gap: Span::UNKNOWN,
        per_token: Span::UNKNOWN,
        rate: f32::NAN,
        stalls: Count::known(0),
        events: Count::UNKNOWN,
        prompt: Count::UNKNOWN,
        generated: Count::UNKNOWN,
        cached: Count::UNKNOWN,
        reasoning: Count::UNKNOWN,
        drafted: Count::UNKNOWN,
        accepted: Count::UNKNOWN,
        prompt_characters: Count::UNKNOWN,
        request_bytes: 3,
        response_bytes: 5,
        progress_bytes: u64::MAX,
        cost: i64::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_fixed_and_small_size() {
        println!("a row has {} bytes", size_of::<Row>());
        assert!(size_of::<Row>() <= 256, "{}", size_of::<Row>());
    }
}
