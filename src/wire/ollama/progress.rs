//! Ollama's transfers: pull, push, create. Source: Ollama `api/types.go` (`ProgressResponse`), `server/download.go`.
//!
//! Each object reports on one layer, named by its digest; the end is `status: "success"`. An answer that does not
//! stream is the last such object.

use std::hash::{DefaultHasher, Hasher};

use crate::wire::dialect::{DialectParser, Element};
use crate::wire::event::{Event, FinishReason, Progress, TransferStep};
use crate::wire::json::{Object, Value, Visit, Want};

/// Layers that are tracked one by one. Ollama transfers them in order, so the oldest, which are summed up first, have
/// ended.
const MAX_LAYERS: usize = 64;

/// Ollama reports on a layer every 60 ms. No network moves more before the first report: a layer with more bytes in it
/// was in place before, wholly or in part.
const MAX_FIRST_BYTES: u64 = 64 << 20;

/// Parses transfers.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    object: Draft,
    layers: Vec<Layer>,
    /// The sum of layers that are no longer tracked.
    before: Progress,
    /// The last that was emitted.
    step: Option<TransferStep>,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Layer {
    /// A hash of its digest.
    id: u64,
    bytes: Progress,
    /// Bytes that were in place before.
    found: u64,
}

impl Layer {
    /// Without the bytes that were in place before.
    fn moved(&self) -> Progress {
        let completed = self.bytes.completed.saturating_sub(self.found);
        Progress { completed, found: self.found, ..self.bytes }
    }
}

#[derive(Debug, Default)]
struct Draft {
    status: Option<TransferStep>,
    error: bool,
    layer: Option<u64>,
    bytes: Option<Progress>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Status,
    Digest,
    Total,
    Completed,
    Error,
}

static OBJECT: Object<Field> = Object::new(&[
    ("status", Want::Text(Field::Status)),
    ("digest", Want::Text(Field::Digest)),
    ("total", Want::Count(Field::Total)),
    ("completed", Want::Count(Field::Completed)),
    ("error", Want::Truthy(Field::Error)),
]);

impl Visit<Field> for Transfer {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let object = &mut self.object;
        match (field, value) {
            // The end is this word alone.
            (Field::Status, Value::Text(b"success")) => object.status = Some(TransferStep::Success),
            (Field::Status, Value::Text(status)) => {
                let step = TransferStep::parse(status);
                object.status = Some(if step == TransferStep::Success { TransferStep::Other } else { step });
            }
            (Field::Digest, Value::Text(digest)) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(digest);
                object.layer = Some(hasher.finish());
            }
            (Field::Total, Value::Count(bytes)) => object.bytes.get_or_insert_default().total = bytes,
            (Field::Completed, Value::Count(bytes)) => object.bytes.get_or_insert_default().completed = bytes,
            (Field::Error, Value::Is(there)) => object.error = there,
            _ => {}
        }
    }
}

impl DialectParser for Transfer {
    type Field = Field;
    const WANTED: &'static Object<Field> = &OBJECT;

    fn element(&mut self, element: Element, emit: &mut impl FnMut(Event<'_>)) {
        let object = std::mem::take(&mut self.object);
        if let (Some(id), Some(bytes)) = (object.layer, object.bytes) {
            self.update(id, bytes);
            emit(Event::Progress(self.sum()));
        }
        let step = object.status.filter(|step| *step != TransferStep::Success);
        if let Some(step) = step.filter(|step| self.step != Some(*step)) {
            self.step = Some(step);
            emit(Event::Step(step));
        }
        if object.error || element == Element::ErrorPart {
            emit(Event::Error);
        } else if object.status == Some(TransferStep::Success) {
            self.ended = true;
            emit(Event::Finish(FinishReason::Success));
            emit(Event::Terminal);
        }
    }

    fn discard(&mut self) {
        self.object = Draft::default();
    }

    fn done_marker(&mut self, _emit: &mut impl FnMut(Event<'_>)) {}

    fn is_part(&self) -> bool {
        self.object.status.is_some_and(|status| status != TransferStep::Success) && !self.object.error
    }

    fn is_open(&self) -> bool {
        !self.ended
    }
}

impl Transfer {
    fn update(&mut self, id: u64, bytes: Progress) {
        if let Some(known) = self.layers.iter_mut().rev().find(|known| known.id == id) {
            known.bytes = bytes;
            return;
        }
        if self.layers.len() == MAX_LAYERS {
            let oldest = self.layers.remove(0);
            self.before = add(self.before, oldest.moved());
        }
        let found = if bytes.completed > MAX_FIRST_BYTES { bytes.completed } else { 0 };
        self.layers.push(Layer { id, bytes, found });
    }

    fn sum(&self) -> Progress {
        self.layers.iter().fold(self.before, |sum, layer| add(sum, layer.moved()))
    }
}

fn add(one: Progress, other: Progress) -> Progress {
    Progress {
        completed: one.completed.saturating_add(other.completed),
        found: one.found.saturating_add(other.found),
        total: one.total.saturating_add(other.total),
    }
}
