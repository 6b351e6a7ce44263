//! What a client calls its conversation, as a number that does not show it.
//!
//! The text is hashed where it is read and never kept. The hash has no secret in it: whoever suspects a text can check
//! that. So it stays in memory, and what is stored or shown is hashed again with a secret salt ([`Conversation::salted`]).

use std::num::NonZeroU64;

use super::route::Dialect;

/// The hash of what a client calls its conversation: equal for equal texts, in every process and release.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conversation(NonZeroU64);

/// Only the stored form depends on a secret.
const NO_SECRET: [u8; 16] = *b"inferometer/conv";

impl Conversation {
    /// Of a name; `None` for an empty one.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        (!name.is_empty()).then(|| Self(NonZeroU64::new(siphash(NO_SECRET, name)).unwrap_or(NonZeroU64::MIN)))
    }

    /// The hash with a salt: without the salt it can be neither checked against a text nor compared with one of another
    /// salt.
    #[must_use]
    pub fn salted(self, salt: [u8; 16]) -> [u8; 8] {
        siphash(salt, &self.0.get().to_le_bytes()).to_be_bytes()
    }
}

/// What a request's body calls its conversation, by the field that says so. Which of them count depends on the dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedConversations {
    /// `OpenAI`'s `conversation`: an id, or an object with one.
    pub conversation: Option<Conversation>,
    /// `OpenAI`'s `prompt_cache_key`: the same in requests that begin alike. Agents set it to the id of their
    /// conversation.
    pub prompt_cache_key: Option<Conversation>,
    /// Anthropic's `metadata.user_id`. Agents put the id of their session into it.
    pub user_id: Option<Conversation>,
}

/// The fields of [`NamedConversations`].
#[derive(Clone, Copy, Debug)]
pub(super) enum NamedBy {
    Conversation,
    PromptCacheKey,
    UserId,
}

impl NamedConversations {
    /// The one that counts in a dialect. Ollama has no field for it; `user` of `OpenAI` is a person, and
    /// `previous_response_id` another one with each turn.
    #[must_use]
    pub fn in_dialect(&self, dialect: Dialect) -> Option<Conversation> {
        match dialect {
            Dialect::OpenAi => self.conversation.or(self.prompt_cache_key),
            Dialect::Anthropic => self.user_id,
            Dialect::Ollama
            | Dialect::LlamaCpp
            | Dialect::SgLang
            | Dialect::Tgi
            | Dialect::LmStudio
            | Dialect::Unknown => None,
        }
    }

    /// A field has this text.
    pub(super) fn set(&mut self, by: NamedBy, name: &[u8]) {
        let field = match by {
            NamedBy::Conversation => &mut self.conversation,
            NamedBy::PromptCacheKey => &mut self.prompt_cache_key,
            NamedBy::UserId => &mut self.user_id,
        };
        *field = Conversation::named(name);
    }
}

/// Leaves out the number, which can be checked against a text.
impl std::fmt::Debug for Conversation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Conversation(…)")
    }
}

/// SipHash-2-4 with 64 bits (Aumasson, Bernstein: SipHash: a fast short-input PRF, 2012).
fn siphash(key: [u8; 16], text: &[u8]) -> u64 {
    let [low, high] = [0, 8].map(|at| word(&key[at..at + 8]));
    let mut state = [
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ];
    let mut absorb = |word: u64| {
        state[3] ^= word;
        round(&mut state);
        round(&mut state);
        state[0] ^= word;
    };
    let words = text.chunks_exact(8);
    let rest = words.remainder();
    words.for_each(|bytes| absorb(word(bytes)));
    absorb(word(rest) | (text.len() as u64) << 56);
    state[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut state));
    state.into_iter().fold(0, |hash, word| hash ^ word)
}

/// Up to eight bytes as a number, the first the lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[inline]
fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_paper() {
        let key = std::array::from_fn(|at| at as u8);
        let text: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(key, &text), 0xa129_ca61_49be_45e5, "appendix A");
        // The reference implementation's first vectors.
        assert_eq!(siphash(key, b"").to_le_bytes(), [0x31, 0x0e, 0x0e, 0xdd, 0x47, 0xdb, 0x6f, 0x72]);
        assert_eq!(siphash(key, &text[..8]).to_le_bytes(), [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]);
    }

    #[test]
    fn a_name_has_one_number_for_each_salt_and_none_shows_it() {
        let (one, other) =
            (Conversation::named(b"one").expect("a name"), Conversation::named(b"other").expect("a name"));
        assert_eq!(Conversation::named(b"one"), Some(one));
        assert_eq!(one.salted([1; 16]), one.salted([1; 16]));
        assert_ne!(one.salted([1; 16]), one.salted([2; 16]));
        assert_ne!(one.salted([1; 16]), other.salted([1; 16]));
        assert_eq!(Conversation::named(b""), None);
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn the_number_of_a_name_stays_the_same_in_later_releases() {
        let stored = Conversation::named(b"conv_1").expect("a name").salted([7; 16]);
        assert_eq!(stored.map(|byte| format!("{byte:02x}")).concat(), STORED);
    }

    /// A change of this breaks the conversations of every history.
    const STORED: &str = "fcec2f6d0063aaa6";
}
