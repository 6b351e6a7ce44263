//! What a dialect does: it names the values it wants, collects them, and says at each element's end what they mean.

use super::event::{Event, FinishReason};
use super::json::{Object, Visit, Want};

/// One server family's body format. A new one is a file that implements this.
pub(crate) trait Dialect: Visit<Self::Field> {
    /// The dialect's names for wanted values.
    type Field: Copy + std::fmt::Debug + 'static;

    /// The values wanted of each JSON object.
    const WANTED: &'static Object<Self::Field>;

    /// What is wanted of each element where a server sends an array of such objects in place of one: the answers to
    /// a list of prompts. The end of each is told.
    const MANY: Option<(Self::Field, &'static Want<Self::Field>)> = None;

    /// A whole JSON object was read: tells what it means and forgets it.
    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>));

    /// The object turned out not to be JSON: forgets it.
    fn discard(&mut self);

    /// The marker `[DONE]` stood where an object could.
    fn done_marker(&mut self, emit: &mut impl FnMut(Event<'_>));

    /// The object that was just read, and not told yet, can only be part of a stream, whatever the head says.
    fn is_part(&self) -> bool;

    /// If the stream ended now, its answer would have been cut.
    fn is_open(&self) -> bool;
}

/// How an object came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// As one of many.
    Part,
    /// As one of many, in an SSE event named `error`.
    ErrorPart,
    /// As the only one.
    Whole,
}

/// Why an object with several results stopped: what the last one says, unless one before it was given up. An answer that
/// lacks a part is no success.
#[inline]
pub(crate) fn joint_finish(before: Option<FinishReason>, next: Option<FinishReason>) -> Option<FinishReason> {
    before.filter(|reason| reason.is_failure()).or(next).or(before)
}

/// Tells why generation stopped. True where the reason says that it was given up: an error, whatever the route.
pub(crate) fn tell_finish(finish: Option<FinishReason>, emit: &mut impl FnMut(Event<'_>)) -> bool {
    let Some(reason) = finish else { return false };
    emit(Event::Finish(reason));
    reason.is_failure()
}

/// The name of the model that answers, so that only a change is told.
#[derive(Debug, Default)]
pub(crate) struct ModelName {
    name: Vec<u8>,
    changed: bool,
}

impl ModelName {
    /// A name as it stands in an object. The same name again costs a comparison; an empty one says nothing.
    #[inline]
    pub(crate) fn set(&mut self, name: &[u8]) {
        if self.name != name && !name.is_empty() {
            self.name.clear();
            self.name.extend_from_slice(name);
            self.changed = true;
        }
    }

    /// Tells the name if it changed. One that is not UTF-8 is unknown.
    pub(crate) fn tell(&mut self, emit: &mut impl FnMut(Event<'_>)) {
        if std::mem::take(&mut self.changed)
            && let Ok(name) = std::str::from_utf8(&self.name)
        {
            emit(Event::Model(name));
        }
    }
}
