//! SGLang's own API: generate; streamed, whole, and an array for a list of prompts or samples.
//!
//! Source: SGLang `managers/tokenizer_manager.py`, `entrypoints/http_server.py`. The text of an event is cumulative
//! (or a piece, as the server is told), and each event bears cumulative counts: one bears tokens if there is text and
//! the count has grown. The end is `[DONE]` after a finish reason.
//! Several samples of one prompt cannot be told from several prompts here: their prompt tokens are added up unless the
//! request was seen to have a single one.

#[cfg(test)]
mod tests;

use super::counts::{Count, Counts, Ledger};
use super::dialect::{Dialect, Element, joint_finish, tell_finish};
use super::event::{Event, FinishReason, Timings, Tokens};
use super::json::{Object, Value, Visit, Want};
use super::units;

/// Results whose progress is told apart. Beyond the last place they share it.
const RESULTS: usize = 128;

/// Reads generations.
#[derive(Debug)]
pub(crate) struct SgLang {
    object: Draft,
    result: Generation,
    ledger: Ledger,
    /// Generated tokens of each result so far.
    generated: Vec<u64>,
    failed: bool,
    ended: bool,
}

/// What the present object has said so far, over its results.
#[derive(Debug, Default)]
struct Draft {
    error: bool,
    tokens: Option<Tokens>,
    counts: Option<(u64, Counts)>,
    timings: Timings,
    finish: Option<FinishReason>,
    results: u64,
}

#[derive(Debug, Default)]
struct Generation {
    index: Option<u64>,
    there: bool,
    text: bool,
    /// Token ids without any text: the server was started without a tokenizer.
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
    Stated(Count),
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
    ("prompt_tokens", Want::Count(Field::Stated(Count::Prompt))),
    ("completion_tokens", Want::Count(Field::Stated(Count::Generated))),
    ("cached_tokens", Want::Count(Field::Stated(Count::Cached))),
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
            (Field::ResultEnd, _) => self.result_end(),
            (Field::Index, Value::Count(index)) => result.index = Some(index),
            (Field::Text, Value::Is(there)) => (result.there, result.text) = (true, there),
            (Field::Ids, Value::Is(there)) => result.ids = there,
            (Field::Finish, Value::Text(word)) => result.finish = Some(FinishReason::parse(word)),
            (Field::Stated(count), Value::Count(tokens)) => {
                if matches!(count, Count::Generated) {
                    result.generated = Some(tokens);
                }
                result.counts.set(count, tokens);
            }
            (Field::TotalSeconds, Value::Quantity(seconds)) => object.timings.total = units::seconds(seconds),
            _ => {}
        }
    }
}

impl Dialect for SgLang {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;
    const MANY: Option<(Field, &'static Want<Field>)> = Some((Field::ResultEnd, &RESULT));

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        self.result_end();
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
        let failed = tell_finish(object.finish, emit);
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
    /// Several results are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.ledger.share_prompt();
    }

    /// The result that was being read is whole. Of several in one array, the counts of all but the last are put away
    /// here; the last is told with the object.
    #[inline]
    fn result_end(&mut self) {
        let result = std::mem::take(&mut self.result);
        let object = &mut self.object;
        if !result.there && !result.ids && result.generated.is_none() {
            return;
        }
        let index = result.index.unwrap_or(object.results);
        object.results += 1;
        self.ledger.choice(index, result.finish.is_some());
        object.finish = joint_finish(object.finish, result.finish);
        let place = usize::try_from(index).unwrap_or(usize::MAX).min(RESULTS - 1);
        if self.generated.len() <= place {
            self.generated.resize(place + 1, 0);
        }
        let before = self.generated[place];
        self.generated[place] = result.generated.unwrap_or(0).max(before);
        let bears = if result.there { result.text } else { result.ids };
        if bears && result.generated.is_none_or(|generated| generated > before) {
            let listed = self.ledger.held(index, 0, result.generated);
            object.tokens = Some(Tokens { answer: true, thinking: false, listed, choice: index });
        }
        if let Some((index, before)) = object.counts.replace((index, result.counts)) {
            self.ledger.report_choice(index, before);
        }
    }
}
