//! Suspects that a backend cut a prompt without saying so: a 200, a finish reason as ever, and part of the prompt gone.
//!
//! A server that cuts leaves a trace in the count of prompt tokens that it reports: the context is exactly full
//! (Ollama up to 0.24), or it is exactly half full (Ollama since 0.30, which drops half of the context behind the
//! part that it keeps). The first is suspicious by itself, for a prompt that leaves no room for an answer is refused
//! elsewhere; the second only if the prompt's characters cannot fit so few tokens. How many characters go into a
//! token is learnt for each model, from prompts that are surely whole: more than usual only where the context's length
//! is reported, since a prompt that was cut looks like one with dense tokens. Where the length is not known, only a prompt
//! that would need twice the tokens is suspicious, and only once enough was learnt. What was learnt wrongly (the model
//! was loaded again meanwhile) is forgotten within a few prompts, cut ones or whole.
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

/// Shorter prompts teach nothing: a chat template outweighs them.
const TEACHING: u64 = 256;

/// Characters in a token where nothing was learnt: more than prose (4 to 5) and code (3) have.
const PRIOR: f64 = 6.0;

/// How far a prompt may lie above the densest that was seen.
const MARGIN: f64 = 1.25;

/// How much of the distance to a lower density is forgotten with each lesson: a density that nothing confirms is within
/// the margin of the next after three or four.
const FORGETTING: f64 = 0.3;

/// How much of what lies above the prior is forgotten with each prompt that only a density above the prior excuses.
const DOUBT: f64 = 0.5;

/// Lessons that it takes where the context's length is not known.
const LESSONS: u32 = 3;

/// What a server keeps beyond half of its context, at most: the part that it never drops.
const KEPT: u64 = 64;

/// How much the model can take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// So many tokens, as the backend tells of the loaded model.
    Told(u64),
    /// So many tokens were asked for; the backend may give less.
    Asked(u64),
    /// Not known.
    Unknown,
}

impl Context {
    const fn tokens(self) -> Option<u64> {
        match self {
            Self::Told(tokens) | Self::Asked(tokens) => Some(tokens),
            Self::Unknown => None,
        }
    }
}

/// What an exchange says of its prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Characters of the prompt that was sent.
    pub characters: u64,
    /// Tokens of the prompt in all that the backend says it read, cached ones included; a final report.
    pub tokens: u64,
    /// Length of the loaded context.
    pub context: Context,
}

/// What was learnt of one model.
#[derive(Debug, Default)]
pub struct Truncation(Option<Density>);

/// How dense a model's tokens are.
#[derive(Clone, Copy, Debug)]
struct Density {
    /// The most characters in a token that were seen lately.
    characters: f64,
    lessons: u32,
}

impl Truncation {
    /// Looks at a completed exchange, and learns from it if it is above suspicion. Tells whether the prompt was
    /// probably cut.
    pub fn observe(&mut self, evidence: Evidence) -> bool {
        let Evidence { characters, tokens, .. } = evidence;
        if characters == 0 || tokens == 0 {
            return false;
        }
        let suspected = self.suspects(evidence, self.densest());
        if suspected || characters < TEACHING {
            return suspected;
        }
        let density = characters as f64 / tokens as f64;
        if is_whole(evidence) && (density <= PRIOR || matches!(evidence.context, Context::Told(_))) {
            self.learn(density);
        } else if self.suspects(evidence, PRIOR) {
            self.doubt();
        }
        false
    }

    /// Characters in a token at most.
    fn densest(&self) -> f64 {
        self.0.map_or(PRIOR, |density| density.characters * MARGIN)
    }

    fn suspects(&self, evidence: Evidence, densest: f64) -> bool {
        let needed = evidence.characters as f64 / densest;
        let read = evidence.tokens as f64;
        match evidence.context.tokens() {
            // The backend has given more than was asked for, so nothing was cut to that.
            Some(asked) if evidence.context == Context::Asked(asked) && evidence.tokens > asked => false,
            // More tokens than characters could be: something else was counted.
            Some(context) if evidence.tokens >= context => evidence.characters >= context,
            Some(context) => (context / 2..=context / 2 + KEPT).contains(&evidence.tokens) && needed > read * 1.1,
            None => self.0.is_some_and(|density| density.lessons >= LESSONS) && needed > read * 2.0,
        }
    }

    fn learn(&mut self, characters: f64) {
        let density = self.0.get_or_insert(Density { characters, lessons: 0 });
        let lower = density.characters + (characters - density.characters) * FORGETTING;
        density.characters = lower.max(characters);
        density.lessons = density.lessons.saturating_add(1);
    }

    fn doubt(&mut self) {
        if let Some(density) = &mut self.0 {
            density.characters -= (density.characters - PRIOR).max(0.0) * DOUBT;
        }
    }
}

/// Less than half a context is no server's way to cut. Where its length is not known, everything may be whole.
fn is_whole(evidence: Evidence) -> bool {
    evidence.context.tokens().is_none_or(|context| evidence.tokens < context / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(truncation: &mut Truncation, characters: u64, tokens: u64, context: Context) -> bool {
        truncation.observe(Evidence { characters, tokens, context })
    }

    const TOLD: Context = Context::Told(2048);

    #[test]
    fn a_full_context_is_suspicious_by_itself() {
        let mut truncation = Truncation::default();
        assert!(observe(&mut truncation, 15_009, 2048, TOLD));
        assert!(observe(&mut truncation, 15_009, 2048, Context::Asked(2048)));
        assert!(!observe(&mut truncation, 15_009, 3_500, Context::Asked(2048)), "what was asked for is not heeded");
        assert!(!observe(&mut truncation, 8_000, 2047, TOLD), "it fits");
        assert!(!observe(&mut truncation, 900, 2048, TOLD), "an image, not text");
    }

    #[test]
    fn half_a_context_is_suspicious_if_the_characters_do_not_fit() {
        let mut truncation = Truncation::default();
        assert!(observe(&mut truncation, 7_509, 1027, TOLD));
        assert!(!observe(&mut truncation, 4_600, 1027, TOLD), "prose of that length fits");
        assert!(!observe(&mut truncation, 15_000, 1200, TOLD), "nobody cuts there");
    }

    #[test]
    fn a_model_with_dense_tokens_is_learnt_where_the_context_is_told() {
        for (context, known) in [(TOLD, true), (Context::Asked(2048), false), (Context::Unknown, false)] {
            let mut truncation = Truncation::default();
            observe(&mut truncation, 9_000, 900, context);
            assert_eq!(observe(&mut truncation, 10_500, 1030, TOLD), !known, "{context:?}");
        }
    }

    #[test]
    fn without_a_context_only_gross_cuts_are_suspected_and_only_once_enough_was_learnt() {
        let mut truncation = Truncation::default();
        assert!(!observe(&mut truncation, 40_000, 9_000, Context::Unknown));
        for _ in 0..LESSONS {
            observe(&mut truncation, 4_000, 1_000, Context::Unknown);
        }
        assert!(observe(&mut truncation, 40_000, 2_000, Context::Unknown));
        assert!(!observe(&mut truncation, 40_000, 8_000, Context::Unknown));
        assert!(observe(&mut truncation, 40_000, 2_000, Context::Unknown), "a cut prompt teaches nothing");
    }

    #[test]
    fn a_prompt_cut_before_the_context_is_known_does_not_excuse_the_next() {
        for before in [Context::Unknown, Context::Asked(8192)] {
            let mut truncation = Truncation::default();
            assert!(!observe(&mut truncation, 15_009, 1027, before));
            assert!(observe(&mut truncation, 15_009, 1027, TOLD), "{before:?}");
        }
    }

    #[test]
    fn what_was_learnt_wrongly_is_forgotten_within_a_few_prompts() {
        let wrong = || {
            let mut truncation = Truncation::default();
            // The context is another one by now, and nobody has looked.
            assert!(!observe(&mut truncation, 15_009, 1027, Context::Told(8192)));
            truncation
        };
        let mut cut = wrong();
        let prompts = (1..).find(|_| observe(&mut cut, 15_009, 1027, TOLD)).expect("some time");
        let mut whole = wrong();
        let lessons = (1..)
            .find(|_| {
                observe(&mut whole, 2_000, 500, TOLD);
                let learnt = Truncation(whole.0);
                learnt.suspects(Evidence { characters: 15_009, tokens: 1027, context: TOLD }, learnt.densest())
            })
            .expect("some time");
        assert!(prompts <= 3 && lessons <= 3, "{prompts} cut prompts, {lessons} whole ones");
    }

    #[test]
    fn short_prompts_and_missing_counts_teach_nothing() {
        let mut truncation = Truncation::default();
        observe(&mut truncation, 21, 14, Context::Unknown);
        observe(&mut truncation, 0, 14, Context::Unknown);
        observe(&mut truncation, 1_000, 0, Context::Unknown);
        assert!(truncation.0.is_none());
    }
}
