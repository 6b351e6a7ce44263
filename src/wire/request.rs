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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it whole, split at every byte, and byte by byte: always the same.
    #[track_caller]
    fn model(body: impl AsRef<[u8]>) -> Option<String> {
        let body = body.as_ref();
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut scanner = ModelScanner::default();
            pieces.for_each(|piece| scanner.read(piece));
            scanner.model().map(str::to_owned)
        };
        let whole = read(&mut [body].into_iter());
        for at in 0..=body.len() {
            assert_eq!(read(&mut [&body[..at], &body[at..]].into_iter()), whole, "split at {at}");
        }
        assert_eq!(read(&mut body.chunks(1)), whole, "byte by byte");
        whole
    }

    #[test]
    fn the_top_level_model_is_found_wherever_it_stands() {
        assert_eq!(model(r#"{"model":"a","stream":true}"#).as_deref(), Some("a"));
        assert_eq!(
            model(r#" { "messages" : [{"model":"no","x":"\"model\":\"no\""}], "model" : "b" } "#).as_deref(),
            Some("b")
        );
        assert_eq!(model(r#"{"x":{"model":"no"},"y":["model","no"]}"#), None);
        assert_eq!(model(r#"{"model":"caf\u00e9"}"#).as_deref(), Some("caf\u{e9}"));
    }

    #[test]
    fn the_last_duplicate_wins_in_any_case() {
        assert_eq!(model(r#"{"model":"a","MODEL":"b","Model":"c"}"#).as_deref(), Some("c"));
        assert_eq!(model(r#"{"model":"a","model":null}"#).as_deref(), Some("a"), "as in Go");
        assert_eq!(model(r#"{"mod\u0065l":"a"}"#).as_deref(), Some("a"));
    }

    #[test]
    fn a_name_serves_where_no_model_is() {
        assert_eq!(model(r#"{"name":"n"}"#).as_deref(), Some("n"));
        assert_eq!(model(r#"{"name":"n","model":"m"}"#).as_deref(), Some("m"));
        assert_eq!(model(r#"{"model":"m","name":"n"}"#).as_deref(), Some("m"));
        assert_eq!(model(r#"{"model":"","name":"n"}"#).as_deref(), Some("n"));
    }

    #[test]
    fn what_names_none_is_unknown() {
        for body in
            ["", "{}", "[]", "null", "x", "--boundary\r\n{\"model\":\"no\"}", r#"{"model":5}"#, r#"{"model":["a"]}"#]
        {
            assert_eq!(model(body), None, "{body}");
        }
        assert_eq!(model(r#"[{"model":"no"}]"#), None);
        assert_eq!(model(b"{\"model\":\"\xff\"}"), None);
        assert_eq!(model(r#"{"model":"cut"#), None);
        let long = "x".repeat(ModelScanner::MAX_NAME + 1);
        assert_eq!(model(format!(r#"{{"model":"a","model":"{long}"}}"#)), None);
        assert_eq!(model(format!(r#"{{"model":"{}"}}"#, &long[1..])).as_deref(), Some(&long[1..]));
    }

    #[test]
    fn a_body_of_any_length_is_read_in_constant_memory() {
        let mut scanner = ModelScanner::default();
        scanner.read(br#"{"messages":[{"images":[""#);
        let piece = vec![b'A'; 1 << 20];
        (0..64).for_each(|_| scanner.read(&piece));
        scanner.read(br#""]}],"model":"late"}"#);
        assert_eq!(scanner.model(), Some("late"));
        assert!(size_of::<ModelScanner>() < 2048);
    }
}
