//! Anthropic's messages, as Anthropic, Ollama, llama.cpp, vLLM and SGLang serve them.
//!
//! Sources: anthropic-sdk-python `types/`, Ollama `middleware/anthropic.go`, llama.cpp `tools/server/server-task.cpp`,
//! vLLM and SGLang `entrypoints/anthropic`. `input_tokens` leaves out what was read from or written to a cache: the prompt is
//! the sum of the three. Counts are merged field by field, for llama.cpp states the prompt in `message_start` alone
//! and Ollama in `message_delta` alone. What Ollama prints in `message_start` is an estimate and never counted: it is
//! known by an id that begins with `msg_` and by the lack of cache fields. Whoever prints both names the cache
//! (Anthropic), the others have other ids (llama.cpp, vLLM: `chatcmpl-`).
//! Where the server was recognised, that counts and not the look. SGLang's `input_tokens` is the whole prompt, and its
//! `cache_read_input_tokens` a part of that; a zero there stands for "not reported" too.
//! The end is `message_stop`; vLLM leaves it out after an error.

#[cfg(test)]
mod tests;

use super::dialect::{Dialect, Element, ModelName, tell_finish};
use super::event::{Event, FinishReason, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};
use super::reader::Engine;

/// Reads messages.
#[derive(Debug, Default)]
pub(crate) struct Anthropic {
    model: ModelName,
    object: Draft,
    counts: Counts,
    ended: bool,
    engine: Engine,
}

/// What the present object has said so far.
#[derive(Debug, Default)]
struct Draft {
    kind: Kind,
    answer: bool,
    thinking: bool,
    error: bool,
    /// The message has an id, and one that neither Anthropic nor Ollama gives.
    foreign_id: bool,
    finish: Option<FinishReason>,
    counts: Counts,
}

/// The object's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Start,
    /// Only the start of a tool call bears something: its name.
    BlockStart,
    BlockDelta,
    Delta,
    Stop,
    Error,
    /// Another event of a stream: a block's stop, a ping.
    Event,
    /// A whole message, or unknown.
    #[default]
    Other,
}

/// Counts as printed; `None` was not stated.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Kind,
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
    ("type", Want::Text(Field::Kind)),
    ("message", Want::Object(&MESSAGE)),
    ("content_block", Want::Object(&BLOCK)),
    ("delta", Want::Object(&DELTA)),
    ("error", Want::Truthy(Field::Error)),
    // Of a whole message.
    ("model", Want::Text(Field::Model)),
    ("stop_reason", Want::Text(Field::Finish)),
    ("usage", Want::Object(&USAGE)),
]);

static MESSAGE: Object<Field> =
    Object::new(&[("id", Want::Text(Field::Id)), ("model", Want::Text(Field::Model)), ("usage", Want::Object(&USAGE))]);

/// What a block begins with: a tool call's name, thinking that is shown to nobody, and text where a server does not wait
/// for the first delta.
static BLOCK: Object<Field> = Object::new(&[
    ("name", Want::Present(Field::Answer)),
    ("text", Want::Present(Field::Answer)),
    ("thinking", Want::Present(Field::Thinking)),
    ("data", Want::Present(Field::Thinking)),
]);

/// A signature or a citation is no token.
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

impl Kind {
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
            (Field::Kind, Value::Text(word)) => object.kind = Kind::parse(word),
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

impl Dialect for Anthropic {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.tell(emit);
        let is_block = matches!(object.kind, Kind::BlockStart | Kind::BlockDelta);
        if is_block && (object.answer || object.thinking) {
            emit(Event::Tokens(Tokens { answer: object.answer, thinking: object.thinking, listed: None, choice: 0 }));
            return;
        }
        if object.error || object.kind == Kind::Error || element == Element::ErrorPart {
            emit(Event::Error);
            return;
        }
        self.tell_counts(&object, element, emit);
        if tell_finish(object.finish, emit) {
            emit(Event::Error);
        } else if object.kind == Kind::Stop || element == Element::Whole {
            self.ended = true;
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

impl Anthropic {
    /// Which server answers.
    pub(crate) fn served_by(&mut self, engine: Engine) {
        self.engine = engine;
    }

    /// Whether the counts at the start of a message are Ollama's estimate.
    fn estimates(&self, object: &Draft) -> bool {
        match self.engine {
            Engine::Ollama => true,
            Engine::Sglang | Engine::Other => false,
            Engine::Unknown => !object.foreign_id && !object.counts.name_cache(),
        }
    }

    fn tell_counts(&mut self, object: &Draft, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let stated = match object.kind {
            Kind::Start if self.estimates(object) => return,
            // An event that does not say what it is may be the start.
            Kind::Other if element != Element::Whole => return,
            // What is generated by then is a placeholder.
            Kind::Start => Counts { output: None, ..object.counts },
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

impl Counts {
    fn name_cache(&self) -> bool {
        self.cache_read.or(self.cache_written).is_some()
    }

    /// What is stated here, else what is stated there.
    fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            cache_read: self.cache_read.or(other.cache_read),
            cache_written: self.cache_written.or(other.cache_written),
            output: self.output.or(other.output),
            reasoning: self.reasoning.or(other.reasoning),
        }
    }

    fn usage(&self, engine: Engine) -> Usage {
        let is_whole = engine == Engine::Sglang;
        let cache = self.cache_read.unwrap_or(0).saturating_add(self.cache_written.unwrap_or(0));
        let beside = if is_whole { 0 } else { cache };
        Usage {
            // A prompt of no tokens does not exist.
            prompt: self.input.map(|input| input.saturating_add(beside)).filter(|prompt| *prompt > 0),
            generated: self.output,
            cached: self.cache_read.filter(|read| !is_whole || *read > 0),
            reasoning: self.reasoning,
            choices: 1,
            ..Usage::default()
        }
    }
}
