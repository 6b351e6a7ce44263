//! llama.cpp's own API: completion, infill, embeddings; streamed, whole, and an array for a list of prompts.
//!
//! Source: llama.cpp `tools/server/server-task.cpp` (`to_json_non_oaicompat`). Each event has cumulative counts, so
//! that an abandoned stream can be counted. The end is `stop: true` for every result seen; where a list of prompts is
//! answered one after another, a terminal event is emitted for each. There is no `[DONE]`. The last event repeats the
//! whole prompt, which is skipped. Progress of the prompt is not token-bearing. Replays (`/v1/stream`) are not read.
//! Other servers answer `/completions` and `/embeddings` in `OpenAI`'s shape, which is recognised.

#[cfg(test)]
mod tests;

use super::counts::{CountKind, Counts, Ledger};
use super::dialect::{DialectParser, Element, ModelName, emit_finish, joint_finish};
use super::event::{Event, FinishReason, Timings, Tokens};
use super::foreign::Foreign;
use super::json::{Object, Value, Visit, Want};
use super::openai;
use super::route::Operation;
use super::units;
use foreign::{CHOICE, USAGE};

/// Parses completions and embeddings.
#[derive(Debug)]
pub(crate) struct LlamaCpp {
    model: ModelName,
    object: Draft,
    /// The current result.
    result: Completion,
    ledger: Ledger,
    ended: bool,
    foreign: Foreign,
}

/// Values of the current object so far, over its results.
#[derive(Debug, Default)]
struct Draft {
    error: bool,
    stopped: bool,
    tokens: Option<Tokens>,
    counts: Option<(u64, Counts)>,
    timings: Timings,
    finish: Option<FinishReason>,
}

/// Values of the current result so far.
#[derive(Debug, Default)]
struct Completion {
    index: u64,
    text: bool,
    listed: u64,
    stop: Option<bool>,
    finish: Option<FinishReason>,
    /// `tokens_predicted`, `tokens_evaluated`.
    counts: Counts,
    /// `timings`.
    timed: Counts,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Model,
    Error,
    ResultEnd,
    Index,
    Text,
    Listed,
    Stop,
    Finish,
    Stated(CountKind),
    Timed(CountKind),
    PrefillMs,
    DecodeMs,
    /// A field of `OpenAI`'s shape.
    OpenAi(openai::Field),
}

use Field::{Stated, Timed};

mod foreign {
    super::openai::openai_tables!(super::Field, [super::Field::OpenAi]);
}

static RESULT: Want<Field> = Want::Object(&OBJECT);

static OBJECT: Object<Field> = Object::new(&[
    ("model", Want::Text(Field::Model)),
    ("error", Want::Truthy(Field::Error)),
    ("index", Want::Count(Field::Index)),
    ("content", Want::Present(Field::Text)),
    ("tokens", Want::Length(Field::Listed)),
    ("stop", Want::Flag(Field::Stop)),
    ("stop_type", Want::Text(Field::Finish)),
    ("tokens_predicted", Want::Count(Stated(CountKind::Generated))),
    ("tokens_evaluated", Want::Count(Stated(CountKind::Prompt))),
    ("timings", Want::Object(&TIMINGS)),
    ("choices", Want::Each(Field::OpenAi(openai::Field::ChoiceEnd), &Want::Object(&CHOICE))),
    ("usage", Want::Object(&USAGE)),
]);

static TIMINGS: Object<Field> = Object::new(&[
    ("cache_n", Want::Count(Timed(CountKind::Cached))),
    ("prompt_n", Want::Count(Timed(CountKind::Prompt))),
    ("predicted_n", Want::Count(Timed(CountKind::Generated))),
    ("draft_n", Want::Count(Timed(CountKind::Drafted))),
    ("draft_n_accepted", Want::Count(Timed(CountKind::Accepted))),
    ("prompt_ms", Want::Quantity(Field::PrefillMs)),
    ("predicted_ms", Want::Quantity(Field::DecodeMs)),
]);

impl Default for LlamaCpp {
    fn default() -> Self {
        Self {
            model: ModelName::default(),
            object: Draft::default(),
            result: Completion::default(),
            ledger: Ledger::new(true),
            ended: false,
            foreign: Foreign::default(),
        }
    }
}

impl Visit<Field> for LlamaCpp {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let (object, result) = (&mut self.object, &mut self.result);
        match (field, value) {
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Error, Value::Is(there)) => object.error |= there,
            (Field::ResultEnd, _) => self.end_result(Element::Whole),
            (Field::Index, Value::Count(index)) => result.index = index,
            (Field::Text, Value::Is(there)) => result.text = there,
            (Field::Listed, Value::Length(tokens)) => result.listed = tokens,
            (Field::Stop, Value::Is(stop)) => result.stop = Some(stop),
            (Field::Finish, Value::Text(word)) => {
                result.finish = (word != b"none").then(|| FinishReason::parse(word));
            }
            (Stated(count), Value::Count(tokens)) => result.counts.set(count, tokens),
            (Timed(count), Value::Count(tokens)) => result.timed.set(count, tokens),
            (Field::PrefillMs, Value::Quantity(millis)) => object.timings.prefill = units::millis(millis),
            (Field::DecodeMs, Value::Quantity(millis)) => object.timings.decode = units::millis(millis),
            (Field::OpenAi(field), value) => {
                self.foreign.mark_seen();
                self.foreign.value(Operation::TextCompletion, field, value);
            }
            _ => {}
        }
    }
}

impl DialectParser for LlamaCpp {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;
    const MANY: Option<(Field, &'static Want<Field>)> = Some((Field::ResultEnd, &RESULT));

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        self.end_result(element);
        let object = std::mem::take(&mut self.object);
        self.model.emit_change(emit);
        if let Some(foreign) = self.foreign.reader() {
            foreign.value(openai::Field::Error, Value::Is(object.error));
            if object.timings != Timings::default() {
                emit(Event::Timings(object.timings));
            }
            return foreign.element(element, emit);
        }
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
            emit(Event::Error);
        } else if element == Element::Whole || (object.stopped && self.ledger.all_finished()) {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
        self.result = Completion::default();
        self.foreign.discard();
    }

    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if let Some(foreign) = self.foreign.reader() {
            foreign.done_marker(emit);
        }
    }

    fn is_part(&self) -> bool {
        self.foreign.as_reader().map_or(self.result.stop == Some(false), DialectParser::is_part)
    }

    fn is_open(&self) -> bool {
        let own = !self.ended || !self.ledger.is_settled();
        self.foreign.as_reader().map_or(own, DialectParser::is_open)
    }
}

impl LlamaCpp {
    /// All results are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.ledger.share_prompt();
        self.foreign.share_prompt();
    }

    /// Records the current result, which is whole. Of several in an array, the counts of all but the last are merged
    /// here; the last is emitted with the object.
    #[inline]
    fn end_result(&mut self, element: Element) {
        let result = std::mem::take(&mut self.result);
        let object = &mut self.object;
        let Some(stop) = result.stop.or((element == Element::Whole && result.text).then_some(true)) else { return };
        self.ledger.record_choice(result.index, stop);
        object.stopped |= stop;
        object.finish = joint_finish(object.finish, result.finish);
        let timed = result.timed.of_llama().unwrap_or_default();
        let counts = result.counts.or(timed);
        if result.text {
            let listed = self.ledger.event_tokens(result.index, result.listed, counts.generated());
            object.tokens = Some(Tokens { answer: true, thinking: false, listed, choice: result.index });
        } else {
            self.ledger.defer_listed(result.index, result.listed);
        }
        if let Some((index, before)) = object.counts.replace((result.index, counts)) {
            self.ledger.report_choice(index, before);
        }
    }
}
