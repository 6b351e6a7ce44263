//! How others learn of exchanges.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Malformed, Phase};
use super::record::{Record, Start};

/// One frame that bore tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFrame {
    /// Token-bearing events in it, at least one.
    pub events: u32,
    /// Time since the previous token-bearing frame; none for the first. The events share it equally.
    pub gap: Option<Duration>,
    /// The gap was above the stall threshold.
    pub stalled: bool,
}

/// Learns of every exchange. Called on the data path: it must not block, and it must not fail.
pub trait Sink: Send + Sync {
    /// An exchange began. What is returned follows it to its end.
    fn started(&self, start: &Start) -> Box<dyn Watch>;

    /// A request was refused before it became an exchange.
    fn refused(&self, _why: Malformed) {}
}

/// Follows one exchange. Dropping it without [`Watch::finished`] must give back whatever it holds (gauges).
pub trait Watch {
    /// The request's body named a model, or ended without one. Called at most once.
    fn requested(&mut self, _model: Option<&str>) {}
    /// The head was sent to the backend.
    fn forwarded(&mut self) {}
    /// A success answer named the model. Called at most once, and only for generations and embeddings.
    fn answered(&mut self, _model: &str) {}
    /// It came further.
    fn phase(&mut self, _phase: Phase) {}
    /// A frame that bore tokens. Streams only.
    fn tokens(&mut self, _frame: TokenFrame) {}
    /// So many bytes of model files were moved so far. Transfers only, with each piece that is read.
    fn progress(&mut self, _bytes: u64) {}
    /// It is over. Called at most once.
    fn finished(self: Box<Self>, record: &Record);
}

/// Hands everything to several sinks, in order.
#[derive(Clone, Default)]
pub struct Fanout(Vec<Arc<dyn Sink>>);

impl Fanout {
    /// Joins sinks.
    #[must_use]
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self(sinks)
    }
}

impl Sink for Fanout {
    fn started(&self, start: &Start) -> Box<dyn Watch> {
        Box::new(FanoutWatch(self.0.iter().map(|sink| sink.started(start)).collect()))
    }

    fn refused(&self, why: Malformed) {
        self.0.iter().for_each(|sink| sink.refused(why));
    }
}

struct FanoutWatch(Vec<Box<dyn Watch>>);

impl Watch for FanoutWatch {
    fn requested(&mut self, model: Option<&str>) {
        self.0.iter_mut().for_each(|watch| watch.requested(model));
    }
    fn forwarded(&mut self) {
        self.0.iter_mut().for_each(|watch| watch.forwarded());
    }
    fn answered(&mut self, model: &str) {
        self.0.iter_mut().for_each(|watch| watch.answered(model));
    }
    fn phase(&mut self, phase: Phase) {
        self.0.iter_mut().for_each(|watch| watch.phase(phase));
    }
    fn tokens(&mut self, frame: TokenFrame) {
        self.0.iter_mut().for_each(|watch| watch.tokens(frame));
    }
    fn progress(&mut self, bytes: u64) {
        self.0.iter_mut().for_each(|watch| watch.progress(bytes));
    }
    fn finished(self: Box<Self>, record: &Record) {
        for watch in self.0 {
            watch.finished(record);
        }
    }
}
