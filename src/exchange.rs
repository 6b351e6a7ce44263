//! One request with its response: events and instants become one [`record::Record`].
//!
//! Pure: every instant is an argument. The proxy feeds an [`Observation`] while the bytes pass and ends it exactly
//! once; sinks learn of it through [`sink::Sink`]. No call allocates for a chunk, except for the first chunk that a
//! split or an escape interrupts and the first with counts. A call can panic only through a bug in a parser or a sink;
//! the caller catches the panic, reports it with [`Observation::defect`] and goes on: status, bytes, time to first
//! byte, duration and outcome stay right.
//!
//! [`vocabulary`] re-exports the wire types that a record contains, so sinks need not import the wire.

mod answer;
pub mod client;
mod context;
mod end;
mod model;
pub mod names;
pub mod outcome;
pub mod placement;
mod plausibility;
mod rates;
mod reading;
pub mod record;
pub mod residency;
pub mod sink;
pub mod timeline;
mod timing;
pub mod trace;
pub mod truncation;
mod usage;
mod verdict;

#[cfg(test)]
mod tests;

/// The wire types that records contain.
pub mod vocabulary {
    pub use crate::wire::conversation::Conversation;
    pub use crate::wire::event::{Defect, Defects, FinishReason, Progress, Source, TransferStep};
    pub use crate::wire::reader::Engine;
    pub use crate::wire::route::{Dialect, Operation, Route};
}

use std::num::{NonZeroU32, NonZeroU64};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use answer::Answer;
pub use context::{ObservationContext, Settings};
use names::NamedModel;
use outcome::{End, Phase};
use placement::Placement;
use reading::{BodyReading, is_stream};
use record::Start;
use residency::ModelUse;
use sink::{AnySink, TokenFrame, Watch};
use timeline::Timeline;

use crate::wire::budget::DecodeBudget;
use crate::wire::event::Defect;
use crate::wire::reader::{Engine, Head, Reader};
use crate::wire::request::{LoadOptions, RequestFacts};
use crate::wire::route::{BodyFormat, Dialect, Operation, Route};

/// What the end of an exchange says of its backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// How long the model took to load, as far as that shows; `None` where it was in memory.
    pub load: Option<Duration>,
    /// The model, as the backend lists it, and its time per output token; `None` where that did not show, and with one backend.
    pub pace: Option<(Arc<str>, Duration)>,
}

/// The status of an exchange whose client left before a head was sent (nginx's convention).
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Follows one exchange from its head to its end.
///
/// It ends exactly once: with [`Observation::finish`], or when dropped, as cancelled by the client at the last instant
/// passed to it.
pub struct Observation {
    start: Start,
    /// `None` until a backend is chosen.
    placement: Option<Placement>,
    context: Rc<ObservationContext>,
    /// Limits the work of decoding a compressed response.
    budget: Rc<DecodeBudget>,
    /// `None` once the exchange has ended.
    watch: Option<Box<dyn Watch>>,
    phase: Phase,
    timeline: Timeline,
    /// The latest instant passed in.
    last: Instant,
    /// What the request's body says was passed in.
    is_request_known: bool,
    requested_model: Option<NamedModel>,
    /// The request's body ended before a backend was chosen; the watch still has to learn the requested model.
    requested_unreported: bool,
    /// Messages of a chat.
    messages: Option<NonZeroU32>,
    /// Characters of the prompt in the request's body.
    prompt_characters: Option<NonZeroU64>,
    /// The request's body contained exactly one prompt.
    has_one_prompt: bool,
    /// The options with which the request wants its model loaded.
    load_options: LoadOptions,
    /// Whether the request asks the backend to unload the model after the answer; `None` where it leaves that open.
    unloads_model: Option<bool>,
    request_bytes: u64,
    /// Why the request's body was not read to its end.
    request_defect: Option<Defect>,
    /// Counts this exchange as in flight on the requested model.
    model_use: Option<ModelUse>,
    /// The status of the backend's final response.
    answered_status: Option<u16>,
    tunnel: bool,
    response_bytes: u64,
    /// Reads the response's body; `None` before its head, and after a fault.
    reader: Option<Reader>,
    answer: Answer,
    answered_model_reported: bool,
    elsewhere_reported: bool,
    /// A token frame held back while the body may still turn out not to be a stream.
    held_frame: Option<TokenFrame>,
    /// The state of a reader that failed. Boxed, as it is rare.
    failed_reading: Option<Box<BodyReading>>,
}

impl Observation {
    /// Begins at `start.at`, and starts a watch of `sink`.
    #[must_use]
    pub fn start(
        start: Start,
        context: &Rc<ObservationContext>,
        budget: &Rc<DecodeBudget>,
        sink: &dyn AnySink,
    ) -> Box<Self> {
        let watch = sink.started(&start);
        // Boxed here to avoid copies; in three boxes, as allocators are fast only for blocks below 1 KiB.
        Box::new(Self {
            placement: None,
            context: context.clone(),
            budget: budget.clone(),
            watch: Some(watch),
            phase: Phase::Upload,
            timeline: Timeline::default(),
            last: start.at,
            is_request_known: false,
            requested_model: None,
            requested_unreported: false,
            messages: None,
            prompt_characters: None,
            has_one_prompt: false,
            load_options: LoadOptions::default(),
            unloads_model: None,
            request_bytes: 0,
            request_defect: None,
            model_use: None,
            answered_status: None,
            tunnel: false,
            response_bytes: 0,
            reader: None,
            answer: Answer::default(),
            answered_model_reported: false,
            elsewhere_reported: false,
            held_frame: None,
            failed_reading: None,
            start,
        })
    }

    /// A backend was chosen, or another one after it failed.
    pub fn placed(&mut self, placement: Placement, now: Instant) {
        self.timeline = Timeline { placed: self.since_start(now), ..Timeline::default() };
        if let Some(watch) = &mut self.watch {
            watch.placed(&placement);
        }
        if std::mem::take(&mut self.requested_unreported) {
            let (names, dialect) = (&self.context.names, self.start.route.dialect);
            let listed = self.requested_model.take().map(|name| names.requested(&placement.backend, dialect, &name));
            self.requested_model = listed;
            self.placement = Some(placement);
            self.report_requested();
        } else {
            self.placement = Some(placement);
        }
    }

    /// The configured name of the backend; `None` until one is chosen.
    fn backend(&self) -> Option<&Arc<str>> {
        self.placement.as_ref().map(|placement| &placement.backend)
    }

    /// A connection to the backend was opened for this exchange.
    pub fn dialled(&mut self, now: Instant) {
        self.timeline.dialled = self.since_start(now);
    }

    /// The head is about to be sent to the backend.
    pub fn forwarded(&mut self, now: Instant) {
        // When the request is sent again, bytes that the previous connection took do not count.
        (self.timeline.sent, self.timeline.uploaded) = (self.since_start(now), None);
        if let Some(watch) = &mut self.watch {
            watch.forwarded();
        }
    }

    /// A piece of the request's body was read from the client: its length in bytes, as it was sent.
    pub fn request_piece(&mut self, bytes: usize) {
        self.request_bytes += bytes as u64;
    }

    /// Whether the response's body is being decoded, which uses the [`DecodeBudget`].
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.reader.as_ref().is_some_and(Reader::decodes)
    }

    /// What the request's body says: once it has ended and before [`Observation::request_uploaded`], or as far as it came
    /// when the exchange ends. Not called for a route or a media type that names no model. Only the first call counts.
    pub fn requested(&mut self, facts: &RequestFacts<'_>) {
        if std::mem::replace(&mut self.is_request_known, true) {
            return;
        }
        self.requested_model = facts.model.map(|name| match &self.placement {
            Some(Placement { backend, .. }) => self.context.names.requested(backend, self.start.route.dialect, name),
            None => name.into(),
        });
        self.load_options = facts.load_options;
        // Other APIs have no `keep_alive`: Ollama ignores it on theirs.
        self.unloads_model = facts.model_leaves.filter(|_| self.start.route.dialect == Dialect::Ollama);
        let Route { dialect, operation, .. } = self.start.route;
        self.start.conversation = self.start.conversation.or_else(|| facts.conversations.in_dialect(dialect));
        let messages = facts.messages.filter(|_| operation == Operation::Chat);
        self.messages = messages.and_then(|count| NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)));
        self.prompt_characters = facts.prompt_characters.and_then(NonZeroU64::new);
        self.has_one_prompt = facts.has_one_prompt;
        if facts.echoes_prompt && self.start.route.format == BodyFormat::OpenAi {
            self.answer.tokens.ignore_lists();
        }
        self.request_defect = facts.defect;
        match self.placement {
            Some(_) => self.report_requested(),
            None => self.requested_unreported = true,
        }
    }

    /// The backend connection has taken the whole request.
    pub fn request_uploaded(&mut self, now: Instant) {
        self.timeline.uploaded = self.since_start(now);
        self.advance(Phase::Waiting);
        self.enter_model();
        if let Some(watch) = &mut self.watch {
            watch.uploaded(now);
        }
    }

    /// The head of the backend's final response arrived.
    pub fn responded(&mut self, head: &Head<'_>, now: Instant) {
        self.last = now;
        self.timeline.head = self.since_start(now);
        self.answered_status = Some(head.status);
        self.advance(Phase::Prefill);
        if self.failed_reading.is_none() {
            let mut reader = Reader::new(self.start.route, head, &self.budget);
            if self.has_one_prompt {
                reader.share_prompt();
            }
            if self.start.route.format == BodyFormat::Anthropic {
                reader.set_engine(self.backend().map_or(Engine::Unknown, |backend| self.context.names.engine(backend)));
            }
            self.reader = Some(reader);
        }
    }

    /// The response switches protocols: from here on no byte is parsed.
    pub fn tunnelled(&mut self) {
        self.tunnel = true;
        self.reader = None;
    }

    /// A frame of the response's body: all bytes that were available at one instant.
    pub fn response_frame(&mut self, frame: &[u8], now: Instant) {
        self.response_piece(frame, now);
        self.response_frame_end();
    }

    /// The current frame arrived earlier than it was read: reading had stopped while the client took nothing. Call it
    /// before the frame's end.
    pub fn reading_held_back(&mut self) {
        self.answer.timing.mark_held_back();
    }

    /// A piece of a frame of the response's body, before it is forwarded.
    pub fn response_piece(&mut self, piece: &[u8], now: Instant) {
        self.last = now;
        if piece.is_empty() {
            return;
        }
        self.response_bytes += piece.len() as u64;
        self.answer.timing.record_bytes(now);
        if let Some(reader) = &mut self.reader {
            let answer = &mut self.answer;
            reader.read(piece, &mut |event, offset| answer.observe(event, offset, now));
        }
    }

    /// All pieces of the frame were passed in.
    pub fn response_frame_end(&mut self) {
        if let Some(reader) = &self.reader {
            let streamed = is_stream(reader.framing());
            self.settle_frame(streamed);
        }
    }

    /// Parsing failed: nothing more of the response is parsed, and the exchange continues.
    pub fn defect(&mut self, defect: Defect) {
        let mut reading = self.reading();
        reading.expects_terminal = false;
        reading.defects.add(defect);
        self.failed_reading = Some(Box::new(reading));
        self.reader = None;
        self.held_frame = None;
    }

    /// The phase that the exchange has reached.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends the exchange. `status` is the one sent to the client, or 499 if it left before a head. Returns what
    /// that says of the backend.
    pub fn finish(mut self: Box<Self>, end: End, status: u16, now: Instant, overhead: Duration) -> Learnt {
        self.last = now.max(self.last);
        self.conclude(end, status, Some(overhead))
    }

    /// Reports to the watch what the frame contained.
    fn settle_frame(&mut self, streamed: bool) {
        if self.answer.is_remote {
            self.report_elsewhere();
        }
        self.report_answered_model();
        if let (Some(transfer), Some(watch)) = (&mut self.answer.transfer, &mut self.watch) {
            transfer.progress.into_iter().for_each(|progress| watch.progress(progress));
            transfer.step.take().into_iter().for_each(|step| watch.step(step));
        }
        if self.answer.timing.has_tokens_in_frame() {
            self.advance(Phase::Decode);
        }
        let (arrived, stall) = (self.arrived(), self.context.settings.stall.unwrap_or(Duration::MAX));
        let Self { answer, held_frame, watch: Some(watch), .. } = self else { return };
        if streamed {
            held_frame.take().into_iter().for_each(|frame| watch.tokens(frame));
            answer.timing.end_frame(stall, arrived, |frame| watch.tokens(frame));
        } else {
            // A single value so far. If another follows, this one was the stream's first frame.
            answer.timing.end_frame(stall, arrived, |frame| *held_frame = held_frame.or(Some(frame)));
        }
    }

    /// When the current frame arrived.
    fn arrived(&self) -> Instant {
        self.answer.timing.last_byte.unwrap_or(self.last)
    }

    fn since_start(&self, now: Instant) -> Option<Duration> {
        // A request that comes whole is sent on at the instant of its start: comparing costs less than the difference.
        Some(if now == self.start.at { Duration::ZERO } else { now.saturating_duration_since(self.start.at) })
    }

    fn advance(&mut self, phase: Phase) {
        if phase > self.phase {
            self.phase = phase;
            if let Some(watch) = &mut self.watch {
                watch.phase(phase);
            }
        }
    }
}

/// An observation dropped unfinished counts as cancelled by the client. A panic of a sink is caught: in a destructor it
/// could abort the process.
impl Drop for Observation {
    fn drop(&mut self) {
        let status = self.answered_status.unwrap_or(CLIENT_CLOSED_REQUEST);
        let _sink_panic = catch_unwind(AssertUnwindSafe(|| self.conclude(End::ClientLeft, status, None)));
    }
}
