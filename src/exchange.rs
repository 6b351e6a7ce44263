//! One request with its response: events and instants become one [`record::Record`].
//!
//! Pure: every instant is an argument. The proxy feeds an [`Observation`] while the bytes pass and ends it exactly
//! once; sinks learn of it through [`sink::Sink`].

pub mod outcome;
pub mod record;
pub mod sink;
pub mod truncation;

use std::time::{Duration, Instant};

use outcome::{End, Phase};
use record::Start;
use sink::Sink;

use crate::wire::event::Defect;
use crate::wire::reader::Head;

/// What the observation needs to be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A gap between token-bearing frames above this counts as a stall.
    pub stall: Duration,
}

/// Follows one exchange from its head to its end.
pub struct Observation {}

impl Observation {
    /// An exchange begins.
    #[must_use]
    pub fn start(_start: Start, _settings: Settings, _sink: &dyn Sink) -> Self {
        Self {}
    }

    /// The head was sent to the backend.
    pub fn forwarded(&mut self) {}

    /// A piece of the request's body was read from the client.
    pub fn request_frame(&mut self, _piece: &[u8], _readable: bool) {}

    /// The request's body ended and was taken over whole by the backend connection.
    pub fn request_done(&mut self) {}

    /// The head of the backend's final response arrived.
    pub fn responded(&mut self, _head: &Head<'_>, _now: Instant) {}

    /// The response switches protocols: from here on nothing is read.
    pub fn tunnelled(&mut self) {}

    /// A piece of the response's body, before it is handed on.
    pub fn response_frame(&mut self, _piece: &[u8], _now: Instant) {}

    /// The inspector failed; nothing more is read, the exchange goes on.
    pub fn defect(&mut self, _defect: Defect) {}

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::Upload
    }

    /// It is over. `status` is what was sent to the client: 499 where it left before a head.
    pub fn finish(self, _end: End, _status: u16, _now: Instant, _overhead: Duration) {}
}
