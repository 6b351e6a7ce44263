//! Suspects that a backend cut a prompt without saying so: a 200, a finish reason as ever, and part of the prompt gone.
//!
//! A server that cuts leaves a trace in the count of prompt tokens that it reports: the context is exactly full
//! (Ollama up to 0.24), or it is exactly half full (Ollama since 0.30, which drops half of the context behind the
//! part that it keeps). The first is suspicious by itself, for a prompt that leaves no room for an answer is refused
//! elsewhere; the second only if the prompt's characters cannot fit so few tokens. How many characters go into a
//! token is learnt for each model, from prompts that are surely whole. Where the context's length is not known, only a
//! prompt that would need twice the tokens is suspicious, and only once enough was learnt.
//!
//! A suspicion is a count, never a verdict. On the recorded streams, with the context's length known (2,048):
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
//! No false positive and no miss there. What may be missed elsewhere: a prompt cut to another length, a prompt cut by
//! a few percent to half the context, prompts of token ids, images that are dropped. What may be suspected wrongly: a
//! prompt that fills the context to the last token, and one that fills half of it and is written in long runs of
//! spaces or of one letter, of which a token holds many.

use hashbrown::HashMap;

/// Models that are told apart. Beyond them nothing is learnt.
const MODELS: usize = 200;

/// Shorter prompts teach nothing: a chat template outweighs them.
const TEACHING: u64 = 256;

/// Characters in a token where nothing was learnt: more than prose (4 to 5) and code (3) have.
const PRIOR: f64 = 6.0;

/// How far a prompt may lie above the densest that was seen.
const MARGIN: f64 = 1.25;

/// How much of the distance to a lower density is forgotten with each lesson.
const FORGETTING: f64 = 0.02;

/// Lessons that it takes where the context's length is not known.
const LESSONS: u32 = 3;

/// What a server keeps beyond half of its context, at most: the part that it never drops.
const KEPT: u64 = 64;

/// What an exchange says of its prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Characters of the prompt that was sent.
    pub characters: u64,
    /// Tokens of the prompt in all that the backend says it read, cached ones included; a final report.
    pub tokens: u64,
    /// Length of the loaded context, in tokens.
    pub context: Option<u64>,
}

/// What was learnt of each model.
#[derive(Debug, Default)]
pub struct Truncation {
    models: HashMap<Box<str>, Density>,
}

/// How dense a model's tokens are.
#[derive(Clone, Copy, Debug)]
struct Density {
    /// The most characters in a token that were seen, slowly forgotten.
    characters: f64,
    lessons: u32,
}

impl Truncation {
    /// Looks at a completed exchange, and learns from it if it is above suspicion. Tells whether the prompt was
    /// probably cut.
    pub fn observe(&mut self, model: &str, evidence: Evidence) -> bool {
        let Evidence { characters, tokens, context } = evidence;
        if characters == 0 || tokens == 0 {
            return false;
        }
        let suspected = self.suspects(model, evidence);
        // Less than half a context is no server's way to cut. Where it is not known, everything teaches.
        let whole = context.is_none_or(|context| tokens < context / 2);
        if !suspected && whole && characters >= TEACHING {
            self.learn(model, characters as f64 / tokens as f64);
        }
        suspected
    }

    fn suspects(&self, model: &str, evidence: Evidence) -> bool {
        let learnt = self.models.get(model);
        let densest = learnt.map_or(PRIOR, |density| density.characters * MARGIN);
        let needed = evidence.characters as f64 / densest;
        let read = evidence.tokens as f64;
        match evidence.context {
            // More tokens than characters could be: something else was counted.
            Some(context) if evidence.tokens >= context => evidence.characters >= context,
            Some(context) => (context / 2..=context / 2 + KEPT).contains(&evidence.tokens) && needed > read * 1.1,
            None => learnt.is_some_and(|density| density.lessons >= LESSONS) && needed > read * 2.0,
        }
    }

    fn learn(&mut self, model: &str, characters: f64) {
        if let Some(density) = self.models.get_mut(model) {
            let lower = density.characters + (characters - density.characters) * FORGETTING;
            density.characters = lower.max(characters);
            density.lessons = density.lessons.saturating_add(1);
        } else if self.models.len() < MODELS {
            self.models.insert(model.into(), Density { characters, lessons: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(characters: u64, tokens: u64, context: Option<u64>) -> Evidence {
        Evidence { characters, tokens, context }
    }

    #[test]
    fn a_full_context_is_suspicious_by_itself() {
        let mut truncation = Truncation::default();
        assert!(truncation.observe("m", evidence(15_009, 2048, Some(2048))));
        assert!(!truncation.observe("m", evidence(8_000, 2047, Some(2048))), "it fits");
        assert!(!truncation.observe("m", evidence(900, 2048, Some(2048))), "an image, not text");
    }

    #[test]
    fn half_a_context_is_suspicious_if_the_characters_do_not_fit() {
        let mut truncation = Truncation::default();
        assert!(truncation.observe("m", evidence(7_509, 1027, Some(2048))));
        assert!(!truncation.observe("m", evidence(4_600, 1027, Some(2048))), "prose of that length fits");
        assert!(!truncation.observe("m", evidence(15_000, 1200, Some(2048))), "nobody cuts there");
    }

    #[test]
    fn a_model_with_dense_tokens_is_learnt() {
        let mut truncation = Truncation::default();
        truncation.observe("spaces", evidence(9_000, 900, Some(2048)));
        assert!(!truncation.observe("spaces", evidence(10_500, 1030, Some(2048))));
        assert!(truncation.observe("other", evidence(10_500, 1030, Some(2048))));
    }

    #[test]
    fn without_a_context_only_gross_cuts_are_suspected_and_only_once_enough_was_learnt() {
        let mut truncation = Truncation::default();
        assert!(!truncation.observe("m", evidence(40_000, 9_000, None)));
        for _ in 0..LESSONS {
            truncation.observe("m", evidence(4_000, 1_000, None));
        }
        assert!(truncation.observe("m", evidence(40_000, 2_000, None)));
        assert!(!truncation.observe("m", evidence(40_000, 8_000, None)));
        assert!(truncation.observe("m", evidence(40_000, 2_000, None)), "a cut prompt teaches nothing");
    }

    #[test]
    fn short_prompts_and_missing_counts_teach_nothing() {
        let mut truncation = Truncation::default();
        truncation.observe("m", evidence(21, 14, None));
        truncation.observe("m", evidence(0, 14, None));
        truncation.observe("m", evidence(1_000, 0, None));
        assert!(truncation.models.is_empty());
    }

    #[test]
    fn a_million_model_names_are_not_kept() {
        let mut truncation = Truncation::default();
        (0..1_000_000).for_each(|name| {
            truncation.observe(&name.to_string(), evidence(1_000, 250, None));
        });
        assert_eq!(truncation.models.len(), MODELS);
    }
}
