//! What a generation will say, and what will go wrong: all of it follows from the question.

use std::collections::VecDeque;

use crate::ask::{Ask, tokens_in};
use crate::tools::{self, Call};

const SENTENCES: [&str; 12] = [
    "A llama crossed the ridge at dawn and counted every token on the way.",
    "The proxy listened, said nothing, and wrote down the time.",
    "Between two requests there is a small silence that belongs to nobody.",
    "Warm models answer quickly, cold ones clear their throat first.",
    "Every stream has a beginning, a middle and, on good days, an end.",
    "The scheduler smiled and put the longest prompt at the back of the line.",
    "Weights were read from disk, layer after layer, like pages of a slow book.",
    "Nobody had asked for the seventh decimal, yet there it was.",
    "What is measured twice is believed once.",
    "The fans grew louder, and somewhere a token became a word.",
    "Patience is the time between the question and the first letter.",
    "In the end the numbers added up, which surprised only the optimists.",
];

const THOUGHTS: [&str; 3] = [
    "The user wants an answer, so let me look at the question first.",
    "There are two ways to see it, and the shorter one is probably right.",
    "I should be brief and say what follows from it.",
];

/// One event of a generation.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// A piece of thinking.
    Thinking(String),
    /// A piece of the answer.
    Text(String),
    /// A call of a tool.
    Tool(Call),
}

/// A piece, and how many tokens it is made of.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// What is said.
    pub(crate) said: Said,
    /// Tokens it took.
    pub(crate) tokens: u32,
}

/// How a generation ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// The model had said all.
    Stop,
    /// The limit was reached.
    Length,
    /// With an error.
    Error,
    /// Silently, without a final object.
    Cut,
}

/// All a generation will say.
#[derive(Debug)]
pub(crate) struct Script {
    /// What is said, in order.
    pub(crate) pieces: VecDeque<Piece>,
    /// How it ends.
    pub(crate) ending: Ending,
    /// Pieces still to come when it falls silent, where it does.
    pub(crate) stall_before: Option<usize>,
    /// Tokens a second, where not the model's own.
    pub(crate) rate: Option<f64>,
}

impl Script {
    /// Writes the script for a request.
    pub(crate) fn new(ask: &Ask) -> Self {
        let question = ask.question.as_str();
        let asked = marker(question, "tokens").and_then(|count| count.parse::<usize>().ok());
        let mut pieces = VecDeque::new();
        if ask.think {
            pieces.extend(words(&THOUGHTS, hash(question), 24).map(|word| piece(Said::Thinking(word))));
        }
        let call = tools::wanted(question, &ask.tools).filter(|_| ask.tool_result.is_none());
        if let Some(call) = call {
            let tokens = tokens_in(&call.arguments.to_string()) + 6;
            pieces.push_back(Piece { said: Said::Tool(call), tokens });
        } else {
            let count = asked.unwrap_or_else(|| 30 + usize::try_from(hash(question) % 90).unwrap_or(0));
            pieces.extend(words(&SENTENCES, hash(question), count).map(|word| piece(Said::Text(word))));
        }
        Self::ending(ask, pieces)
    }

    fn ending(ask: &Ask, mut pieces: VecDeque<Piece>) -> Self {
        let question = ask.question.as_str();
        let mut ending = Ending::Stop;
        if let Some(limit) =
            ask.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit < pieces.len())
        {
            pieces.truncate(limit);
            ending = Ending::Length;
        }
        for (marker, bad) in [("[[error]]", Ending::Error), ("[[truncate]]", Ending::Cut)] {
            if question.contains(marker) {
                pieces.truncate(pieces.len().div_ceil(2));
                ending = bad;
            }
        }
        let stall_before = question.contains("[[stall]]").then_some(pieces.len() / 2);
        let rate = marker(question, "rate").and_then(|rate| rate.parse().ok()).filter(|rate: &f64| *rate > 0.0);
        Self { pieces, ending, stall_before, rate }
    }
}

fn piece(said: Said) -> Piece {
    Piece { said, tokens: 1 }
}

/// `count` words, beginning with the sentence the seed picks, each with the space before it.
fn words(sentences: &'static [&'static str], seed: u64, count: usize) -> impl Iterator<Item = String> {
    let first = usize::try_from(seed % 97).unwrap_or(0);
    let order = (0..).map(move |step: usize| sentences[(first + step) % sentences.len()]);
    let words = order.flat_map(str::split_whitespace);
    words.take(count).enumerate().map(|(at, word)| if at == 0 { word.to_owned() } else { format!(" {word}") })
}

/// The value in `[[name=value]]`.
fn marker<'a>(question: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = question.split_once(&format!("[[{name}="))?;
    rest.split_once("]]").map(|(value, _)| value)
}

/// FNV-1a: the same in every run, which the standard library's is not.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
