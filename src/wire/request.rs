//! Finds the model that a request's body names, while the body passes.

use super::json::{Object, Scanner, Text, Value, Visit, Want};

/// A scanner over a request body for its top-level `model` (or `name`) field: the last duplicate wins, the key is
/// compared without case (Go's `encoding/json` does both), the body may be of any length, memory is constant.
///
/// Where both are named, `model` counts unless it is empty. A body that is not a JSON object costs nothing once
/// its first byte is known. A name that is too long or not UTF-8 is unknown.
#[derive(Debug)]
pub struct ModelScanner {
    scanner: Scanner<Field>,
    names: Names,
}

/// Which of the two keys.
#[derive(Clone, Copy, Debug)]
enum Field {
    Model,
    Name,
}

static BODY: Object<Field> =
    Object::ignoring_case(&[("model", Want::Text(Field::Model)), ("name", Want::Text(Field::Name))]);

#[derive(Debug, Default)]
struct Names {
    model: Vec<u8>,
    name: Vec<u8>,
}

impl Visit<Field> for Names {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let kept = match field {
            Field::Model => &mut self.model,
            Field::Name => &mut self.name,
        };
        if let Value::Text(text) = value {
            kept.clear();
            kept.extend_from_slice(text);
        }
    }
}

impl Default for ModelScanner {
    fn default() -> Self {
        Self { scanner: Scanner::new(&BODY), names: Names::default() }
    }
}

impl ModelScanner {
    /// Longest model name that is kept, in bytes. A longer one is unknown.
    pub const MAX_NAME: usize = Text::MAX;

    /// Reads the next piece of the body.
    pub fn read(&mut self, piece: &[u8]) {
        self.scanner.read(piece, &mut self.names);
    }

    /// The model named so far; final once the body has ended.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let Names { model, name } = &self.names;
        let named = if model.is_empty() { name } else { model };
        std::str::from_utf8(named).ok().filter(|named| !named.is_empty())
    }
}
