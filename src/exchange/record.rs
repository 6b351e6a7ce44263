//! What is known of an exchange once it is over.

use std::time::{Duration, Instant};

use super::names::NamedModel;
use super::outcome::{ErrorType, Outcome, Phase};
use super::placement::Placement;
use super::residency::Cold;
use super::timeline::Timeline;
use super::trace::{Parent, TraceId};
use crate::wire::event::{Defects, FinishReason, Source};
use crate::wire::route::Route;

/// A count together with where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub value: u64,
    /// Where the number comes from.
    pub source: Source,
}

/// The request's method, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// Reads a method token, which is case-sensitive (RFC 9110, 9.1).
    #[must_use]
    pub fn parse(token: &str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "OTHER",
        }
    }
}

/// What is known of an exchange when its head has been accepted.
#[derive(Clone, Debug)]
pub struct Start {
    /// Unique within this process.
    pub id: u64,
    /// The request's method.
    pub method: Method,
    /// Endpoint, dialect and operation.
    pub route: Route,
    /// The trace that the client named, else an id that was made up.
    pub trace: TraceId,
    /// The client's span in that trace. `None` where the client named no trace.
    pub parent: Option<Parent>,
    /// Time zero: the service was called with the head.
    pub at: Instant,
}

/// What is known of an exchange once it is over. `None` is unknown, never zero.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was known at its start.
    pub start: Start,
    /// The backend that was asked last. None where none was chosen.
    pub placement: Option<Placement>,
    /// How far it had come, and when.
    pub timeline: Timeline,
    /// The model that the request named.
    pub requested_model: Option<NamedModel>,
    /// The model that the response named.
    pub answered_model: Option<NamedModel>,
    /// The status that was sent; 499 where the client left before a head.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, where the outcome is an error (contract: client errors and cancellations are not).
    pub error: Option<ErrorType>,
    /// How far it came. Label of a cancellation.
    pub phase: Phase,
    /// A protocol switch: bytes of unknown meaning in both directions.
    pub tunnel: bool,
    /// The response came as a stream of events; otherwise whole.
    pub streamed: bool,
    /// From time zero to the last byte handed on.
    pub duration: Duration,
    /// To the first byte of the response body.
    pub time_to_first_byte: Option<Duration>,
    /// To the first event with text, thinking or tool data. Streams only.
    pub time_to_first_token: Option<Duration>,
    /// To the first event with text or tool data. Streams only.
    pub time_to_first_answer: Option<Duration>,
    /// Offset in the response body just past the first token-bearing event. Streams only.
    pub first_token_offset: Option<u64>,
    /// Offset in the response body just past the first event with text or tool data. Streams only.
    pub first_answer_offset: Option<u64>,
    /// Token-bearing events seen.
    pub token_events: u64,
    /// Gaps between token-bearing frames above the stall threshold.
    pub stalls: u64,
    /// The longest gap between frames that bore tokens of one choice. Streams only; none where there was no gap, or none
    /// that could be watched.
    pub largest_gap: Option<Duration>,
    /// Characters of the prompt that the request's body held. None where it could not be read.
    pub prompt_characters: Option<u64>,
    /// The prompt was probably cut without a word: it cannot fit what the backend says it read.
    pub truncation_suspected: bool,
    /// Prompt tokens, cached ones included.
    pub prompt_tokens: Option<Count>,
    /// Generated tokens. Where only events could be counted this is unknown; see `token_events`.
    pub generated_tokens: Option<Count>,
    /// Prompt tokens that came from a cache.
    pub cached_tokens: Option<u64>,
    /// Generated tokens that were thinking.
    pub reasoning_tokens: Option<u64>,
    /// Draft tokens proposed.
    pub drafted_tokens: Option<u64>,
    /// Draft tokens accepted.
    pub draft_accepted_tokens: Option<u64>,
    /// Reported load, including queueing where the dialect does not tell them apart.
    pub load: Option<Duration>,
    /// Why the model had to be loaded for it. None where it was in memory, or nothing answered in its name.
    pub cold: Option<Cold>,
    /// Reported prefill.
    pub prefill: Option<Duration>,
    /// Reported decode.
    pub decode: Option<Duration>,
    /// Time per output token.
    pub time_per_output_token: Option<Duration>,
    /// Decode rate, tokens per second.
    pub tokens_per_second: Option<f64>,
    /// Why generation stopped.
    pub finish_reason: Option<FinishReason>,
    /// What was made has no tokens by nature: an image, a rendered template, an answer that is only queued.
    pub has_no_tokens: bool,
    /// Bytes moved by a pull or push.
    pub progress_bytes: Option<u64>,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the response's body that were handed on.
    pub response_bytes: u64,
    /// The proxy's own processor time on it, as wall time of its polls. None for a tunnel.
    pub overhead: Option<Duration>,
    /// What could not be understood.
    pub defects: Defects,
}

impl Record {
    /// The configured name of the backend; empty where none was chosen.
    #[must_use]
    pub fn backend(&self) -> &str {
        self.placement.as_ref().map_or("", |placement| &placement.backend)
    }

    /// The model as far as it is known: what answered, else what was asked for.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.answered_model.as_deref().or(self.requested_model.as_deref())
    }

    /// A request that only loaded or unloaded a model: it says nothing about tokens.
    #[must_use]
    pub fn only_loads(&self) -> bool {
        matches!(self.finish_reason, Some(FinishReason::Load | FinishReason::Unload))
    }

    /// A generation whose tokens should be known.
    #[must_use]
    pub fn is_generation(&self) -> bool {
        self.start.route.operation.generates() && !self.only_loads() && !self.has_no_tokens
    }

    /// Generated tokens with their source, falling back to the events that were seen.
    #[must_use]
    pub fn best_generated(&self) -> Option<Count> {
        self.generated_tokens
            .or_else(|| (self.token_events > 0).then_some(Count { value: self.token_events, source: Source::Chunks }))
    }
}
