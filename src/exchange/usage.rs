//! Token counts and their sources.
//!
//! Precedence: the final report, else the last cumulative count, else lists of log probabilities or token ids. Counted
//! events are kept apart: they are a lower bound and never replace a count. A count without a source stays unknown.
//! Many servers state zero where they do not know: a zero counts only where nothing contradicts it.

use super::record::TokenCount;
use crate::wire::event::{Source, Tokens, Usage};

/// The counts of one answer.
#[derive(Debug, Default)]
pub(super) struct TokenCounts {
    reported: Usage,
    /// Boxed, as most answers have none.
    running: Option<Box<Usage>>,
    /// A final report was seen.
    is_final: bool,
    /// Tokens listed by events so far.
    listed: u64,
    /// `listed` is not the number of generated tokens: some token-bearing event listed none, or the lists have other tokens.
    unlisted: bool,
    /// Some event was token-bearing.
    has_tokens: bool,
    /// Some event had thinking.
    has_thinking: bool,
}

impl TokenCounts {
    /// Takes over the counts that the backend stated. A known field replaces the previous one.
    pub(super) fn merge(&mut self, usage: Usage) {
        // With a list of prompts, the report of one is followed by the next: it becomes a running count again.
        if !usage.last && self.is_final && usage.generated > self.reported.generated {
            self.is_final = false;
            self.running = Some(Box::new(std::mem::take(&mut self.reported)));
        }
        self.is_final |= usage.last;
        let known = if usage.last { &mut self.reported } else { self.running.get_or_insert_default() };
        known.prompt = usage.prompt.or(known.prompt);
        known.generated = usage.generated.or(known.generated);
        known.cached = usage.cached.or(known.cached);
        known.reasoning = usage.reasoning.or(known.reasoning);
        known.drafted = usage.drafted.or(known.drafted);
        known.draft_accepted = usage.draft_accepted.or(known.draft_accepted);
        known.choices = known.choices.max(usage.choices);
    }

    /// Adds the tokens that an event lists.
    pub(super) fn add_listed(&mut self, tokens: Tokens) {
        self.has_tokens |= tokens.answer || tokens.thinking;
        self.has_thinking |= tokens.thinking;
        match tokens.listed {
            Some(listed) => self.listed = self.listed.saturating_add(listed),
            None => self.unlisted = true,
        }
    }

    /// The lists also have the prompt's tokens.
    pub(super) fn ignore_lists(&mut self) {
        self.unlisted = true;
    }

    /// Prompt tokens. A running count becomes a reported one with the final report, since the prompt does not grow.
    pub(super) fn prompt(&self) -> Option<TokenCount> {
        let source = if self.is_final { Source::Reported } else { Source::Running };
        let stated = |prompt: Option<u64>| prompt.filter(|tokens| *tokens > 0);
        count(stated(self.reported.prompt), Source::Reported)
            .or_else(|| count(stated(self.running(|usage| usage.prompt)), source))
    }

    /// Generated tokens.
    pub(super) fn generated(&self) -> Option<TokenCount> {
        let listed = (self.listed > 0 && !self.unlisted).then_some(self.listed);
        let is_zero_possible = !self.has_tokens && self.prompt().is_some();
        let stated = |generated: Option<u64>| generated.filter(|tokens| *tokens > 0 || is_zero_possible);
        count(stated(self.reported.generated), Source::Reported)
            .or_else(|| count(stated(self.running(|usage| usage.generated)), Source::Running))
            .or_else(|| count(listed, Source::Logprobs))
    }

    /// Prompt tokens read from a cache.
    pub(super) fn cached(&self) -> Option<u64> {
        self.reported.cached.or_else(|| self.running(|usage| usage.cached))
    }

    /// Generated tokens that were thinking.
    pub(super) fn reasoning(&self) -> Option<u64> {
        let stated = self.reported.reasoning.or_else(|| self.running(|usage| usage.reasoning));
        stated.filter(|tokens| *tokens > 0 || !self.has_thinking)
    }

    /// Draft tokens proposed.
    pub(super) fn drafted(&self) -> Option<u64> {
        self.reported.drafted.or_else(|| self.running(|usage| usage.drafted))
    }

    /// Draft tokens accepted.
    pub(super) fn draft_accepted(&self) -> Option<u64> {
        self.reported.draft_accepted.or_else(|| self.running(|usage| usage.draft_accepted))
    }

    /// Whether the answer has several choices, which share time and tokens.
    pub(super) fn has_several_choices(&self) -> bool {
        self.reported.choices.max(self.running.as_ref().map_or(0, |usage| usage.choices)) > 1
    }

    fn running(&self, count: impl FnOnce(&Usage) -> Option<u64>) -> Option<u64> {
        self.running.as_deref().and_then(count)
    }
}

fn count(value: Option<u64>, source: Source) -> Option<TokenCount> {
    value.map(|value| TokenCount { value, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(last: bool, prompt: Option<u64>, generated: Option<u64>) -> Usage {
        Usage { last, prompt, generated, choices: 1, ..Usage::default() }
    }

    fn listing(listed: Option<u64>) -> Tokens {
        Tokens { answer: true, thinking: false, listed, choice: 0 }
    }

    #[test]
    fn the_final_report_beats_running_counts_and_lists() {
        let mut counts = TokenCounts::default();
        counts.add_listed(listing(Some(3)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 3, source: Source::Logprobs }));
        counts.merge(usage(false, Some(7), Some(4)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 4, source: Source::Running }));
        assert_eq!(counts.prompt(), Some(TokenCount { value: 7, source: Source::Running }));
        counts.merge(usage(true, Some(8), Some(5)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 5, source: Source::Reported }));
        assert_eq!(counts.prompt(), Some(TokenCount { value: 8, source: Source::Reported }));
        counts.merge(usage(false, None, Some(5)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 5, source: Source::Reported }));
    }

    #[test]
    fn a_stream_that_goes_on_after_a_report_runs_again() {
        let mut counts = TokenCounts::default();
        counts.merge(usage(true, Some(4), Some(19)));
        counts.merge(usage(false, Some(8), Some(20)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 20, source: Source::Running }));
        assert_eq!(counts.prompt(), Some(TokenCount { value: 8, source: Source::Running }));
        counts.merge(usage(true, Some(8), Some(32)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 32, source: Source::Reported }));
        assert_eq!(counts.prompt(), Some(TokenCount { value: 8, source: Source::Reported }));
    }

    #[test]
    fn counted_events_never_fill_a_count() {
        let mut counts = TokenCounts::default();
        counts.add_listed(listing(None));
        counts.add_listed(listing(None));
        assert_eq!(counts.generated(), None);
        assert_eq!(counts.prompt(), None);
    }

    #[test]
    fn a_list_counts_only_where_every_event_has_one() {
        let mut counts = TokenCounts::default();
        counts.add_listed(listing(Some(1)));
        counts.add_listed(listing(None));
        assert_eq!(counts.generated(), None);
    }

    #[test]
    fn a_field_that_is_unknown_does_not_erase_what_was_known() {
        let mut counts = TokenCounts::default();
        counts.merge(Usage { cached: Some(2), ..usage(true, Some(10), Some(5)) });
        counts.merge(Usage { reasoning: Some(1), ..usage(true, None, None) });
        assert_eq!(counts.prompt(), Some(TokenCount { value: 10, source: Source::Reported }));
        assert_eq!((counts.cached(), counts.reasoning()), (Some(2), Some(1)));
        assert_eq!((counts.drafted(), counts.draft_accepted()), (None, None));
    }

    #[test]
    fn a_running_prompt_count_is_final_once_the_stream_is_closed_by_a_report() {
        let mut counts = TokenCounts::default();
        counts.merge(usage(false, Some(10), None));
        counts.merge(usage(true, None, Some(5)));
        assert_eq!(counts.prompt(), Some(TokenCount { value: 10, source: Source::Reported }));
    }

    #[test]
    fn a_zero_that_the_answer_contradicts_is_unknown() {
        let mut counts = TokenCounts::default();
        counts.merge(Usage { reasoning: Some(0), ..usage(true, Some(0), Some(0)) });
        assert_eq!(
            (counts.prompt(), counts.generated(), counts.reasoning()),
            (None, None, Some(0)),
            "a server's default"
        );
        counts.merge(usage(true, Some(7), Some(0)));
        counts.add_listed(Tokens { answer: false, thinking: true, ..listing(None) });
        assert_eq!((counts.generated(), counts.reasoning()), (None, None), "there was thinking");
        let mut listed = TokenCounts::default();
        listed.add_listed(listing(Some(2)));
        listed.merge(usage(true, Some(7), Some(0)));
        assert_eq!(listed.generated(), Some(TokenCount { value: 2, source: Source::Logprobs }));
    }

    #[test]
    fn zero_is_a_count_and_not_unknown() {
        let mut counts = TokenCounts::default();
        counts.merge(usage(true, Some(3), Some(0)));
        assert_eq!(counts.generated(), Some(TokenCount { value: 0, source: Source::Reported }));
    }
}
