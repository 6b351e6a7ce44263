//! LM Studio's own API, `/api/v1/chat`: named events, and whole answers. (`/api/v0` is `OpenAI`'s with `stats`.)
//!
//! Source: LM Studio's REST documentation. Progress of loading and of the prompt is not token-bearing. The end is
//! `chat.end`, which is not terminal after an error. Its time to the first token includes queueing, so it is not
//! prefill.

#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, ModelName};
use super::event::{Event, Timings, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Parses chats.
#[derive(Debug, Default)]
pub(crate) struct LmStudio {
    model: ModelName,
    object: Draft,
    failed: bool,
    ended: bool,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    event_type: EventType,
    /// Content or arguments are not empty.
    content: bool,
    /// A tool's name is not empty.
    tool: bool,
    error: bool,
    usage: Usage,
    timings: Timings,
}

/// The object's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EventType {
    Answer,
    Thinking,
    /// The start of a tool call.
    Call,
    End,
    Error,
    /// Another event of a stream.
    Event,
    /// A whole answer, or an unknown type.
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Type,
    Model,
    Content,
    Tool,
    Error,
    Prompt,
    Generated,
    Reasoning,
    LoadSeconds,
}

static OBJECT: Object<Field> = Object::new(&[
    ("type", Want::Text(Field::Type)),
    ("model_instance_id", Want::Text(Field::Model)),
    ("content", Want::Present(Field::Content)),
    ("arguments", Want::Present(Field::Content)),
    ("tool", Want::Present(Field::Tool)),
    ("error", Want::Truthy(Field::Error)),
    ("load_time_seconds", Want::Quantity(Field::LoadSeconds)),
    ("result", Want::Object(&RESULT)),
    ("stats", Want::Object(&STATS)),
]);

static RESULT: Object<Field> =
    Object::new(&[("model_instance_id", Want::Text(Field::Model)), ("stats", Want::Object(&STATS))]);

static STATS: Object<Field> = Object::new(&[
    ("input_tokens", Want::Count(Field::Prompt)),
    ("total_output_tokens", Want::Count(Field::Generated)),
    ("reasoning_output_tokens", Want::Count(Field::Reasoning)),
    ("model_load_time_seconds", Want::Quantity(Field::LoadSeconds)),
]);

impl EventType {
    fn parse(word: &[u8]) -> Self {
        match word {
            b"message.delta" | b"tool_call.arguments" => Self::Answer,
            b"reasoning.delta" => Self::Thinking,
            b"tool_call.start" => Self::Call,
            b"chat.end" => Self::End,
            b"error" => Self::Error,
            _ if word.contains(&b'.') => Self::Event,
            _ => Self::Other,
        }
    }
}

impl Visit<Field> for LmStudio {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        match (field, value) {
            (Field::Type, Value::Text(word)) => object.event_type = EventType::parse(word),
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Content, Value::Is(there)) => object.content |= there,
            (Field::Tool, Value::Is(there)) => object.tool = there,
            (Field::Error, Value::Is(there)) => object.error = there,
            (Field::Prompt, Value::Count(tokens)) => object.usage.prompt = Some(tokens),
            (Field::Generated, Value::Count(tokens)) => object.usage.generated = Some(tokens),
            (Field::Reasoning, Value::Count(tokens)) => object.usage.reasoning = Some(tokens),
            (Field::LoadSeconds, Value::Quantity(seconds)) => object.timings.load = units::seconds(seconds),
            _ => {}
        }
    }
}

impl DialectParser for LmStudio {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.emit_change(emit);
        let has_tokens = match object.event_type {
            EventType::Answer | EventType::Thinking => object.content,
            EventType::Call => object.tool,
            _ => false,
        };
        if has_tokens {
            let thinking = object.event_type == EventType::Thinking;
            emit(Event::Tokens(Tokens { answer: !thinking, thinking, listed: None, choice: 0 }));
        }
        if object.usage.prompt.or(object.usage.generated).is_some() {
            emit(Event::Usage(Usage { last: true, choices: 1, ..object.usage }));
        }
        if object.timings != Timings::default() {
            emit(Event::Timings(object.timings));
        }
        if object.error || object.event_type == EventType::Error || element == Element::ErrorPart {
            self.failed = true;
            emit(Event::Error);
        } else if object.event_type == EventType::End || element == Element::Whole {
            self.ended = true;
            if !self.failed {
                emit(Event::Terminal);
            }
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
