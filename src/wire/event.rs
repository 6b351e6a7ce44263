//! The normalised events of all dialects.
//!
//! A dialect turns bytes into these facts, without time, interpretation or failure. A fact that the backend did not
//! state has no event; `None` is unknown and never zero.

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
    /// A pull, push or create begins another step.
    Step(TransferStep),
    /// The backend forwarded the request to a model that runs elsewhere.
    Elsewhere,
    /// The backend reported, after a success status, that the exchange failed.
    Error,
    /// The dialect's terminal event: the answer is complete, whatever follows.
    Terminal,
    /// The result has no tokens: an image, a rendered template, an answer that is only queued.
    NoTokens,
}

/// The content of a token-bearing event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Has text or tool data, which a user sees. A refusal is text.
    pub answer: bool,
    /// Has thinking.
    pub thinking: bool,
    /// The exact number of tokens: the length of a list of log probabilities or token ids, or the growth of a
    /// cumulative count since the choice's previous event. `None` where the backend states neither.
    pub listed: Option<u64>,
    /// The index of the choice, from 0.
    pub choice: u64,
}

/// The provenance of a token count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The number of token-bearing events: a lower bound.
    Chunks,
    /// The length of lists of log probabilities or token ids.
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
    /// These counts are the final report; otherwise they are cumulative counts, and the stream continues.
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
    /// Draft tokens that were accepted.
    pub draft_accepted: Option<u64>,
    /// The choices that share the generated tokens. Above one, the token rate of a single choice is unknown.
    pub choices: u32,
}

/// Durations as a backend states them. A zero, which servers send for unknown, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the request's arrival until a runner was ready: the model's load, and for Ollama queueing too.
    pub load: Option<Duration>,
    /// Processing of the uncached part of the prompt.
    pub prefill: Option<Duration>,
    /// Generation. TGI's includes the prefill.
    pub decode: Option<Duration>,
    /// The whole exchange as the backend saw it.
    pub total: Option<Duration>,
}

/// Progress of a transfer of model files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes moved so far.
    pub completed: u64,
    /// Bytes that were in place before.
    pub found: u64,
    /// Bytes in all layers announced so far.
    pub total: u64,
}

macro_rules! transfer_steps {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// What a backend does in a transfer, by the beginning of its own words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum TransferStep {
            $($(#[$doc])* $variant,)+
            /// Words that no release of Ollama documents.
            Other,
        }

        impl TransferStep {
            /// What follows the known words, such as a digest, is left out.
            #[must_use]
            pub fn parse(status: &[u8]) -> Self {
                $(if status.starts_with($word.as_bytes()) { return Self::$variant; })+
                Self::Other
            }

            /// The backend's words.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

// A longer text stands before its own beginning.
transfer_steps! {
    /// Which layers there are is read.
    PullingManifest = "pulling manifest",
    /// The same, of a push.
    RetrievingManifest = "retrieving manifest",
    /// A layer is fetched.
    Pulling = "pulling",
    /// The list of layers is sent.
    PushingManifest = "pushing manifest",
    /// A layer is sent.
    Pushing = "pushing",
    /// Layers are compared with their digests.
    Verifying = "verifying",
    /// The model gets its name.
    WritingManifest = "writing manifest",
    /// What no model needs any more is removed.
    Removing = "removing",
    /// The parts of a model are collected.
    Gathering = "gathering",
    /// A file is copied.
    Copying = "copying",
    /// A file of weights is read.
    Parsing = "parsing",
    /// The same.
    Reading = "reading",
    /// Weights change their format.
    Converting = "converting",
    /// Weights become smaller.
    Quantizing = "quantizing",
    /// A layer is made.
    Creating = "creating",
    /// A layer is there already.
    Using = "using",
    /// A layer is written.
    Writing = "writing",
    /// It is done.
    Success = "success",
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
            /// Unknown words are `Other`. `aborted` and `canceled` are read as `abort` and `cancelled`.
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
    /// Whether the answer was abandoned rather than finished.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Abort | Self::Error | Self::Failed | Self::Cancelled)
    }
}

/// Something in an exchange that could not be understood or believed. It marks the record and never affects the
/// traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// Malformed JSON.
    Json,
    /// A number that is negative, not finite, not whole where it must be, or absurdly large.
    Number,
    /// A value of another type than documented.
    Type,
    /// A wanted value above the length limit.
    TooLong,
    /// The body's content coding is not supported, or the body does not follow it.
    Encoding,
    /// Decoding the body exceeded its budget of work or memory: the rest was not read.
    Budget,
    /// The observation panicked and was removed from the exchange.
    Panic,
    /// The answer was complete, but its last chunk or the rest of its announced length was missing.
    Framing,
    /// Reported durations contradict the measured time, as in another unit than documented.
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

/// The number of defects of each kind in one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defects([u32; Defect::ALL.len()]);

impl Defects {
    /// Counts one; saturates.
    pub fn add(&mut self, defect: Defect) {
        let count = &mut self.0[defect as usize];
        *count = count.saturating_add(1);
    }

    /// The sum of both.
    #[must_use]
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count = count.saturating_add(more));
        self
    }

    /// Each kind with a count above zero.
    pub fn iter(&self) -> impl Iterator<Item = (Defect, u32)> + '_ {
        Defect::ALL.iter().copied().zip(self.0.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// Whether no defect was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}
