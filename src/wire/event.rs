//! The one normalised event that every dialect speaks.
//!
//! A dialect turns bytes into these facts and nothing else: no time, no opinion, no failure. A fact that the
//! backend did not state does not appear; `None` is "unknown" and never stands for zero.

use std::time::Duration;

/// One fact read from a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The backend named the model that answers. Emitted when the name changes, not for every chunk.
    Model(&'a str),
    /// A token-bearing event of one choice: it carried text, thinking or tool data that was not empty.
    Tokens(Tokens),
    /// Token counts of the exchange so far. Totals over all choices, already combined by the dialect; a field that
    /// is `Some` replaces what was known before.
    Usage(Usage),
    /// Durations that the backend reported. A field that is `Some` replaces what was known before.
    Timings(Timings),
    /// Why generation stopped.
    Finish(FinishReason),
    /// Bytes moved by a pull, push or create, summed over the layers named so far.
    Progress(Progress),
    /// The backend handed the request on to a model that runs elsewhere.
    Elsewhere,
    /// The backend said, inside a success status, that the exchange failed.
    Error,
    /// The dialect's terminal event: whatever comes later, the answer was complete.
    Terminal,
    /// What the request made has no tokens by nature: an image, a rendered template, an answer that is only queued.
    NoTokens,
}

/// What a token-bearing event held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// It held text or tool data (a refusal is text), so a person sees an answer.
    pub answer: bool,
    /// It held thinking.
    pub thinking: bool,
    /// Exact number of tokens in it, where the backend says: by a list of log probabilities or token ids, or by a
    /// cumulative count that has grown since the choice's event before.
    pub listed: Option<u64>,
    /// Which of several choices it is of, from 0.
    pub choice: u64,
}

/// Where a token count comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Token-bearing events were counted: a lower bound.
    Chunks,
    /// Lists of log probabilities or token ids were counted.
    Logprobs,
    /// The last cumulative count of a stream that did not reach its final report.
    Running,
    /// The backend's final report.
    Reported,
}

impl Source {
    /// Every source, in ascending order of trust.
    pub const ALL: [Self; 4] = [Self::Chunks, Self::Logprobs, Self::Running, Self::Reported];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chunks => "chunks",
            Self::Logprobs => "logprobs",
            Self::Running => "running",
            Self::Reported => "reported",
        }
    }
}

/// Token counts as a backend states them, for the whole exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// These counts are the final report; otherwise they are cumulative counts of a stream that goes on.
    pub last: bool,
    /// Prompt tokens in all, cached ones included.
    pub prompt: Option<u64>,
    /// Generated tokens in all, thinking included.
    pub generated: Option<u64>,
    /// Prompt tokens that came from a cache.
    pub cached: Option<u64>,
    /// Generated tokens that were thinking.
    pub reasoning: Option<u64>,
    /// Draft tokens proposed by speculative decoding.
    pub drafted: Option<u64>,
    /// Draft tokens accepted.
    pub draft_accepted: Option<u64>,
    /// How many choices the generated tokens belong to. Above one, a rate per token of one choice is not known.
    pub choices: u32,
}

/// Durations as a backend states them. Zero is never stated: servers print it for "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the request's arrival until a runner was at hand: model load, and for Ollama scheduler queueing too.
    pub load: Option<Duration>,
    /// Processing of the part of the prompt that was not cached.
    pub prefill: Option<Duration>,
    /// Generation. TGI's holds the prefill too.
    pub decode: Option<Duration>,
    /// The whole exchange as the backend saw it.
    pub total: Option<Duration>,
}

/// Progress of a transfer of model files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done so far.
    pub completed: u64,
    /// Bytes in all, as far as announced.
    pub total: u64,
}

macro_rules! finish_reasons {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// Why generation stopped, in the words of the dialects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FinishReason {
            $($(#[$doc])* $variant,)+
            /// A reason that no dialect documents.
            Other,
        }

        impl FinishReason {
            /// Reads a dialect's word. Two that are spelled in more than one way are one reason each.
            #[must_use]
            pub fn parse(word: &[u8]) -> Self {
                let word: &[u8] = match word {
                    b"aborted" => b"abort",
                    b"canceled" => b"cancelled",
                    word => word,
                };
                $(if word == $text.as_bytes() { return Self::$variant; })+
                Self::Other
            }

            /// The dialect's word; `other` for one that no dialect documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

finish_reasons! {
    /// A natural end or a stop string (Ollama, `OpenAI`).
    Stop = "stop",
    /// A token limit.
    Length = "length",
    /// Tool calls end the turn (`OpenAI`).
    ToolCalls = "tool_calls",
    /// The older form of a tool call (`OpenAI`).
    FunctionCall = "function_call",
    /// Content was withheld (`OpenAI`).
    ContentFilter = "content_filter",
    /// Ollama only loaded the model.
    Load = "load",
    /// Ollama only unloaded the model.
    Unload = "unload",
    /// A transfer succeeded (Ollama pull, push, create).
    Success = "success",
    /// `OpenAI` responses: whole.
    Completed = "completed",
    /// `OpenAI` responses: cut by a limit.
    Incomplete = "incomplete",
    /// `OpenAI` responses: failed.
    Failed = "failed",
    /// `OpenAI` responses: cancelled.
    Cancelled = "cancelled",
    /// Anthropic: a natural end.
    EndTurn = "end_turn",
    /// Anthropic: a token limit.
    MaxTokens = "max_tokens",
    /// Anthropic and TGI: a stop string.
    StopSequence = "stop_sequence",
    /// Anthropic: a tool call.
    ToolUse = "tool_use",
    /// Anthropic: a pause in a long turn.
    PauseTurn = "pause_turn",
    /// Anthropic: a refusal.
    Refusal = "refusal",
    /// Anthropic: the context is full.
    ContextExceeded = "model_context_window_exceeded",
    /// llama.cpp: the end token.
    Eos = "eos",
    /// llama.cpp: a stop string.
    Word = "word",
    /// llama.cpp: a token limit.
    Limit = "limit",
    /// TGI: the end token.
    EosToken = "eos_token",
    /// vLLM and SGLang: the engine gave the request up.
    Abort = "abort",
    /// vLLM and `OpenRouter`: the engine failed on the request.
    Error = "error",
}

impl FinishReason {
    /// Whether it says that the answer was given up rather than finished.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Abort | Self::Error | Self::Failed | Self::Cancelled)
    }
}

/// Something in a response that could not be understood or believed. It marks the record and never touches the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// JSON that is not JSON.
    Json,
    /// A number that is negative, not finite, not whole where it must be, or absurdly large.
    Number,
    /// A value of another type than documented.
    Type,
    /// A wanted value longer than is kept.
    TooLong,
    /// The body is in a content coding that is not decoded, or is not what its coding says.
    Encoding,
    /// Decoding the body took more work or memory than is granted: it was read no further.
    Budget,
    /// The inspector itself failed; it was taken out of the exchange.
    Panic,
    /// The answer was complete and its last chunk, or the rest of its announced length, never came.
    Framing,
    /// Reported durations that contradict the time that was watched: another unit than documented.
    Duration,
}

impl Defect {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Json,
        Self::Number,
        Self::Type,
        Self::TooLong,
        Self::Encoding,
        Self::Budget,
        Self::Panic,
        Self::Framing,
        Self::Duration,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Number => "number",
            Self::Type => "type",
            Self::TooLong => "too_long",
            Self::Encoding => "encoding",
            Self::Budget => "budget",
            Self::Panic => "panic",
            Self::Framing => "framing",
            Self::Duration => "duration",
        }
    }
}

/// How often each kind of defect was met in one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defects([u32; Defect::ALL.len()]);

impl Defects {
    /// Counts one.
    pub fn add(&mut self, defect: Defect) {
        let count = &mut self.0[defect as usize];
        *count = count.saturating_add(1);
    }

    /// Counts those of another too.
    #[must_use]
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count = count.saturating_add(more));
        self
    }

    /// Each kind that was met, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Defect, u32)> + '_ {
        Defect::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Whether none was met.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}
