//! Ollama's own API: generate, chat, embed, embeddings. Source: Ollama `api/types.go`, `server/routes.go`.
//!
//! The end is an object with `done: true`, or with a `done_reason` where a relay forgot `done`. Counts and durations
//! (nanoseconds) stand only there; a duration of zero is printed for "unknown". `prompt_eval_count` is taken as the
//! whole prompt, which it is in all versions since 0.4 but 0.30.0; how much of it was cached is known only where
//! `prompt_eval_cached_count` says so.

pub(crate) mod progress;
#[cfg(test)]
mod tests;

use super::dialect::{Dialect, Element, ModelName};
use super::event::{Event, FinishReason, Timings, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Reads generations and embeddings.
#[derive(Debug, Default)]
pub(crate) struct Ollama {
    model: ModelName,
    object: Draft,
    /// Tokens that were listed with objects that bore no text: characters that were not whole yet.
    listed_before: u64,
    /// Said that the model runs elsewhere.
    elsewhere: bool,
    ended: bool,
}

/// What the present object has said so far.
#[derive(Debug, Default)]
struct Draft {
    text: bool,
    thinking: bool,
    tools: bool,
    /// A model of another host does the work.
    remote: bool,
    error: bool,
    /// Only what would have been asked of the model: it comes whole and is never done.
    debug: bool,
    done: Option<bool>,
    finish: Option<FinishReason>,
    listed: Option<u64>,
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
            (Field::Done, Value::Is(done)) => object.done = Some(done),
            (Field::Listed, Value::Length(tokens)) => object.listed = Some(tokens),
            // A prompt of no tokens does not exist.
            (Field::Prompt, Value::Count(tokens)) => object.usage.prompt = (tokens > 0).then_some(tokens),
            (Field::Cached, Value::Count(tokens)) => object.usage.cached = Some(tokens),
            (Field::Generated, Value::Count(tokens)) => object.usage.generated = Some(tokens),
            (Field::Load, Value::Count(nanos)) => object.timings.load = units::nanos(nanos),
            (Field::Prefill, Value::Count(nanos)) => object.timings.prefill = units::nanos(nanos),
            (Field::Decode, Value::Count(nanos)) => object.timings.decode = units::nanos(nanos),
            (Field::Total, Value::Count(nanos)) => object.timings.total = units::nanos(nanos),
            _ => {}
        }
    }
}

impl Dialect for Ollama {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.tell(emit);
        if object.remote && !std::mem::replace(&mut self.elsewhere, true) {
            emit(Event::Elsewhere);
        }
        if element != Element::Whole {
            self.tell_tokens(&object, emit);
        }
        if object.error || element == Element::ErrorPart {
            emit(Event::Error);
            return;
        }
        // An embedding is whole without saying that it is done.
        if object.done == Some(true) || object.finish.is_some() || element == Element::Whole {
            self.ended = true;
            object.tell_end(emit);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, _emit: &mut impl FnMut(Event<'_>)) {}

    fn is_part(&self) -> bool {
        let object = &self.object;
        object.done == Some(false) && object.finish.is_none() && !object.error && !object.debug
    }

    fn is_open(&self) -> bool {
        !self.ended
    }
}

impl Ollama {
    #[inline]
    fn tell_tokens(&mut self, object: &Draft, emit: &mut impl FnMut(Event<'_>)) {
        let listed = object.listed.unwrap_or(0) + self.listed_before;
        let answer = object.text || object.tools;
        if answer || object.thinking {
            self.listed_before = 0;
            let listed = (listed > 0).then_some(listed);
            emit(Event::Tokens(Tokens { answer, thinking: object.thinking, listed }));
        } else {
            self.listed_before = listed;
        }
    }
}

impl Draft {
    fn tell_end(&self, emit: &mut impl FnMut(Event<'_>)) {
        let usage = Usage { last: true, choices: 1, ..self.usage };
        if usage.prompt.or(usage.generated).or(usage.cached).is_some() {
            emit(Event::Usage(usage));
        }
        if self.timings != Timings::default() {
            emit(Event::Timings(self.timings));
        }
        if let Some(finish) = self.finish {
            emit(Event::Finish(finish));
        }
        emit(Event::Terminal);
    }
}
