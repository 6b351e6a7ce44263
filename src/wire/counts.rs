//! Token counts as servers state them, and the merging of several reports into one.
//!
//! A report may come with every object (cumulative, for the choice in the same object: vLLM's `continuous_usage_stats`,
//! llama.cpp's `timings_per_token`), with a choice's last object, or at the end without a choice: then it is the sum of
//! all choices (vLLM, `OpenAI`, Ollama), or belongs to the choice that finished last (llama.cpp, recognised by its
//! `timings`). Zeros are no report: Ollama's completions have them in every object but one.

use super::event::Usage;

/// Names a count of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CountKind {
    Prompt,
    Generated,
    Cached,
    Reasoning,
    Drafted,
    Accepted,
    Rejected,
}

/// Choices with counts of their own; later ones share the last. `OpenAI` allows 128.
pub(crate) const CHOICES: usize = 128;

/// Most tokens that one event can hold by the growth of a cumulative count: servers send one event per few tokens, or
/// per few hundred where so configured. A larger growth is not attributed to the event.
const MAX_PER_EVENT: u64 = 4096;

/// Counts of one report; `None` is not stated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    prompt: Option<u64>,
    generated: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    drafted: Option<u64>,
    accepted: Option<u64>,
    rejected: Option<u64>,
}

impl Counts {
    pub(crate) fn set(&mut self, count: CountKind, value: u64) {
        let field = match count {
            CountKind::Prompt => &mut self.prompt,
            CountKind::Generated => &mut self.generated,
            CountKind::Cached => &mut self.cached,
            CountKind::Reasoning => &mut self.reasoning,
            CountKind::Drafted => &mut self.drafted,
            CountKind::Accepted => &mut self.accepted,
            CountKind::Rejected => &mut self.rejected,
        };
        *field = Some(value);
    }

    /// The report in a `usage` object. `None` where it states no tokens. Prediction counts of zero mean that nothing
    /// was predicted.
    pub(crate) fn of_usage(self) -> Option<Self> {
        if self.prompt.unwrap_or(0) == 0 && self.generated.unwrap_or(0) == 0 {
            return None;
        }
        let predicted = self.accepted.zip(self.rejected).map(|(accepted, rejected)| accepted.saturating_add(rejected));
        let drafted = self.drafted.or(predicted).filter(|drafted| *drafted > 0);
        Some(Self { drafted, accepted: self.accepted.filter(|_| drafted.is_some()), ..self })
    }

    /// The report in llama.cpp's `timings`, where `prompt_n` excludes cached tokens. `None` without generated tokens.
    pub(crate) fn of_llama(self) -> Option<Self> {
        self.generated?;
        let prompt = self.prompt.zip(self.cached).map(|(prompt, cached)| prompt.saturating_add(cached));
        Some(Self { prompt, ..self })
    }

    /// Fields stated here win over those of `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.or(other.prompt),
            generated: self.generated.or(other.generated),
            cached: self.cached.or(other.cached),
            reasoning: self.reasoning.or(other.reasoning),
            drafted: self.drafted.or(other.drafted),
            accepted: self.accepted.or(other.accepted),
            rejected: self.rejected.or(other.rejected),
        }
    }

    fn is_empty(&self) -> bool {
        self.prompt.or(self.generated).or(self.cached).is_none()
    }

    pub(crate) fn generated(&self) -> Option<u64> {
        self.generated
    }

    /// The sum of both. Prompts are added only where each choice has its own.
    fn plus(self, other: Self, own_prompts: bool) -> Self {
        let prompts = if own_prompts { sum } else { greater };
        Self {
            prompt: prompts(self.prompt, other.prompt),
            cached: prompts(self.cached, other.cached),
            generated: sum(self.generated, other.generated),
            reasoning: sum(self.reasoning, other.reasoning),
            drafted: sum(self.drafted, other.drafted),
            accepted: sum(self.accepted, other.accepted),
            rejected: sum(self.rejected, other.rejected),
        }
    }
}

/// The position of a choice in [`Ledger::choices`].
fn position(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX).min(CHOICES - 1)
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.saturating_add(other)).or(one).or(other)
}

fn greater(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.max(other)
}

/// The choices seen, and which of them finished.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choices {
    /// One bit per choice.
    seen: u128,
    /// One bit per choice.
    finished: u128,
    last: u64,
    last_finished: u64,
}

impl Choices {
    /// Records that a choice was seen.
    #[inline]
    pub(crate) fn add(&mut self, index: u64, finished: bool) {
        let bit = 1 << index.min(CHOICES as u64 - 1);
        self.seen |= bit;
        self.last = index;
        if finished {
            self.finished |= bit;
            self.last_finished = index;
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.seen == 0
    }

    /// The index of the choice seen last.
    pub(crate) fn last(self) -> u64 {
        self.last
    }
}

/// The state of one choice.
#[derive(Clone, Copy, Debug, Default)]
struct ChoiceRecord {
    /// Its reports, merged.
    counts: Counts,
    /// The cumulative count of generated tokens in its last token-bearing event.
    stated: Option<u64>,
    /// Tokens listed by events without text since then: parts of a character.
    deferred: u64,
}

/// The merged reports of one exchange.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Each choice has its own prompt: several prompts in one request, as completions allow. Only the request
    /// distinguishes them from several answers to one prompt.
    own_prompts: bool,
    seen: Choices,
    /// By position; only as long as needed.
    choices: Vec<ChoiceRecord>,
    /// The report for all choices, and the number of reports in its sum.
    all: Option<(Counts, u32)>,
}

impl Ledger {
    pub(crate) fn new(own_prompts: bool) -> Self {
        Self { own_prompts, seen: Choices::default(), choices: Vec::new(), all: None }
    }

    /// All choices are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.own_prompts = false;
    }

    /// Records the choices of an object.
    #[inline]
    pub(crate) fn record_choices(&mut self, choices: Choices) {
        self.seen.seen |= choices.seen;
        if choices.finished != 0 {
            self.seen.finished |= choices.finished;
            self.seen.last_finished = choices.last_finished;
        }
    }

    /// Records an object of one choice.
    #[inline]
    pub(crate) fn record_choice(&mut self, index: u64, finished: bool) {
        let mut choices = Choices::default();
        choices.add(index, finished);
        self.record_choices(choices);
    }

    /// Whether any choice finished.
    pub(crate) fn any_finished(&self) -> bool {
        self.seen.finished != 0
    }

    /// Whether every choice seen has finished. False before the first.
    pub(crate) fn all_finished(&self) -> bool {
        self.any_finished() && self.seen.seen & !self.seen.finished == 0
    }

    /// Whether no choice is unfinished. True before the first.
    pub(crate) fn is_settled(&self) -> bool {
        self.seen.seen & !self.seen.finished == 0
    }

    /// Merges a report for one choice. Returns the totals so far.
    pub(crate) fn report_choice(&mut self, index: u64, counts: Counts) -> Usage {
        let record = self.record_mut(index);
        record.counts = counts.or(record.counts);
        self.usage()
    }

    fn record_mut(&mut self, index: u64) -> &mut ChoiceRecord {
        let position = position(index);
        if self.choices.len() <= position {
            self.choices.resize(position + 1, ChoiceRecord::default());
        }
        &mut self.choices[position]
    }

    /// Keeps the tokens that an event without text listed for the choice's next event with text.
    #[inline]
    pub(crate) fn defer_listed(&mut self, index: u64, listed: u64) {
        if listed > 0 {
            let record = self.record_mut(index);
            record.deferred = record.deferred.saturating_add(listed);
        }
    }

    /// The number of tokens in a token-bearing event: those that it lists and the deferred ones, else the growth of the
    /// cumulative count that it states. `None` where neither is known.
    #[inline]
    pub(crate) fn event_tokens(&mut self, index: u64, listed: u64, stated: Option<u64>) -> Option<u64> {
        if stated.is_none() && self.choices.len() <= position(index) {
            return (listed > 0).then_some(listed);
        }
        let record = self.record_mut(index);
        let listed = listed.saturating_add(std::mem::take(&mut record.deferred));
        let before = std::mem::replace(&mut record.stated, stated);
        let grown = stated.zip(before).and_then(|(now, before)| now.checked_sub(before));
        Some(listed).filter(|listed| *listed > 0).or(grown.filter(|grown| (1..=MAX_PER_EVENT).contains(grown)))
    }

    /// Merges a report without a choice, which belongs to the one that finished last.
    pub(crate) fn report_finished(&mut self, counts: Counts) -> Usage {
        self.report_choice(self.seen.last_finished, counts)
    }

    /// Merges a report without a choice. It is for all choices, or one of several whose sum is.
    pub(crate) fn report_all(&mut self, counts: Counts) -> Usage {
        let alone = self.choices.iter().all(|choice| choice.counts.is_empty());
        let (counts, reports) = match self.all {
            Some((before, reports)) if alone && reports < self.seen.finished.count_ones() => {
                (before.plus(counts, self.own_prompts), reports + 1)
            }
            _ => (counts, 1),
        };
        self.all = Some((counts, reports));
        self.usage()
    }

    /// Merges the report in a whole answer of several choices that is the first choice's alone. What belongs to the
    /// choices stays unknown.
    pub(crate) fn report_first(&mut self, counts: Counts) -> Usage {
        let shared = if self.own_prompts { None } else { Some(counts) };
        let Counts { prompt, cached, .. } = shared.unwrap_or_default();
        self.report_all(Counts { prompt, cached, ..Counts::default() })
    }

    fn usage(&self) -> Usage {
        let counts = self.all.map_or_else(
            || self.choices.iter().fold(Counts::default(), |sum, choice| sum.plus(choice.counts, self.own_prompts)),
            |(counts, _)| counts,
        );
        Usage {
            last: self.all.is_some() || self.all_finished(),
            prompt: counts.prompt,
            generated: counts.generated,
            cached: counts.cached,
            reasoning: counts.reasoning,
            drafted: counts.drafted,
            draft_accepted: counts.accepted,
            choices: self.seen.seen.count_ones().max(1),
        }
    }
}
