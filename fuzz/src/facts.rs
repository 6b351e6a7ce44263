//! The JSON scanner against a walk over the tree that serde_json builds: the same facts, in the same order, with the same
//! defects, however the bytes are split. What serde_json does not take is left out: the scanner is lenient there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use inferometer::wire::event::Defect;
use inferometer::wire::facts::{Fact, Facts, scan};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A tree that keeps the order of members, and those of the same name.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    /// A number in digits alone, or minus and digits.
    Whole(i128),
    Float(f64),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = from.next_element()? {
            elements.push(element);
        }
        Ok(Node::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

/// What is wanted of a node: the scanner's table, written again.
#[derive(Clone, Copy)]
enum Wanted {
    Root,
    Part,
    Folded,
    Text(&'static str),
    TextOr(&'static str, &'static Wanted),
    Count(&'static str),
    Quantity(&'static str),
    Flag(&'static str),
    Present(&'static str),
    Truthy(&'static str),
    Length(&'static str),
    Measured(&'static str, &'static Wanted),
    Each(&'static str, &'static Wanted),
}

impl Wanted {
    fn member(self, key: &str) -> Option<Self> {
        Some(match (self, key) {
            (Self::Root, "text") => Self::Text("text"),
            (Self::Root, "text_or") => Self::TextOr("text_or", &Self::Truthy("other")),
            (Self::Root, "count") => Self::Count("count"),
            (Self::Root, "quantity") => Self::Quantity("quantity"),
            (Self::Root, "flag") => Self::Flag("flag"),
            (Self::Root, "present") => Self::Present("present"),
            (Self::Root, "truthy") => Self::Truthy("truthy"),
            (Self::Root, "length") => Self::Length("length"),
            (Self::Root, "measured") => Self::Measured("measured", &Self::Each("part", &Self::Part)),
            (Self::Root, "object") => Self::Folded,
            (Self::Root, "each") => Self::Each("element", &Self::Part),
            (Self::Root, "lists") => Self::Each("list", &Self::Each("item", &Self::Count("number"))),
            (Self::Part, "text") => Self::Measured("part.text", &Self::Length("part.parts")),
            (Self::Part, "count") => Self::Count("part.count"),
            (Self::Folded, _) if key.eq_ignore_ascii_case("name") => Self::Text("object.name"),
            (Self::Folded, _) if key.eq_ignore_ascii_case("count") => Self::Quantity("object.count"),
            _ => return None,
        })
    }
}

/// Longest text that is kept, in bytes.
const LONGEST: usize = 512;
/// From here on a double stops telling whole numbers apart.
const LIMIT: f64 = 9_007_199_254_740_992.0;

/// What a walk finds.
#[derive(Default)]
struct Walk {
    visited: Vec<(&'static str, Fact)>,
    /// Of those lengths that depend on how characters were escaped, the most that they may be.
    most: BTreeMap<usize, u64>,
    defects: HashMap<Defect, u32>,
    /// A number that serde_json may have rounded to another side of what is asked.
    unsure: bool,
}

impl Walk {
    fn tell(&mut self, field: &'static str, fact: Fact) {
        self.visited.push((field, fact));
    }

    fn defect(&mut self, defect: Defect) {
        *self.defects.entry(defect).or_default() += 1;
    }

    fn number(&mut self, node: &Node) -> Option<f64> {
        let number = match node {
            Node::Whole(whole) => *whole as f64,
            Node::Float(float) => {
                self.unsure |= (LIMIT / 8.0..LIMIT * 2.0).contains(&float.abs());
                *float
            }
            _ => return None,
        };
        Some(number)
    }

    fn root(&mut self, node: &Node) {
        match node {
            Node::Array(_) => self.walk(Wanted::Each("root", &Wanted::Part), node),
            _ => self.walk(Wanted::Root, node),
        }
    }

    fn walk(&mut self, wanted: Wanted, node: &Node) {
        match (wanted, node) {
            (_, Node::Null) => {}
            (Wanted::Root | Wanted::Part | Wanted::Folded, Node::Object(members)) => {
                for (key, value) in members {
                    if let Some(wanted) = wanted.member(key) {
                        self.walk(wanted, value);
                    }
                }
            }
            (Wanted::Each(field, wanted), Node::Array(elements)) => {
                for element in elements {
                    self.walk(*wanted, element);
                    self.tell(field, Fact::Ended);
                }
            }
            (Wanted::Text(field) | Wanted::TextOr(field, _), Node::Text(text)) => {
                let fits = text.len() <= LONGEST;
                if !fits {
                    self.defect(Defect::TooLong);
                }
                self.tell(field, Fact::Text(if fits { text.as_bytes().to_vec() } else { Vec::new() }));
            }
            (Wanted::TextOr(_, other), _) => self.walk(*other, node),
            (Wanted::Count(field), Node::Whole(_) | Node::Float(_)) => {
                let number = self.number(node).unwrap_or_default();
                match (0.0..LIMIT).contains(&number) && number.fract() == 0.0 {
                    true => self.tell(field, Fact::Count(number as u64)),
                    false => self.defect(Defect::Number),
                }
            }
            (Wanted::Quantity(field), Node::Whole(_) | Node::Float(_)) => {
                let number = self.number(node).unwrap_or_default();
                match (0.0..LIMIT).contains(&number) {
                    true => self.tell(field, Fact::Quantity(number)),
                    false => self.defect(Defect::Number),
                }
            }
            (Wanted::Flag(field) | Wanted::Truthy(field), Node::Bool(is)) => self.tell(field, Fact::Is(*is)),
            (Wanted::Truthy(field), Node::Whole(_) | Node::Float(_)) => {
                let is = self.number(node) != Some(0.0);
                self.tell(field, Fact::Is(is));
            }
            (Wanted::Present(field) | Wanted::Truthy(field), Node::Text(text)) => {
                self.tell(field, Fact::Is(!text.is_empty()));
            }
            (Wanted::Present(field) | Wanted::Truthy(field), Node::Array(elements)) => {
                self.tell(field, Fact::Is(!elements.is_empty()));
            }
            (Wanted::Present(field) | Wanted::Truthy(field), Node::Object(members)) => {
                self.tell(field, Fact::Is(!members.is_empty()));
            }
            (Wanted::Length(field), Node::Array(elements)) => self.tell(field, Fact::Length(elements.len() as u64)),
            (Wanted::Measured(field, _), Node::Text(text)) => {
                self.most.insert(self.visited.len(), text.encode_utf16().count() as u64);
                self.tell(field, Fact::Length(text.chars().count() as u64));
            }
            (Wanted::Measured(_, nested), Node::Array(_) | Node::Object(_)) => self.walk(*nested, node),
            (Wanted::Measured(..), _) => {}
            _ => self.defect(Defect::Type),
        }
    }

    /// Whether a fact is the one at this place.
    fn is_expected(&self, at: usize, visited: &(&'static str, Fact)) -> bool {
        match (&self.visited[at], visited) {
            ((one, Fact::Length(least)), (other, Fact::Length(length))) => {
                let most = self.most.get(&at).unwrap_or(least);
                one == other && (least..=most).contains(&length)
            }
            // serde_json's doubles may be off by the last bit.
            ((one, Fact::Quantity(expected)), (other, Fact::Quantity(quantity))) => {
                one == other && (expected - quantity).abs() <= expected * 4.0 * f64::EPSILON
            }
            (one, other) => one == other,
        }
    }
}

/// Whether a number or word is longer than is kept: the tree does not tell.
fn has_long_scalar(element: &[u8]) -> bool {
    let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    element.split(|byte| !scalar(byte)).any(|run| run.len() > LONGEST)
}

/// Runs the fuzz target: the size of pieces, and elements, a line each. Gives how many elements were compared.
pub fn json_facts(input: &[u8]) -> usize {
    let [piece, lines @ ..] = input else { return 0 };
    let (mut walk, mut elements) = (Walk::default(), Vec::new());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !has_long_scalar(line)) {
        if let Ok(node @ (Node::Object(_) | Node::Array(_) | Node::Null)) = serde_json::from_slice(line) {
            walk.root(&node);
            elements.push(line);
        }
    }
    if walk.unsure {
        return 0;
    }
    for piece in [usize::MAX, usize::from(*piece).max(1), 1] {
        let Facts { visited, whole, defects } = scan(&elements, piece);
        assert_eq!(whole, elements.len(), "every element ends");
        let same = visited.len() == walk.visited.len()
            && visited.iter().enumerate().all(|(at, visited)| walk.is_expected(at, visited));
        assert!(same, "in pieces of {piece}: {visited:?} is not {:?}", walk.visited);
        assert_eq!(defects.into_iter().collect::<HashMap<_, _>>(), walk.defects, "in pieces of {piece}");
    }
    elements.len()
}
