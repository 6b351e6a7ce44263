//! The numbers under which closed sets are stored. A number never changes its meaning; a new value gets a new one.
//!
//! Each file holds these tables too, so that it can be read without the program.

use crate::exchange::outcome::{ColdCause, ErrorType, Outcome, Phase};
use crate::exchange::record::Method;
use crate::exchange::vocabulary::{Dialect, FinishReason, Operation, Source};

/// A value of a closed set.
pub trait Coded: Copy + PartialEq + 'static {
    /// The name of the set.
    const SET: &'static str;
    /// Every value with its number.
    const CODES: &'static [(u8, Self)];

    /// The number of a value.
    fn code(self) -> u8;

    /// The word for a value.
    fn word(self) -> &'static str;

    /// The value of a number; `None` for the number of a newer release.
    fn from_code(code: u8) -> Option<Self> {
        Self::CODES.iter().find(|(known, _)| *known == code).map(|(_, value)| *value)
    }

    /// The value of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::CODES.iter().map(|(_, value)| *value).find(|value| value.word() == word)
    }
}

macro_rules! coded {
    ($($type:ident $set:literal { $($variant:ident = $code:literal),+ $(,)? })+) => {
        $(impl Coded for $type {
            const SET: &'static str = $set;
            const CODES: &'static [(u8, Self)] = &[$(($code, Self::$variant)),+];

            fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            fn word(self) -> &'static str {
                self.as_str()
            }
        })+

        /// Every set: its name, with the numbers and words of its values.
        pub(super) fn sets() -> Vec<(&'static str, Vec<(u8, &'static str)>)> {
            vec![$(($set, $type::CODES.iter().map(|(code, value)| (*code, value.word())).collect())),+]
        }
    };
}

coded! {
    Outcome "outcome" {
        Completed = 0, Rejected = 1, ClientCancelled = 2, StreamError = 3, BackendFailed = 4, Truncated = 5, HttpError = 6,
    }
    ErrorType "error" {
        ConnectRefused = 0, ConnectTimeout = 1, Dns = 2, Tls = 3, Reset = 4, FirstByteTimeout = 5, Incomplete = 6,
        Protocol = 7, ClientBody = 8, ClientTimeout = 9, BadRequest = 10, Limit = 11, Draining = 12, StreamError = 13,
        Truncated = 14, Http5xx = 15, Internal = 16, NoBackend = 17, Stopped = 18,
    }
    Phase "phase" { Upload = 0, Waiting = 1, Prefill = 2, Decode = 3 }
    ColdCause "cold" {
        First = 0, Expired = 1, Evicted = 2, Unloaded = 3, OptionsChanged = 4, Restart = 5, Unknown = 6,
    }
    Method "method" {
        Get = 0, Head = 1, Post = 2, Put = 3, Delete = 4, Connect = 5, Options = 6, Trace = 7, Patch = 8, Other = 9,
    }
    Dialect "dialect" {
        Ollama = 0, OpenAi = 1, Anthropic = 2, LlamaCpp = 3, SgLang = 4, Tgi = 5, LmStudio = 6, Unknown = 7,
    }
    Operation "operation" {
        TextCompletion = 0, Chat = 1, Embeddings = 2, Pull = 3, Push = 4, Create = 5, Other = 6,
    }
    Source "source" { Chunks = 0, Logprobs = 1, Running = 2, Reported = 3 }
    FinishReason "finish" {
        Stop = 0, Length = 1, ToolCalls = 2, FunctionCall = 3, ContentFilter = 4, Load = 5, Unload = 6, Success = 7,
        Completed = 8, Incomplete = 9, Failed = 10, Cancelled = 11, EndTurn = 12, MaxTokens = 13, StopSequence = 14,
        ToolUse = 15, PauseTurn = 16, Refusal = 17, ContextExceeded = 18, Eos = 19, Word = 20, Limit = 21, EosToken = 22,
        Abort = 23, Error = 24, Other = 25,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_words_are_unique_within_their_set() {
        for (set, values) in sets() {
            let codes: BTreeSet<_> = values.iter().map(|(code, _)| code).collect();
            let words: BTreeSet<_> = values.iter().map(|(_, word)| word).collect();
            assert_eq!((codes.len(), words.len()), (values.len(), values.len()), "{set}");
        }
    }

    #[test]
    fn a_value_is_found_again_by_its_number_and_by_its_word() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
            assert_eq!(Outcome::from_word(outcome.as_str()), Some(*outcome));
        }
        assert_eq!((Outcome::from_code(200), Outcome::from_word("nonsense")), (None, None));
        assert_eq!(Outcome::Completed.code(), 0, "the index of failures is of all but 0");
    }
}
