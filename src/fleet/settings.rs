//! What the configuration says of the fleet and of its members.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::policy::Policy;
use crate::wire::spelling;

/// How a backend is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The rule for requests that name a model.
    pub policy: Policy,
    /// The backend of requests for no particular model, and for models that no backend lists; `None` is the first.
    pub home: Option<Arc<str>>,
    /// Listings are answered with what all backends list, and not with what the home does.
    pub merge: bool,
    /// Where models are pulled.
    pub pull: Reach,
    /// Where models are deleted.
    pub delete: Reach,
    /// Where this program runs; `None` is unknown.
    pub zone: Option<String>,
    /// The time that an exchange on a backend of another zone counts as longer.
    pub zone_penalty: Duration,
}

/// The default of [`Settings::zone_penalty`]: more than a network adds between buildings, less than any answer takes.
const ZONE_PENALTY: Duration = Duration::from_millis(50);

/// A change of the models that a backend has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Management {
    /// To fetch one.
    Pull,
    /// To delete one.
    Delete,
}

/// Which backends a change of models is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The home.
    #[default]
    Home,
    /// Every backend like Ollama that may be asked for the model.
    All,
}

impl Reach {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Home, Self::All];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::All => "all",
        }
    }
}

impl Settings {
    /// What is done on every backend.
    pub(super) fn everywhere(&self) -> Vec<Management> {
        let changes = [(Management::Pull, self.pull), (Management::Delete, self.delete)];
        changes.into_iter().filter(|(_, reach)| *reach == Reach::All).map(|(change, _)| change).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::ModelLoaded,
            home: None,
            merge: true,
            pull: Reach::Home,
            delete: Reach::Home,
            zone: None,
            zone_penalty: ZONE_PENALTY,
        }
    }
}

/// What is asked of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its share of the traffic in relation to the others'.
    pub weight: NonZeroU32,
    /// Backends of a higher tier are used where none of a lower one works.
    pub tier: u32,
    /// How many exchanges it works on at once.
    pub slots: Slots,
    /// The models that may be asked of it; empty is every model.
    pub allow: Vec<Pattern>,
    /// The models that may not.
    pub deny: Vec<Pattern>,
    /// It gets no further exchange; those in flight go on.
    pub drains: bool,
    /// Where it is; `None` is unknown.
    pub zone: Option<String>,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            weight: NonZeroU32::MIN,
            tier: 0,
            slots: Slots::Auto,
            allow: Vec::new(),
            deny: Vec::new(),
            drains: false,
            zone: None,
        }
    }
}

impl Share {
    /// Whether this model may be asked of the backend.
    #[must_use]
    pub fn admits(&self, model: &str) -> bool {
        let is_among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(model));
        (self.allow.is_empty() || is_among(&self.allow)) && !is_among(&self.deny)
    }
}

/// How many exchanges a backend works on at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slots {
    /// As the backend says; where it does not, unknown.
    #[default]
    Auto,
    /// Any number.
    Unlimited,
    /// So many.
    AtMost(NonZeroU32),
}

/// The names of models that match a text in which `*` is any text and `?` any character. Spellings that Ollama takes for
/// one model match alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern; `None` for an empty text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches this name.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        let (pattern, folded, whole) = (spelling::folded(&self.0), spelling::folded(model), spelling::whole(model));
        let matches = |text: &str| matches(pattern.as_bytes(), text.to_ascii_lowercase().as_bytes());
        matches(&folded) || matches(&whole)
    }
}

/// Matches from left to right. At a mismatch only the latest `*` takes one byte more, so the time is bounded by the
/// product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_pattern, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    at = *taken;
                    in_pattern = *after + 1;
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("not empty")
    }

    #[test]
    fn a_pattern_matches_whole_names_in_every_spelling() {
        for (text, model, fits) in [
            ("llama3.2", "llama3.2:latest", true),
            ("llama3.2:latest", "Llama3.2", true),
            ("llama*", "library/llama3.2:1b", true),
            ("*:70b", "llama3:70b", true),
            ("*:70b", "llama3:70b-q4", false),
            ("qwen?:*", "qwen3:8b", true),
            ("qwen?:*", "qwen25:8b", false),
            ("*:latest", "phi", true),
            ("*", "anything/at:all", true),
            ("a*b*c", "a-b-b-x-c", true),
            ("a*b*c", "a-c", false),
            ("m", "mm", false),
        ] {
            assert_eq!(pattern(text).matches(model), fits, "{text} and {model}");
        }
        assert_eq!(Pattern::new(""), None);
    }

    #[test]
    fn a_denied_model_is_denied_also_where_it_is_allowed() {
        let share = Share { allow: vec![pattern("llama*")], deny: vec![pattern("*:70b")], ..Share::default() };
        let admitted = ["llama3:8b", "llama3:70b", "phi"].map(|model| share.admits(model));
        assert_eq!(admitted, [true, false, false]);
        assert!(Share::default().admits("phi"));
    }
}
