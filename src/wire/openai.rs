//! `OpenAI`'s API, on any server: chat completions, completions, embeddings; streamed and whole. LM Studio's older API
//! is the same with `stats`.
//!
//! Sources: openai-python `types/`, llama.cpp `tools/server/server-task.cpp` (`timings`), vLLM and SGLang
//! `protocol.py`, Ollama `openai/openai.go`.
//! Of several choices in one whole answer llama.cpp counts only the first (recognised by `timings`): only what all
//! choices share is known.
//! The end is `[DONE]`, if some choice finished and no error came: vLLM, SGLang and TGI send it after an error too, and
//! Ollama omits it where it swallows one. A stream whose every choice has finished is complete without it.

pub(crate) mod fields;
#[cfg(test)]
mod tests;

pub(crate) use fields::{Field, openai_tables, openai_timings};

use super::counts::{CHOICES, Choices, Counts, Ledger};
use super::dialect::{DialectParser, Element, ModelName, emit_finish, joint_finish};
use super::event::{Event, FinishReason, Timings, Tokens};
use super::head::Reported;
use super::json::{Object, Value, Visit};
use super::route::Operation;
use super::units;

/// Parses chat completions, completions and embeddings.
#[derive(Debug)]
pub(crate) struct OpenAi {
    model: ModelName,
    object: Draft,
    bearing: TokenBearing,
    /// Boxed, and allocated for the first object with counts, as most objects have none.
    report: Option<Box<UsageReport>>,
    /// The current object has counts or durations.
    has_report: bool,
    ledger: Ledger,
    /// From the response's head (TGI).
    reported: Reported,
    failed: bool,
    ended: bool,
}

/// Values of the current object so far.
#[derive(Debug, Default)]
struct Draft {
    error: bool,
    /// The current choice.
    choice: Choice,
    choices: Choices,
    /// The number of choices so far.
    count: u64,
    finish: Option<FinishReason>,
    /// A `delta` held a value; whole answers have none.
    is_delta: bool,
}

/// Choices of the current object with text or listed tokens, in order. More than one is rare. Those after [`CHOICES`]
/// are merged into the last.
#[derive(Debug, Default)]
struct TokenBearing {
    first: Option<Tokens>,
    more: Vec<Tokens>,
}

/// Counts and durations of the current object.
#[derive(Debug, Default)]
struct UsageReport {
    usage: Counts,
    llama: Counts,
    timings: Timings,
}

/// Values of the current choice so far.
#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    index: Option<u64>,
    text: bool,
    thinking: bool,
    tools: bool,
    listed: u64,
    finish: Option<FinishReason>,
}

impl OpenAi {
    pub(crate) fn new(operation: Operation, reported: Reported) -> Self {
        Self {
            model: ModelName::default(),
            object: Draft::default(),
            bearing: TokenBearing::default(),
            report: None,
            has_report: false,
            ledger: Ledger::new(operation == Operation::TextCompletion),
            reported,
            failed: false,
            ended: false,
        }
    }

    /// All choices are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.ledger.share_prompt();
    }

    /// Records the current choice, which is whole.
    #[inline]
    fn end_choice(&mut self) {
        let object = &mut self.object;
        let choice = std::mem::take(&mut object.choice);
        // Choices without an index are in order.
        let index = choice.index.unwrap_or(object.count);
        object.choices.add(index, choice.finish.is_some());
        object.count += 1;
        object.finish = joint_finish(object.finish, choice.finish);
        let answer = choice.text || choice.tools;
        if answer || choice.thinking || choice.listed > 0 {
            let listed = Some(choice.listed);
            self.bearing.add(Tokens { answer, thinking: choice.thinking, listed, choice: index });
        }
    }

    /// Emits the token-bearing choices, each with its number of tokens where known.
    #[inline]
    fn emit_tokens(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        let Some(first) = self.bearing.first.take() else { return };
        // With several choices in one object it is unknown which of them the count belongs to.
        let stated = if self.bearing.more.is_empty() { self.stated() } else { None };
        self.emit_choice(first, stated, emit);
        let mut more = std::mem::take(&mut self.bearing.more);
        more.drain(..).for_each(|tokens| self.emit_choice(tokens, None, emit));
        self.bearing.more = more;
    }

    #[inline]
    fn emit_choice(&mut self, tokens: Tokens, stated: Option<u64>, emit: &mut impl FnMut(Event<'_>)) {
        let listed = tokens.listed.unwrap_or(0);
        if tokens.answer || tokens.thinking {
            let listed = self.ledger.event_tokens(tokens.choice, listed, stated);
            emit(Event::Tokens(Tokens { listed, ..tokens }));
        } else {
            self.ledger.defer_listed(tokens.choice, listed);
        }
    }

    /// The cumulative count of generated tokens in the current object.
    #[inline]
    fn stated(&self) -> Option<u64> {
        let report = self.report.as_deref().filter(|_| self.has_report)?;
        report.usage.generated().filter(|tokens| *tokens > 0).or(report.llama.generated())
    }

    /// Merges the counts of the current object, and emits the totals and the durations.
    fn emit_report(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        self.has_report = false;
        let UsageReport { usage, llama, timings } = self.report.as_deref_mut().map(std::mem::take).unwrap_or_default();
        let llama = llama.of_llama();
        let by_choice = element != Element::Whole && !self.object.choices.is_empty();
        if let Some(counts) = usage.of_usage().map(|usage| usage.or(llama.unwrap_or_default())).or(llama) {
            emit(Event::Usage(match by_choice {
                true => self.ledger.report_choice(self.object.choices.last(), counts),
                // llama.cpp puts the choices into one object, and keeps the report of the first.
                false if llama.is_some() && element == Element::Whole && self.object.count > 1 => {
                    self.ledger.report_first(counts)
                }
                // llama.cpp sends one of these per choice.
                false if llama.is_some() && element != Element::Whole => self.ledger.report_finished(counts),
                false => self.ledger.report_all(counts),
            }));
        }
        if timings != Timings::default() {
            emit(Event::Timings(timings));
        }
    }

    #[inline]
    fn report_mut(&mut self) -> &mut UsageReport {
        self.has_report = true;
        self.report.get_or_insert_default()
    }
}

impl TokenBearing {
    #[inline]
    fn add(&mut self, tokens: Tokens) {
        if self.first.is_none() {
            self.first = Some(tokens);
        } else {
            self.add_more(tokens);
        }
    }

    #[cold]
    fn add_more(&mut self, tokens: Tokens) {
        let full = self.more.len() + 1 >= CHOICES;
        match self.more.last_mut().filter(|_| full) {
            Some(last) => {
                last.answer |= tokens.answer;
                last.thinking |= tokens.thinking;
                last.listed = last.listed.zip(tokens.listed).map(|(listed, more)| listed.saturating_add(more));
            }
            None => self.more.push(tokens),
        }
    }

    fn clear(&mut self) {
        self.first = None;
        self.more.clear();
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
            (Field::Index, Value::Count(index)) => choice.index = Some(index),
            (Field::Finish, Value::Text(word)) => {
                // Some servers send an empty reason until there is one.
                choice.finish = (!word.is_empty()).then(|| FinishReason::parse(word));
            }
            (Field::Text, Value::Is(there)) => choice.text |= there,
            (Field::DeltaText, Value::Is(there)) => {
                choice.text |= there;
                object.is_delta |= there;
            }
            (Field::Thinking, Value::Is(there)) => {
                choice.thinking |= there;
                object.is_delta |= there;
            }
            (Field::Tools, Value::Is(there)) => {
                choice.tools |= there;
                object.is_delta |= there;
            }
            (Field::Listed, Value::Length(tokens)) => choice.listed = choice.listed.max(tokens),
            (Field::ChoiceEnd, _) => self.end_choice(),
            (Field::Usage(count), Value::Count(tokens)) => self.report_mut().usage.set(count, tokens),
            (Field::Llama(count), Value::Count(tokens)) => self.report_mut().llama.set(count, tokens),
            (Field::PrefillMs, Value::Quantity(millis)) => self.report_mut().timings.prefill = units::millis(millis),
            (Field::DecodeMs, Value::Quantity(millis)) => self.report_mut().timings.decode = units::millis(millis),
            (Field::DecodeSeconds, Value::Quantity(seconds)) => {
                self.report_mut().timings.decode = units::seconds(seconds)
            }
            _ => {}
        }
    }
}

impl DialectParser for OpenAi {
    type Field = Field;
    const WANTED: &'static Object<Field> = &fields::OBJECT;

    #[inline]
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        self.model.emit_change(emit);
        self.ledger.record_choices(self.object.choices);
        if element == Element::Whole {
            self.bearing.clear();
        } else {
            self.emit_tokens(emit);
        }
        if self.has_report {
            self.emit_report(element, emit);
        }
        let object = std::mem::take(&mut self.object);
        let failed = emit_finish(object.finish, emit);
        if failed || object.error || element == Element::ErrorPart {
            self.failed = true;
            emit(Event::Error);
        } else if element == Element::Whole {
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
        self.bearing.clear();
        self.report = None;
        self.has_report = false;
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
