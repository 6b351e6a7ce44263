//! Runs the JSON scanner with a table of every kind of want, so that tests can compare it with other JSON parsers.

use super::event::Defect;
use super::json::{Object, Scanner, Value, Visit, Want};

/// A visited value.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A string, unescaped; empty in place of one above the length limit.
    Text(Vec<u8>),
    /// A whole number.
    Count(u64),
    /// A number.
    Quantity(f64),
    /// A boolean, or whether something is present.
    Is(bool),
    /// A number of elements or characters.
    Length(u64),
    /// An element ended.
    Ended,
}

/// The result of scanning elements one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Fields and their values, in order.
    pub visited: Vec<(&'static str, Fact)>,
    /// Elements read to their end.
    pub whole: usize,
    /// Kinds of defects with their counts.
    pub defects: Vec<(Defect, u32)>,
}

impl Visit<&'static str> for Facts {
    fn value(&mut self, field: &'static str, value: Value<'_>) {
        self.visited.push((
            field,
            match value {
                Value::Text(text) => Fact::Text(text.to_vec()),
                Value::Count(count) => Fact::Count(count),
                Value::Quantity(quantity) => Fact::Quantity(quantity),
                Value::Is(is) => Fact::Is(is),
                Value::Length(length) => Fact::Length(length),
                Value::Ended => Fact::Ended,
            },
        ));
    }
}

static ROOT: Object<&'static str> = Object::new(&[
    ("text", Want::Text("text")),
    ("text_or", Want::TextOr("text_or", &Want::Truthy("other"))),
    ("count", Want::Count("count")),
    ("quantity", Want::Quantity("quantity")),
    ("flag", Want::Flag("flag")),
    ("present", Want::Present("present")),
    ("truthy", Want::Truthy("truthy")),
    ("length", Want::Length("length")),
    ("measured", Want::Measured("measured", &Want::Each("part", &Want::Object(&PART)))),
    ("object", Want::Object(&FOLDED)),
    ("each", Want::Each("element", &Want::Object(&PART))),
    ("lists", Want::Each("list", &Want::Each("item", &Want::Count("number")))),
]);
static PART: Object<&'static str> = Object::new(&[
    ("text", Want::Measured("part.text", &Want::Length("part.parts"))),
    ("count", Want::Count("part.count")),
]);
static FOLDED: Object<&'static str> =
    Object::ignoring_case(&[("name", Want::Text("object.name")), ("count", Want::Quantity("object.count"))]);
static MANY: Want<&'static str> = Want::Object(&PART);

/// Scans elements one after another, each in pieces of `piece` bytes. An array is read as a list of parts.
#[must_use]
pub fn scan(elements: &[&[u8]], piece: usize) -> Facts {
    let (mut scanner, mut facts) = (Scanner::new(&ROOT).or_each(Some(("root", &MANY))), Facts::default());
    for element in elements {
        for piece in element.chunks(piece.max(1)) {
            scanner.read(piece, &mut facts);
        }
        facts.whole += usize::from(scanner.is_whole());
        scanner.reset();
    }
    facts.defects = scanner.defects().iter().collect();
    facts
}
