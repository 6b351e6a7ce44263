//! `OpenAI`'s responses, as `OpenAI`, Ollama, llama.cpp, vLLM and LM Studio serve them; streamed and whole.
//!
//! Sources: openai-python `types/responses`, Ollama `openai/responses.go`, llama.cpp `tools/server/server-task.cpp`.
//! Only events whose type ends in `.delta` bear tokens, and `output_item.added` where it names a tool's call; those that end an item repeat its whole text. Counts stand in
//! the event that ends the response. There is no `[DONE]`, and an `error` event may stand bare.
//! Ollama prints zeros for the details that it does not know: zero thinking is unknown, and so is a cache of zero
//! beside it. llama.cpp states the cache alone, and there zero is zero.

#[cfg(test)]
mod tests;

use super::dialect::{Dialect, Element, ModelName};
use super::event::{Event, FinishReason, Timings, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Reads responses.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    model: ModelName,
    object: Draft,
    ended: bool,
}

/// What the present object has said so far.
#[derive(Debug, Default)]
struct Draft {
    kind: Kind,
    delta: bool,
    /// The item has a name: it is a tool's call.
    named: bool,
    listed: u64,
    error: bool,
    status: Option<FinishReason>,
    /// The answer comes by another request.
    pending: bool,
    filtered: bool,
    usage: Usage,
    timings: Timings,
}

/// The object's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Answer,
    Thinking,
    /// An item begins.
    Added,
    /// The response ended, however.
    End,
    Error,
    /// Another event of a stream.
    Event,
    /// A whole response, or unknown.
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Kind,
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
    ("type", Want::Text(Field::Kind)),
    ("delta", Want::Present(Field::Delta)),
    ("item", Want::Object(&ITEM)),
    ("logprobs", Want::Length(Field::Listed)),
    ("response", Want::Object(&RESPONSE)),
    ("timings", Want::Object(&TIMINGS)),
    ("error", Want::Truthy(Field::Error)),
    // Of a whole response.
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

impl Kind {
    fn parse(word: &[u8]) -> Self {
        if let Some(of) = word.strip_suffix(b".delta") {
            let thinks = of.strip_prefix(b"response.").unwrap_or(of).starts_with(b"reasoning");
            return if thinks { Self::Thinking } else { Self::Answer };
        }
        match word {
            b"response.completed" | b"response.incomplete" | b"response.failed" | b"response.cancelled" => Self::End,
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
            (Field::Kind, Value::Text(word)) => object.kind = Kind::parse(word),
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

impl Dialect for Responses {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.tell(emit);
        let bears = match object.kind {
            Kind::Answer | Kind::Thinking => object.delta,
            Kind::Added => object.named,
            _ => false,
        };
        if bears {
            let thinking = object.kind == Kind::Thinking;
            let listed = (object.listed > 0).then_some(object.listed);
            emit(Event::Tokens(Tokens { answer: !thinking, thinking, listed, choice: 0 }));
            return;
        }
        if object.kind == Kind::End || element == Element::Whole {
            self.ended = true;
            object.tell_end(emit);
        }
        if object.failed(element) {
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
        !matches!(self.object.kind, Kind::Other | Kind::Error)
    }

    fn is_open(&self) -> bool {
        !self.ended
    }
}

impl Draft {
    fn failed(&self, element: Element) -> bool {
        self.error
            || self.kind == Kind::Error
            || element == Element::ErrorPart
            || self.status.is_some_and(FinishReason::is_failure)
    }

    fn tell_end(&self, emit: &mut impl FnMut(Event<'_>)) {
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
