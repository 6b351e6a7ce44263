//! Token counts as servers print them, and how several reports become one.
//!
//! A report may come with every object (cumulative, for the choice that stands beside it: vLLM's
//! `continuous_usage_stats`, llama.cpp's `timings_per_token`), with a choice's last object, or at the end without any
//! choice: then it is the sum of all (vLLM, `OpenAI`, Ollama), or that of the choice that finished last (llama.cpp,
//! told by the `timings` beside it). Zeros are no report: Ollama's completions carry them in every object but one.

use super::event::Usage;

/// Which count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Prompt,
    Generated,
    Cached,
    Reasoning,
    Drafted,
    Accepted,
    Rejected,
}

/// Choices whose counts are told apart. `OpenAI` allows 128.
pub(crate) const CHOICES: usize = 128;

/// Most tokens that one event is taken to hold for a count that has grown: servers send every few, or every few hundred
/// where they are told so. Beyond, the count is of something else.
const MOST_AT_ONCE: u64 = 4096;

/// Counts of one report. `None` was not stated.
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
    pub(crate) fn set(&mut self, count: Count, value: u64) {
        let field = match count {
            Count::Prompt => &mut self.prompt,
            Count::Generated => &mut self.generated,
            Count::Cached => &mut self.cached,
            Count::Reasoning => &mut self.reasoning,
            Count::Drafted => &mut self.drafted,
            Count::Accepted => &mut self.accepted,
            Count::Rejected => &mut self.rejected,
        };
        *field = Some(value);
    }

    /// `usage` as a report. Prediction counts are printed as zeros where nothing was predicted.
    pub(crate) fn of_usage(self) -> Option<Self> {
        if self.prompt.unwrap_or(0) == 0 && self.generated.unwrap_or(0) == 0 {
            return None;
        }
        let predicted = self.accepted.zip(self.rejected).map(|(accepted, rejected)| accepted.saturating_add(rejected));
        let drafted = self.drafted.or(predicted).filter(|drafted| *drafted > 0);
        Some(Self { drafted, accepted: self.accepted.filter(|_| drafted.is_some()), ..self })
    }

    /// llama.cpp's `timings` as a report: there `prompt_n` leaves out what was cached.
    pub(crate) fn of_llama(self) -> Option<Self> {
        self.generated?;
        let prompt = self.prompt.zip(self.cached).map(|(prompt, cached)| prompt.saturating_add(cached));
        Some(Self { prompt, ..self })
    }

    /// What is stated here, else what is stated there.
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

    /// The generated tokens.
    pub(crate) fn generated(&self) -> Option<u64> {
        self.generated
    }

    /// Both together; prompts only where each choice has its own.
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

fn place(index: u64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX).min(CHOICES - 1)
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.saturating_add(other)).or(one).or(other)
}

fn greater(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.max(other)
}

/// Which choices were seen, and which of them finished.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choices {
    /// As bits.
    seen: u128,
    finished: u128,
    last: u64,
    last_finished: u64,
}

impl Choices {
    /// One ended within an object.
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

    /// The one that was seen last.
    pub(crate) fn last(self) -> u64 {
        self.last
    }
}

/// What is kept of one choice.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Its last report.
    counts: Counts,
    /// The generated tokens that its last token-bearing event stated.
    stated: Option<u64>,
    /// Tokens that were listed with events that bore no text: characters that were not whole yet.
    waiting: u64,
}

/// Reports of one exchange, put together.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Each choice has its own prompt: several prompts in one request, as completions allow. Only the request tells
    /// them from several answers to one.
    own_prompts: bool,
    seen: Choices,
    /// Each choice for which something is kept.
    choices: Vec<Account>,
    /// The report for all choices, and how many reports it is the sum of.
    all: Option<(Counts, u32)>,
}

impl Ledger {
    pub(crate) fn new(own_prompts: bool) -> Self {
        Self { own_prompts, seen: Choices::default(), choices: Vec::new(), all: None }
    }

    /// The choices are answers to one prompt.
    pub(crate) fn share_prompt(&mut self) {
        self.own_prompts = false;
    }

    /// An object held these choices.
    #[inline]
    pub(crate) fn saw(&mut self, choices: Choices) {
        self.seen.seen |= choices.seen;
        if choices.finished != 0 {
            self.seen.finished |= choices.finished;
            self.seen.last_finished = choices.last_finished;
        }
    }

    /// An object was of one choice.
    #[inline]
    pub(crate) fn choice(&mut self, index: u64, finished: bool) {
        let mut choices = Choices::default();
        choices.add(index, finished);
        self.saw(choices);
    }

    /// Some choice finished.
    pub(crate) fn any_finished(&self) -> bool {
        self.seen.finished != 0
    }

    /// Every choice that was seen finished, and there was one.
    pub(crate) fn all_finished(&self) -> bool {
        self.any_finished() && self.seen.seen & !self.seen.finished == 0
    }

    /// Nothing that was seen goes on.
    pub(crate) fn is_settled(&self) -> bool {
        self.seen.seen & !self.seen.finished == 0
    }

    /// A report that stands beside a choice.
    pub(crate) fn report_choice(&mut self, index: u64, counts: Counts) -> Usage {
        let account = self.account(index);
        account.counts = counts.or(account.counts);
        self.usage()
    }

    fn account(&mut self, index: u64) -> &mut Account {
        let place = place(index);
        if self.choices.len() <= place {
            self.choices.resize(place + 1, Account::default());
        }
        &mut self.choices[place]
    }

    /// An event of a choice listed tokens and bore no text: they belong to its next one that does.
    #[inline]
    pub(crate) fn wait(&mut self, index: u64, listed: u64) {
        if listed > 0 {
            let account = self.account(index);
            account.waiting = account.waiting.saturating_add(listed);
        }
    }

    /// How many tokens an event holds that bears some: those that it lists and those that waited for it, else as many as
    /// the count beside it has grown by.
    #[inline]
    pub(crate) fn held(&mut self, index: u64, listed: u64, stated: Option<u64>) -> Option<u64> {
        if stated.is_none() && self.choices.len() <= place(index) {
            return (listed > 0).then_some(listed);
        }
        let account = self.account(index);
        let listed = listed.saturating_add(std::mem::take(&mut account.waiting));
        let before = std::mem::replace(&mut account.stated, stated);
        let grown = stated.zip(before).and_then(|(now, before)| now.checked_sub(before));
        Some(listed).filter(|listed| *listed > 0).or(grown.filter(|grown| (1..=MOST_AT_ONCE).contains(grown)))
    }

    /// A report without any choice, for the one that finished last.
    pub(crate) fn report_finished(&mut self, counts: Counts) -> Usage {
        self.report_choice(self.seen.last_finished, counts)
    }

    /// A report without any choice. It holds for all, unless there is one for each.
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
