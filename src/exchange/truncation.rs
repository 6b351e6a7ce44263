//! Detects prompts that a backend probably cut silently: it answers 200 with a usual finish reason, but dropped part of
//! the prompt.
//!
//! The cut shows in the reported count of prompt tokens: the context is exactly full (Ollama up to 0.24) or exactly
//! half full (Ollama since 0.30, which drops half of the context after the part that it keeps). A full context is
//! suspicious by itself, since other servers refuse a prompt that leaves no room for an answer; a half-full one only if
//! the prompt's characters cannot fit so few tokens. The characters per token are learned for each model from prompts
//! that are certainly whole; unusually many are accepted only where the context length is reported, since a cut prompt
//! looks like one with dense tokens. Where the length is unknown, only a prompt that would need twice the tokens is
//! suspicious, and only after enough prompts. A wrong density (the model was reloaded) is forgotten within a few
//! prompts.
//!
//! A suspicion is counted and changes nothing else. On the recorded streams, with a known context length of 2,048:
//!
//! | recorded | characters | tokens read | suspected |
//! |---|---|---|---|
//! | `generate-truncated-prompt` (0.13, 0.24) | 15,009 | 2,048 | yes, rightly |
//! | `generate-truncated-prompt` (0.33) | 15,009 | 1,027 | yes, rightly |
//! | `generate-big-context` (0.13, 0.24) | 7,509 | 2,048 | yes, rightly |
//! | `generate-big-context` (0.33) | 7,509 | 1,027 | yes, rightly |
//! | `slow-chat-long-prompt` and its repetition | 1,509 | 1,502 | no, rightly |
//! | all others | up to 2,009 | up to 2,002 | no, rightly |
//!
//! No false positive and no miss there. Possible misses elsewhere: a prompt cut to another length, a prompt cut by a
//! few percent to half the context, prompts of token ids, dropped images. Possible false positives: a prompt that fills
//! the context to the last token, and one that fills half of it with long runs of spaces or of one letter, of which a
//! token contains many.

/// Characters of the shortest prompt to learn from: in shorter ones the chat template dominates.
const MIN_CHARACTERS: u64 = 256;

/// Assumed characters per token before anything was learned: more than in prose (4 to 5) and code (3).
const PRIOR: f64 = 6.0;

/// How many times denser than the densest prompt seen a prompt may be.
const MARGIN: f64 = 1.25;

/// Share of the distance to a lower density that each prompt removes: an unconfirmed density is within the margin after
/// three or four prompts.
const FORGETTING: f64 = 0.3;

/// Share of the excess above the prior that is removed by each prompt that is unsuspicious only because of that excess.
const DOUBT: f64 = 0.5;

/// Prompts needed before judging without a known context length.
const MIN_PROMPTS: u32 = 3;

/// Tokens that a server keeps beyond half of its context, at most: the part that it never drops.
const KEPT: u64 = 64;

/// The model's context length, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextLength {
    /// The backend reports it for the loaded model.
    Reported(u64),
    /// The request asked for it; the backend may give less.
    Requested(u64),
    /// Neither is known.
    Unknown,
}

impl ContextLength {
    const fn tokens(self) -> Option<u64> {
        match self {
            Self::Reported(tokens) | Self::Requested(tokens) => Some(tokens),
            Self::Unknown => None,
        }
    }
}

/// The size of a prompt, as sent and as the backend read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptSize {
    /// Characters of the prompt that was sent.
    pub characters: u64,
    /// Prompt tokens that the backend finally reports, cached ones included.
    pub tokens: u64,
    /// The context length.
    pub context: ContextLength,
}

/// What was learned of one model.
#[derive(Debug, Default)]
pub struct Truncation(Option<Density>);

/// The density of a model's tokens.
#[derive(Clone, Copy, Debug)]
struct Density {
    /// The most characters per token in recent prompts.
    characters: f64,
    /// Prompts learned from.
    prompts: u32,
}

impl Truncation {
    /// Returns whether the prompt of a completed exchange was probably cut, and learns from it otherwise.
    pub fn observe(&mut self, prompt: PromptSize) -> bool {
        let PromptSize { characters, tokens, .. } = prompt;
        if characters == 0 || tokens == 0 {
            return false;
        }
        let suspected = self.suspects(prompt, self.max_density());
        if suspected || characters < MIN_CHARACTERS {
            return suspected;
        }
        let density = characters as f64 / tokens as f64;
        if is_whole(prompt) && (density <= PRIOR || matches!(prompt.context, ContextLength::Reported(_))) {
            self.learn(density);
        } else if self.suspects(prompt, PRIOR) {
            self.reduce_excess();
        }
        false
    }

    /// The most characters per token that are not suspicious.
    fn max_density(&self) -> f64 {
        self.0.map_or(PRIOR, |density| density.characters * MARGIN)
    }

    fn suspects(&self, prompt: PromptSize, max_density: f64) -> bool {
        let needed = prompt.characters as f64 / max_density;
        let read = prompt.tokens as f64;
        match prompt.context.tokens() {
            // The backend gave more than was requested, so nothing was cut to that length.
            Some(requested) if prompt.context == ContextLength::Requested(requested) && prompt.tokens > requested => {
                false
            }
            // More tokens than characters are impossible: the count includes something else.
            Some(context) if prompt.tokens >= context => prompt.characters >= context,
            Some(context) => (context / 2..=context / 2 + KEPT).contains(&prompt.tokens) && needed > read * 1.1,
            None => self.0.is_some_and(|density| density.prompts >= MIN_PROMPTS) && needed > read * 2.0,
        }
    }

    fn learn(&mut self, characters: f64) {
        let density = self.0.get_or_insert(Density { characters, prompts: 0 });
        let lower = density.characters + (characters - density.characters) * FORGETTING;
        density.characters = lower.max(characters);
        density.prompts = density.prompts.saturating_add(1);
    }

    fn reduce_excess(&mut self) {
        if let Some(density) = &mut self.0 {
            density.characters -= (density.characters - PRIOR).max(0.0) * DOUBT;
        }
    }
}

/// Whether the prompt is certainly whole: no server cuts to less than half a context. True where its length is unknown.
fn is_whole(prompt: PromptSize) -> bool {
    prompt.context.tokens().is_none_or(|context| prompt.tokens < context / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(truncation: &mut Truncation, characters: u64, tokens: u64, context: ContextLength) -> bool {
        truncation.observe(PromptSize { characters, tokens, context })
    }

    const REPORTED: ContextLength = ContextLength::Reported(2048);

    #[test]
    fn a_full_context_is_suspicious_by_itself() {
        let mut truncation = Truncation::default();
        assert!(observe(&mut truncation, 15_009, 2048, REPORTED));
        assert!(observe(&mut truncation, 15_009, 2048, ContextLength::Requested(2048)));
        assert!(
            !observe(&mut truncation, 15_009, 3_500, ContextLength::Requested(2048)),
            "the server gives another length"
        );
        assert!(!observe(&mut truncation, 8_000, 2047, REPORTED), "it fits");
        assert!(!observe(&mut truncation, 900, 2048, REPORTED), "an image, not text");
    }

    #[test]
    fn half_a_context_is_suspicious_if_the_characters_do_not_fit() {
        let mut truncation = Truncation::default();
        assert!(observe(&mut truncation, 7_509, 1027, REPORTED));
        assert!(!observe(&mut truncation, 4_600, 1027, REPORTED), "prose of that length fits");
        assert!(!observe(&mut truncation, 15_000, 1200, REPORTED), "no server cuts there");
    }

    #[test]
    fn dense_tokens_are_learned_only_with_a_reported_context_length() {
        for (context, known) in
            [(REPORTED, true), (ContextLength::Requested(2048), false), (ContextLength::Unknown, false)]
        {
            let mut truncation = Truncation::default();
            observe(&mut truncation, 9_000, 900, context);
            assert_eq!(observe(&mut truncation, 10_500, 1030, REPORTED), !known, "{context:?}");
        }
    }

    #[test]
    fn without_a_context_length_only_gross_cuts_are_suspected_and_only_after_enough_prompts() {
        let mut truncation = Truncation::default();
        assert!(!observe(&mut truncation, 40_000, 9_000, ContextLength::Unknown));
        for _ in 0..MIN_PROMPTS {
            observe(&mut truncation, 4_000, 1_000, ContextLength::Unknown);
        }
        assert!(observe(&mut truncation, 40_000, 2_000, ContextLength::Unknown));
        assert!(!observe(&mut truncation, 40_000, 8_000, ContextLength::Unknown));
        assert!(observe(&mut truncation, 40_000, 2_000, ContextLength::Unknown), "a cut prompt teaches nothing");
    }

    #[test]
    fn a_prompt_cut_before_the_context_is_known_does_not_excuse_the_next() {
        for before in [ContextLength::Unknown, ContextLength::Requested(8192)] {
            let mut truncation = Truncation::default();
            assert!(!observe(&mut truncation, 15_009, 1027, before));
            assert!(observe(&mut truncation, 15_009, 1027, REPORTED), "{before:?}");
        }
    }

    #[test]
    fn a_wrong_density_is_forgotten_within_a_few_prompts() {
        let wrong = || {
            let mut truncation = Truncation::default();
            // The context length has changed since the last poll.
            assert!(!observe(&mut truncation, 15_009, 1027, ContextLength::Reported(8192)));
            truncation
        };
        let mut cut = wrong();
        let prompts = (1..).find(|_| observe(&mut cut, 15_009, 1027, REPORTED)).expect("some time");
        let mut whole = wrong();
        let lessons = (1..)
            .find(|_| {
                observe(&mut whole, 2_000, 500, REPORTED);
                let learned = Truncation(whole.0);
                learned
                    .suspects(PromptSize { characters: 15_009, tokens: 1027, context: REPORTED }, learned.max_density())
            })
            .expect("some time");
        assert!(prompts <= 3 && lessons <= 3, "{prompts} cut prompts, {lessons} whole ones");
    }

    #[test]
    fn short_prompts_and_missing_counts_teach_nothing() {
        let mut truncation = Truncation::default();
        observe(&mut truncation, 21, 14, ContextLength::Unknown);
        observe(&mut truncation, 0, 14, ContextLength::Unknown);
        observe(&mut truncation, 1_000, 0, ContextLength::Unknown);
        assert!(truncation.0.is_none());
    }
}
