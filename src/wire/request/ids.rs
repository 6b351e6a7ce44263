//! The ids by which a request's body names earlier answers, and the id that it gives to its own.

use crate::wire::json::Value;

/// Most ids that are kept of each kind. A request that names more of them is for no backend in particular.
const MAX_IDS: usize = 64;

/// The ids in a request's body.
#[derive(Debug, Default)]
pub struct NamedIds {
    /// Of what a server has answered before: `previous_response_id`, `conversation`, `input_file_id`, `request_ids`.
    earlier: Vec<Box<[u8]>>,
    /// Of this request (`rid` of SGLang), or of the ones to abort where that is what it asks for.
    own: Vec<Box<[u8]>>,
    /// Everything in progress is meant (`abort_all` of SGLang).
    all: bool,
    /// Some were not kept.
    overflowed: bool,
}

/// The fields of [`NamedIds`].
#[derive(Clone, Copy, Debug)]
pub(super) enum IdField {
    Earlier,
    Own,
    All,
}

impl NamedIds {
    /// A field has this value, or an element of its list has.
    pub(super) fn set(&mut self, field: IdField, value: Value<'_>) {
        let ids = match (field, value) {
            (IdField::All, value) => return self.all = value == Value::Is(true),
            (IdField::Earlier, Value::Text(_)) => &mut self.earlier,
            (IdField::Own, Value::Text(_)) => &mut self.own,
            (IdField::Earlier | IdField::Own, _) => return,
        };
        let Value::Text(id) = value else { return };
        match id {
            [] => {}
            id if ids.len() < MAX_IDS => ids.push(id.into()),
            _ => self.overflowed = true,
        }
    }

    /// The ids of earlier answers, so far.
    #[must_use]
    pub fn earlier(&self) -> &[Box<[u8]>] {
        &self.earlier
    }

    /// The ids that the request gives to its own answers, so far.
    #[must_use]
    pub fn own(&self) -> &[Box<[u8]>] {
        &self.own
    }

    /// The ids of the requests to abort; `None` where all in progress are meant, or more than are kept.
    pub fn to_abort(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let named = self.earlier.iter().chain(&self.own).map(|id| &**id);
        let is_all = self.all || self.overflowed || (self.earlier.is_empty() && self.own.is_empty());
        (!is_all).then_some(named)
    }
}
