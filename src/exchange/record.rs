//! The record of a finished exchange.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::NamedModel;
use super::outcome::{ErrorType, Outcome, Phase};
use super::placement::Placement;
use super::residency::ColdStart;
use super::timeline::Timeline;
use super::trace::{ParentSpan, TraceId};
use crate::wire::conversation::Conversation;
use crate::wire::event::{Defects, FinishReason, Source};
use crate::wire::route::Route;

/// A number of tokens together with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// The number of tokens.
    pub value: u64,
    /// Who stated it.
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
    /// Parses a method token, which is case-sensitive (RFC 9110, 9.1).
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

    /// Whether a request with it may change something (RFC 9110, 9.2.1).
    #[must_use]
    pub const fn changes_something(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
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
    /// The trace id from the client's `traceparent`, else a random one.
    pub trace: TraceId,
    /// The client's span in that trace. `None` without a `traceparent`.
    pub parent: Option<ParentSpan>,
    /// The product of the client ([`super::client::product`]). `None` where it names none that is kept.
    pub client: Option<Arc<str>>,
    /// The conversation that a header field names; in a record also the one that the body names as its dialect does.
    pub conversation: Option<Conversation>,
    /// Time zero: the request's head had been received.
    pub at: Instant,
}

/// What is known of an exchange once it is over. `None` is unknown, never zero.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was known at its start.
    pub start: Start,
    /// The last backend that was chosen. `None` where none was.
    pub placement: Option<Placement>,
    /// When the exchange reached each step.
    pub timeline: Timeline,
    /// The model that the request named.
    pub requested_model: Option<NamedModel>,
    /// The model that the response named.
    pub answered_model: Option<NamedModel>,
    /// Messages of a chat. `None` where the request has none, or its body could not be parsed.
    pub messages: Option<u64>,
    /// The status sent to the client; 499 where it left before a head.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong. `None` for success, for 4xx answers of the backend, and for cancellations.
    pub error: Option<ErrorType>,
    /// The phase in which it ended.
    pub phase: Phase,
    /// The connection switched protocols; no byte after that was parsed.
    pub tunnel: bool,
    /// The response was a stream of events, not a single value.
    pub streamed: bool,
    /// From time zero to the last byte forwarded.
    pub duration: Duration,
    /// From time zero to the first byte of the response body.
    pub time_to_first_byte: Option<Duration>,
    /// From time zero to the first event with text, thinking or tool data. Streams only.
    pub time_to_first_token: Option<Duration>,
    /// From time zero to the first event with text or tool data. Streams only.
    pub time_to_first_answer: Option<Duration>,
    /// Offset in the response body just past the first token-bearing event. Streams only.
    pub first_token_offset: Option<u64>,
    /// Offset in the response body just past the first event with text or tool data. Streams only.
    pub first_answer_offset: Option<u64>,
    /// Token-bearing events seen.
    pub token_events: u64,
    /// Gaps between token-bearing frames above the stall threshold.
    pub stalls: u64,
    /// The longest gap between token-bearing frames of one choice. Streams only; `None` where no gap could be measured.
    pub largest_gap: Option<Duration>,
    /// Characters of the prompt in the request's body. `None` where it could not be parsed.
    pub prompt_characters: Option<u64>,
    /// The backend probably cut the prompt silently: the prompt does not fit the number of tokens it reports.
    pub truncation_suspected: bool,
    /// Prompt tokens, cached ones included.
    pub prompt_tokens: Option<TokenCount>,
    /// Generated tokens. `None` where only events could be counted; see `token_events`.
    pub generated_tokens: Option<TokenCount>,
    /// Prompt tokens read from a cache.
    pub cached_tokens: Option<u64>,
    /// Generated tokens that were thinking.
    pub reasoning_tokens: Option<u64>,
    /// Draft tokens proposed.
    pub drafted_tokens: Option<u64>,
    /// Draft tokens accepted.
    pub draft_accepted_tokens: Option<u64>,
    /// Reported load duration, including queueing where the dialect does not separate them.
    pub load: Option<Duration>,
    /// Why the model had to be loaded. `None` where it was in memory, or did not answer.
    pub cold: Option<ColdStart>,
    /// Reported prefill duration.
    pub prefill: Option<Duration>,
    /// Reported decode duration.
    pub decode: Option<Duration>,
    /// Decode divided by the generated tokens after the first.
    pub time_per_output_token: Option<Duration>,
    /// Decode rate, tokens per second.
    pub tokens_per_second: Option<f64>,
    /// Why generation stopped.
    pub finish_reason: Option<FinishReason>,
    /// The result has no tokens by nature: an image, a rendered template, a job that is only queued.
    pub has_no_tokens: bool,
    /// Bytes moved by a pull or push.
    pub progress_bytes: Option<u64>,
    /// Bytes of the request's body that were read.
    pub request_bytes: u64,
    /// Bytes of the response's body that were forwarded.
    pub response_bytes: u64,
    /// The proxy's own processing time, as wall time of its polls. `None` for a tunnel.
    pub overhead: Option<Duration>,
    /// What could not be parsed, or contradicts itself.
    pub defects: Defects,
}

impl Record {
    /// The configured name of the backend; empty where none was chosen.
    #[must_use]
    pub fn backend(&self) -> &str {
        self.placement.as_ref().map_or("", |placement| &placement.backend)
    }

    /// The model that answered, else the one requested. `None` where neither is known.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.answered_model.as_deref().or(self.requested_model.as_deref())
    }

    /// Whether it only loaded or unloaded a model, without tokens.
    #[must_use]
    pub fn only_loads(&self) -> bool {
        matches!(self.finish_reason, Some(FinishReason::Load | FinishReason::Unload))
    }

    /// Whether it is a generation, whose tokens should be known.
    #[must_use]
    pub fn is_generation(&self) -> bool {
        self.start.route.operation.generates() && !self.only_loads() && !self.has_no_tokens
    }

    /// Generated tokens with their source, falling back to the number of token-bearing events.
    #[must_use]
    pub fn best_generated(&self) -> Option<TokenCount> {
        self.generated_tokens.or_else(|| {
            (self.token_events > 0).then_some(TokenCount { value: self.token_events, source: Source::Chunks })
        })
    }
}
