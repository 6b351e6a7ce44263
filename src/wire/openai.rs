//! `OpenAI`'s API, whoever serves it: chat completions, completions, embeddings; streamed and whole. LM Studio's
//! older API is the same with `stats`.
//!
//! Sources: openai-python `types/`, llama.cpp `tools/server/server-task.cpp` (`timings`), vLLM and SGLang
//! `protocol.py`, Ollama `openai/openai.go`.
//! The end is `[DONE]`, and only if some choice finished and no error came: vLLM, SGLang and TGI send it after an
//! error too, Ollama leaves it out where it swallows one. A stream whose every choice finished is not cut, though,
//! if it ends without the marker.

mod fields;

pub(crate) use fields::Field;

use super::counts::{Counts, Ledger};
use super::dialect::{Dialect, Element, ModelName};
use super::event::{Event, FinishReason, Timings, Tokens};
use super::json::{Object, Value, Visit};
use super::route::Operation;
use super::units;

/// Reads chat completions, completions and embeddings.
#[derive(Debug)]
pub(crate) struct OpenAi {
    model: ModelName,
    object: Draft,
    ledger: Ledger,
    /// Tokens that were listed with choices that bore no text: characters that were not whole yet.
    listed_before: u64,
    failed: bool,
    ended: bool,
}

/// What the present object has said so far.
#[derive(Debug, Default)]
struct Draft {
    error: bool,
    /// The choice that is being read.
    choice: Choice,
    /// Choices that ended.
    choices: u32,
    /// The last of them that ended.
    index: u64,
    finish: Option<FinishReason>,
    /// Choices that bore tokens, in order. Objects with more than one are rare; beyond the last place they share it.
    tokens: [Tokens; 4],
    bearing: usize,
    is_delta: bool,
    usage: Counts,
    llama: Counts,
    timings: Timings,
}

/// What one choice of the present object has said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    index: u64,
    text: bool,
    thinking: bool,
    tools: bool,
    listed: u64,
    finish: Option<FinishReason>,
}

impl OpenAi {
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            model: ModelName::default(),
            object: Draft::default(),
            ledger: Ledger::new(operation == Operation::TextCompletion),
            listed_before: 0,
            failed: false,
            ended: false,
        }
    }

    /// The choice that was being read is whole.
    #[inline]
    fn choice_end(&mut self) {
        let choice = std::mem::take(&mut self.object.choice);
        self.ledger.choice(choice.index, choice.finish.is_some());
        let object = &mut self.object;
        object.choices += 1;
        object.index = choice.index;
        object.finish = choice.finish.or(object.finish);
        self.listed_before += choice.listed;
        let answer = choice.text || choice.tools;
        if answer || choice.thinking {
            let listed = std::mem::take(&mut self.listed_before);
            object.bear(Tokens { answer, thinking: choice.thinking, listed: (listed > 0).then_some(listed) });
        }
    }

    /// Puts the counts of the object where they belong, and tells the totals.
    fn tell_counts(&mut self, object: &Draft, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let llama = object.llama.of_llama();
        let counts = match (object.usage.of_usage(), llama) {
            (Some(usage), llama) => usage.or(llama.unwrap_or_default()),
            (None, Some(llama)) => llama,
            (None, None) => return,
        };
        let usage = match (element, object.choices) {
            (Element::Whole, _) => self.ledger.report_all(counts),
            (_, 1..) => self.ledger.report_choice(object.index, counts),
            (_, 0) if llama.is_some() => self.ledger.report_finished(counts),
            (_, 0) => self.ledger.report_all(counts),
        };
        emit(Event::Usage(usage));
    }
}

impl Draft {
    #[inline]
    fn bear(&mut self, tokens: Tokens) {
        let place = self.bearing.min(self.tokens.len() - 1);
        let merged = &mut self.tokens[place];
        merged.answer |= tokens.answer;
        merged.thinking |= tokens.thinking;
        merged.listed = merged.listed.map_or(tokens.listed, |listed| Some(listed + tokens.listed.unwrap_or(0)));
        self.bearing = place + 1;
    }
}

impl Visit<Field> for OpenAi {
    #[inline]
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        let choice = &mut object.choice;
        match (field, value) {
            (Field::Model, Value::Text(name)) => self.model.set(name),
            (Field::Error, Value::Is(there)) => object.error = there,
            (Field::Index, Value::Count(index)) => choice.index = index,
            (Field::Finish, Value::Text(word)) => {
                // Some servers print an empty one for "not yet".
                choice.finish = (!word.is_empty()).then(|| FinishReason::parse(word));
            }
            (Field::Text, Value::Is(there)) => choice.text |= there,
            (Field::DeltaText, Value::Is(there)) => {
                choice.text |= there;
                object.is_delta |= there;
            }
            (Field::Thinking, Value::Is(there)) => choice.thinking |= there,
            (Field::Tools, Value::Is(there)) => choice.tools |= there,
            (Field::Listed, Value::Length(tokens)) => choice.listed = choice.listed.max(tokens),
            (Field::ChoiceEnd, _) => self.choice_end(),
            (Field::Usage(count), Value::Count(tokens)) => object.usage.set(count, tokens),
            (Field::Llama(count), Value::Count(tokens)) => object.llama.set(count, tokens),
            (Field::PrefillMs, Value::Quantity(millis)) => object.timings.prefill = units::millis(millis),
            (Field::DecodeMs, Value::Quantity(millis)) => object.timings.decode = units::millis(millis),
            (Field::DecodeSeconds, Value::Quantity(seconds)) => object.timings.decode = units::seconds(seconds),
            _ => {}
        }
    }
}

impl Dialect for OpenAi {
    type Field = Field;
    const WANTED: &'static Object<Field> = &fields::OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        self.model.tell(emit);
        if element != Element::Whole {
            object.tokens[..object.bearing].iter().for_each(|tokens| emit(Event::Tokens(*tokens)));
        }
        self.tell_counts(&object, element, emit);
        if object.timings != Timings::default() {
            emit(Event::Timings(object.timings));
        }
        if let Some(finish) = object.finish {
            emit(Event::Finish(finish));
        }
        if object.error || element == Element::ErrorPart {
            self.failed = true;
            emit(Event::Error);
        } else if element == Element::Whole {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if self.ledger.any_finished() && !self.failed {
            self.ended = true;
            emit(Event::Terminal);
        }
    }

    fn is_part(&self) -> bool {
        self.object.is_delta
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.ledger.all_finished()
    }
}
