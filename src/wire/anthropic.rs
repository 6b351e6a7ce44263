//! Anthropic's messages, as Anthropic, Ollama, llama.cpp, vLLM and SGLang serve them.
//!
//! Sources: anthropic-sdk-python `types/`, Ollama `middleware/anthropic.go`, llama.cpp `tools/server/server-task.cpp`,
//! vLLM and SGLang `entrypoints/anthropic`. `input_tokens` excludes tokens read from or written to a cache: the prompt
//! is the sum of the three. Counts are merged field by field, as llama.cpp states the prompt only in `message_start`
//! and Ollama only in `message_delta`. The counts in Ollama's `message_start` are estimates and ignored. They are
//! recognised by an id that begins with `msg_` without cache fields: Anthropic sends cache fields, llama.cpp and vLLM
//! other ids (`chatcmpl-`). A recognised server takes precedence over this. SGLang's `input_tokens` is the whole
//! prompt, and its `cache_read_input_tokens` a part of it, where a zero also means "not reported". The end is
//! `message_stop`; vLLM omits it after an error.

#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, ModelName, emit_finish};
use super::event::{Event, FinishReason, Tokens, Usage};
use super::head::Engine;
use super::json::{Object, Value, Visit, Want};

/// Parses messages.
#[derive(Debug, Default)]
pub(crate) struct Anthropic {
    model: ModelName,
    object: Draft,
    counts: StatedCounts,
    ended: bool,
    engine: Engine,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    event_type: EventType,
    answer: bool,
    thinking: bool,
    error: bool,
    /// The message has an id of neither Anthropic's nor Ollama's form.
    foreign_id: bool,
    finish: Option<FinishReason>,
    counts: StatedCounts,
}

/// The object's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EventType {
    Start,
    /// Token-bearing for a tool call, which it names.
    BlockStart,
    BlockDelta,
    Delta,
    Stop,
    Error,
    /// Another event of a stream: a block's stop, a ping.
    Event,
    /// A whole message, or an unknown type.
    #[default]
    Other,
}

/// Counts as stated; `None` is not stated.
#[derive(Clone, Copy, Debug, Default)]
struct StatedCounts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Type,
    Model,
    Id,
    Answer,
    Thinking,
    Error,
    Finish,
    Input,
    CacheRead,
    CacheWritten,
    Output,
    Reasoning,
}

static OBJECT: Object<Field> = Object::new(&[
    ("type", Want::Text(Field::Type)),
    ("message", Want::Object(&MESSAGE)),
    ("content_block", Want::Object(&BLOCK)),
    ("delta", Want::Object(&DELTA)),
    ("error", Want::Truthy(Field::Error)),
    // In a whole message.
    ("model", Want::Text(Field::Model)),
    ("stop_reason", Want::Text(Field::Finish)),
    ("usage", Want::Object(&USAGE)),
]);

static MESSAGE: Object<Field> =
    Object::new(&[("id", Want::Text(Field::Id)), ("model", Want::Text(Field::Model)), ("usage", Want::Object(&USAGE))]);

/// The start of a block: a tool call's name, redacted thinking, and text where a server does not wait for the first
/// delta.
static BLOCK: Object<Field> = Object::new(&[
    ("name", Want::Present(Field::Answer)),
    ("text", Want::Present(Field::Answer)),
    ("thinking", Want::Present(Field::Thinking)),
    ("data", Want::Present(Field::Thinking)),
]);

/// Without signatures and citations, which are no tokens.
static DELTA: Object<Field> = Object::new(&[
    ("text", Want::Present(Field::Answer)),
    ("thinking", Want::Present(Field::Thinking)),
    ("partial_json", Want::Present(Field::Answer)),
    ("stop_reason", Want::Text(Field::Finish)),
]);

static USAGE: Object<Field> = Object::new(&[
    ("input_tokens", Want::Count(Field::Input)),
    ("cache_read_input_tokens", Want::Count(Field::CacheRead)),
    ("cache_creation_input_tokens", Want::Count(Field::CacheWritten)),
    ("output_tokens", Want::Count(Field::Output)),
    ("output_tokens_details", Want::Object(&OUTPUT_DETAILS)),
]);

static OUTPUT_DETAILS: Object<Field> = Object::new(&[
    ("thinking_tokens", Want::Count(Field::Reasoning)),
    ("reasoning_tokens", Want::Count(Field::Reasoning)),
]);

impl EventType {
    fn parse(word: &[u8]) -> Self {
        match word {
            b"content_block_delta" => Self::BlockDelta,
            b"message_start" => Self::Start,
            b"message_delta" => Self::Delta,
            b"message_stop" => Self::Stop,
            b"error" => Self::Error,
            b"content_block_start" => Self::BlockStart,
            b"content_block_stop" | b"ping" => Self::Event,
            _ => Self::Other,
        }
    }
}

impl Visit<Field> for Anthropic {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        let counts = &mut object.counts;
        match (field, value) {
            (Field::Type, Value::Text(word)) => object.event_type = EventType::parse(word),
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Id, Value::Text(id)) => object.foreign_id = !id.starts_with(b"msg_"),
            (Field::Finish, Value::Text(word)) => object.finish = Some(FinishReason::parse(word)),
            (Field::Answer, Value::Is(there)) => object.answer |= there,
            (Field::Thinking, Value::Is(there)) => object.thinking |= there,
            (Field::Error, Value::Is(there)) => object.error = there,
            (Field::Input, Value::Count(tokens)) => counts.input = Some(tokens),
            (Field::CacheRead, Value::Count(tokens)) => counts.cache_read = Some(tokens),
            (Field::CacheWritten, Value::Count(tokens)) => counts.cache_written = Some(tokens),
            (Field::Output, Value::Count(tokens)) => counts.output = Some(tokens),
            (Field::Reasoning, Value::Count(tokens)) => counts.reasoning = Some(tokens),
            _ => {}
        }
    }
}

impl DialectParser for Anthropic {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.emit_change(emit);
        let is_block = matches!(object.event_type, EventType::BlockStart | EventType::BlockDelta);
        if is_block && (object.answer || object.thinking) {
            emit(Event::Tokens(Tokens { answer: object.answer, thinking: object.thinking, listed: None, choice: 0 }));
            return;
        }
        if object.error || object.event_type == EventType::Error || element == Element::ErrorPart {
            emit(Event::Error);
            return;
        }
        self.emit_usage(&object, element, emit);
        if emit_finish(object.finish, emit) {
            emit(Event::Error);
        } else if object.event_type == EventType::Stop || element == Element::Whole {
            self.ended = true;
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

impl Anthropic {
    /// Names the answering server.
    pub(crate) fn set_engine(&mut self, engine: Engine) {
        self.engine = engine;
    }

    /// Whether the counts in `message_start` are Ollama's estimates.
    fn is_estimate(&self, object: &Draft) -> bool {
        match self.engine {
            Engine::Ollama => true,
            Engine::Sglang | Engine::Other => false,
            Engine::Unknown => !object.foreign_id && !object.counts.has_cache(),
        }
    }

    fn emit_usage(&mut self, object: &Draft, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let stated = match object.event_type {
            EventType::Start if self.is_estimate(object) => return,
            // An event of unknown type may be the start.
            EventType::Other if element != Element::Whole => return,
            // The generated count of the start is a placeholder.
            EventType::Start => StatedCounts { output: None, ..object.counts },
            _ => object.counts,
        };
        self.counts = stated.or(self.counts);
        let last = element == Element::Whole || object.finish.is_some();
        let usage = Usage { last, ..self.counts.usage(self.engine) };
        if stated.input.or(stated.output).is_some() && usage.prompt.or(usage.generated).is_some() {
            emit(Event::Usage(usage));
        }
    }
}

impl StatedCounts {
    fn has_cache(&self) -> bool {
        self.cache_read.or(self.cache_written).is_some()
    }

    /// Fields stated here win over those of `other`. A zero input without a cache is no prompt: some servers repeat the
    /// field so in `message_delta`. With a cache, all of the prompt was in it.
    fn or(self, other: Self) -> Self {
        let input = self.input.filter(|input| *input > 0 || self.has_cache());
        Self {
            input: input.or(other.input),
            cache_read: self.cache_read.or(other.cache_read),
            cache_written: self.cache_written.or(other.cache_written),
            output: self.output.or(other.output),
            reasoning: self.reasoning.or(other.reasoning),
        }
    }

    fn usage(&self, engine: Engine) -> Usage {
        let is_whole = engine == Engine::Sglang;
        let cache = self.cache_read.unwrap_or(0).saturating_add(self.cache_written.unwrap_or(0));
        let excluded = if is_whole { 0 } else { cache };
        Usage {
            // No prompt has zero tokens.
            prompt: self.input.map(|input| input.saturating_add(excluded)).filter(|prompt| *prompt > 0),
            generated: self.output,
            cached: self.cache_read.filter(|read| !is_whole || *read > 0),
            reasoning: self.reasoning,
            choices: 1,
            ..Usage::default()
        }
    }
}
