//! One request with its response: events and instants become one [`record::Record`].
//!
//! Pure: every instant is an argument. The proxy feeds an [`Observation`] while the bytes pass and ends it exactly
//! once; sinks learn of it through [`sink::Sink`]. No call allocates for a chunk, but for the first that a split or an
//! escape interrupts, and the first with counts. A call may panic only through a fault in a parser or a sink; the caller
//! catches that, says so with [`Observation::defect`] and goes on: status, bytes, time to first byte, duration and
//! outcome stay right.
//!
//! The words of the wire that a record speaks are handed on in [`vocabulary`], so sinks need not know the wire.

mod answer;
mod belief;
mod end;
pub mod names;
pub mod outcome;
pub mod placement;
mod rates;
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

/// What the wire calls things, as far as records speak of them.
pub mod vocabulary {
    pub use crate::wire::event::{Defect, Defects, FinishReason, Source};
    pub use crate::wire::reader::Engine;
    pub use crate::wire::route::{Dialect, Operation, Route};
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use answer::Answer;
use end::Reading;
use names::{NamedModel, Names};
use outcome::{End, Phase};
use placement::Placement;
use record::Start;
use residency::{Residency, Stay};
use sink::{AnySink, TokenFrame, Watch};
use timeline::Timeline;

use crate::wire::budget::Budget;
use crate::wire::event::{Defect, FinishReason};
use crate::wire::reader::{Engine, Framing, Head, Reader};
use crate::wire::request::{LoadOptions, ModelScanner};
use crate::wire::route::{Format, Operation, Route};

/// The status of an exchange whose client left before a head was sent (nginx's convention).
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

/// How exchanges are observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A gap between token-bearing frames above this counts as a stall. `None` counts none.
    pub stall: Option<Duration>,
}

/// What every observation shares.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What is configured.
    pub settings: Settings,
    /// Which models have exchanges in flight, and which are in memory.
    pub residency: Arc<Residency>,
    /// What backends call their models.
    pub names: Arc<dyn Names>,
}

/// Follows one exchange from its head to its end.
///
/// It ends exactly once: with [`Observation::finish`], or, dropped before that, as left by the client at the last
/// instant it was told.
pub struct Observation {
    start: Start,
    /// The backend that is asked, once one was chosen.
    placement: Option<Placement>,
    shared: Shared,
    /// What the reading of coded bodies may cost.
    budget: Rc<Budget>,
    /// Gone once the exchange has ended.
    watch: Option<Box<dyn Watch>>,
    phase: Phase,
    timeline: Timeline,
    /// The last instant that was told.
    last: Instant,
    /// Reads the request's body; gone once it has ended, or after a fault.
    scanner: Option<Box<ModelScanner>>,
    requested_model: Option<NamedModel>,
    /// The request's body ended before a backend was chosen: the watch does not know yet what it asks for.
    requested_untold: bool,
    /// Characters of the prompt in the request's body.
    prompt_characters: Option<u64>,
    /// The request's body held exactly one prompt.
    has_one_prompt: bool,
    /// What the request wants its model to be loaded with.
    load_options: LoadOptions,
    /// The request sends its model away once it has answered.
    model_leaves: bool,
    request_bytes: u64,
    /// Why the request's body was not read to its end.
    request_defect: Option<Defect>,
    /// Holds a place among the exchanges on the requested model.
    stay: Option<Stay>,
    /// The status of the backend's final response.
    answered_status: Option<u16>,
    tunnel: bool,
    response_bytes: u64,
    /// Reads the response's body; none before its head, and after a fault.
    reader: Option<Reader>,
    answer: Answer,
    model_told: bool,
    /// A token frame of a body that may yet turn out to be whole.
    held: Option<TokenFrame>,
    /// What a reader that failed left behind. Boxed, as it is rare.
    left: Option<Box<Reading>>,
}

impl Observation {
    /// An exchange begins.
    #[must_use]
    pub fn start(start: Start, shared: &Shared, budget: &Rc<Budget>, sink: &dyn AnySink) -> Box<Self> {
        let watch = sink.started(&start);
        // Boxed where they are made, so that nobody moves them about; three boxes, as an allocator is quick with blocks
        // below 1 KiB only.
        Box::new(Self {
            placement: None,
            shared: shared.clone(),
            budget: budget.clone(),
            watch: Some(watch),
            phase: Phase::Upload,
            timeline: Timeline::default(),
            last: start.at,
            scanner: start.route.names_model.then(Box::default),
            requested_model: None,
            requested_untold: false,
            prompt_characters: None,
            has_one_prompt: false,
            load_options: LoadOptions::default(),
            model_leaves: false,
            request_bytes: 0,
            request_defect: None,
            stay: None,
            answered_status: None,
            tunnel: false,
            response_bytes: 0,
            reader: None,
            answer: Answer::default(),
            model_told: false,
            held: None,
            left: None,
            start,
        })
    }

    /// A backend was chosen, or another one in its place.
    pub fn placed(&mut self, placement: Placement, now: Instant) {
        self.timeline = Timeline { placed: self.since_start(now), ..Timeline::default() };
        if let Some(watch) = &mut self.watch {
            watch.placed(&placement);
        }
        if std::mem::take(&mut self.requested_untold) {
            let (names, dialect) = (&self.shared.names, self.start.route.dialect);
            let listed = self.requested_model.take().map(|name| names.requested(&placement.backend, dialect, &name));
            self.requested_model = listed;
            self.placement = Some(placement);
            self.tell_requested();
        } else {
            self.placement = Some(placement);
        }
    }

    /// The configured name of the backend; `None` while none was chosen.
    fn backend(&self) -> Option<&Arc<str>> {
        self.placement.as_ref().map(|placement| &placement.backend)
    }

    /// A connection to the backend was opened for it.
    pub fn dialled(&mut self, now: Instant) {
        self.timeline.dialled = self.since_start(now);
    }

    /// The head is about to be sent to the backend.
    pub fn forwarded(&mut self, now: Instant) {
        self.timeline.sent = self.since_start(now);
        if let Some(watch) = &mut self.watch {
            watch.forwarded(now);
        }
    }

    /// A piece of the request's body was read from the client.
    pub fn request_frame(&mut self, piece: &[u8]) {
        self.request_bytes += piece.len() as u64;
        if let Some(scanner) = &mut self.scanner {
            scanner.read(piece);
        }
    }

    /// The request's body is of a kind that is not JSON: it is counted and not read.
    pub fn request_opaque(&mut self) {
        self.scanner = None;
    }

    /// The request's body is in a content coding: a copy is decoded as it passes. To be told before the first piece.
    pub fn request_coded(&mut self, coding: &[u8]) {
        self.scanner = self.scanner.take().map(|_| Box::new(ModelScanner::coded(coding, &self.budget)));
    }

    /// One of the bodies is coded and is being decoded, which takes work of the [`Budget`].
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.scanner.as_ref().is_some_and(|scanner| scanner.decodes())
            || self.reader.as_ref().is_some_and(Reader::decodes)
    }

    /// The request's body ended: what it named is final.
    pub fn request_ended(&mut self) {
        self.settle_requested();
    }

    /// The request's body ended and was taken over whole by the backend connection.
    pub fn request_done(&mut self, now: Instant) {
        self.timeline.uploaded = self.since_start(now);
        self.advance(Phase::Waiting);
        self.settle_requested();
        self.take_place();
    }

    /// The head of the backend's final response arrived.
    pub fn responded(&mut self, head: &Head<'_>, now: Instant) {
        self.last = now;
        self.timeline.head = self.since_start(now);
        self.answered_status = Some(head.status);
        self.advance(Phase::Prefill);
        if self.left.is_none() {
            let mut reader = Reader::new(self.start.route, head, &self.budget);
            if self.has_one_prompt {
                reader.share_prompt();
            }
            if self.start.route.format == Format::Anthropic {
                reader.served_by(self.backend().map_or(Engine::Unknown, |backend| self.shared.names.engine(backend)));
            }
            self.reader = Some(reader);
        }
    }

    /// The response switches protocols: from here on nothing is read.
    pub fn tunnelled(&mut self) {
        self.tunnel = true;
        self.reader = None;
    }

    /// A frame of the response's body: all that could be read at one instant.
    pub fn response_frame(&mut self, frame: &[u8], now: Instant) {
        self.response_piece(frame, now);
        self.response_frame_end();
    }

    /// The frame that is being read had arrived before: nothing was read while the client took nothing. Call it before
    /// the frame's end.
    pub fn reading_held_back(&mut self) {
        self.answer.timing.held_back();
    }

    /// A piece of a frame of the response's body, before it is handed on.
    pub fn response_piece(&mut self, piece: &[u8], now: Instant) {
        self.last = now;
        if piece.is_empty() {
            return;
        }
        self.response_bytes += piece.len() as u64;
        self.answer.timing.bytes(now);
        if let Some(reader) = &mut self.reader {
            let answer = &mut self.answer;
            reader.read(piece, &mut |event, offset| answer.event(event, offset, now));
        }
    }

    /// The frame is over.
    pub fn response_frame_end(&mut self) {
        if let Some(reader) = &self.reader {
            let streamed = is_stream(reader.framing());
            self.settle_frame(streamed);
        }
    }

    /// The inspector failed; nothing more is read, the exchange goes on.
    pub fn defect(&mut self, defect: Defect) {
        let mut left = self.reading();
        left.expects_terminal = false;
        left.defects.add(defect);
        self.left = Some(Box::new(left));
        self.reader = None;
        self.scanner = None;
        self.held = None;
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// It is over. `status` is what was sent to the client: 499 where it left before a head.
    pub fn finish(mut self: Box<Self>, end: End, status: u16, now: Instant, overhead: Duration) {
        self.last = now.max(self.last);
        self.conclude(end, status, Some(overhead));
    }

    /// The request's body is over, or the exchange is: what it named is final.
    fn settle_requested(&mut self) {
        let Some(scanner) = self.scanner.take() else { return };
        self.requested_model = scanner.model().map(|name| match &self.placement {
            Some(Placement { backend, .. }) => self.shared.names.requested(backend, self.start.route.dialect, name),
            None => name.into(),
        });
        (self.load_options, self.model_leaves) = (scanner.load_options(), scanner.model_leaves());
        self.prompt_characters = scanner.prompt_characters();
        self.has_one_prompt = scanner.has_one_prompt();
        self.request_defect = scanner.defect();
        match self.placement {
            Some(_) => self.tell_requested(),
            None => self.requested_untold = true,
        }
    }

    fn tell_requested(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.requested(self.requested_model.as_ref());
        }
    }

    /// The backend has the request, or never will: it counts among those that are on the model.
    fn take_place(&mut self) {
        let model = self.requested_model.as_deref().filter(|_| uses_model(self.start.route));
        if let (None, Some(model), Some(placement)) = (&self.stay, model, &self.placement) {
            self.stay = Some(self.shared.residency.enter(&placement.backend, model, self.load_options));
        }
    }

    /// A frame was read to its end: tells the watch what it bore.
    fn settle_frame(&mut self, streamed: bool) {
        self.tell_model();
        if let (Some(bytes), Some(watch)) = (self.answer.progress, &mut self.watch) {
            watch.progress(bytes);
        }
        if self.answer.timing.bears() {
            self.advance(Phase::Decode);
        }
        let (arrived, stall) = (self.arrived(), self.shared.settings.stall.unwrap_or(Duration::MAX));
        let Self { answer, held, watch: Some(watch), .. } = self else { return };
        if streamed {
            held.take().into_iter().for_each(|frame| watch.tokens(frame));
            answer.timing.frame_end(stall, arrived, |frame| watch.tokens(frame));
        } else {
            // One whole value so far. Should another follow, this one was the stream's first frame.
            answer.timing.frame_end(stall, arrived, |frame| *held = held.or(Some(frame)));
        }
    }

    /// When the frame that is being read arrived.
    fn arrived(&self) -> Instant {
        self.answer.timing.last_byte.unwrap_or(self.last)
    }

    fn tell_model(&mut self) {
        if self.model_told || !self.names_answer() {
            return;
        }
        let Some(spelled) = self.answer.model.take() else { return };
        self.model_told = true;
        let model = self.listed(&spelled).unwrap_or(spelled);
        let model = &*self.answer.model.insert(model);
        if let Some(watch) = &mut self.watch {
            watch.answered(model);
        }
        self.is_in_memory();
    }

    /// As the backend lists the model that its answer names. That is mostly the one asked for, which was looked up on the
    /// first backend.
    fn listed(&self, answered: &str) -> Option<NamedModel> {
        let placement = self.placement.as_ref()?;
        let asked = self.requested_model.as_ref().filter(|asked| asked.as_listed().is_some() && ***asked == *answered);
        match asked.filter(|_| placement.attempt == 1) {
            Some(asked) => Some(asked.clone()),
            None => self.shared.names.answered(&placement.backend, self.start.route.dialect, answered),
        }
    }

    /// The model answered. Whether that is news is known only where it does not say that it was sent away.
    fn is_in_memory(&mut self) {
        if self.answer.finish == Some(FinishReason::Unload) || self.answer.elsewhere {
            return;
        }
        if self.stay.as_mut().is_some_and(Stay::answered) {
            self.changed();
        }
    }

    /// Its end says that what the backend holds in memory has changed.
    fn changed(&self) {
        self.backend().into_iter().for_each(|backend| self.shared.residency.changed(backend));
    }

    fn since_start(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.start.at))
    }

    /// Whether a name in the answer is that of a model which did the work.
    fn names_answer(&self) -> bool {
        uses_model(self.start.route) && self.answered_status.is_some_and(|status| (200..300).contains(&status))
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

/// Dropped unfinished, the client is taken to have left. A fault in a sink stays here: a panic in a destructor could
/// end the process.
impl Drop for Observation {
    fn drop(&mut self) {
        let status = self.answered_status.unwrap_or(CLIENT_CLOSED_REQUEST);
        let _fault_of_a_sink = catch_unwind(AssertUnwindSafe(|| self.conclude(End::ClientLeft, status, None)));
    }
}

/// Whether the body is divided into events that arrive one by one.
fn is_stream(framing: Framing) -> bool {
    matches!(framing, Framing::Ndjson | Framing::Sse)
}

/// Whether the exchange makes a model compute.
fn uses_model(route: Route) -> bool {
    route.operation.generates() || route.operation == Operation::Embeddings
}
