//! `OpenAI`'s responses, as `OpenAI`, Ollama, llama.cpp, vLLM and LM Studio serve them; streamed and whole.
//!
//! Sources: openai-python `types/responses`, Ollama `openai/responses.go`, llama.cpp `tools/server/server-task.cpp`.
//! Token-bearing are events whose type ends in `.delta`, and `output_item.added` where it names a tool call; events
//! that end an item repeat its whole text. The event that ends the response has the counts. There is no `[DONE]`, and
//! an `error` event may come without a response. Ollama sends zeros for unknown details: zero thinking is unknown, and
//! so is a zero cache next to it. llama.cpp sends only the cache, and there zero is zero.

#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, ModelName};
use super::event::{Event, FinishReason, Timings, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Parses responses.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    model: ModelName,
    object: Draft,
    ended: bool,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    event_type: EventType,
    delta: bool,
    /// The item has a name: it is a tool call.
    named: bool,
    listed: u64,
    error: bool,
    status: Option<FinishReason>,
    /// The answer will be fetched by another request.
    pending: bool,
    filtered: bool,
    usage: Usage,
    timings: Timings,
}

/// The object's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EventType {
    Answer,
    Thinking,
    /// The start of an item.
    Added,
    /// The end of the response.
    End,
    /// The same, if it has failed.
    FailedEnd,
    Error,
    /// Another event of a stream.
    Event,
    /// A whole response, or an unknown type.
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Type,
    Delta,
    Name,
    Listed,
    Error,
    Model,
    Status,
    Reason,
    Prompt,
    Cached,
    Generated,
    Reasoning,
    Drafted,
    Accepted,
    PrefillMs,
    DecodeMs,
}

static OBJECT: Object<Field> = Object::new(&[
    ("type", Want::Text(Field::Type)),
    ("delta", Want::Present(Field::Delta)),
    ("item", Want::Object(&ITEM)),
    ("logprobs", Want::Length(Field::Listed)),
    ("response", Want::Object(&RESPONSE)),
    ("timings", Want::Object(&TIMINGS)),
    ("error", Want::Truthy(Field::Error)),
    // In a whole response.
    ("model", Want::Text(Field::Model)),
    ("status", Want::Text(Field::Status)),
    ("incomplete_details", Want::Object(&INCOMPLETE)),
    ("usage", Want::Object(&USAGE)),
]);

static ITEM: Object<Field> = Object::new(&[("name", Want::Present(Field::Name))]);

static RESPONSE: Object<Field> = Object::new(&[
    ("error", Want::Truthy(Field::Error)),
    ("model", Want::Text(Field::Model)),
    ("status", Want::Text(Field::Status)),
    ("incomplete_details", Want::Object(&INCOMPLETE)),
    ("usage", Want::Object(&USAGE)),
]);

static INCOMPLETE: Object<Field> = Object::new(&[("reason", Want::Text(Field::Reason))]);

static USAGE: Object<Field> = Object::new(&[
    ("input_tokens", Want::Count(Field::Prompt)),
    ("input_tokens_details", Want::Object(&INPUT_DETAILS)),
    ("output_tokens", Want::Count(Field::Generated)),
    ("output_tokens_details", Want::Object(&OUTPUT_DETAILS)),
]);

static INPUT_DETAILS: Object<Field> = Object::new(&[("cached_tokens", Want::Count(Field::Cached))]);
static OUTPUT_DETAILS: Object<Field> = Object::new(&[("reasoning_tokens", Want::Count(Field::Reasoning))]);

/// llama.cpp.
static TIMINGS: Object<Field> = Object::new(&[
    ("draft_n", Want::Count(Field::Drafted)),
    ("draft_n_accepted", Want::Count(Field::Accepted)),
    ("prompt_ms", Want::Quantity(Field::PrefillMs)),
    ("predicted_ms", Want::Quantity(Field::DecodeMs)),
]);

impl EventType {
    fn parse(word: &[u8]) -> Self {
        if let Some(of) = word.strip_suffix(b".delta") {
            let thinks = of.strip_prefix(b"response.").unwrap_or(of).starts_with(b"reasoning");
            return if thinks { Self::Thinking } else { Self::Answer };
        }
        match word {
            b"response.completed" | b"response.incomplete" => Self::End,
            b"response.failed" | b"response.cancelled" => Self::FailedEnd,
            b"response.output_item.added" => Self::Added,
            b"error" => Self::Error,
            _ if word.starts_with(b"response.") => Self::Event,
            _ => Self::Other,
        }
    }
}

impl Visit<Field> for Responses {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        let (usage, timings) = (&mut object.usage, &mut object.timings);
        match (field, value) {
            (Field::Type, Value::Text(word)) => object.event_type = EventType::parse(word),
            (Field::Delta, Value::Is(there)) => object.delta = there,
            (Field::Name, Value::Is(there)) => object.named = there,
            (Field::Listed, Value::Length(tokens)) => object.listed = tokens,
            (Field::Error, Value::Is(there)) => object.error |= there,
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Status, Value::Text(b"queued" | b"in_progress")) => object.pending = true,
            (Field::Status, Value::Text(word)) => object.status = Some(FinishReason::parse(word)),
            (Field::Reason, Value::Text(word)) => object.filtered = word == b"content_filter",
            (Field::Prompt, Value::Count(tokens)) => usage.prompt = (tokens > 0).then_some(tokens),
            (Field::Cached, Value::Count(tokens)) => usage.cached = Some(tokens),
            (Field::Generated, Value::Count(tokens)) => usage.generated = Some(tokens),
            (Field::Reasoning, Value::Count(tokens)) => usage.reasoning = Some(tokens),
            (Field::Drafted, Value::Count(tokens)) => usage.drafted = Some(tokens),
            (Field::Accepted, Value::Count(tokens)) => usage.draft_accepted = Some(tokens),
            (Field::PrefillMs, Value::Quantity(millis)) => timings.prefill = units::millis(millis),
            (Field::DecodeMs, Value::Quantity(millis)) => timings.decode = units::millis(millis),
            _ => {}
        }
    }
}

impl DialectParser for Responses {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.emit_change(emit);
        let has_tokens = match object.event_type {
            EventType::Answer | EventType::Thinking => object.delta,
            EventType::Added => object.named,
            _ => false,
        };
        if has_tokens {
            let thinking = object.event_type == EventType::Thinking;
            let listed = (object.listed > 0).then_some(object.listed);
            emit(Event::Tokens(Tokens { answer: !thinking, thinking, listed, choice: 0 }));
            return;
        }
        let is_end = matches!(object.event_type, EventType::End | EventType::FailedEnd);
        if is_end || element == Element::Whole {
            self.ended = true;
            object.emit_end(emit);
        }
        if object.is_failure(element) {
            emit(Event::Error);
        } else if self.ended {
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, _emit: &mut impl FnMut(Event<'_>)) {}

    fn is_part(&self) -> bool {
        !matches!(self.object.event_type, EventType::Other | EventType::Error)
    }

    fn is_open(&self) -> bool {
        !self.ended
    }
}

impl Draft {
    fn is_failure(&self, element: Element) -> bool {
        self.error
            || matches!(self.event_type, EventType::Error | EventType::FailedEnd)
            || element == Element::ErrorPart
            || self.status.is_some_and(FinishReason::is_failure)
    }

    fn emit_end(&self, emit: &mut impl FnMut(Event<'_>)) {
        let mut usage = Usage { last: true, choices: 1, ..self.usage };
        if usage.reasoning == Some(0) {
            usage.reasoning = None;
            usage.cached = usage.cached.filter(|cached| *cached > 0);
        }
        if usage.prompt.or(usage.generated).is_some() {
            emit(Event::Usage(usage));
        }
        if self.timings != Timings::default() {
            emit(Event::Timings(self.timings));
        }
        match self.status {
            Some(FinishReason::Incomplete) if self.filtered => emit(Event::Finish(FinishReason::ContentFilter)),
            None if self.pending => emit(Event::NoTokens),
            None | Some(FinishReason::Other) => {}
            Some(finish) => emit(Event::Finish(finish)),
        }
    }
}
