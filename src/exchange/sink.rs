//! The interface through which metrics, logs and history learn of exchanges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::names::NamedModel;
use super::outcome::{Malformed, Phase};
use super::placement::Placement;
use super::record::{Record, Start};
use crate::wire::event::{Progress, TransferStep};

/// The tokens of one choice in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFrame {
    /// Token-bearing events in it, at least one.
    pub events: u32,
    /// Tokens in them: as many as the backend lists, and one for each event without a list.
    pub tokens: u32,
    /// Time since the previous token-bearing frame of the same choice. `None` for the first, and where either was read
    /// late because the client was slow. The tokens share it equally.
    pub gap: Option<Duration>,
    /// The gap was above the stall threshold.
    pub stalled: bool,
}

/// Learns of every exchange. Called on the data path: it must not block, and it must not fail.
///
/// A pair of sinks is a sink, so an exchange has one watch however many sinks there are.
pub trait Sink: Send + Sync {
    /// Follows one exchange.
    type Watch: Watch + 'static;

    /// An exchange began. The returned watch follows it to its end.
    fn started(&self, start: &Start) -> Self::Watch;

    /// A request was refused before it became an exchange.
    fn refused(&self, _why: Malformed) {}
}

/// Follows one exchange. Dropping it without [`Watch::finished`] must release what it holds (gauges).
pub trait Watch {
    /// A backend was chosen. Called before any other method except `requested` and `finished`, never for an exchange
    /// that was refused first, and again for each further backend that is tried.
    fn placed(&mut self, _placement: &Placement) {}
    /// The request's body named a model, or ended without one. Called at most once; where a backend was chosen, the
    /// name is the one that the backend lists.
    fn requested(&mut self, _model: Option<&NamedModel>) {}
    /// The head is about to be sent to the backend.
    fn forwarded(&mut self) {}
    /// The backend has the whole request. Called again where it is sent again.
    fn uploaded(&mut self, _now: Instant) {}
    /// The backend passes the request on to another host, which has the model. Called at most once: before `uploaded`
    /// where the model's name says so, else with the part of the answer that does.
    fn elsewhere(&mut self) {}
    /// A success answer named the model. Called at most once, and only for generations and embeddings.
    fn answered(&mut self, _model: &NamedModel) {}
    /// The exchange reached this phase.
    fn phase(&mut self, _phase: Phase) {}
    /// A frame contained tokens. Streams only; called once for each choice in the frame.
    fn tokens(&mut self, _frame: TokenFrame) {}
    /// The bytes of model files transferred so far. Pulls, pushes and creates only, with each piece that is read.
    fn progress(&mut self, _progress: Progress) {}
    /// A pull, push or create has begun another step.
    fn step(&mut self, _step: TransferStep) {}
    /// The exchange ended. Called at most once, as the last call.
    fn finished(&mut self, record: &Record);
}

/// A sink behind a trait object.
pub trait AnySink: Send + Sync {
    /// See [`Sink::started`].
    fn started(&self, start: &Start) -> Box<dyn Watch>;
    /// See [`Sink::refused`].
    fn refused(&self, why: Malformed);
}

impl<S: Sink> AnySink for S {
    fn started(&self, start: &Start) -> Box<dyn Watch> {
        Box::new(Sink::started(self, start))
    }
    fn refused(&self, why: Malformed) {
        Sink::refused(self, why);
    }
}

impl<S: Sink> Sink for Arc<S> {
    type Watch = S::Watch;
    fn started(&self, start: &Start) -> S::Watch {
        Sink::started(&**self, start)
    }
    fn refused(&self, why: Malformed) {
        Sink::refused(&**self, why);
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    type Watch = (A::Watch, B::Watch);
    fn started(&self, start: &Start) -> Self::Watch {
        (Sink::started(&self.0, start), Sink::started(&self.1, start))
    }
    fn refused(&self, why: Malformed) {
        Sink::refused(&self.0, why);
        Sink::refused(&self.1, why);
    }
}

impl<A: Watch, B: Watch> Watch for (A, B) {
    fn placed(&mut self, placement: &Placement) {
        self.0.placed(placement);
        self.1.placed(placement);
    }
    fn requested(&mut self, model: Option<&NamedModel>) {
        self.0.requested(model);
        self.1.requested(model);
    }
    fn forwarded(&mut self) {
        self.0.forwarded();
        self.1.forwarded();
    }
    fn uploaded(&mut self, now: Instant) {
        self.0.uploaded(now);
        self.1.uploaded(now);
    }
    fn elsewhere(&mut self) {
        self.0.elsewhere();
        self.1.elsewhere();
    }
    fn answered(&mut self, model: &NamedModel) {
        self.0.answered(model);
        self.1.answered(model);
    }
    fn phase(&mut self, phase: Phase) {
        self.0.phase(phase);
        self.1.phase(phase);
    }
    fn tokens(&mut self, frame: TokenFrame) {
        self.0.tokens(frame);
        self.1.tokens(frame);
    }
    fn progress(&mut self, progress: Progress) {
        self.0.progress(progress);
        self.1.progress(progress);
    }
    fn step(&mut self, step: TransferStep) {
        self.0.step(step);
        self.1.step(step);
    }
    fn finished(&mut self, record: &Record) {
        self.0.finished(record);
        self.1.finished(record);
    }
}
