//! Which prompts a server remembers: it does not read again what a new one has in common with the beginning of one of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::ask::tokens_in;

/// The latest prompts of each model.
#[derive(Debug)]
pub(crate) struct Prompts {
    /// How many of each; 0 where nothing is remembered.
    most: usize,
    of_models: Mutex<HashMap<&'static str, VecDeque<String>>>,
}

impl Prompts {
    /// Remembers the latest `most` prompts of each model.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, of_models: Mutex::default() }
    }

    /// Remembers a prompt. Returns how many of its tokens are known from earlier ones; `None` where nothing is remembered.
    /// At least one token is always read.
    pub(crate) fn remember(&self, weights: &'static str, prompt: &str, tokens: u32) -> Option<u32> {
        if self.most == 0 {
            return None;
        }
        let mut models = self.of_models.lock().unwrap_or_else(PoisonError::into_inner);
        let known = models.entry(weights).or_default();
        let common = known.iter().map(|earlier| common(earlier, prompt)).max().unwrap_or(0);
        let cached = tokens_in(&prompt[..common]).min(tokens.saturating_sub(1));
        known.push_back(prompt.to_owned());
        if known.len() > self.most {
            known.pop_front();
        }
        Some(cached)
    }

    /// A server that starts again remembers nothing.
    pub(crate) fn forget(&self) {
        self.of_models.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Bytes that both begin with, in whole characters.
fn common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum()
}
