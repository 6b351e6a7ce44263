//! Transcriptions and translations of speech: `OpenAI`'s events, vLLM's chunks, and whole answers.
//!
//! Sources: openai-python `types/audio`, vLLM `entrypoints/openai/speech_to_text`. The end is
//! `transcript.text.done`, or `[DONE]` after a choice that finished. An answer billed by its duration states seconds in
//! place of tokens, and plain text states nothing.

#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, emit_finish};
use super::event::{Event, FinishReason, Tokens, Usage};
use super::json::{Object, Value, Visit, Want};

/// Parses transcriptions.
#[derive(Debug, Default)]
pub(crate) struct Transcription {
    object: Draft,
    finished: bool,
    failed: bool,
    ended: bool,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    text: bool,
    chunk: bool,
    done: bool,
    error: bool,
    listed: u64,
    finish: Option<FinishReason>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Type,
    Text,
    ChoiceEnd,
    Listed,
    Finish,
    Error,
    Prompt,
    Generated,
}

static OBJECT: Object<Field> = Object::new(&[
    ("type", Want::Text(Field::Type)),
    ("delta", Want::Present(Field::Text)),
    ("logprobs", Want::Length(Field::Listed)),
    ("choices", Want::Each(Field::ChoiceEnd, &Want::Object(&CHOICE))),
    ("error", Want::Truthy(Field::Error)),
    ("usage", Want::Object(&USAGE)),
]);

static CHOICE: Object<Field> =
    Object::new(&[("delta", Want::Object(&DELTA)), ("finish_reason", Want::Text(Field::Finish))]);
static DELTA: Object<Field> = Object::new(&[("content", Want::Present(Field::Text))]);

static USAGE: Object<Field> = Object::new(&[
    ("input_tokens", Want::Count(Field::Prompt)),
    ("output_tokens", Want::Count(Field::Generated)),
    ("prompt_tokens", Want::Count(Field::Prompt)),
    ("completion_tokens", Want::Count(Field::Generated)),
]);

impl Visit<Field> for Transcription {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        match (field, value) {
            (Field::Type, Value::Text(word)) => {
                object.chunk |= word.starts_with(b"transcript.");
                object.done = word == b"transcript.text.done";
                object.error |= word == b"error";
            }
            (Field::Text, Value::Is(there)) => object.text |= there,
            (Field::ChoiceEnd, _) => object.chunk = true,
            (Field::Listed, Value::Length(tokens)) => object.listed = tokens,
            (Field::Finish, Value::Text(word)) => object.finish = Some(FinishReason::parse(word)),
            (Field::Error, Value::Is(there)) => object.error |= there,
            (Field::Prompt, Value::Count(tokens)) => object.usage.prompt = Some(tokens),
            (Field::Generated, Value::Count(tokens)) => object.usage.generated = Some(tokens),
            _ => {}
        }
    }
}

impl DialectParser for Transcription {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        if element != Element::Whole && object.text {
            let listed = (object.listed > 0).then_some(object.listed);
            emit(Event::Tokens(Tokens { answer: true, thinking: false, listed, choice: 0 }));
        }
        if object.usage.prompt.unwrap_or(0) > 0 || object.usage.generated.unwrap_or(0) > 0 {
            let last = object.done || self.finished || object.finish.is_some() || element == Element::Whole;
            emit(Event::Usage(Usage { last, choices: 1, ..object.usage }));
        }
        self.finished |= object.finish.is_some();
        let failed = emit_finish(object.finish, emit);
        if failed || object.error || element == Element::ErrorPart {
            self.failed = true;
            emit(Event::Error);
        } else if object.done || element == Element::Whole {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if self.finished && !self.failed && !std::mem::replace(&mut self.ended, true) {
            emit(Event::Terminal);
        }
    }

    fn is_part(&self) -> bool {
        self.object.chunk
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.finished
    }
}
