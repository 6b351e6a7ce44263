//! Ollama's own API: generate, chat, embed, embeddings. Source: Ollama `api/types.go`, `server/routes.go`.
//!
//! The end is an object with `done: true`, or with a `done_reason` where a relay dropped `done`. Only it has counts and
//! durations (nanoseconds); a duration of zero means unknown. `prompt_eval_count` is the whole prompt, in all versions
//! since 0.4 except 0.30.0; its cached part is known only from `prompt_eval_cached_count`. Versions before 0.3 answer a
//! request that only loads the model without a `done_reason`: an end with neither text nor figures is taken for that.
//! llama.cpp answers a chat in `OpenAI`'s shape, which is recognised.

pub(crate) mod progress;
#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, ModelName, emit_finish};
use super::event::{Event, FinishReason, Timings, Tokens, Usage};
use super::foreign::Foreign;
use super::json::{Object, Value, Visit, Want};
use super::openai;
use super::route::Operation;
use super::units;
use foreign::{CHOICE, USAGE};
use foreign_timings::TIMINGS;

/// Parses generations and embeddings.
#[derive(Debug, Default)]
pub(crate) struct Ollama {
    model: ModelName,
    object: Draft,
    /// Tokens listed by objects without text since the last text: parts of a character.
    listed_before: u64,
    /// [`Event::Elsewhere`] was emitted.
    elsewhere: bool,
    /// An object had text, thinking or tools.
    has_output: bool,
    ended: bool,
    foreign: Foreign,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    text: bool,
    thinking: bool,
    tools: bool,
    /// The model runs on another host.
    remote: bool,
    error: bool,
    /// The rendered prompt in place of an answer: one object, without `done`.
    debug: bool,
    image: bool,
    done: Option<bool>,
    finish: Option<FinishReason>,
    listed: Option<u64>,
    /// A count or a duration is present, possibly zero.
    has_figures: bool,
    usage: Usage,
    timings: Timings,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Model,
    Remote,
    Text,
    Thinking,
    Tools,
    Error,
    Debug,
    Image,
    Done,
    Finish,
    Listed,
    Prompt,
    Cached,
    Generated,
    Load,
    Prefill,
    Decode,
    Total,
    /// A field of `OpenAI`'s shape.
    OpenAi(openai::Field),
}

mod foreign {
    super::openai::openai_tables!(super::Field, [super::Field::OpenAi]);
}

mod foreign_timings {
    super::openai::openai_timings!(super::Field, [super::Field::OpenAi]);
}

static OBJECT: Object<Field> = Object::new(&[
    ("model", Want::Text(Field::Model)),
    ("remote_model", Want::Present(Field::Remote)),
    ("remote_host", Want::Present(Field::Remote)),
    ("message", Want::Object(&MESSAGE)),
    ("response", Want::Present(Field::Text)),
    ("thinking", Want::Present(Field::Thinking)),
    ("tool_calls", Want::Present(Field::Tools)),
    ("error", Want::Truthy(Field::Error)),
    ("_debug_info", Want::Present(Field::Debug)),
    // An experiment of versions 0.14 to 0.32.
    ("image", Want::Present(Field::Image)),
    ("done", Want::Flag(Field::Done)),
    ("done_reason", Want::Text(Field::Finish)),
    ("logprobs", Want::Length(Field::Listed)),
    ("prompt_eval_count", Want::Count(Field::Prompt)),
    ("prompt_eval_cached_count", Want::Count(Field::Cached)),
    ("eval_count", Want::Count(Field::Generated)),
    ("load_duration", Want::Count(Field::Load)),
    ("prompt_eval_duration", Want::Count(Field::Prefill)),
    ("eval_duration", Want::Count(Field::Decode)),
    ("total_duration", Want::Count(Field::Total)),
    ("choices", Want::Each(Field::OpenAi(openai::Field::ChoiceEnd), &Want::Object(&CHOICE))),
    ("usage", Want::Object(&USAGE)),
    ("timings", Want::Object(&TIMINGS)),
]);

static MESSAGE: Object<Field> = Object::new(&[
    ("content", Want::Present(Field::Text)),
    ("thinking", Want::Present(Field::Thinking)),
    ("tool_calls", Want::Present(Field::Tools)),
]);

impl Visit<Field> for Ollama {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        match (field, value) {
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Finish, Value::Text(word)) => {
                object.finish = (!word.is_empty()).then(|| FinishReason::parse(word));
            }
            (Field::Remote, Value::Is(there)) => object.remote |= there,
            (Field::Text, Value::Is(there)) => object.text = there,
            (Field::Thinking, Value::Is(there)) => object.thinking = there,
            (Field::Tools, Value::Is(there)) => object.tools = there,
            (Field::Error, Value::Is(there)) => object.error = there,
            (Field::Debug, Value::Is(there)) => object.debug = there,
            (Field::Image, Value::Is(there)) => object.image = there,
            (Field::Done, Value::Is(done)) => object.done = Some(done),
            (Field::Listed, Value::Length(tokens)) => object.listed = Some(tokens),
            (Field::OpenAi(field), value) => {
                if matches!(field, openai::Field::ChoiceEnd) {
                    self.foreign.mark_seen();
                }
                self.foreign.value(Operation::Chat, field, value);
            }
            (field, Value::Count(figure)) => object.set_figure(field, figure),
            _ => {}
        }
    }
}

impl DialectParser for Ollama {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.emit_change(emit);
        if object.remote && !std::mem::replace(&mut self.elsewhere, true) {
            emit(Event::Elsewhere);
        }
        if let Some(foreign) = self.foreign.reader() {
            foreign.value(openai::Field::Error, Value::Is(object.error));
            return foreign.element(element, emit);
        }
        self.foreign.discard();
        if element != Element::Whole {
            self.emit_tokens(&object, emit);
        }
        if object.error || element == Element::ErrorPart {
            emit(Event::Error);
            return;
        }
        // Embeddings have no `done`.
        if object.done == Some(true) || object.finish.is_some() || element == Element::Whole {
            self.ended = true;
            self.emit_end(&object, emit);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
        self.foreign.discard();
    }

    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if let Some(foreign) = self.foreign.reader() {
            foreign.done_marker(emit);
        }
    }

    fn is_part(&self) -> bool {
        if let Some(foreign) = self.foreign.as_reader() {
            return foreign.is_part();
        }
        let object = &self.object;
        object.done == Some(false) && object.finish.is_none() && !object.error && !object.debug
    }

    fn is_open(&self) -> bool {
        self.foreign.as_reader().map_or(!self.ended, DialectParser::is_open)
    }
}

impl Ollama {
    #[inline]
    fn emit_tokens(&mut self, object: &Draft, emit: &mut impl FnMut(Event<'_>)) {
        let listed = object.listed.unwrap_or(0) + self.listed_before;
        let answer = object.text || object.tools;
        if answer || object.thinking {
            self.has_output = true;
            self.listed_before = 0;
            let listed = (listed > 0).then_some(listed);
            emit(Event::Tokens(Tokens { answer, thinking: object.thinking, listed, choice: 0 }));
        } else {
            self.listed_before = listed;
        }
    }

    fn emit_end(&self, object: &Draft, emit: &mut impl FnMut(Event<'_>)) {
        let mut usage = Usage { last: true, choices: 1, ..object.usage };
        // Ollama omits zeros; other servers send them for unknown.
        let has_output = self.has_output || object.text || object.thinking || object.tools;
        usage.generated = usage.generated.filter(|tokens| *tokens > 0 || !has_output);
        if usage.prompt.or(usage.generated).or(usage.cached).is_some() {
            emit(Event::Usage(usage));
        }
        if object.timings != Timings::default() {
            emit(Event::Timings(object.timings));
        }
        if object.image || object.debug {
            emit(Event::NoTokens);
        }
        let only_loads = !self.has_output && object.is_empty_end();
        let finish = object.finish.or(only_loads.then_some(FinishReason::Load));
        let failed = emit_finish(finish, emit);
        emit(if failed { Event::Error } else { Event::Terminal });
    }
}

impl Draft {
    fn set_figure(&mut self, field: Field, figure: u64) {
        self.has_figures = true;
        let (usage, timings) = (&mut self.usage, &mut self.timings);
        match field {
            // No prompt has zero tokens.
            Field::Prompt => usage.prompt = (figure > 0).then_some(figure),
            Field::Cached => usage.cached = Some(figure),
            Field::Generated => usage.generated = Some(figure),
            Field::Load => timings.load = units::nanos(figure),
            Field::Prefill => timings.prefill = units::nanos(figure),
            Field::Decode => timings.decode = units::nanos(figure),
            Field::Total => timings.total = units::nanos(figure),
            _ => {}
        }
    }

    /// Whether the object has `done: true` and nothing else.
    fn is_empty_end(&self) -> bool {
        let has_content = self.text || self.thinking || self.tools || self.image || self.debug;
        self.done == Some(true) && !has_content && !self.has_figures
    }
}
