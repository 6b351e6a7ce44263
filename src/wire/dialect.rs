//! The interface of a dialect's parser: it names the values it wants, collects them, and turns them into events at each
//! element's end.

use super::event::{Event, FinishReason};
use super::json::{Object, Visit, Want};
use super::spelling::NameBuffer;

/// Parses one body format. A new format is a file that implements this.
pub(crate) trait DialectParser: Visit<Self::Field> {
    /// Names the wanted values.
    type Field: Copy + std::fmt::Debug + 'static;

    /// The wanted values of each JSON object.
    const WANTED: &'static Object<Self::Field>;

    /// What is wanted of each element where a server sends an array of such objects in place of one: the answers to a
    /// list of prompts. The field is visited at the end of each. `None` where no server does.
    const MANY: Option<(Self::Field, &'static Want<Self::Field>)> = None;

    /// Emits the events of the JSON object that was just read, and resets for the next.
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>));

    /// Drops the values of the current object, which turned out not to be JSON.
    fn discard(&mut self);

    /// The marker `[DONE]` came in place of an object.
    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>));

    /// Whether the object that was just read can only be part of a stream, whatever the head declares. Called before
    /// [`DialectParser::element`].
    fn is_part(&self) -> bool;

    /// Whether the answer would be cut if the stream ended now.
    fn is_open(&self) -> bool;
}

/// How an object was framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// One element of a stream.
    Part,
    /// One element of a stream, in an SSE event named `error`.
    ErrorPart,
    /// The whole body.
    Whole,
}

/// The finish reason of an object with several results: the last one, unless an earlier one is a failure.
#[inline]
pub(crate) fn joint_finish(before: Option<FinishReason>, next: Option<FinishReason>) -> Option<FinishReason> {
    before.filter(|reason| reason.is_failure()).or(next).or(before)
}

/// Emits the reason, if there is one. Returns whether it is a failure.
pub(crate) fn emit_finish(finish: Option<FinishReason>, emit: &mut impl FnMut(Event<'_>)) -> bool {
    let Some(reason) = finish else { return false };
    emit(Event::Finish(reason));
    reason.is_failure()
}

/// The name of the answering model. Emitted only when it changes.
#[derive(Debug, Default)]
pub(crate) struct ModelName {
    name: NameBuffer,
    changed: bool,
}

impl ModelName {
    /// The same name again costs one comparison; an empty name is ignored.
    #[inline]
    pub(crate) fn set(&mut self, name: &[u8]) {
        if *self.name != *name && !name.is_empty() {
            self.name = NameBuffer::from_slice(name);
            self.changed = true;
        }
    }

    /// A name that is not UTF-8 is not emitted.
    pub(crate) fn emit_change(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.changed)
            && let Ok(name) = std::str::from_utf8(&self.name)
        {
            emit(Event::Model(name));
        }
    }
}
