//! What the reader of a response's body knows besides the events.

use crate::wire::event::Defects;
use crate::wire::reader::{Framing, Reader};

/// The state of the reader. The default is that of a body that is not parsed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BodyReading {
    pub(super) streamed: bool,
    /// A clean end without the terminal event means that the answer was cut.
    pub(super) expects_terminal: bool,
    pub(super) defects: Defects,
}

impl From<&Reader> for BodyReading {
    fn from(reader: &Reader) -> Self {
        Self {
            streamed: is_stream(reader.framing()),
            expects_terminal: reader.expects_terminal(),
            defects: reader.defects(),
        }
    }
}

/// Whether the body is divided into events that arrive one by one.
pub(super) fn is_stream(framing: Framing) -> bool {
    matches!(framing, Framing::Ndjson | Framing::Sse)
}
