//! TGI's own API: generate and `generate_stream`; whole answers count in header fields too.
//!
//! Source: TGI `router/src/server.rs`, `router/src/lib.rs`. Each event is exactly one token, numbered by `index`;
//! special tokens count and have no text. The end is the event whose `generated_text` is not null. The header fields of
//! a whole answer ([`Reported`]) are used where the body has no `details`. TGI does not separate prefill from decode:
//! `x-inference-time` is both and is emitted as decode, so rates derived from it include the prefill, like TGI's own
//! `x-time-per-token` (the same divided by tokens, rounded). Left out on purpose: that field, `x-queue-time` and
//! `x-validation-time`, which no metric uses.

#[cfg(test)]
mod tests;

use super::dialect::{DialectParser, Element, emit_finish, joint_finish};
use super::event::{Event, FinishReason, Timings, Tokens, Usage};
use super::head::Reported;
use super::json::{Object, Value, Visit, Want};

/// Parses generations.
#[derive(Debug, Default)]
pub(crate) struct Tgi {
    object: Draft,
    /// From the response's head.
    reported: Reported,
    /// Special tokens since the last text.
    listed_before: u64,
    ended: bool,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    token: bool,
    text: bool,
    special: bool,
    whole_text: bool,
    error: bool,
    index: Option<u64>,
    finish: Option<FinishReason>,
    prompt: Option<u64>,
    generated: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Index,
    Text,
    Special,
    WholeText,
    Error,
    ResultEnd,
    Finish,
    Prompt,
    Generated,
}

static RESULT: Want<Field> = Want::Object(&OBJECT);

static OBJECT: Object<Field> = Object::new(&[
    ("index", Want::Count(Field::Index)),
    ("token", Want::Object(&TOKEN)),
    ("generated_text", Want::Present(Field::WholeText)),
    ("details", Want::Object(&DETAILS)),
    ("error", Want::Truthy(Field::Error)),
]);

static TOKEN: Object<Field> =
    Object::new(&[("text", Want::Present(Field::Text)), ("special", Want::Flag(Field::Special))]);

static DETAILS: Object<Field> = Object::new(&[
    ("finish_reason", Want::Text(Field::Finish)),
    ("generated_tokens", Want::Count(Field::Generated)),
    ("input_length", Want::Count(Field::Prompt)),
]);

impl Tgi {
    pub(crate) fn new(reported: Reported) -> Self {
        Self { reported, ..Self::default() }
    }

    /// Counts from the body, else from the event's index, else from the head.
    fn usage(&self, object: &Draft) -> Usage {
        Usage {
            last: object.whole_text,
            prompt: object.prompt.or(self.reported.prompt_tokens),
            generated: object.generated.or(object.index).or(self.reported.generated_tokens),
            choices: 1,
            ..Usage::default()
        }
    }
}

impl Visit<Field> for Tgi {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        match (field, value) {
            (Field::Index, Value::Count(index)) => object.index = Some(index),
            (Field::Text, Value::Is(there)) => (object.token, object.text) = (true, there),
            (Field::Special, Value::Is(special)) => object.special = special,
            (Field::WholeText, Value::Is(_)) => object.whole_text = true,
            (Field::Error, Value::Is(there)) => object.error = there,
            (Field::Finish, Value::Text(word)) => {
                object.finish = joint_finish(object.finish, Some(FinishReason::parse(word)));
            }
            (Field::Prompt, Value::Count(tokens)) => object.prompt = Some(tokens),
            (Field::Generated, Value::Count(tokens)) => object.generated = Some(tokens),
            _ => {}
        }
    }
}

impl DialectParser for Tgi {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;
    const MANY: Option<(Field, &'static Want<Field>)> = Some((Field::ResultEnd, &RESULT));

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        if object.token {
            let listed = std::mem::take(&mut self.listed_before) + 1;
            if object.text && !object.special {
                emit(Event::Tokens(Tokens { answer: true, thinking: false, listed: Some(listed), choice: 0 }));
            } else {
                self.listed_before = listed;
            }
        }
        let usage = self.usage(&object);
        if usage.prompt.or(usage.generated).is_some() {
            emit(Event::Usage(usage));
        }
        let failed = emit_finish(object.finish, emit);
        if failed || object.error || element == Element::ErrorPart {
            emit(Event::Error);
        } else if object.whole_text || element == Element::Whole {
            self.ended = true;
            let Reported { total, inference, .. } = self.reported;
            if total.or(inference).is_some() {
                emit(Event::Timings(Timings { total, decode: inference, ..Timings::default() }));
            }
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, _emit: &mut impl FnMut(Event<'_>)) {}

    fn is_part(&self) -> bool {
        self.object.token && !self.object.whole_text
    }

    fn is_open(&self) -> bool {
        !self.ended
    }
}
