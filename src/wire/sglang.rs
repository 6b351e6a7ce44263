//! SGLang's own API: generate; streamed, whole, and an array for a list of prompts or samples.
//!
//! Source: SGLang `managers/tokenizer_manager.py`, `entrypoints/http_server.py`. The text of an event is cumulative (or
//! a piece, if the server is so configured), and each event has cumulative counts: it is token-bearing if it has text
//! and the count has grown. The end is `[DONE]` after a finish reason. Several samples of one prompt look like several
//! prompts: their prompt tokens are added up unless the request is known to have a single prompt.

#[cfg(test)]
mod tests;

use super::counts::{CountKind, Counts, Ledger};
use super::dialect::{DialectParser, Element, emit_finish, joint_finish};
use super::event::{Event, FinishReason, Timings, Tokens};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Results with counts of their own; later ones share the last.
const MAX_RESULTS: usize = 128;

/// Parses generations.
#[derive(Debug)]
pub(crate) struct SgLang {
    object: Draft,
    result: Generation,
    ledger: Ledger,
    /// Generated tokens so far, by result.
    generated: Vec<u64>,
    failed: bool,
    ended: bool,
}

/// Values of the current object so far, over its results.
#[derive(Debug, Default)]
struct Draft {
    error: bool,
    tokens: Option<Tokens>,
    counts: Option<(u64, Counts)>,
    timings: Timings,
    finish: Option<FinishReason>,
    results: u64,
}

/// Values of the current result so far.
#[derive(Debug, Default)]
struct Generation {
    index: Option<u64>,
    has_text_field: bool,
    /// The text is not empty.
    text: bool,
    /// Token ids in place of text: the server runs without a tokenizer.
    ids: bool,
    generated: Option<u64>,
    counts: Counts,
    finish: Option<FinishReason>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Error,
    ResultEnd,
    Index,
    Text,
    Ids,
    Finish,
    Stated(CountKind),
    TotalSeconds,
}

static RESULT: Want<Field> = Want::Object(&OBJECT);

static OBJECT: Object<Field> = Object::new(&[
    ("index", Want::Count(Field::Index)),
    ("text", Want::Present(Field::Text)),
    ("output_ids", Want::Present(Field::Ids)),
    ("meta_info", Want::Object(&META)),
    ("error", Want::Truthy(Field::Error)),
]);

static META: Object<Field> = Object::new(&[
    ("prompt_tokens", Want::Count(Field::Stated(CountKind::Prompt))),
    ("completion_tokens", Want::Count(Field::Stated(CountKind::Generated))),
    ("cached_tokens", Want::Count(Field::Stated(CountKind::Cached))),
    ("finish_reason", Want::Object(&FINISH)),
    ("e2e_latency", Want::Quantity(Field::TotalSeconds)),
]);

static FINISH: Object<Field> = Object::new(&[("type", Want::Text(Field::Finish))]);

impl Default for SgLang {
    fn default() -> Self {
        Self {
            object: Draft::default(),
            result: Generation::default(),
            ledger: Ledger::new(true),
            generated: Vec::new(),
            failed: false,
            ended: false,
        }
    }
}

impl Visit<Field> for SgLang {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let (object, result) = (&mut self.object, &mut self.result);
        match (field, value) {
            (Field::Error, Value::Is(there)) => object.error |= there,
            (Field::ResultEnd, _) => self.end_result(),
            (Field::Index, Value::Count(index)) => result.index = Some(index),
            (Field::Text, Value::Is(there)) => (result.has_text_field, result.text) = (true, there),
            (Field::Ids, Value::Is(there)) => result.ids = there,
            (Field::Finish, Value::Text(word)) => result.finish = Some(FinishReason::parse(word)),
            (Field::Stated(count), Value::Count(tokens)) => {
                if matches!(count, CountKind::Generated) {
                    result.generated = Some(tokens);
                }
                result.counts.set(count, tokens);
            }
            (Field::TotalSeconds, Value::Quantity(seconds)) => object.timings.total = units::seconds(seconds),
            _ => {}
        }
    }
}

impl DialectParser for SgLang {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;
    const MANY: Option<(Field, &'static Want<Field>)> = Some((Field::ResultEnd, &RESULT));

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        self.end_result();
        let object = std::mem::take(&mut self.object);
        if let Some(tokens) = object.tokens.filter(|_| element != Element::Whole) {
            emit(Event::Tokens(tokens));
        }
        if let Some((index, counts)) = object.counts {
            emit(Event::Usage(self.ledger.report_choice(index, counts)));
        }
        if object.timings != Timings::default() {
            emit(Event::Timings(object.timings));
        }
        let failed = emit_finish(object.finish, emit);
        if failed || object.error || element == Element::ErrorPart {
            self.failed = true;
            emit(Event::Error);
        } else if element == Element::Whole {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
        self.result = Generation::default();
    }

    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if self.ledger.any_finished() && !self.failed {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn is_part(&self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.ledger.all_finished()
    }
}

impl SgLang {
    /// All results are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.ledger.share_prompt();
    }

    /// Records the current result, which is whole. Of several in an array, the counts of all but the last are merged
    /// here; the last is emitted with the object.
    #[inline]
    fn end_result(&mut self) {
        let result = std::mem::take(&mut self.result);
        let object = &mut self.object;
        if !result.has_text_field && !result.ids && result.generated.is_none() {
            return;
        }
        let index = result.index.unwrap_or(object.results);
        object.results += 1;
        self.ledger.record_choice(index, result.finish.is_some());
        object.finish = joint_finish(object.finish, result.finish);
        let position = usize::try_from(index).unwrap_or(usize::MAX).min(MAX_RESULTS - 1);
        if self.generated.len() <= position {
            self.generated.resize(position + 1, 0);
        }
        let before = self.generated[position];
        self.generated[position] = result.generated.unwrap_or(0).max(before);
        let has_tokens = if result.has_text_field { result.text } else { result.ids };
        if has_tokens && result.generated.is_none_or(|generated| generated > before) {
            let listed = self.ledger.event_tokens(index, 0, result.generated);
            object.tokens = Some(Tokens { answer: true, thinking: false, listed, choice: index });
        }
        if let Some((index, before)) = object.counts.replace((index, result.counts)) {
            self.ledger.report_choice(index, before);
        }
    }
}
